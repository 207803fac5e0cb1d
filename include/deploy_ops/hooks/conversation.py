"""Ask a service's JSON API one question at a time, blocking or awaited: within limits, and following nobody elsewhere.

What to ask next is written once, as a conversation: a generator that yields what shall happen (`Ask`, `Pause`) and is
sent the reply. `hold` and `ahold` carry a conversation out, the one in a task, the other in a trigger. What a reply
means, and whether to ask again, is each service's own affair.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx

from include.deploy_ops.hooks import metrics, patience
from include.deploy_ops.hooks.inflation import ACCEPTED, Inflater, PackingError
from include.deploy_ops.hooks.lifeline import Lifeline
from include.deploy_ops.hooks.patience import AnswerLimit, UnendingAnswerError
from include.deploy_ops.process.redaction import CUT, list_forms, replace_forms

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this request: a path below the API's base URL, quoted, its query, and what it carries as JSON."""

    path: str
    query: Mapping[str, str | int | Sequence[str]] = field(default_factory=dict)
    method: str = "GET"
    content: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        """Name the request in an error's text."""
        query = f"?{httpx.QueryParams(dict(self.query))}" if self.query else ""
        return f"{self.method} {self.path}{query}"


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long before going on."""

    seconds: float


_SAID_BYTES_MAX = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status with its headers (lower-case names) and body, or why nothing came."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""

    def __str__(self) -> str:
        """Say it in an error's text, the body's beginning with it."""
        said = self.body[:_SAID_BYTES_MAX].decode("utf-8", "replace").strip()
        said += CUT * (len(self.body) > _SAID_BYTES_MAX)
        return self.failure or f"HTTP {self.status}" + (f" {said!r}" if said else "")

    @property
    def is_passing(self) -> bool:
        """Whether the same question may get another answer in a moment."""
        is_outage = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return bool(self.failure) or is_outage or self.status == HTTPStatus.TOO_MANY_REQUESTS


Conversation = Generator[Ask | Pause, Reply | None, T]


@dataclass(frozen=True, slots=True)
class Service:
    """Whom we talk with: its name in our metrics, the base URL of every request, the token that each one carries."""

    name: str
    url: str
    token: str = field(repr=False)

    @property
    def is_plain_http(self) -> bool:
        """Whether it is spoken to without TLS."""
        return self.url.startswith("http://")


class Pace:
    """Spreads one client's requests, so that they stay below what the service allows."""

    def __init__(self, requests_per_s_max: float) -> None:
        self._gap_s = 1 / requests_per_s_max
        self._next_at = 0.0

    def reserve_s(self) -> float:
        """Return the seconds to wait before the next request, and take its place in the row."""
        now = time.monotonic()
        starts_at = max(now, self._next_at)
        self._next_at = starts_at + self._gap_s
        return starts_at - now


def send_once(request: Ask) -> Conversation[Reply]:
    """Send a request, and return the reply whatever it is."""
    reply = yield request
    if reply is None:
        raise TypeError("an Ask must be sent a Reply")
    return reply


def hold(conversation: Conversation[T], client: Client, pace: Pace, sleep: Callable[[float], None] = time.sleep) -> T:
    """Carry out a conversation, and return what it concludes; raises what it raises.

    :param sleep: called with the seconds of each `Pause`.
    """
    reply: Reply | None = None
    try:
        while True:
            match conversation.send(reply):
                case Pause(seconds):
                    sleep(seconds)
                    reply = None
                case Ask() as request:
                    time.sleep(pace.reserve_s())
                    reply = _send(client, request)
    except StopIteration as end:
        conclusion: T = end.value
        return conclusion


async def ahold(
    conversation: Conversation[T],
    client: AsyncClient,
    pace: Pace,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Carry out a conversation as `hold` does, without blocking the event loop."""
    reply: Reply | None = None
    try:
        while True:
            match conversation.send(reply):
                case Pause(seconds):
                    await sleep(seconds)
                    reply = None
                case Ask() as request:
                    await asyncio.sleep(pace.reserve_s())
                    reply = await _asend(client, request)
    except StopIteration as end:
        conclusion: T = end.value
        return conclusion


class Client(httpx.Client):
    """The blocking client, whose connection is cut when an answer takes too long.

    One request after the other: it keeps one connection.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(**_make_settings(service), limits=httpx.Limits(max_connections=1))
        self.service = service
        self.skew_s: float | None = None  # by how many seconds our clock is ahead of the service's
        self.lifeline = Lifeline()
        self._hold = self.lifeline.hold if service.is_plain_http else self.lifeline.hold_twin

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn from httpcore which socket is in use, as its extension `trace` tells."""
        if event == "connection.connect_tcp.complete":
            self._hold(info["return_value"].get_extra_info("socket"))
        elif event == "connection.start_tls.complete":
            self.lifeline.hold(info["return_value"].get_extra_info("socket"))

    def close(self) -> None:
        """Close the connection."""
        self.lifeline.release()
        super().close()


class AsyncClient(httpx.AsyncClient):
    """The awaited client."""

    def __init__(self, service: Service) -> None:
        super().__init__(**_make_settings(service))
        self.service = service


def name_trusted(service: Service) -> tuple[str, ...]:
    """Return what `read_trust` goes by: the environment's file and folder of certificates, and when they changed."""
    if service.is_plain_http:
        return ()
    return tuple(_tell_version(os.environ.get(name, "")) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def _tell_version(path: str) -> str:
    is_there = path and Path(path).exists()
    return f"{path} {Path(path).stat().st_mtime_ns}" if is_there else path


@functools.lru_cache(maxsize=4)
def read_trust(*named: str) -> ssl.SSLContext:
    """Return whom TLS trusts, once for all clients of a process: a triggerer has one for each wait."""
    return httpx.create_ssl_context(trust_env=bool(named))


def _make_settings(service: Service) -> dict[str, Any]:
    return {
        "base_url": service.url,
        "headers": {
            "authorization": f"Bearer {service.token}",
            "accept": "application/json",
            "accept-encoding": ACCEPTED,
        },
        "timeout": httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        "verify": read_trust(*name_trusted(service)),
        "follow_redirects": False,  # a redirect would carry the token elsewhere
        "trust_env": not service.is_plain_http,  # as the Astro CLI: what is local is never asked through a proxy
    }


def _make_options(request: Ask) -> dict[str, Any]:
    return {"params": dict(request.query), "json": request.content}


def _send(client: Client, request: Ask) -> Reply:
    metrics.count_request(client.service.name)
    try:
        with (
            client.lifeline.limit(str(request)),
            client.stream(
                request.method, request.path, **_make_options(request), extensions={"trace": client.trace}
            ) as response,
        ):
            client.skew_s = patience.read_skew_s(response.headers, datetime.now(UTC))
            inflater = Inflater(response.headers)
            pieces = (piece for raw in response.iter_raw() for piece in inflater.feed(raw))
            return _make_reply(response, AnswerLimit(str(request)).join(pieces))
    except (httpx.RequestError, PackingError) as error:
        return Reply(failure=_name_failure(error))


async def _asend(client: AsyncClient, request: Ask) -> Reply:
    metrics.count_request(client.service.name)
    limit_s, body = patience.ANSWER_TIME_MAX_S, bytearray()
    try:
        async with (
            asyncio.timeout(limit_s),
            client.stream(request.method, request.path, **_make_options(request)) as response,
        ):
            inflater, limit = Inflater(response.headers), AnswerLimit(str(request))
            async for raw in response.aiter_raw():
                for piece in inflater.feed(raw):
                    body += limit.check(piece)
            return _make_reply(response, bytes(body))
    except TimeoutError as error:
        raise UnendingAnswerError.of(str(request), limit_s) from error
    except (httpx.RequestError, PackingError) as error:
        return Reply(failure=_name_failure(error))


def _make_reply(response: httpx.Response, body: bytes) -> Reply:
    """Return the reply; one that is no plain answer is told in errors and logs: without the token that it repeats."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.status_code == HTTPStatus.OK:
        return Reply(response.status_code, headers, body)
    forms = list_forms([response.request.headers.get("authorization", "").removeprefix("Bearer ")])
    told = replace_forms(body.decode("utf-8", "replace"), forms).encode()
    return Reply(response.status_code, {name: replace_forms(value, forms) for name, value in headers.items()}, told)


def _name_failure(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
