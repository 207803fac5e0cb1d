"""Ask Astro's v1 API one question at a time: patient with outages, suspicious of the answer, blocking or awaited.

Does not know what an answer means; `answers` does. Changes nothing in Astro: it only sends GET.

What to ask next is written once, as a conversation: a generator that yields what shall happen (`Ask`, `Pause`) and is
sent the reply. `hold` and `ahold` carry a conversation out, the one in a task, the other in a trigger.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, ObservationError, RateLimitError
from include.deploy_ops.hooks import metrics, patience
from include.deploy_ops.hooks.astro.connection import AstroConnection
from include.deploy_ops.hooks.inflation import ACCEPTED, Inflater, PackingError
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.lifeline import Lifeline
from include.deploy_ops.hooks.patience import AnswerLimit, Call, UnendingAnswerError, read_retry_after_s
from include.deploy_ops.process.redaction import list_forms, replace_forms

REQUESTS_PER_S_MAX = 20
"""Astro documents 25 reads a second per token; the token may have other users."""

TRIES = 4

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this GET: a path below the API's base URL, quoted, and its query."""

    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name the request in an error's text."""
        query = f"?{httpx.QueryParams(dict(self.query))}" if self.query else ""
        return f"GET {self.path}{query}"


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status with its headers (lower-case names) and body, or why nothing came."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""


Conversation = Generator[Ask | Pause, Reply | None, T]


def ask(request: Ask) -> Conversation[Any]:
    """Ask, and again after a 5xx, a 429, a timeout or a dropped connection; return the JSON that Astro answered.

    Returns None when Astro itself says that there is no such thing.

    :raises RateLimitError: Astro wants a longer pause than we wait in place.
    :raises ObservationError: no answer, a refusal, or an answer that is not JSON; names the request.
    """
    call = Call(TRIES)
    while True:
        reply = yield request
        if reply is None:
            raise TypeError("an Ask must be sent a Reply")
        if not _is_passing(reply):
            return _judge(request, reply)
        pause_s = call.endure(_explain_outage(request, reply, call.tries))
        log.warning("%s: %s; asking again in %.1f s", request, _describe(reply), pause_s)
        yield Pause(pause_s)


def _explain_outage(request: Ask, reply: Reply, tries: int) -> ObservationError | RateLimitError:
    said, wanted_s = _describe(reply), read_retry_after_s(reply.headers)
    if wanted_s is None:
        return ObservationError(f"{request}: Astro gave no usable answer in {tries} tries: {said}; {NOTHING_FOLLOWS}")
    return RateLimitError(f"{request}: Astro asks to wait {wanted_s:.0f} s ({said}); {NOTHING_FOLLOWS}", wanted_s)


class Pace:
    """Spreads one client's requests, so that they stay below what Astro allows."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def reserve_s(self) -> float:
        """Return the seconds to wait before the next request, and take its place in the row."""
        now = time.monotonic()
        starts_at = max(now, self._next_at)
        self._next_at = starts_at + 1 / REQUESTS_PER_S_MAX
        return starts_at - now


def hold(
    conversation: Conversation[T], client: AstroClient, pace: Pace, sleep: Callable[[float], None] = time.sleep
) -> T:
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
    client: httpx.AsyncClient,
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


class AstroClient(httpx.Client):
    """The blocking client, whose connection is cut when an answer takes too long.

    One request after the other: it keeps one connection.
    """

    def __init__(self, connection: AstroConnection) -> None:
        super().__init__(**make_settings(connection), limits=httpx.Limits(max_connections=1))
        self.lifeline = Lifeline()
        self._hold = self.lifeline.hold if connection.is_plain_http else self.lifeline.hold_twin

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


def make_settings(connection: AstroConnection) -> dict[str, Any]:
    """Return the keyword arguments of the httpx client, blocking or not, for this connection."""
    return {
        "base_url": connection.api_url,
        "headers": {
            "authorization": f"Bearer {connection.token}",
            "accept": "application/json",
            "accept-encoding": ACCEPTED,
        },
        "timeout": httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        "follow_redirects": False,  # a redirect would carry the token elsewhere
        "trust_env": not connection.is_plain_http,  # as the CLI: a local Astro is never asked through a proxy
    }


def _send(client: AstroClient, request: Ask) -> Reply:
    metrics.count_request(metrics.ASTRO)
    try:
        with (
            client.lifeline.limit(str(request)),
            client.stream(
                "GET", request.path, params=dict(request.query), extensions={"trace": client.trace}
            ) as response,
        ):
            inflater = Inflater(response.headers)
            pieces = (piece for raw in response.iter_raw() for piece in inflater.feed(raw))
            return _make_reply(response, AnswerLimit(str(request)).join(pieces))
    except (httpx.RequestError, PackingError) as error:
        return Reply(failure=_name_failure(error))


async def _asend(client: httpx.AsyncClient, request: Ask) -> Reply:
    metrics.count_request(metrics.ASTRO)
    limit_s, body = patience.ANSWER_TIME_MAX_S, bytearray()
    try:
        async with (
            asyncio.timeout(limit_s),
            client.stream("GET", request.path, params=dict(request.query)) as response,
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


def _is_passing(reply: Reply) -> bool:
    """Whether the same question may get another answer in a moment."""
    is_outage = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return bool(reply.failure) or is_outage or reply.status == HTTPStatus.TOO_MANY_REQUESTS


def _judge(request: Ask, reply: Reply) -> Any:
    if reply.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
        raise ObservationError(f"{request}: {_describe(reply)}; {_advise(reply)}")
    try:
        answer = read_json(reply.body)
    except ValueError as error:
        raise ObservationError(
            f"{request}: Astro answered HTTP {reply.status} with {len(reply.body)} bytes that are not JSON ({error}): "
            f"a proxy's page, a body cut short, or a connection whose host is not Astro's; {NOTHING_FOLLOWS}"
        ) from error
    if reply.status == HTTPStatus.OK and answer is not None:
        return answer
    if reply.status == HTTPStatus.OK:  # null says nothing, not even that there is no such thing
        raise ObservationError(f"{request}: Astro's answer is malformed: it is null; {NOTHING_FOLLOWS}")
    # Only Astro's own 404 counts as "not there": a proxy's says nothing about the Deployment.
    if isinstance(answer, dict) and isinstance(answer.get("message"), str) and answer.get("statusCode") == reply.status:
        return None
    raise ObservationError(f"{request}: HTTP 404 without Astro's error body; check the connection's host")


def _describe(reply: Reply) -> str:
    said = reply.body[:300].decode("utf-8", "replace").strip()
    return reply.failure or f"HTTP {reply.status}" + (f" {said!r}" if said else "")


def _advise(reply: Reply) -> str:
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return "the API token in the connection's password is wrong, expired or revoked: put a valid one there"
    if reply.status == HTTPStatus.FORBIDDEN:
        return "the API token may not read this: give it a role in the workspace, and check organization_id"
    if location := reply.headers.get("location"):
        return f"it points to {location}, which is not followed: write Astro's own address into the connection's host"
    return NOTHING_FOLLOWS
