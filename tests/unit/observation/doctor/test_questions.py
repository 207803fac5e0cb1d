"""One fact that cannot be read costs no other; a service that stays silent is left alone."""

from __future__ import annotations

from typing import NoReturn

import pytest

from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.errors import (
    AbsentError,
    DeployOpsError,
    ImageRefusedError,
    MalformedAnswerError,
    ObservationError,
    RateLimitError,
    RightRefusedError,
    SilenceError,
    TemplateError,
    TokenRefusedError,
)
from include.deploy_ops.observation.doctor.questions import SILENCES_MAX, Questions


def fail(error: Exception) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TokenRefusedError("x"), Cause.TOKEN),
        (RightRefusedError("x"), Cause.RIGHT),
        (ImageRefusedError("x"), Cause.RIGHT),
        (AbsentError("x"), Cause.ABSENT),
        (TemplateError("x"), Cause.WRONG),
        (ObservationError("x"), Cause.UNUSABLE),
        (SilenceError("x"), Cause.SILENCE),
    ],
)
def test_why_a_fact_is_not_read_is_kept(error: DeployOpsError, cause: Cause) -> None:
    assert Questions("Astro").ask(lambda: fail(error)) == Unread("x", cause)


def test_what_is_told_is_one_line_of_some_length() -> None:
    unread = Questions("Astro").ask(lambda: fail(TemplateError("a\nb\t" + "c" * 5000)))
    assert isinstance(unread, Unread)
    assert unread.why.startswith("a; b c")
    assert len(unread.why) < 1000


@pytest.mark.parametrize("error", [SilenceError("x"), RateLimitError("x", 90.0)])
def test_a_silent_service_is_asked_no_more_after_some_questions(error: DeployOpsError) -> None:
    questions, asked = Questions("Astro"), 0

    def count() -> NoReturn:
        nonlocal asked
        asked += 1
        raise error

    told = [questions.ask(count) for _ in range(5)]
    assert asked == SILENCES_MAX
    why = f"not asked, since Astro gave no answer to {SILENCES_MAX} questions before"
    assert told[-1] == Unread(why, Cause.SILENCE)


@pytest.mark.parametrize("error", [MalformedAnswerError("x"), RightRefusedError("x"), TemplateError("x")])
def test_an_answer_of_whatever_kind_is_no_silence(error: DeployOpsError) -> None:
    questions = Questions("Astro")
    for _ in range(SILENCES_MAX + 1):
        questions.ask(lambda: fail(error))
    for _ in range(SILENCES_MAX - 1):
        questions.ask(lambda: fail(SilenceError("x")))
    assert questions.ask(lambda: 7) == 7
    for _ in range(SILENCES_MAX - 1):
        questions.ask(lambda: fail(SilenceError("x")))
    assert questions.ask(lambda: 8) == 8


def test_what_is_no_expected_failure_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        Questions("Astro").ask(lambda: 1 // 0)
