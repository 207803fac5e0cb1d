"""How pauses grow, what Retry-After means, and where a call and an answer end."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.patience import (
    AnswerLimit,
    Call,
    UnendingAnswerError,
    choose_backoff_s,
    read_retry_after_s,
    read_skew_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ERROR = ObservationError("down")


@given(failures=st.integers(1, 10**6), first_s=st.floats(0.001, 60), longest_s=st.floats(60, 3600))
def test_pauses_double_up_to_the_longest_and_are_spread(failures: int, first_s: float, longest_s: float) -> None:
    highest_s = min(longest_s, first_s * 2.0 ** min(failures, 40))
    assert highest_s / 2 <= choose_backoff_s(ERROR, failures, first_s, longest_s) <= highest_s


def test_pauses_differ_also_when_they_grow_no_more() -> None:
    assert len({choose_backoff_s(ERROR, 99, 2.0, 300.0) for _ in range(20)}) > 1


@pytest.mark.parametrize("failures", [1, 2, 99])
def test_a_rate_limit_is_obeyed_and_never_shortens_a_pause(failures: int) -> None:
    assert choose_backoff_s(RateLimitError("slow", 1000.0), failures, 2.0, 300.0) == 1000.0
    assert choose_backoff_s(RateLimitError("slow", 0.0), failures, 2.0, 300.0) >= 2.0


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("99999999999", 3600),
        ("9" * 400, 3600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0),
        ("-5", 60),
        ("1.5", 60),
        ("soon", 60),
        ("²", 60),
        ("Mon, 99 Jan 2026 00:00:00 GMT", 60),
    ],
)
def test_retry_after_is_read_in_both_forms_and_any_other_is_a_minute(value: str, expected_s: float) -> None:
    assert read_retry_after_s({"retry-after": value}) == expected_s


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let local time be another than UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
def test_a_time_of_retry_after_counts_from_now(zone: str) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=5)).replace("+0000", zone)
    assert 240 < (read_retry_after_s({"retry-after": until}) or 0) <= 300


@pytest.mark.parametrize("skew", [timedelta(minutes=-10), timedelta(minutes=10)])
def test_a_time_of_retry_after_is_by_the_clock_of_who_names_it(skew: timedelta) -> None:
    theirs = datetime.now(UTC) + skew
    headers = {"retry-after": format_datetime(theirs + timedelta(minutes=5)), "date": format_datetime(theirs)}
    assert read_retry_after_s(headers) == pytest.approx(300, abs=2)


@given(value=st.text())
def test_no_retry_after_is_more_than_an_hour_or_breaks_anything(value: str) -> None:
    wanted_s = read_retry_after_s({"retry-after": value})
    assert wanted_s is None or 0 <= wanted_s <= 3600


@pytest.mark.parametrize("headers", [{}, {"retry-after": ""}])
def test_without_retry_after_nothing_is_asked_for(headers: dict[str, str]) -> None:
    assert read_retry_after_s(headers) is None


def test_a_call_ends_with_the_error_of_its_last_try() -> None:
    call = Call(3)
    assert 0.5 <= call.endure(ERROR) <= 1.0
    assert 1.0 <= call.endure(ERROR) <= 2.0
    assert call.tries == 3
    with pytest.raises(ObservationError) as caught:
        call.endure(ERROR)
    assert caught.value is ERROR


def test_pauses_of_one_call_add_up_to_what_it_may_wait() -> None:
    call = Call(9)
    assert call.endure(RateLimitError("slow", 40)) == 40
    with pytest.raises(RateLimitError):
        call.endure(RateLimitError("slow", 21))
    assert call.endure(RateLimitError("slow", 20)) == 20


def test_nothing_is_tried_again_when_a_call_has_taken_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1000.0, 1000.0 + patience.CALL_TIME_MAX_S - 3, 1000.0 + patience.CALL_TIME_MAX_S])
    monkeypatch.setattr("include.deploy_ops.hooks.patience.time.monotonic", lambda: next(clock))
    call = Call(9)
    assert call.endure(ERROR) <= 1.0
    with pytest.raises(ObservationError, match="down"):
        call.endure(ERROR)


def test_an_answer_within_its_limits_is_handed_on_as_it_is() -> None:
    assert AnswerLimit("GET /x", bytes_max=6).join([b"ab", b"", b"cdef"]) == b"abcdef"


def test_an_answer_without_end_is_dropped_at_its_limit() -> None:
    read = itertools.count(1)
    with pytest.raises(UnendingAnswerError, match=r"^GET /x: the answer is longer than 100 bytes"):
        AnswerLimit("GET /x", bytes_max=100).join(bytes(10) for _ in read)
    assert next(read) == 12


def test_an_answer_that_drips_is_dropped_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(1000.0, 7.0)
    monkeypatch.setattr("include.deploy_ops.hooks.patience.time.monotonic", lambda: next(clock))
    with pytest.raises(UnendingAnswerError, match="not complete after 60 s"):
        AnswerLimit("GET /x").join(itertools.repeat(b" "))


NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "skew_s"),
    [
        ({"date": "Mon, 04 May 2026 11:59:30 GMT"}, 30.0),
        ({"date": "Mon, 04 May 2026 12:01:00 GMT"}, -60.0),
        ({"date": "Mon, 04 May 2026 12:00:00 -0000", "age": "0"}, 0.0),
        ({"date": "Mon, 04 May 2026 11:59:30 GMT", "age": "7"}, None),
        ({"date": "noon"}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_how_far_clocks_differ_is_read_of_the_answers_date(headers: dict[str, str], skew_s: float | None) -> None:
    assert read_skew_s(headers, NOON) == skew_s
