"""What a target's deploys and its requests remember, read as one: who wrote last takes nothing from the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.plan.remembered import (
    EARLIER_MAX,
    Approval,
    Ending,
    Judgement,
    OpenQuestion,
    Remembered,
    Requests,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
YES = Approval("h", "b", "d1", "ada", NOW, commit="c")


def ending(name: str) -> Ending:
    return Ending(f"target.live~{name}~h~d", NOW)


def test_each_verbs_endings_are_those_of_who_writes_them() -> None:
    own = Remembered({"deploy": ending("deploy"), "request": ending("old"), "cl1 at h on d1": ending("old")})
    asked = Requests({"request": ending("request")})
    assert own.join(asked, None, None).endings == {"deploy": ending("deploy"), "request": ending("request")}
    assert own.join(own.list_requests(), None, None) == own


@pytest.mark.parametrize(("by", "counts"), [(timedelta(seconds=1), True), (timedelta(), False)])
def test_a_yes_counts_unless_it_was_taken_back_or_voided_since(by: timedelta, *, counts: bool) -> None:
    newer = replace(YES, at=NOW + by)
    for own, asked in ((Remembered(voided_at=NOW), Requests()), (Remembered(), Requests(refused_at=NOW))):
        assert (own.join(asked, newer, None).approval == newer) is counts
    assert Remembered().join(Requests(), YES, None).approval == YES


def test_what_a_deploy_or_a_request_judged_counts() -> None:
    judged = [Judgement(commit, "d1", "p", "only docs") for commit in ("c1", "c2")]
    known = Remembered(judgement=judged[0]).join(Requests(), None, judged[1])
    assert [known.is_judged(commit, "d1", "p") for commit in ("c1", "c2", "c3")] == [True, True, False]
    assert not known.is_judged("c1", "d1", "other rules")


def test_a_question_knows_the_runs_that_asked_the_same_before() -> None:
    first = OpenQuestion("r~1", "release", "rules")
    second = OpenQuestion("r~2", "release", "others").follow(first)
    assert [second.list_runs(rules) for rules in ("rules", "others", "")] == [["r~1"], ["r~2"], []]
    assert OpenQuestion("r~3", "release", "rules").follow(second).list_runs("rules") == ["r~3", "r~1"]
    assert OpenQuestion("r~1", "release", "rules").follow(second).list_runs("rules") == ["r~1"]
    assert OpenQuestion("r~4", "another", "rules").follow(second).list_runs("rules") == ["r~4"]
    for number in range(EARLIER_MAX + 5):
        second = OpenQuestion(f"r~{number}", "release", "rules").follow(second)
    assert len(second.earlier) == EARLIER_MAX
