"""Answers that attack, of each service that we ask: an error of ours, in bounded time and memory.

Each goes over a real socket to each hook. A second server stands for everybody else, and is never asked.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.deploy_ops.core.errors import DeployOpsError, ObservationError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow.api import AsyncAirflowReader
from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi
from include.deploy_ops.hooks.bounded_adapter import bound_session
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.hooks.registry.registry import RegistryHook
from tests.worlds.doubles.github import connect
from tests.worlds.doubles.hostile_server import Asked, HostileServer, answer

LIMIT_S = 0.25
LIMIT_BYTES = 1 << 20
MEMORY_MAX = 24 << 20
SECONDS_MAX = 8.0
"""For one call with all its tries, on a busy machine."""

TOKEN = "ghp_canary0123456789abcdefgh"  # noqa: S105 - opens nothing

Reader = Callable[[str, pytest.MonkeyPatch], object]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", LIMIT_S)
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", LIMIT_BYTES)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr("include.deploy_ops.hooks.json_body._VALUES_MAX", 100_000)
    monkeypatch.setattr(patience, "IN_PLACE_WAIT_MAX_S", 0.01)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain).decode()


def read_github(host: str, monkeypatch: pytest.MonkeyPatch) -> object:
    connect(monkeypatch, host=f"http://{host}/api/v3", password=TOKEN)
    hook = GithubPullsHook("github_default", "acme/pipes", sleep=lambda _: None)
    try:
        return hook.list_branches("main")
    finally:
        hook.close()


def read_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> object:
    set_astro(host, monkeypatch)
    with AstroApiHook("astro_default", sleep=lambda _: None) as hook:
        return hook.list_deployments()


def await_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> object:
    async def read() -> object:
        async with AsyncAstroApi("astro_default") as api:
            return await api.get_deployment("cldep1")

    set_astro(host, monkeypatch)
    return asyncio.run(read())


def set_astro(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    url = host if "://" in host else f"http://{host}/astro"
    connection = {"conn_type": "http", "host": url, "password": TOKEN, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))


def read_registry(host: str, monkeypatch: pytest.MonkeyPatch) -> object:
    connection = {"conn_type": "docker", "login": "ci", "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", json.dumps(connection))
    return RegistryHook("ci_registry", timeout_s=2).find_image(f"{host}/acme/pipes:v1")


def await_airflow(host: str, _: pytest.MonkeyPatch) -> object:
    async def read() -> object:
        async with AsyncAirflowReader(f"{host}/api/v2", TOKEN) as reader:
            return await reader.read_facts()

    return asyncio.run(read())


READERS: dict[str, Reader] = {
    "github": read_github,
    "astro": read_astro,
    "astro awaited": await_astro,
    "airflow awaited": await_airflow,
    "registry": read_registry,
}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"


def fail(read: Reader, server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> DeployOpsError:
    """Return the error in which the read ends, after bounded time, without the token in its text."""
    began = time.monotonic()
    with pytest.raises(DeployOpsError) as caught:
        read(server.host, monkeypatch)
    assert time.monotonic() - began < SECONDS_MAX
    assert TOKEN not in str(caught.value)
    assert len(str(caught.value)) < 3000
    return caught.value


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a status line": (b"", b"H"),
    "a header": (OK, b"x"),
    "headers": (OK, b"x: y\r\n"),
    "a header's value": (OK + b"x: ", b"y"),
    "answers that only promise one": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "other promises": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a body without a length": (OK + b"\r\n", b" "),
    "the length of a chunk": (CHUNKED, b"0"),
    "what may follow that": (CHUNKED + b"1;", b"x"),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "what may follow the chunks": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"x: y\r\n"),
    "packed nothing": (PACKED + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"),
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_drips_is_ended(read: Reader, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head, piece = ENDLESS[kind]
    with HostileServer(lambda _: server.drip(head, piece)) as server:
        fail(read, server, monkeypatch)


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("read", [read_github, read_astro], ids=["requests", "httpx"])  # the two libraries
def test_what_floods_is_ended_in_little_memory(read: Reader, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head, piece = ENDLESS[kind]
    with HostileServer(lambda _: server.drip(head, piece * 512, 0)) as server:
        tracemalloc.start()
        try:
            fail(read, server, monkeypatch)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < MEMORY_MAX


def pack_bomb(size: int) -> bytes:
    return gzip.compress(b" " * size, 9)


def deflate(body: bytes) -> bytes:
    return zlib.compress(body)


BODIES: dict[str, list[bytes]] = {
    "a bomb": answer(body=pack_bomb(64 << 20), Content_Encoding="gzip"),
    "a bomb in a bomb": answer(body=gzip.compress(pack_bomb(64 << 20)), Content_Encoding="gzip, gzip"),
    "a bomb of another packing": answer(body=deflate(b" " * (32 << 20)), Content_Encoding="deflate"),
    "a packing that nobody asked for": answer(body=b"\x8b\x00\x80{}\x03", Content_Encoding="br"),
    "a packing that there is not": answer(Content_Encoding="x" * 5000),
    "packed and cut off": answer(body=gzip.compress(b'{"a": 1}')[:-9], Content_Encoding="gzip"),
    "packed and more": answer(body=gzip.compress(b"{}") + b"{}", Content_Encoding="gzip"),
    "not packed at all": answer(Content_Encoding="gzip"),
    "depth": answer(body=b"[" * 900_000),
    "objects in depth": answer(body=b'{"a":' * 150_000),
    "too many values": answer(body=b"[" + b"[]," * 60_000 + b"[]]"),
    "many values that are wrong": answer(body=b"[" + b"[]," * 20_000 + b"[]]"),
    "no number": answer(body=b'{"deployments": NaN}'),
    "infinity": answer(body=b"[1e999]"),
    "a number of a million digits": answer(body=b"[" + b"9" * 1_000_000 + b"]"),
    "a number of 22 digits": answer(body=b'{"totalCount": 1000000000000000000000, "deployments": []}'),
    "a key twice": answer(body=b'{"totalCount": 0, "deployments": [], "deployments": [1]}'),
    "half a character": answer(body=b'["\\ud800"]'),
    "bytes that are no text": answer(body=b'["\xff\xfe"]'),
    "another encoding": answer(body='{"a": "é"}'.encode("utf-16"), Content_Type="application/json; charset=utf-16"),
    "null": answer(body=b"null"),
    "a text": answer(body=b'"ok"'),
    "a number": answer(body=b"7"),
    "a truth": answer(body=b"true"),
    "lists in lists": answer(body=b"[[[]]]"),
    "nothing": answer(body=b""),
    "a page": answer(body=b"<html><script>alert(1)</script>" * 5000, Content_Type="text/html"),
    "an error of a megabyte": answer(500, "é".encode() * (LIMIT_BYTES // 4)),
    "a refusal of a megabyte": answer(403, b"\x81\x82" * (LIMIT_BYTES // 4)),
    "ids of all kinds": answer(body=json.dumps({"totalCount": True, "deployments": [{"id": {}}]}).encode()),
    "fields of other types": answer(
        body=json.dumps({"mediaType": {}, "config": [], "layers": 7, "ref": [], "object": 1}).encode()
    ),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_body_that_attacks_its_reader_is_an_error(read: Reader, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: BODIES[kind]) as server:
        tracemalloc.start()
        try:
            fail(read, server, monkeypatch)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < MEMORY_MAX


FRAMES: dict[str, list[bytes]] = {
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "silence": [],
    "another version": [b"HTTP/9.9 200 OK\r\n\r\n{}"],
    "a status that is none": [b"HTTP/1.1 two OK\r\n\r\n{}"],
    "a status out of range": [b"HTTP/1.1 99999 OK\r\n\r\n{}"],
    "less than nothing": [OK + b"Content-Length: -1\r\n\r\n{}"],
    "two lengths": [OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"],
    "a length of words": [OK + b"Content-Length: two\r\n\r\n{}"],
    "a length that is not there": [OK + b"Content-Length: 99\r\n\r\n{}"],
    "a chunk of words": [CHUNKED, b"two\r\n{}\r\n0\r\n\r\n"],
    "a chunk of less than nothing": [CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n"],
    "a chunk without end": [CHUNKED, b"ffffffffffffffffffffff\r\n{}"],
    "200 headers": [OK + b"a: b\r\n" * 200 + b"\r\n{}"],
    "a header of a megabyte": [OK + b"a: " + b"b" * LIMIT_BYTES + b"\r\n\r\n{}"],
    "a header without a name": [OK + b": b\r\n\r\n[1]"],
    "a header with a zero byte": [OK + b"a: b\x00c\r\nContent-Length: 3\r\n\r\n[1]"],
    "a header in two lines": [OK + b"a: b\r\n\tc\r\nContent-Length: 3\r\n\r\n[1]"],
    "a body to a 204": [b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}"],
    "304 to no condition": [b"HTTP/1.1 304 Same\r\n\r\n"],
    "202 for ever": answer(202),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_hardly_http_is_an_error(read: Reader, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: FRAMES[kind]) as server:
        fail(read, server, monkeypatch)


PAUSES = [
    "9" * 4000,
    "-7",
    "NaN",
    "1e999",
    "Thu, 99 Foo 0000 99:99:99 GMT",
    "Thu, 01 Jan 9999 00:00:00 GMT",
    "\xb2",
    "",
]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pause_that_cannot_be_is_bounded(
    read: Reader, pause: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = answer(status, b'{"message": "rate limit"}', Retry_After=pause.encode().decode("latin-1"))
    with HostileServer(lambda _: said) as server:
        error = fail(read, server, monkeypatch)
    assert 0 <= getattr(error, "retry_after_s", 0) <= 3600


@pytest.mark.parametrize("value", ["9" * 5000, "NaN", "-1", "1e5", "9" * 18])
@pytest.mark.parametrize("name", ["Limit", "Remaining", "Reset"])
def test_a_quota_that_cannot_be_is_an_error(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = {
        "X_RateLimit_Limit": "5000",
        "X_RateLimit_Remaining": "0",
        "X_RateLimit_Reset": "1",
        f"X_RateLimit_{name}": value,
    }
    with HostileServer(lambda _: answer(403, b'{"message": "rate limit"}', **quota)) as server:
        error = fail(read_github, server, monkeypatch)
    assert 0 <= getattr(error, "retry_after_s", 0) <= 3600


def make_endless_pages(asked: Asked) -> Iterable[bytes]:
    found = re.search(r"[?&]page=(\d+)", asked.path)
    page = int(found[1]) if found else 1
    ref = {"ref": f"refs/heads/dev-{page}", "object": {"type": "commit", "sha": f"{page:040x}"}}
    url = f"http://{asked.headers['host']}/api/v3/repos/acme/pipes/git/matching-refs/heads/?page={page + 1}"
    return answer(body=json.dumps([ref]).encode(), Link=f'<{url}>; rel="next"')


def test_pages_without_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.deploy_ops.hooks.github.repository.PAGES_MAX", 20)
    with HostileServer(make_endless_pages) as server:
        assert "more than 20 pages" in str(fail(read_github, server, monkeypatch))
    assert len(server.asked) == 21


def test_a_list_of_a_billion_items_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"totalCount": 10**9, "limit": 1000, "offset": 0, "deployments": [{"id": "a"}]}).encode()
    with HostileServer(lambda _: answer(body=body)) as server:
        assert "more than 100000" in str(fail(read_astro, server, monkeypatch))
    assert len(server.asked) == 1


def ask_by_requests(url: str, _: pytest.MonkeyPatch) -> object:
    with requests.Session() as session:
        bound_session(session)
        return session.get(url, timeout=5)


def ask_by_httpx(url: str, monkeypatch: pytest.MonkeyPatch) -> object:
    set_astro(url, monkeypatch)
    with AstroApiHook("astro_default", sleep=lambda _: None) as hook:
        return hook.list_deployments()


@pytest.mark.parametrize("ask", [ask_by_requests, ask_by_httpx], ids=["requests", "httpx"])
def test_a_handshake_that_drips_is_ended(ask: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: [], greeting=b"\x16\x03") as server:  # the head of a record of 790 bytes, and they
        url = f"https://{server.host}"
        began = time.monotonic()
        with pytest.raises(ObservationError, match="not complete after"):
            ask(url, monkeypatch)
        assert time.monotonic() - began < SECONDS_MAX


REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("read", [read_github, read_astro, await_astro, await_airflow], ids=list(READERS)[:4])
def test_an_api_leads_nowhere_else(read: Reader, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", SECONDS_MAX)  # a busy machine takes longer than an answer may
    with HostileServer(lambda _: answer()) as other:
        to = f"http://{other.host}/repos?token={TOKEN}"
        with HostileServer(lambda _: answer(status, Location=to)) as server:
            fail(read, server, monkeypatch)
    assert other.asked == []
    assert len(server.asked) == 1


def test_a_registry_that_leads_in_circles_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda asked: answer(307, Location=f"{asked.path}x")) as server:
        fail(read_registry, server, monkeypatch)
    assert len(server.asked) <= 7


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://", "//", "http://[::"]
)
def test_a_registry_leads_to_nothing_but_http(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: answer(307, Location=to)) as server:
        fail(read_registry, server, monkeypatch)


@pytest.mark.parametrize(
    "link", ['<http://{other}/x>; rel="next"', '<http://{home}@{other}/x>; rel="next"', "<http://[>; rel=next"]
)
def test_a_next_page_on_another_host_is_not_read(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: answer()) as other:

        def lead(asked: Asked) -> Iterable[bytes]:
            return answer(body=b"[]", Link=link.format(home=asked.headers["host"], other=other.host))

        with HostileServer(lead) as server:
            fail(read_github, server, monkeypatch)
    assert other.asked == []


# --- GitHub App: the service that gives tokens ------------------------------------------------------------------------


@pytest.fixture
def read_token(private_key: str) -> Reader:
    def read(host: str, monkeypatch: pytest.MonkeyPatch) -> object:
        extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
        connect(monkeypatch, host=f"http://{host}/api/v3", extra=extra)
        hook = GithubPullsHook("github_default", "acme/pipes", sleep=lambda _: None)
        try:
            return hook.token()
        finally:
            hook.close()

    return read


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_token_that_never_comes_is_not_awaited(
    kind: str, read_token: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, piece = ENDLESS[kind]
    with HostileServer(lambda _: server.drip(head, piece)) as server:
        fail(read_token, server, monkeypatch)
    assert [asked.path for asked in server.asked] == ["/api/v3/app/installations/2/access_tokens"]


@pytest.mark.parametrize("kind", BODIES)
def test_a_token_in_a_body_that_attacks_is_none(kind: str, read_token: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: BODIES[kind]) as server:
        fail(read_token, server, monkeypatch)


GRANTS: list[Any] = [
    {"token": "ghs_x", "expires_at": "soon"},
    {"token": "ghs_x", "expires_at": 7},
    {"token": "ghs_x", "expires_at": "2099-01-01T00:00:00"},
    {"token": "ghs_x\r\nHost: evil", "expires_at": "2099-01-01T00:00:00Z"},
    {"token": "ghs_\u202e", "expires_at": "2099-01-01T00:00:00Z"},
    {"token": ["ghs_x"], "expires_at": "2099-01-01T00:00:00Z"},
    {"token": "", "expires_at": "2099-01-01T00:00:00Z"},
    {"expires_at": "2099-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("grant", GRANTS, ids=str)
def test_a_token_that_cannot_be_is_none(grant: Any, read_token: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda _: answer(201, json.dumps(grant).encode())) as server:
        assert isinstance(fail(read_token, server, monkeypatch), ObservationError)


@pytest.mark.parametrize("status", REDIRECTS)
def test_the_apps_signature_goes_nowhere_else(status: int, read_token: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        HostileServer(lambda _: answer()) as other,
        HostileServer(lambda _: answer(status, Location=f"http://{other.host}/x")) as server,
    ):
        fail(read_token, server, monkeypatch)
    assert other.asked == []


@pytest.fixture(autouse=True)
def no_timer_is_left() -> Iterator[None]:
    yield
    for timer in [each for each in threading.enumerate() if isinstance(each, threading.Timer)]:
        timer.join(2)  # one that was cancelled ends in a moment
        assert not timer.is_alive()
