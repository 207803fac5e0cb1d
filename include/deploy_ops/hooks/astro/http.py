"""Ask Astro's v1 API one question at a time: patient with outages, suspicious of the answer.

Does not know what an answer means; `answers` does. How a request travels is `conversation`'s job.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from include.deploy_ops.core.errors import (
    NOTHING_FOLLOWS,
    ObservationError,
    RateLimitError,
    RightRefusedError,
    SilenceError,
    TokenRefusedError,
    WriteRefusedError,
    WriteUnknownError,
)
from include.deploy_ops.hooks.conversation import Ask, Conversation, Pace, Pause, Reply, Service, send_once
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import Call, read_retry_after_s

REQUESTS_PER_S_MAX = 20
"""Astro documents 25 reads a second per token; the token may have other users."""

TRIES = 4

_REFUSALS: dict[int, type[ObservationError]] = {
    HTTPStatus.UNAUTHORIZED: TokenRefusedError,
    HTTPStatus.FORBIDDEN: RightRefusedError,
}

log = logging.getLogger(__name__)


_PACES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Service, Pace]] = WeakKeyDictionary()


def make_pace() -> Pace:
    """Return the pace of one client."""
    return Pace(REQUESTS_PER_S_MAX)


def share_pace(service: Service) -> Pace:
    """Return the one pace of all clients of an event loop with one token: a triggerer has one for each wait."""
    return _PACES.setdefault(asyncio.get_running_loop(), {}).setdefault(service, make_pace())


def ask(request: Ask) -> Conversation[Any]:
    """Ask, and again after a 5xx, a 429, a timeout or a dropped connection; return the JSON that Astro answered.

    Returns None when Astro itself says that there is no such thing.

    :raises RateLimitError: Astro wants a longer pause than we wait in place.
    :raises ObservationError: no answer, a refusal, or an answer that is not JSON; names the request.
    """
    call = Call(TRIES)
    while True:
        reply = yield from send_once(request)
        if not reply.is_passing:
            return _judge(request, reply)
        pause_s = call.endure(_explain_outage(request, reply, call.tries))
        log.warning("%s: %s; asking again in %.1f s", request, reply, pause_s)
        yield Pause(pause_s)


def change(request: Ask) -> Conversation[Any]:
    """Have Astro change something, once; return the JSON that it answered, None if it answered nothing.

    :raises WriteRefusedError: Astro does not do it; has the status.
    :raises WriteUnknownError: no whole answer: it may have been done.
    """
    reply = yield from send_once(request)
    if reply.status == HTTPStatus.NO_CONTENT:
        return None
    if reply.status != HTTPStatus.OK:
        if reply.failure or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise WriteUnknownError(f"{request}: {reply}; it may have been done all the same")
        raise WriteRefusedError(f"{request}: {reply}; {_advise(reply)}", reply.status, str(reply))
    try:
        return read_json(reply.body)
    except ValueError as error:
        raise WriteUnknownError(f"{request}: Astro answered no JSON ({error}); it may have been done") from error


def _explain_outage(request: Ask, reply: Reply, tries: int) -> SilenceError | RateLimitError:
    wanted_s = read_retry_after_s(reply.headers)
    if wanted_s is None:
        return SilenceError(f"{request}: Astro gave no usable answer in {tries} tries: {reply}; {NOTHING_FOLLOWS}")
    return RateLimitError(f"{request}: Astro asks to wait {wanted_s:.0f} s ({reply}); {NOTHING_FOLLOWS}", wanted_s)


def _judge(request: Ask, reply: Reply) -> Any:
    if reply.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
        raise _REFUSALS.get(reply.status, ObservationError)(f"{request}: {reply}; {_advise(reply)}")
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


def _advise(reply: Reply) -> str:
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return "the API token in the connection's password is wrong, expired or revoked: put a valid one there"
    if reply.status == HTTPStatus.FORBIDDEN:
        return "the API token may not read this: give it a role in the workspace, and check organization_id"
    if location := reply.headers.get("location"):
        return f"it points to {location}, which is not followed: write Astro's own address into the connection's host"
    return NOTHING_FOLLOWS
