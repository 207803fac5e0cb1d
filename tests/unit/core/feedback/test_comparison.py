"""Which writes are missing: comments, and what ends them; order, permissions, and what may be forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.deploy_ops.core.feedback.comparison import LACK_REMEMBERED, FeedbackPlan, compare_feedback, digest_view
from include.deploy_ops.core.feedback.values import (
    REFUSED,
    FeedbackRecord,
    Kind,
    Write,
    WriteComment,
    key_comment,
    key_deployment,
    key_lack,
)
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.policy.keys import Feedback
from include.deploy_ops.core.view.row import Followed, Row, RowKind, State
from tests.worlds.values.feedback_examples import (
    NOW,
    A,
    B,
    C,
    make_facts,
    make_flight,
    make_live,
    make_outcome,
    make_row,
    make_target,
    name_run,
)

FACTS = make_facts()
COMMENTS_ONLY = make_facts(feedback=Feedback(statuses=False, deployments=False))


def compare(told: Mapping[str, FeedbackRecord], *rows: Row, **changes: Any) -> FeedbackPlan:
    return compare_feedback({row.slug: row for row in rows}, told, replace(COMMENTS_ONLY, **changes), NOW)


def do(told: Mapping[str, FeedbackRecord], writes: Iterable[Write]) -> dict[str, FeedbackRecord]:
    """Return what was told after the writes, each with an id."""
    return {**told, **{write.key: replace(write.record, id=write.record.id or 7) for write in writes}}


def get_comment(plan: FeedbackPlan) -> WriteComment:
    (write,) = plan.writes
    assert isinstance(write, WriteComment)
    return write


def test_the_same_rows_are_told_once() -> None:
    rows = {row.slug: row for row in (make_live(), make_target(state=State.HELD, why="no"))}
    plan = compare_feedback(rows, {}, FACTS, NOW)
    assert [write.kind for write in plan.writes].count(Kind.COMMENT) == 2
    told = do({}, plan.writes)
    assert compare_feedback(rows, told, FACTS, NOW) == FeedbackPlan((), ())


def test_each_open_pull_request_of_the_branch_has_one_comment() -> None:
    plan = compare({}, make_live(pulls=(1, 4)), make_target())
    assert sorted(write.pull for write in plan.writes if isinstance(write, WriteComment)) == [1, 2, 4]


def test_a_pull_request_of_two_environments_has_one_comment_with_both() -> None:
    write = get_comment(compare({}, make_live(), make_target(pull=1, pulls=(1,))))
    assert write.record.names == ("preview dev-x", "target production")


def test_a_comment_is_edited_in_place() -> None:
    told = do({}, compare({}, make_row()).writes)
    assert get_comment(compare(told, make_live())).comment_id == 7


def test_a_branch_without_a_pull_request_has_no_comment() -> None:
    assert compare({}, make_live(pull=0, pulls=())).writes == ()


def test_a_closed_pull_request_is_told_once_and_left_alone_while_its_branch_lives() -> None:
    told = do({}, compare({}, make_live()).writes)
    closed = make_live(pull=0, pulls=())
    write = get_comment(compare(told, closed))
    assert "the pull request is closed" in write.body
    told = do(told, [write])
    assert compare(told, closed) == FeedbackPlan((), ())
    assert compare(told, replace(closed, head=B, deployed=B)) == FeedbackPlan((), ())


def test_the_comment_on_a_merged_pull_request_ends_with_its_preview() -> None:
    told = do({}, compare({}, make_live()).writes)
    assert compare(told, make_flight(A, "delete", pull=0, pulls=())).writes == ()
    gone = make_live(state=State.REMOVED, pull=0, pulls=())
    write = get_comment(compare(told, gone))
    assert "**removed**" in write.body
    told = do(told, [write])
    assert compare(told, gone) == FeedbackPlan((), ())
    assert compare(told) == FeedbackPlan((), (key_comment(1),))


@pytest.mark.parametrize("anew", ["", "d9"])
def test_what_is_made_anew_before_anybody_told_that_the_preview_is_gone_is_another_pull_requests(
    anew: str,
) -> None:
    told = do({}, compare({}, make_live(deployment_id="d1")).writes)
    closed = make_live(pull=0, pulls=(), deployment_id="d1")
    told = do(told, [write := get_comment(compare(told, closed))])
    assert "the pull request is closed" in write.body
    write = get_comment(compare(told, replace(closed, deployment_id=anew)))
    assert "Preview dev\\-x: **removed**." in write.body
    assert compare(do(told, [write]), replace(closed, deployment_id="d9")) == FeedbackPlan((), ())


def test_what_is_made_anew_of_the_branch_of_an_open_pull_request_is_its_own_again() -> None:
    told = do({}, compare({}, make_live(deployment_id="d1")).writes)
    told = do(told, compare(told, make_live(state=State.REMOVED, deployment_id="")).writes)
    after = make_live(pull=0, pulls=(), deployment_id="d9")  # pushed to, and the pull request was closed before
    assert "Preview dev\\-x: **removed**." in get_comment(compare(told, after)).body
    told = do(told, compare(told, make_live(deployment_id="d9")).writes)
    assert "the pull request is closed" in get_comment(compare(told, after)).body


def test_a_row_that_vanished_is_told_and_then_forgotten() -> None:
    told = do({}, compare({}, make_live()).writes)
    write = get_comment(compare(told))
    assert "Preview dev\\-x: **removed**." in write.body
    assert compare(do(told, [write])) == FeedbackPlan((), (key_comment(1),))


def test_a_pull_request_that_is_opened_again_is_followed_again() -> None:
    told = do({}, compare({}, make_live()).writes)
    told = do(told, compare(told, make_live(pull=0, pulls=())).writes)
    assert "**live**" in get_comment(compare(told, make_live())).body


def test_what_github_refuses_is_not_repeated_as_it_is() -> None:
    write = get_comment(compare({}, make_row()))
    told = {write.key: replace(write.record, state=REFUSED)}
    assert compare(told, make_row()).writes == ()
    assert compare(told, make_live()).writes
    assert compare(told).forgotten == (write.key,)


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.DEPLOYMENT, Kind.COMMENT])
def test_the_policy_leaves_kinds_out(kind: Kind) -> None:
    rows = {"dev-x": make_live()}
    kinds = {write.kind for write in compare_feedback(rows, {}, FACTS, NOW).writes}
    assert kinds == {Kind.STATUS, Kind.DEPLOYMENT, Kind.COMMENT}
    off = make_facts(feedback=Feedback(**{kind.value: False}))
    assert {write.kind for write in compare_feedback(rows, {}, off, NOW).writes} == kinds - {kind}


@pytest.mark.parametrize("is_wanted", [True, False])
def test_the_environment_of_a_removed_preview_goes_unless_the_policy_wants_no_github_deployments(
    is_wanted: bool,
) -> None:
    told = {key_deployment("dev-x", A): FeedbackRecord(7, "d", "inactive", names=("preview/dev-x",))}
    facts = make_facts(feedback=Feedback(deployments=is_wanted))
    gone = {"dev-x": make_live(state=State.REMOVED)}
    plan = compare_feedback(gone, told, facts, NOW)
    found = [write for write in plan.writes if write.kind is Kind.ENVIRONMENT]
    assert [str(write) for write in found] == ["GitHub environment preview/dev-x: deleted"] * is_wanted
    assert (key_deployment("dev-x", A) in plan.forgotten) is not is_wanted
    for rows in ({}, {"dev-x": make_live()}):  # what was lost, and what lives, is not gone
        assert Kind.ENVIRONMENT not in {write.kind for write in compare_feedback(rows, told, facts, NOW).writes}


@pytest.mark.parametrize(
    ("changes", "is_left_out"),
    [
        ({}, True),
        ({"access": "token 1"}, True),
        ({"access": "token 2"}, False),
        ({"policy": "p2"}, False),
    ],
)
def test_a_missing_permission_leaves_its_kind_out_until_something_changes(
    changes: dict[str, str], is_left_out: bool
) -> None:
    told = {key_lack(Kind.COMMENT): FeedbackRecord(digest="token 1", state=REFUSED, policy="p1", at=NOW)}
    assert (compare(told, make_live(), **changes).writes == ()) is is_left_out
    late = {key_lack(Kind.COMMENT): replace(told[key_lack(Kind.COMMENT)], at=NOW - LACK_REMEMBERED)}
    assert compare(late, make_live()).writes


def test_the_newest_news_comes_first() -> None:
    rows = [
        make_live(slug=f"d{number}", pull=number, pulls=(number,), state_at=NOW + timedelta(minutes=number))
        for number in (1, 3, 2)
    ]
    assert [write.key for write in compare({}, *rows).writes] == ["comment/3", "comment/2", "comment/1"]
    plan = compare_feedback({"dev-x": make_live()}, {}, FACTS, NOW)
    assert [write.kind for write in plan.writes] == [Kind.STATUS, Kind.DEPLOYMENT, Kind.COMMENT]


def test_the_deploy_branch_has_neither_status_nor_deployment() -> None:
    row = make_row("astro_deploy", kind=RowKind.DEPLOY_BRANCH, deployed=A, pull=0, pulls=())
    assert compare_feedback({row.slug: row}, {}, FACTS, NOW) == FeedbackPlan((), ())


def test_a_view_has_a_name_of_its_own() -> None:
    names = {digest_view({"00": "a"}, "p"), digest_view({"00": "b"}, "p"), digest_view({"00": "a"}, "q")}
    assert {len(name) for name in names} == {12}
    assert len(names) == 3
    assert digest_view({"00": "a", "01": "b"}, "p") == digest_view({"01": "b", "00": "a"}, "p")


def release(verb: str, number: int = 2, **changes: Any) -> Outcome:
    """Return how a run about a release ended."""
    return make_outcome(A, verb=verb, run_id=name_run(A, verb, "target.production"), pull=number, **changes)


MERGED = (release("deploy", approver="ada"), release("merge", kind=""))


@pytest.mark.parametrize(
    "moved_on",
    [{}, {"pull": 9, "pulls": (9,), "head": B}, {"pull": 9, "pulls": (9,), "state": State.DEPLOYING, "verb": "deploy"}],
)
def test_the_comment_on_a_release_ends_with_what_became_of_it(moved_on: dict[str, Any]) -> None:
    told = do({}, compare({}, make_target(state=State.DEPLOYING, verb="merge")).writes)
    gone: dict[str, Any] = {
        "pull": 0,
        "pulls": (),
        "deployment_name": "Production",
        "state": State.LIVE,
        "outcomes": MERGED,
    }
    merging = make_target(**gone | {"outcomes": (), "state": State.DEPLOYING, "verb": "merge"})
    assert compare(told, merging) == FeedbackPlan((), ()), "its run has not told yet"
    after = make_target(**gone | moved_on)
    (write,) = [write for write in compare(told, after).writes if write.key == key_comment(2)]
    assert isinstance(write, WriteComment)
    assert "Target production: deployed to Production, approved by ada, merged." in write.body
    told = do(told, [write])
    plan = compare(told, after)
    assert key_comment(2) in plan.forgotten
    assert key_comment(2) not in {write.key for write in plan.writes}


def test_of_a_release_of_which_no_run_told_nothing_is_claimed() -> None:
    told = do({}, compare({}, make_target()).writes)
    old = replace(release("merge"), pull=0)
    write = get_comment(compare(told, make_target(pull=0, pulls=(), outcomes=(old, release("merge", 9)))))
    assert "not followed here any more: the pull request is closed" in write.body


def test_a_pull_requests_comment_names_all_that_its_change_reached() -> None:
    carried: dict[str, Any] = {
        "pull": 0,
        "pulls": (),
        "carried": ((1, B[:12]), (7, "c" * 12)),
        "deployed": A,
        "deployed_at": NOW,
    }
    staging = make_target("staging", state=State.LIVE, **carried)
    branch = make_row("astro_deploy", kind=RowKind.DEPLOY_BRANCH, slug="promotion", state=State.LIVE, **carried)
    plan = compare({}, make_live(deployed_at=NOW), staging, branch)
    (write,) = [write for write in plan.writes if write.key == key_comment(1)]
    assert isinstance(write, WriteComment)
    assert write.record.names == ("preview dev-x", "target staging", "deploy branch astro_deploy")
    assert write.body.count("since 2026-11-26 12:00 UTC") == 3
    assert write.body.count(f"It has `{B[:7]}` of this pull request.") == 2


def follow(pull: int = 1, commit: str = "") -> tuple[Followed, ...]:
    """Return that the pull request is on its way, or there."""
    return (Followed(pull, B[:12], NOW, commit),)


def test_the_comment_of_a_merged_pull_request_is_followed_to_production() -> None:
    branch = make_row("astro_deploy", kind=RowKind.DEPLOY_BRANCH, slug="promotion", state=State.LIVE, pull=0, pulls=())
    told = do({}, compare({}, make_live(), replace(branch, carried=((1, B[:12]),))).writes)
    gone = make_live(state=State.REMOVED, pull=0, pulls=())
    branch = replace(branch, followed=follow(commit=A))
    coming = make_target(pull=0, pulls=(), state=State.LIVE, followed=follow())
    write = get_comment(compare(told, gone, branch, coming))
    assert "Preview dev\\-x: **removed**." in write.body
    assert f"Deploy branch astro\\_deploy: got `{B[:7]}` of this pull request, 2026-11-26 12:00 UTC, with" in write.body
    assert "Target production: not yet; followed for some 30 days." in write.body
    told = do(told, [write])
    anew = make_live(pull=0, pulls=())  # of a push after the merge
    for rows in ((gone, branch, coming), (branch, coming), (anew, branch, coming)):
        assert compare(told, *rows) == FeedbackPlan((), ()), "nothing more to write, and not forgotten"
    there = replace(coming, followed=follow(commit=C))
    write = get_comment(compare(told, branch, there))
    assert f"Target production: got `{B[:7]}` of this pull request, 2026-11-26 12:00 UTC, with `{C[:7]}`" in write.body
    assert compare(do(told, [write]), branch, there) == FeedbackPlan((), (key_comment(1),)), "that was the last word"
    rolled_back = replace(there, deployed=A)
    assert compare(do(told, [write]), branch, rolled_back).writes == ()
    assert compare(told, replace(branch, followed=()), replace(coming, followed=())) == FeedbackPlan(
        (), (key_comment(1),)
    ), "its time is over, as its last word says"


def test_a_merged_change_is_followed_step_by_step_however_busy_its_targets_are() -> None:
    branch = make_row("astro_deploy", kind=RowKind.DEPLOY_BRANCH, slug="promotion", state=State.LIVE, pull=0, pulls=())
    told = do({}, compare({}, replace(branch, carried=((1, B[:12]),))).writes)
    busy = make_target("staging", pull=0, pulls=(), state=State.DEPLOYING, verb="deploy", followed=follow())
    coming = replace(branch, followed=follow())
    assert compare(told, coming, busy).writes == (), "that run may bring it"
    told = do(told, [get_comment(compare(told, coming, replace(busy, state=State.LIVE)))])
    arrived = replace(branch, followed=follow(commit=A))
    write = get_comment(compare(told, arrived, busy))
    assert f"Deploy branch astro\\_deploy: got `{B[:7]}`" in write.body
    assert "Target staging: not yet" in write.body
    told = do(told, [write])
    assert compare(told, arrived, busy).writes == ()
    there = replace(busy, followed=follow(commit=A))
    assert f"staging: got `{B[:7]}`" in get_comment(compare(told, arrived, there)).body


def test_what_has_a_merged_change_already_keeps_nobody_waiting_by_its_later_deploys() -> None:
    branch = make_row("astro_deploy", kind=RowKind.DEPLOY_BRANCH, slug="promotion", state=State.LIVE, pull=0, pulls=())
    told = do({}, compare({}, replace(branch, carried=((1, B[:12]),))).writes)
    there = make_target("staging", pull=0, pulls=(), state=State.DEPLOYING, verb="deploy", followed=follow(commit=A))
    write = get_comment(compare(told, replace(branch, followed=follow(commit=A)), there))
    assert f"Target staging: got `{B[:7]}`" in write.body


@pytest.mark.parametrize(
    ("outcomes", "merging", "says"),
    [
        ((release("deploy", approver="ada"),), (), "deployed to Production, approved by ada, merged by a person."),
        ((release("deploy"),), ("production",), "deployed to Production, merged."),
        ((), (), "merged by a person."),
        (MERGED, ("production",), "deployed to Production, approved by ada, merged."),
    ],
)
def test_a_release_that_a_person_merged_reads_as_merged(
    outcomes: tuple[Outcome, ...], merging: tuple[str, ...], says: str
) -> None:
    told = do({}, compare({}, make_target()).writes)
    after = make_target(pull=0, pulls=(), merged=(2,), outcomes=outcomes, deployment_name="Production")
    write = get_comment(compare(told, replace(after, state=State.LIVE), merging=frozenset(merging)))
    assert f"Target production: {says}" in write.body
