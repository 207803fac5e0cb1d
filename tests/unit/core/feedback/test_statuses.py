"""What a commit status says of each state, and what becomes of a commit that is the newest no more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from include.deploy_ops.core.feedback.statuses import list_status_writes
from include.deploy_ops.core.feedback.values import Facts, FeedbackRecord, SetStatus, key_status
from include.deploy_ops.core.view.awaited import Awaited
from include.deploy_ops.core.view.row import Row, State
from tests.worlds.values.feedback_examples import (
    AIRFLOW,
    DAG,
    A,
    B,
    make_facts,
    make_failed,
    make_flight,
    make_live,
    make_row,
    make_target,
    name_run,
)

CONTEXT = "deploy-ops/preview"
KEY = key_status(A, CONTEXT)


def compare(
    told: Mapping[str, FeedbackRecord], *rows: Row, facts: Facts | None = None
) -> tuple[list[SetStatus], list[str]]:
    writes, forgotten = list_status_writes({row.slug: row for row in rows}, told, facts or make_facts())
    return [write for _, write in writes if isinstance(write, SetStatus)], forgotten


def tell(*rows: Row) -> dict[str, FeedbackRecord]:
    return {write.key: write.record for write in compare({}, *rows)[0]}


@pytest.mark.parametrize(
    ("row", "state", "says"),
    [
        (make_live(), "success", "live"),
        (make_live(deployed=B), "success", f"live: nothing to deploy since {B[:7]}"),
        (make_live(state=State.ASLEEP), "success", "asleep: it wakes with the next push"),
        (make_row(why="create: no room"), "pending", "waiting: create: no room"),
        (make_flight(), "pending", "being deployed"),
        (make_flight(verb="create", why="the branch has no Deployment"), "pending", "being created: the branch has"),
        (make_flight(verb="update", deployed=A), "success", "live"),
        (make_flight(verb="", run_id="", deployed=A), "success", "live"),
        (make_flight(verb="", run_id="manual__1", deployed=A), "pending", "being worked on"),
        (make_row(state=State.APPROVAL), "pending", "needs approval"),
        (make_row(state=State.FROZEN, why="deploy: paused"), "pending", "frozen: deploy: paused"),
        (make_row(state=State.HELD, why="create: taken"), "failure", "held: create: taken"),
        (make_live(state=State.HELD, why="update: recreate it"), "success", "live"),
        (make_failed(cause="no such package"), "failure", "failed: no such package"),
        (make_failed(state=State.FAILING, cause="HTTP 502"), "error", "failing: HTTP 502"),
        (make_live(state=State.UNHEALTHY, status_reason="no pods"), "failure", "unhealthy: no pods"),
    ],
)
def test_each_state_has_its_status(row: Row, state: str, says: str) -> None:
    ((write,), _) = compare({}, row)
    assert (write.sha, write.context, write.state) == (A, CONTEXT, state)
    assert write.description.startswith(says)
    assert len(write.description) <= 140


@pytest.mark.parametrize("row", [make_row(head=""), make_row(state=State.REMOVED), make_flight(verb="delete")])
def test_of_what_goes_nothing_is_said(row: Row) -> None:
    assert compare({}, row) == ([], [])


def test_a_status_leads_to_the_run_at_work_else_to_the_newest_that_deployed() -> None:
    flight = make_flight(run_dag="shop.preview", run_id=name_run(A, attempt=2))
    assert compare({}, flight)[0][0].target_url == f"{AIRFLOW}/dags/{DAG}/runs/{name_run(A, attempt=2)}"
    assert compare({}, make_live())[0][0].target_url == f"{AIRFLOW}/dags/{DAG}/runs/{name_run(A)}"
    assert compare({}, make_row())[0][0].target_url == f"{AIRFLOW}/dags/{DAG}"


def test_contexts_name_targets_and_the_project_where_several_share_the_repository() -> None:
    shared = make_facts(is_alone=False)
    assert compare({}, make_target())[0][0].context == "deploy-ops/production"
    assert compare({}, make_target(), facts=shared)[0][0].context == "deploy-ops/shop/production"
    assert compare({}, make_row(), facts=shared)[0][0].context == "deploy-ops/shop/preview"


def test_two_branches_at_one_commit_say_the_worse() -> None:
    failed = make_failed(slug="dev-y", environment="dev-y", branch="dev-y", cause="boom")
    ((write,), _) = compare({}, make_live(), failed)
    assert (write.state, write.description) == ("failure", "preview dev-y: failed: boom")
    assert compare({write.key: write.record}, make_live(), failed) == ([], [])


def test_a_commit_that_ran_keeps_its_success_when_something_else_is_held() -> None:
    told = tell(make_live())
    assert compare(told, make_row(state=State.HELD, why="create: removed")) == ([], [])
    assert compare(told, make_failed())[0]


def test_that_a_success_came_by_another_run_is_no_news() -> None:
    assert compare(tell(make_live()), make_live(outcomes=())) == ([], [])


@pytest.mark.parametrize(
    ("row", "state", "says"),
    [
        (make_row(head=B), "error", f"superseded by {B[:7]} before it was deployed"),
        (make_row(head=B, deployed=A), "success", "it was deployed; a newer commit followed"),
        (make_row(head=B, state=State.REMOVED), "error", "removed before it was deployed"),
        (make_row(slug="other", head=B), "error", "removed before it was deployed"),
    ],
)
def test_a_pending_commit_gets_a_last_word(row: Row, state: str, says: str) -> None:
    told = tell(make_flight())
    writes, forgotten = compare(told, row)
    (write,) = [write for write in writes if write.key == KEY]
    assert (write.state, write.description) == (state, says)
    assert forgotten == []
    assert compare({KEY: write.record}, row)[1] == [KEY]


def test_a_commit_that_is_still_being_deployed_waits_for_its_last_word() -> None:
    told = tell(make_flight())
    writes, forgotten = compare(told, make_flight(B))
    assert [write.sha for write in writes] == [B]
    assert forgotten == []


def wait(slug: str = "dev-x", head: str = A, why: str = "no preview for this branch") -> Facts:
    """Return facts with an open pull request's head."""
    return make_facts(awaited=(Awaited(head, why, slug),))


def test_where_no_preview_can_exist_a_required_status_comes_all_the_same() -> None:
    ((write,), _) = compare({}, facts=wait(slug=""))
    assert (write.context, write.state, write.description) == (CONTEXT, "success", "no preview for this branch")
    assert compare({KEY: write.record}, facts=wait(slug="")) == ([], [])
    assert compare({KEY: write.record}) == ([], [KEY]), "closed"


@pytest.mark.parametrize(
    ("rows", "state", "says"),
    [
        ((), "failure", "no preview: removed (idle)"),
        ((make_row(state=State.REMOVED, why="removed by ann"),), "failure", "removed: removed by ann"),
        ((make_flight(verb="delete"),), "pending", "being deleted"),
        ((make_live(B),), "pending", "waiting for the next look at its branch"),
        ((make_row(state=State.HELD, why="create: taken"),), "failure", "held: create: taken"),
        ((make_row(why="create: no room"),), "pending", "waiting: create: no room"),
        ((make_live(),), "success", "live"),
    ],
)
def test_held_waiting_or_removed_is_no_success(rows: tuple[Row, ...], state: str, says: str) -> None:
    writes, _ = compare({}, *rows, facts=wait(why="removed (idle)"))
    (write,) = [write for write in writes if write.sha == A]
    assert (write.state, write.description, write.record.about) == (state, says, ("dev-x",))


def test_of_two_branches_on_one_commit_the_worse_counts() -> None:
    both = make_facts(awaited=(Awaited(A, "no preview for this branch"), Awaited(A, "removed (idle)", "dev-y")))
    (worse,) = compare({}, facts=both)[0]
    assert (worse.state, worse.description) == ("failure", "no preview: removed (idle)")
    (named,) = compare({}, make_live(), facts=both)[0]
    assert (named.state, named.description) == ("failure", "preview dev-y: no preview: removed (idle)")


def test_a_success_stands_for_the_environments_alone_of_which_it_was_told() -> None:
    nobody = {write.key: write.record for write in compare({}, facts=wait(slug=""))[0]}
    waiting = make_row(why="create: no room")
    assert [write.state for write in compare(nobody, waiting, facts=wait())[0]] == ["pending"], "the policy changed"
    live = tell(make_live())
    assert compare(live, waiting, facts=wait()) == ([], []), "it was live at this commit"
    assert compare(live, facts=wait(why="removed (idle)")) == ([], [])
    other = make_row("dev-y", why="create: no room")
    assert [write.state for write in compare(live, make_live(), other)[0]] == ["pending"], "dev-y never was"
