"""Ask one Airflow's REST API one question at a time, and believe only what Airflow itself answers.

Does not know what an answer means; `answers` does. How a request travels is `conversation`'s job.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from include.deploy_ops.core.errors import (
    NOTHING_FOLLOWS,
    ObservationError,
    RateLimitError,
    ReadRefusedError,
    WriteRefusedError,
)
from include.deploy_ops.core.verification.facts import TIMES
from include.deploy_ops.hooks.conversation import Ask, Conversation, Pace, Pause, Reply, send_once
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import Call, read_retry_after_s

REQUESTS_PER_S_MAX = 10
"""The Deployment has users of its own, and a small one a single API server."""

TRIES = 3
DETAIL_MAX = 500
"""Characters of Airflow's reason that are kept."""
_REFUSALS = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of an answer 200, and when the Deployment's own clock says that it was given, in whole seconds."""

    value: Any
    at: datetime


def make_pace() -> Pace:
    """Return the pace of one client."""
    return Pace(REQUESTS_PER_S_MAX)


def ask(request: Ask) -> Conversation[Answer]:
    """Ask, and again after a 5xx, a 429, a timeout or a dropped connection.

    :raises ReadRefusedError: the token may not read this; a person has to change something.
    :raises RateLimitError: it wants a longer pause than we wait in place.
    :raises ObservationError: no answer, or none of Airflow's; the next look may hear more.
    """
    reply = yield from send(request)
    return _judge(request, reply)


def change(request: Ask, tries: int = TRIES) -> Conversation[Any]:
    """Have something changed, and return what is answered; for what may be asked for twice, since it is, as by `ask`.

    :raises WriteRefusedError: Airflow refuses it, for a reason that it names.
    :raises ReadRefusedError: the token may not change this; a person has to change something.
    :raises RateLimitError: as `ask`.
    :raises ObservationError: no answer, or none of Airflow's: it may have been done.
    """
    reply = yield from send(request, tries)
    if reply.status in _REFUSALS:
        raise WriteRefusedError(f"{request}: {reply}", reply.status, _read_detail(reply.body))
    if reply.status == HTTPStatus.NO_CONTENT:
        return None
    if reply.status == HTTPStatus.CREATED:
        reply = replace(reply, status=HTTPStatus.OK)
    return _judge(request, reply).value


def send(request: Ask, tries: int = TRIES) -> Conversation[Reply]:
    """Send a request, and again after a 5xx, a 429, a timeout or a dropped connection; return what is no such reply."""
    call = Call(tries)
    while True:
        reply = yield from send_once(request)
        if not reply.is_passing:
            return reply
        pause_s = call.endure(_explain_outage(request, reply, call.tries))
        log.warning("%s: %s; asking again in %.1f s", request, reply, pause_s)
        yield Pause(pause_s)


def _read_detail(body: bytes) -> str:
    """Return what Airflow says of a refusal: its detail where that is a text, else the body's beginning."""
    try:
        found = read_json(body)
    except ValueError:
        found = None
    detail = found.get("detail") if isinstance(found, dict) else None
    return (detail if isinstance(detail, str) else body.decode("utf-8", "replace"))[:DETAIL_MAX]


def _explain_outage(request: Ask, reply: Reply, tries: int) -> ObservationError | RateLimitError:
    wanted_s = read_retry_after_s(reply.headers)
    if wanted_s is None:
        return ObservationError(
            f"{request}: the Deployment's Airflow gave no usable answer in {tries} tries: {reply}; {NOTHING_FOLLOWS}"
        )
    return RateLimitError(
        f"{request}: the Deployment's Airflow asks to wait {wanted_s:.0f} s ({reply}); {NOTHING_FOLLOWS}", wanted_s
    )


def _judge(request: Ask, reply: Reply) -> Answer:
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise ReadRefusedError(
            f"{request}: {reply}; the token may not read this Deployment's Airflow: it is wrong, expired or lacks a "
            "role there; give it one"
        )
    if reply.status != HTTPStatus.OK:
        raise ObservationError(f"{request}: {reply}; {_advise(reply)}")
    try:
        value = read_json(reply.body)
    except ValueError as error:
        raise ObservationError(
            f"{request}: HTTP 200 with {len(reply.body)} bytes that are not JSON ({error}): a page for people, or a "
            f"body cut short; {NOTHING_FOLLOWS}"
        ) from error
    return Answer(value, _read_time(request, reply))


def _read_time(request: Ask, reply: Reply) -> datetime:
    """Return what the answer's Date says: the times that Airflow tells are compared with no clock of ours."""
    try:
        at = parsedate_to_datetime(reply.headers.get("date", ""))
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        at = TIMES[0]
    if not TIMES[0] < at < TIMES[1]:
        raise ObservationError(f"{request}: no sound Date, so the answer's times tell nothing; {NOTHING_FOLLOWS}")
    return at


def _advise(reply: Reply) -> str:
    if location := reply.headers.get("location"):
        return f"it points to {location:.200}, which is not followed: the token is this Deployment's alone"
    if reply.status == HTTPStatus.NOT_FOUND:
        return f"no Airflow answers there, as while a Deployment sleeps, starts or is deployed to; {NOTHING_FOLLOWS}"
    return NOTHING_FOLLOWS
