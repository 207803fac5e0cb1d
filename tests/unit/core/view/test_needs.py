"""What waits for a person, and by which action it ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.work import Hold, HoldKind, Remedy
from include.deploy_ops.core.promotion.comparison import ADOPTING
from include.deploy_ops.core.view.needs import NEED_LENGTH_MAX, NEEDS_MAX, Need, list_needs, need_retry

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_outcome(run_id: str, verb: str = "deploy", state: str = "failed") -> Outcome:
    return Outcome(run_id, "shop.preview", verb, state, AT)


def test_what_comes_by_itself_waits_for_nobody() -> None:
    kinds = set(HoldKind) - {HoldKind.PERSON, HoldKind.FAILED}
    assert list_needs([Hold("dev-a", "deploy", "later", kind=kind) for kind in kinds], ()) == ()


@pytest.mark.parametrize("remedy", sorted(set(Remedy) - {Remedy.RETRY}, key=str))
def test_a_persons_hold_names_what_ends_it(remedy: Remedy) -> None:
    hold = Hold("dev-a", "update", "recreate it", remedy=remedy)
    assert list_needs([hold, hold], ()) == (Need("update", "recreate it", remedy),)


def test_a_failure_names_the_newest_failed_run_of_its_verb() -> None:
    hold = Hold("dev-a", "deploy", "no", kind=HoldKind.FAILED)
    outcomes = [
        make_outcome("first"),
        make_outcome("second"),
        make_outcome("update", "update"),
        make_outcome("last", state="success"),
    ]
    expected = Need("deploy", "no", Remedy.RETRY, "second", "shop.preview")
    assert list_needs([hold], outcomes) == (expected,)
    assert need_retry("deploy", "no", outcomes) == (expected,)
    assert list_needs([hold], outcomes[2:]) == (Need("deploy", "no"),)


def test_a_rejected_request_is_asked_again_by_its_run() -> None:
    why = "rejected by ada, because Friday; a new head asks again, and so does clearing the run"
    hold = Hold("production", "request", why, remedy=Remedy.RETRY)
    outcomes = [make_outcome("first", "request"), make_outcome("asked", "request", state="rejected")]
    assert list_needs([hold], outcomes) == (Need("request", why, Remedy.RETRY, "asked", "shop.preview"),)


def test_a_foreign_commit_is_adopted_and_not_tried_again() -> None:
    hold = Hold("astro_deploy", "promote", f"failed: start shop.promotion {ADOPTING}", kind=HoldKind.FAILED)
    (need,) = list_needs([hold], [make_outcome("run", "promote")])
    assert (need.remedy, need.run_id) == (Remedy.ADOPT, "")


def test_nothing_grows_without_end() -> None:
    holds = [Hold("dev-a", "deploy", f"{number} {'x' * 9000}") for number in range(99)]
    needs = list_needs(holds, ())
    assert len(needs) == NEEDS_MAX
    assert {len(need.why) for need in needs} == {NEED_LENGTH_MAX}
