"""A token for one Deployment: minted and deleted over real HTTP, once each, and told nowhere."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import (
    DeployOpsError,
    MalformedAnswerError,
    PermanentError,
    WriteRefusedError,
    WriteUnknownError,
)
from include.deploy_ops.hooks.astro.answers import MintedToken
from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi
from tests.worlds.doubles.astro import TOKEN
from tests.worlds.doubles.hostile_server import Asked, HostileServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "minted-value-that-must-not-show"
MINTED = {
    "id": "cltok1",
    "name": "deploy-ops verify cldep1",
    "shortToken": "mint",
    "token": VALUE,
    "scope": "DEPLOYMENT",
}


def connect(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    connection = {"conn_type": "http", "host": f"http://{host}/astro", "password": TOKEN, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))


def mint(api: AstroApiHook) -> MintedToken | None:
    return api.create_deployment_token("cldep1")


def delete(api: AstroApiHook) -> None:
    api.delete_token(MintedToken("cltok1", VALUE))


def test_of_listed_tokens_those_of_one_asker_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("deploy-ops verify cldep1 aa", "deploy-ops verify cldep1 bb", "deploy-ops verify cldep1", "a person's")
    listed = [{"id": f"cltok{number}", "name": name} for number, name in enumerate(names)]
    page = {"tokens": listed, "totalCount": len(listed), "limit": 1000, "offset": 0}

    def script(asked: Asked) -> list[bytes]:
        return answer(200, json.dumps(page).encode()) if asked.method == "GET" else answer(204, b"")

    async def drop() -> None:
        async with AsyncAstroApi("astro_default") as api:
            await api.drop_lost_tokens("cldep1", "bb")

    with HostileServer(script) as server:
        connect(server.host, monkeypatch)
        asyncio.run(drop())
        listing, *deletes = server.asked
    assert "deploymentId=cldep1" in listing.path
    assert [(each.method, each.path.rpartition("/")[2]) for each in deletes] == [("DELETE", "cltok1")]


def call(
    act: Callable[[AstroApiHook], Any], said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[Asked]]:
    """Return what comes of it, a value or an error, and what was asked."""
    with HostileServer(lambda _: said) as server:
        connect(server.host, monkeypatch)
        with AstroApiHook("astro_default", sleep=lambda _: None) as api:
            try:
                found = act(api)
            except DeployOpsError as error:
                found = error
        assert TOKEN not in str(found)
        assert VALUE not in str(found)
        return found, server.asked


def test_a_token_opens_one_deployment_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    minted, asked = call(mint, answer(200, json.dumps(MINTED).encode()), monkeypatch)
    assert minted == MintedToken("cltok1", VALUE)
    assert VALUE not in repr(minted)
    (request,) = asked
    assert (request.method, request.path) == ("POST", "/astro/v1/organizations/clorg/tokens")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    content = json.loads(request.body)
    assert content.pop("description")
    assert content == {
        "name": "deploy-ops verify cldep1",
        "scope": "DEPLOYMENT",
        "entityId": "cldep1",
        "role": "DEPLOYMENT_ADMIN",
        "tokenExpiryPeriodInDays": 1,
    }


def test_its_value_is_masked_in_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("include.deploy_ops.hooks.astro.api.mask_secret", masked.append)
    call(mint, answer(200, json.dumps(MINTED).encode()), monkeypatch)
    assert masked == [VALUE]


def test_a_token_that_may_not_mint_mints_none(monkeypatch: pytest.MonkeyPatch) -> None:
    minted, asked = call(mint, answer(403, b'{"message": "no", "statusCode": 403}'), monkeypatch)
    assert minted is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "error_type"),
    [
        (answer(401, b"{}"), WriteRefusedError),
        (answer(400, b'{"message": "bad role"}'), WriteRefusedError),
        (answer(302, b"", Location="http://127.0.0.1:1/"), WriteRefusedError),
        (answer(429, b"{}", Retry_After="1"), WriteRefusedError),
        (answer(500, b"{}"), WriteUnknownError),
        (answer(502, b"<html>"), WriteUnknownError),
        (answer(200, b"<html>"), WriteUnknownError),
        ([], WriteUnknownError),
        (answer(200, b"{}"), MalformedAnswerError),
        (answer(200, b"null"), MalformedAnswerError),
        (answer(200, b'{"id": "cltok1"}'), MalformedAnswerError),
        (answer(200, b'{"id": "", "token": "x"}'), MalformedAnswerError),
    ],
)
@pytest.mark.parametrize("act", [mint, delete])
def test_nothing_is_minted_or_deleted_twice(
    act: Callable[[AstroApiHook], Any],
    said: list[bytes],
    error_type: type[DeployOpsError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, asked = call(act, said, monkeypatch)
    assert len(asked) == 1
    if act is delete and error_type is MalformedAnswerError:
        assert found is None  # what an answer to a delete holds says nothing
    else:
        assert type(found) is error_type


def test_a_token_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = call(delete, answer(204, b""), monkeypatch)
    assert found is None
    assert [(each.method, each.path) for each in asked] == [("DELETE", "/astro/v1/organizations/clorg/tokens/cltok1")]


def test_a_token_that_is_gone_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(delete, answer(404, b'{"message": "no"}'), monkeypatch)[0] is None
    refused, _ = call(delete, answer(403, b'{"message": "no"}'), monkeypatch)
    assert isinstance(refused, WriteRefusedError)


def test_no_deployment_mints_no_token_of_the_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = call(lambda api: api.create_deployment_token(""), answer(200, b"{}"), monkeypatch)
    assert isinstance(found, PermanentError)
    assert asked == []


def test_triggers_mint_and_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    async def live() -> MintedToken | None:
        async with AsyncAstroApi("astro_default") as api:
            minted = await api.create_deployment_token("cldep1", "a1")
            assert minted is not None
            await api.delete_token(minted)
            return minted

    said = {"POST": answer(200, json.dumps(MINTED).encode()), "DELETE": answer(204, b"")}
    with HostileServer(lambda asked: said[asked.method]) as server:
        connect(server.host, monkeypatch)
        assert asyncio.run(live()) == MintedToken("cltok1", VALUE)
        assert [each.method for each in server.asked] == ["POST", "DELETE"]
