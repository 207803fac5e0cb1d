"""How long we bear with other services: tries and pauses, the time of a call, the time and size of an answer.

Sends nothing and sleeps nowhere. Which failures may be tried again, and which headers of its own a service has, each
service's own module says; Retry-After, growth and limits are the same for GitHub, Astro, registries and the triggers.
"""

from __future__ import annotations

import math
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, RateLimitError, SilenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIRST_RETRY_S = 0.5

IN_PLACE_WAIT_MAX_S = 60.0
"""Seconds of all pauses of one call; a service that asks for more is the next pass's affair."""

CALL_TIME_MAX_S = 180.0
"""Seconds after which a call begins no other try: a minute of pauses, and four tries of 30 s that hear nothing."""

ANSWER_TIME_MAX_S = 60.0
"""Seconds until an answer's headers are there, and from them to its body's end.

A time limit for each piece alone would let it drip for ever."""

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Far above all that we ask for: a page of 1000 Deployments with large environments stays well below."""

UNNAMED_WAIT_S = 60.0
"""What a service gets that asks for a pause without saying how long; GitHub's REST best practices name a minute."""

WAIT_MAX_S = 3600.0
"""GitHub's window, and no reset lies farther away: a header that says more is wrong."""


class UnendingAnswerError(SilenceError):
    """An answer was too long or came too slowly, and was dropped; it is not asked for again in place."""

    @classmethod
    def of(cls, answer: str, seconds: float) -> Self:
        """Return the error for an answer that was not there as a whole after this time."""
        return cls(f"{answer}: the answer was not complete after {seconds:.0f} s; {NOTHING_FOLLOWS}")


class Call:
    """One call under way, of `tries_max` tries at most; `tries` is the number of the present one, from 1."""

    def __init__(self, tries_max: int) -> None:
        self.tries = 1
        self._tries_max = tries_max
        self._wait_left_s = IN_PLACE_WAIT_MAX_S
        self._ends_at = time.monotonic() + CALL_TIME_MAX_S

    def endure(self, error: Exception) -> float:
        """Return the seconds to wait before the next try, after the present one failed with the error.

        :raises Exception: the error itself, where no try, not that much waiting or no time is left.
        """
        pause_s = choose_backoff_s(error, self.tries, FIRST_RETRY_S, IN_PLACE_WAIT_MAX_S)
        is_late = time.monotonic() + pause_s > self._ends_at
        if self.tries >= self._tries_max or pause_s > self._wait_left_s or is_late:
            raise error
        self.tries += 1
        self._wait_left_s -= pause_s
        return pause_s


class AnswerLimit:
    """Watches one answer's body come in, from the moment that this is made.

    :param answer: names it in the error, without a secret.
    :param bytes_max: by default what no answer of an API exceeds.
    :param time_max_s: seconds, likewise.
    """

    def __init__(self, answer: str, bytes_max: int | None = None, time_max_s: float | None = None) -> None:
        self._answer = answer
        self._bytes_max = ANSWER_BYTES_MAX if bytes_max is None else bytes_max
        self._time_max_s = ANSWER_TIME_MAX_S if time_max_s is None else time_max_s
        self._ends_at = time.monotonic() + self._time_max_s
        self._length = 0

    def check(self, piece: bytes) -> bytes:
        """Return the body's next piece as it is. :raises UnendingAnswerError: it is one too many, or too late."""
        self._length += len(piece)
        if self._length > self._bytes_max:
            raise UnendingAnswerError(
                f"{self._answer}: the answer is longer than {self._bytes_max} bytes; {NOTHING_FOLLOWS}"
            )
        if time.monotonic() > self._ends_at:
            raise UnendingAnswerError.of(self._answer, self._time_max_s)
        return piece

    def join(self, pieces: Iterable[bytes]) -> bytes:
        """Return the whole body. :raises UnendingAnswerError: it has too many pieces, or takes too long."""
        body = bytearray()  # a list of very small pieces would be many times their length
        for piece in pieces:
            body += self.check(piece)
        return bytes(body)


def choose_backoff_s(error: Exception, failures: int, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after the `failures`-th failure in a row (1, 2, …); never less than a rate limit says.

    They begin between `first_s` and twice that, double, and stay between half of `longest_s` and the whole.
    """
    wanted_s = error.retry_after_s if isinstance(error, RateLimitError) else 0.0
    backoff_s = min(longest_s, math.ldexp(first_s, min(failures, 32)))
    # Spread also where it grows no more, so that those whom one outage stopped do not come back together.
    return max(wanted_s, backoff_s * random.uniform(0.5, 1))  # noqa: S311 - spreads callers, no secret


def read_retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in either of its forms (RFC 9110, 10.2.3); None without the header.

    One that says neither still asks for a pause.

    :param headers: by lower-case name, or in whatever case.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return limit_wait_s(float(value))
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return UNNAMED_WAIT_S
    # A zone of -0000 arrives as none; HTTP knows no local times.
    return limit_wait_s((until.replace(tzinfo=until.tzinfo or UTC) - read_their_now(headers)).total_seconds())


def read_their_now(headers: Mapping[str, str]) -> datetime:
    """Return what the service's own clock says, as far as its answer tells: a time that it names is by that one."""
    now = datetime.now(UTC)
    return now - timedelta(seconds=read_skew_s(headers, now) or 0.0)


def read_skew_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return by how many seconds our clock is ahead of the service's, as its Date says (RFC 9110, 6.6.1).

    It counts whole seconds, and the answer was under way for some. None where it says no time, or a cache kept it.

    :param headers: by lower-case name, or in whatever case.
    :param now: when they came.
    """
    if not (value := headers.get("date", "").strip()) or headers.get("age", "0").strip() != "0":
        return None
    try:
        sent = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (now - sent.replace(tzinfo=sent.tzinfo or UTC)).total_seconds()


def limit_wait_s(seconds: float) -> float:
    """Return a pause that was asked for, brought into what can be: from nothing to an hour."""
    return min(max(seconds, 0.0), WAIT_MAX_S)
