"""Ask Astro's v1 API one question at a time: patient with outages, suspicious of the answer, blocking or awaited.

Does not know what an answer means; `astro_answers` does. Changes nothing in Astro: it only sends GET.

What to ask next is written once, as a conversation: a generator that yields what shall happen (`Ask`, `Pause`) and is
sent the reply. `hold` and `ahold` carry a conversation out, the one in a task, the other in a trigger.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, ObservationError, RateLimitError
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.astro.connection import AstroConnection
from include.deploy_ops.hooks.json_body import read_json

REQUESTS_PER_S_MAX = 20
"""Astro documents 25 reads a second per token; the token may have other users."""

TRIES = 4
FIRST_RETRY_S = 0.5
IN_PLACE_WAIT_MAX_S = 60.0
"""Seconds that one question waits in all because Astro asked for it; a longer wait is the next pass's affair."""

ANSWER_LENGTH_MAX = 64 * 1024 * 1024
"""Bytes; a page of 1000 Deployments with large environments stays well below."""

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0
_TOTAL_TIMEOUT_S = 120.0

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
    patience_s, said = IN_PLACE_WAIT_MAX_S, ""
    for attempt in range(1, TRIES + 1):
        reply = yield request
        if reply is None:
            raise TypeError("an Ask must be sent a Reply")
        if not _is_passing(reply):
            return _judge(request, reply)
        said = _describe(reply)
        wanted_s = _read_retry_after_s(reply)
        if wanted_s is not None and (wanted_s > patience_s or attempt == TRIES):
            asked = f"{request}: Astro asks to wait {wanted_s:.0f} s ({said})"
            raise RateLimitError(f"{asked}; {NOTHING_FOLLOWS}", wanted_s)
        if attempt < TRIES:
            pause_s = max(_choose_backoff_s(attempt), wanted_s or 0.0)
            patience_s -= pause_s
            log.warning("%s: %s; asking again in %.1f s", request, said, pause_s)
            yield Pause(pause_s)
    raise ObservationError(f"{request}: Astro gave no usable answer in {TRIES} tries: {said}; {NOTHING_FOLLOWS}")


def _choose_backoff_s(attempt: int) -> float:
    return math.ldexp(FIRST_RETRY_S, attempt - 1) * random.uniform(1, 2)  # noqa: S311 - spreads callers, no secret


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
    conversation: Conversation[T], client: httpx.Client, pace: Pace, sleep: Callable[[float], None] = time.sleep
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


def make_settings(connection: AstroConnection) -> dict[str, Any]:
    """Return the keyword arguments of the httpx client, blocking or not, for this connection."""
    return {
        "base_url": connection.api_url,
        "headers": {"authorization": f"Bearer {connection.token}", "accept": "application/json"},
        "timeout": httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        "follow_redirects": False,  # a redirect would carry the token elsewhere
        "trust_env": not connection.is_plain_http,  # as the CLI: a local Astro is never asked through a proxy
    }


def _send(client: httpx.Client, request: Ask) -> Reply:
    metrics.count_request(metrics.ASTRO)
    try:
        deadline = time.monotonic() + _TOTAL_TIMEOUT_S
        with client.stream("GET", request.path, params=dict(request.query)) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if failure := _find_excess(len(body), deadline):
                    return Reply(failure=failure)
            return _make_reply(response, bytes(body))
    except httpx.RequestError as error:
        return Reply(failure=_name_failure(error))


async def _asend(client: httpx.AsyncClient, request: Ask) -> Reply:
    metrics.count_request(metrics.ASTRO)
    try:
        deadline = time.monotonic() + _TOTAL_TIMEOUT_S
        async with client.stream("GET", request.path, params=dict(request.query)) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if failure := _find_excess(len(body), deadline):
                    return Reply(failure=failure)
            return _make_reply(response, bytes(body))
    except httpx.RequestError as error:
        return Reply(failure=_name_failure(error))


def _find_excess(length: int, deadline: float) -> str:
    if length > ANSWER_LENGTH_MAX:
        return f"the answer is longer than {ANSWER_LENGTH_MAX} bytes"
    if time.monotonic() > deadline:
        return f"the answer was not complete after {_TOTAL_TIMEOUT_S:.0f} s"
    return ""


def _make_reply(response: httpx.Response, body: bytes) -> Reply:
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _name_failure(error: httpx.RequestError) -> str:
    return f"{type(error).__name__} {error}".strip()


def _is_passing(reply: Reply) -> bool:
    """Whether the same question may get another answer in a moment."""
    is_outage = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return bool(reply.failure) or is_outage or reply.status == HTTPStatus.TOO_MANY_REQUESTS


def _read_retry_after_s(reply: Reply) -> float | None:
    """Return the seconds of the Retry-After header, in either of its forms (RFC 9110, 10.2.3), None without one."""
    value = reply.headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(until.tzinfo)).total_seconds())


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
