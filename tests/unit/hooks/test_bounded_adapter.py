"""Answers that never end, over real HTTP: each service's hook gives up in bounded time, with bounded memory."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import ObservationError, WriteUnknownError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.hooks.patience import UnendingAnswerError
from include.deploy_ops.hooks.registry.logins import ANONYMOUS
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.hooks.registry.repository import ImageRepository, parse_image
from tests.worlds.doubles.github import connect
from tests.worlds.doubles.unending_server import UnendingServer

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 0.5
LIMIT_BYTES = 1 << 20
SYSTEM_BYTES = 12 << 20
"""What the system may take off the server's hands before the client has read it."""


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", LIMIT_S)
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", LIMIT_BYTES)


def open_github(host: str, monkeypatch: pytest.MonkeyPatch) -> GithubPullsHook:
    connect(monkeypatch, host=f"http://{host}/api/v3", password="ghp_x")  # noqa: S106 - opens nothing
    return GithubPullsHook("github_default", "acme/pipes")


def read_github(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = open_github(host, monkeypatch)
    try:
        hook.list_branches("main")
    finally:
        hook.close()


def set_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    connection = {"conn_type": "http", "host": f"http://{host}/astro", "password": "x", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))


def read_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_astro(host, monkeypatch)
    with AstroApiHook("astro_default") as hook:
        hook.list_deployments()


def await_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> None:
        async with AsyncAstroApi("astro_default") as api:
            await api.get_deployment("cldep1")

    set_astro(host, monkeypatch)
    asyncio.run(read())


def read_registry(host: str, _: pytest.MonkeyPatch) -> None:
    RegistryHook(None).find_image(f"{host}/acme/pipes:v1")


READS = [read_github, read_astro, await_astro, read_registry]


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("read", READS)
def test_an_answer_that_drips_ends_in_time(
    read: Callable[[str, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, *, is_chunked: bool
) -> None:
    with UnendingServer(b" ", 0.02, is_chunked=is_chunked) as server:
        began = time.monotonic()
        with pytest.raises(ObservationError, match="not complete after"):
            read(server.host, monkeypatch)
        assert LIMIT_S <= time.monotonic() - began < LIMIT_S + 5
        assert server.requests == 1


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("read", READS)
def test_an_answer_that_floods_ends_within_its_bytes(
    read: Callable[[str, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, *, is_chunked: bool
) -> None:
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 30)
    with UnendingServer(b" " * 4096, is_chunked=is_chunked) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ObservationError, match=f"longer than {LIMIT_BYTES} bytes"):
                read(server.host, monkeypatch)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert server.bytes_sent < LIMIT_BYTES + SYSTEM_BYTES
        assert peak < 8 * LIMIT_BYTES
        assert server.requests == 1


@pytest.mark.parametrize("status", [401, 404, 500])
def test_the_body_of_a_failure_is_bounded_too(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with UnendingServer(b" ", 0.02, status=status) as server:
        for read in READS:
            with pytest.raises(ObservationError, match="not complete after"):
                read(server.host, monkeypatch)


def test_nobody_knows_what_became_of_a_write_whose_answer_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    with UnendingServer(b" ", 0.02) as server:
        hook = open_github(server.host, monkeypatch)
        with pytest.raises(WriteUnknownError, match=r"POST .*not complete after .*look before it is tried again"):
            hook._open_writer().send("POST", "/repos/acme/pipes/issues/1/comments", {"body": "x"})
        hook.close()


@pytest.mark.parametrize(("pause_s", "says"), [(0.02, "not complete after"), (0.0, "longer than 5000 bytes")])
def test_a_blob_ends_where_its_manifest_says_and_not_for_ever(
    pause_s: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.deploy_ops.hooks.registry.repository.ANSWER_TIME_MAX_S", LIMIT_S)
    with UnendingServer(b"x", pause_s) as server:
        with ImageRepository(parse_image(f"{server.host}/acme/pipes:v1"), lambda: ANONYMOUS, 5) as repository:
            began = time.monotonic()
            with pytest.raises(UnendingAnswerError, match=says):
                list(repository.stream_blob(f"sha256:{'0' * 64}", 5000))
        assert time.monotonic() - began < LIMIT_S + 5
