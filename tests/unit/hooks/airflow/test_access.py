"""With which token a Deployment's Airflow is asked, and what becomes of one that was minted for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from include.deploy_ops.core.errors import ObservationError, PermanentError, ReadRefusedError, WriteUnknownError
from include.deploy_ops.core.verification.facts import AirflowFacts
from include.deploy_ops.hooks.airflow import access
from include.deploy_ops.hooks.airflow.access import AsyncAirflowAccess
from include.deploy_ops.hooks.astro.answers import MintedToken
from tests.worlds.doubles.astro import AstroDouble
from tests.worlds.values.examples import make_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.hooks.astro.api import AsyncAstroApi

FACTS = AirflowFacts(datetime(2026, 11, 20, tzinfo=UTC), (), ())
HERE = make_deployment("dev-x", airflow_api="x.example/api/v2")


@dataclass
class Astro:
    """Astro, as far as it tells of a Deployment, and mints and deletes tokens."""

    deployment: Deployment | None = HERE
    may_mint: bool = True
    deletes: bool = True
    losses: int = 0
    astro_conn_id: str = "astro_default"
    minted: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    drop_losses: int = 0

    async def get_deployment(self, _deployment_id: str) -> Deployment | None:
        return self.deployment

    async def create_deployment_token(self, deployment_id: str, asker: str) -> MintedToken | None:
        if not self.may_mint:
            return None
        if self.losses:
            self.losses -= 1
            self.lost.append(asker)
            raise WriteUnknownError("no answer")
        self.minted.append(deployment_id)
        return MintedToken(f"t{len(self.minted)}", "minted-token")

    async def drop_lost_tokens(self, deployment_id: str, asker: str) -> None:
        assert deployment_id == "cldep1"
        if self.drop_losses:
            self.drop_losses -= 1
            raise WriteUnknownError("no answer")
        self.lost = [each for each in self.lost if each != asker]

    async def delete_token(self, token: MintedToken) -> None:
        if not self.deletes:
            raise WriteUnknownError("no answer")
        self.deleted.append(token.id)


@dataclass
class Reader:
    """A reader that notes where it asks and with which token."""

    asked: list[tuple[str, str]]
    error: Exception | None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read_facts(self) -> AirflowFacts:
        if self.error:
            raise self.error
        return FACTS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return where was asked, with which token."""
    found: list[tuple[str, str]] = []

    def open_reader(address: str, token: str) -> Reader:
        found.append((address, token))
        return Reader(found, None)

    monkeypatch.setattr(access, "AsyncAirflowReader", open_reader)
    return found


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        connect(monkeypatch, "preview-token")
        yield


def connect(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PREVIEW_AIRFLOW", json.dumps({"conn_type": "http", "password": token}))


def look(astro: Astro, conn_id: str | None, times: int = 1, between: Callable[[], None] = lambda: None) -> Any:
    async def ask() -> Any:
        async with AsyncAirflowAccess(cast("AsyncAstroApi", astro), "cldep1", conn_id) as airflow:
            for number in range(times):
                if number:
                    between()
                found = await airflow.look()
        return found

    return asyncio.run(ask())


def test_a_connections_token_is_used_and_none_minted(asked: list[tuple[str, str]]) -> None:
    astro = Astro()
    assert look(astro, "preview_airflow") == FACTS
    assert (asked, astro.minted) == ([("x.example/api/v2", "preview-token")], [])


def test_a_repaired_connection_counts(asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    look(Astro(), "preview_airflow", 2, lambda: connect(monkeypatch, "a-newer-token"))
    assert [token for _, token in asked] == ["preview-token", "a-newer-token"]


def test_one_token_is_minted_for_all_looks_and_deleted_afterwards(asked: list[tuple[str, str]]) -> None:
    astro = Astro()
    look(astro, None, 3)
    assert [token for _, token in asked] == ["minted-token"] * 3
    assert (astro.minted, astro.deleted) == (["cldep1"], ["t1"])


@pytest.mark.parametrize("losses", [1, 2])
def test_a_token_whose_answer_was_lost_is_found_again_and_deleted(asked: list[tuple[str, str]], losses: int) -> None:
    astro = Astro(losses=losses, lost=["another asker's"])

    async def ask() -> None:
        async with AsyncAirflowAccess(cast("AsyncAstroApi", astro), "cldep1", None) as airflow:
            with pytest.raises(WriteUnknownError):
                await airflow.look()
            assert len(astro.lost) == 2
            if losses == 1:
                await airflow.look()
            else:
                with pytest.raises(WriteUnknownError):
                    await airflow.look()
                assert len(astro.lost) == 2  # the first one is gone

    asyncio.run(ask())
    assert astro.lost == ["another asker's"]
    assert len(asked) == len(astro.deleted) == 2 - losses


def test_a_lost_token_that_could_not_be_deleted_is_once_another_one_is_minted(asked: list[tuple[str, str]]) -> None:
    astro = Astro(losses=1, drop_losses=1)

    async def ask() -> None:
        async with AsyncAirflowAccess(cast("AsyncAstroApi", astro), "cldep1", None) as airflow:
            with pytest.raises(WriteUnknownError):
                await airflow.look()
            await airflow.look()
            assert len(astro.lost) == len(asked) == 1

    asyncio.run(ask())
    assert astro.lost == []


def test_a_minted_token_is_deleted_after_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_address: str, _token: str) -> Reader:
        return Reader([], ObservationError("HTTP 503"))

    monkeypatch.setattr(access, "AsyncAirflowReader", fail)
    astro = Astro()
    with pytest.raises(ObservationError, match="HTTP 503"):
        look(astro, None)
    assert astro.deleted == ["t1"]


def test_a_token_that_cannot_be_deleted_fails_nothing(asked: list[tuple[str, str]]) -> None:
    assert look(Astro(deletes=False), None) == FACTS


def test_without_connection_and_right_to_mint_nobody_is_asked(asked: list[tuple[str, str]]) -> None:
    with pytest.raises(ReadRefusedError, match="no connection"):
        look(Astro(may_mint=False), None)
    with pytest.raises(ReadRefusedError, match="there is no Airflow connection 'gone'"):
        look(Astro(), "gone")
    assert asked == []


def test_the_token_with_which_we_deploy_is_shown_to_no_airflow(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.worlds.doubles.astro import TOKEN

    connect(monkeypatch, TOKEN)
    with pytest.raises(ReadRefusedError, match="the token with which we deploy"):
        look(Astro(), "preview_airflow")
    assert asked == []


def test_a_deployment_that_is_gone_is_not_asked_again(asked: list[tuple[str, str]]) -> None:
    with pytest.raises(PermanentError, match="the Deployment is gone"):
        look(Astro(deployment=None), None)
    assert asked == []
