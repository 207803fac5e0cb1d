"""What a commit status says of each state, and what becomes of a commit that is the newest no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.feedback.statuses import list_status_writes
from include.deploy_ops.core.feedback.values import Facts, FeedbackRecord, SetStatus, key_status
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.awaited import Awaited
from include.deploy_ops.core.view.row import Row, State
from tests.worlds.values.faces import ETERNAL
from tests.worlds.values.feedback_examples import (
    AIRFLOW,
    DAG,
    A,
    B,
    C,
    make_facts,
    make_failed,
    make_flight,
    make_live,
    make_outcome,
    make_row,
    make_target,
    name_run,
    prove,
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
        (make_live(), "success", "it was deployed"),
        (make_live(deployed=B), "success", f"nothing to deploy since {B[:7]}"),
        (make_live(state=State.ASLEEP), "success", "it was deployed"),
        (make_row(why="create: no room"), "pending", "waiting: create: no room"),
        (make_flight(), "pending", "being deployed"),
        (make_flight(verb="create", why="the branch has no Deployment"), "pending", "being created: the branch has"),
        (make_flight(verb="update", deployed=A), "success", "it was deployed"),
        (make_flight(verb="", run_id="", deployed=A), "success", "it was deployed"),
        (make_flight(verb="", run_id="manual__1", deployed=A), "pending", "being worked on"),
        (make_row(state=State.APPROVAL), "pending", "needs approval"),
        (make_row(state=State.FROZEN, why="deploy: paused"), "pending", "frozen: deploy: paused"),
        (make_row(state=State.HELD, why="create: taken"), "failure", "held: create: taken"),
        (make_live(state=State.HELD, why="update: recreate it"), "success", "it was deployed"),
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
        ((), "failure", "no preview: idle"),
        ((make_row(state=State.REMOVED, why="by ann: done"),), "failure", "removed: by ann: done"),
        ((make_flight(verb="delete"),), "pending", "being deleted"),
        ((make_live(B),), "pending", "waiting for the next look at its branch"),
        ((make_row(state=State.HELD, why="create: taken"),), "failure", "held: create: taken"),
        ((make_row(why="create: no room"),), "pending", "waiting: create: no room"),
        ((make_live(),), "success", "it was deployed"),
    ],
)
def test_held_waiting_or_removed_is_no_success(rows: tuple[Row, ...], state: str, says: str) -> None:
    writes, _ = compare({}, *rows, facts=wait(why="idle"))
    (write,) = [write for write in writes if write.sha == A]
    assert (write.state, write.description, write.record.about) == (state, says, ("dev-x",))


def test_of_two_branches_on_one_commit_the_worse_counts() -> None:
    both = make_facts(awaited=(Awaited(A, "no preview for this branch"), Awaited(A, "idle", "dev-y")))
    (worse,) = compare({}, facts=both)[0]
    assert (worse.state, worse.description) == ("failure", "no preview: idle")
    (named,) = compare({}, make_live(), facts=both)[0]
    assert (named.state, named.description) == ("failure", "preview dev-y: no preview: idle")


def test_a_success_stands_for_the_environments_alone_of_which_it_was_told() -> None:
    nobody = {write.key: write.record for write in compare({}, facts=wait(slug=""))[0]}
    waiting = make_row(why="create: no room")
    assert [write.state for write in compare(nobody, waiting, facts=wait())[0]] == ["pending"], "the policy changed"
    live = tell(make_live())
    assert compare(live, waiting, facts=wait()) == ([], []), "it was live at this commit"
    assert compare(live, facts=wait(why="idle")) == ([], [])
    other = make_row("dev-y", why="create: no room")
    assert [write.state for write in compare(live, make_live(), other)[0]] == ["pending"], "dev-y never was"


def take(told: Mapping[str, FeedbackRecord], *rows: Row, facts: Facts | None = None) -> dict[str, FeedbackRecord]:
    """Return what was told after these rows, too."""
    writes, forgotten = compare(told, *rows, facts=facts)
    after = {**told, **{write.key: write.record for write in writes}}
    return {key: each for key, each in after.items() if key not in forgotten}


FORCED = make_outcome(C, "failed", cause="nearest: 'main'", run_id="manual__1", is_forced=True, person="mira")


@pytest.mark.parametrize(
    "later",
    [
        [make_live(state=State.REMOVED)],
        [make_flight(verb="delete", deployed=A), make_row(state=State.REMOVED)],
        [make_flight(verb="", run_id="manual__1", deployed=A), make_live(state=State.REMOVED)],
        [make_flight(deployed=A), make_row(B)],
        [make_flight(), make_row(head=B)],
        [make_live(state=State.UNHEALTHY, status_reason="no pods")],
        [make_failed(state=State.FAILING, deployed="")],  # Astro's answer lacks the deploy, whose run had died after it
        [make_flight(), make_failed(state=State.FAILING)],
        [make_failed(deployed=A, outcomes=(make_outcome(), FORCED))],
        [make_live(state=State.FAILED, outcomes=(make_outcome(verb="update", state="failed", kind=""),))],
        [make_row(state=State.HELD, why="overridden by 8331752, by mira", overridden="overridden by 8331752, by mira")],
        [],
    ],
)
def test_a_commit_that_was_success_never_turns_to_error(later: list[Row]) -> None:
    told = tell(make_live())
    for row in later:
        told = take(told, row)
        assert told.get(KEY, FeedbackRecord(state="success")).state in {"success", "pending"}
    told = take(take(told, make_live(B)), make_row(head=B, state=State.REMOVED))
    assert told.get(KEY, FeedbackRecord(state="success")).state == "success"


def test_of_a_commit_that_ran_somewhere_nobody_says_that_it_was_never_deployed() -> None:
    moved = make_live(B)
    passing = make_flight(slug="dev-y", environment="dev-y", branch="dev-y")
    told = take(take(tell(make_live()), moved, passing), moved, replace(passing, deployed=""))
    assert (told[KEY].state, told[KEY].settled) == ("pending", ("dev-x",))
    # The other branch, and what is remembered of its runs, has gone on before it had the commit.
    told = take(told, moved, make_row(head=C, slug="dev-y", environment="dev-y", branch="dev-y"))
    assert told[KEY].state == "success"


def test_what_an_older_release_told_as_success_stands() -> None:
    told = {KEY: FeedbackRecord(digest="x", state="success", about=("dev-x",))}
    assert compare(told, make_live(state=State.UNHEALTHY)) == ([], [])
    assert take(told, make_flight())[KEY].settled == ("dev-x",)


def test_a_success_that_may_be_spoken_of_again_is_remembered() -> None:
    told = tell(make_live())
    gone = make_live(state=State.REMOVED, why="idle")
    assert compare(told, gone) == ([], [])
    assert compare(told, gone, facts=wait(why="idle")) == ([], []), "its pull request was opened since"
    assert compare(told, replace(gone, head=B))[1] == [KEY]


NONE = make_outcome(kind="none", why="only docs/ changed")


@pytest.mark.parametrize(
    "row",
    [
        make_live(deployed=B, outcomes=(NONE,)),
        make_live(deployed=B, outcomes=(NONE,), state=State.HELD, why="update: recreate it"),
        make_live(deployed=B, outcomes=(NONE,), state=State.FROZEN, why="update: paused"),
        make_flight(verb="update", deployed=B, outcomes=(NONE,)),
    ],
)
def test_a_push_that_needs_no_deploy_is_green(row: Row) -> None:
    ((write,), _) = compare({}, row)
    assert (write.state, write.description) == ("success", f"nothing to deploy since {B[:7]}")


@pytest.mark.parametrize(
    ("outcome", "says"), [(NONE, "nothing to deploy"), (make_outcome(), "it was deployed; a newer commit followed")]
)
def test_a_commit_that_was_dealt_with_before_the_next_came_is_green(outcome: Outcome, says: str) -> None:
    told = tell(make_flight())
    writes, _ = compare(told, make_live(B, deployed=B, outcomes=(outcome, make_outcome(B))))
    (last,) = [write for write in writes if write.key == KEY]
    assert (last.state, last.description) == ("success", says)
    (gone,) = compare(told, make_live(B, state=State.REMOVED, outcomes=(make_outcome(),)))[0]
    assert (gone.state, gone.description) == ("success", "it was deployed, and removed later")


def test_the_check_of_an_overridden_target_follows_what_runs() -> None:
    says = "overridden by b2b2b2b, by mira, because INC-42, until resumed"
    row = make_target(head=A, deployed=B, state=State.HELD, why=says, overridden=says)
    states = {write.sha: (write.state, write.description) for write in compare({}, row)[0]}
    assert states == {A: ("failure", f"held: {says}"), B: ("success", f"it was deployed: {says}")}
    ran = {key_status(A, "deploy-ops/production"): FeedbackRecord(state="success", about=(row.slug,))}
    (head,) = [write for write in compare(ran, row)[0] if write.sha == A]
    assert (head.state, head.description) == ("success", f"it was deployed; later {says}")
    again = {**ran, head.key: head.record}
    assert [write.sha for write in compare(again, row)[0]] == [B], "it is said once"
    idle = replace(row, head=B)
    assert [(write.sha, write.state) for write in compare({}, idle)[0]] == [(B, "success")]


LIFE = st.builds(
    lambda state, verb, head, deployed, outcomes: make_row(
        state=state, verb=verb, head=head, deployed=deployed, outcomes=outcomes, run_id="manual__1" if verb else ""
    ),
    st.sampled_from(State),
    st.sampled_from(["", "deploy", "update", "delete"]),
    st.sampled_from([A, B]),
    st.sampled_from(["", A, B, C]),
    st.lists(st.sampled_from([NONE, FORCED, make_outcome(), make_outcome(B), make_outcome(B, "failed")])).map(tuple),
)


@given(st.lists(LIFE, max_size=8))
def test_whatever_becomes_of_an_environment_no_success_turns_to_error_by_its_end(lives: list[Row]) -> None:
    told: dict[str, FeedbackRecord] = {}
    for row in lives:
        after = take(told, row)
        for key, before in told.items():
            sha = key.split("/")[1]
            is_moved = sha != row.head or row.deployed == sha
            if before.succeeded and is_moved and key in after:
                assert after[key].state != "error", (before, row)
        told = after


@given(st.lists(LIFE, min_size=1, max_size=8), st.booleans())
def test_a_success_claims_nothing_that_may_become_false(lives: list[Row], is_overridden: bool) -> None:
    says = "overridden by b2b2b2b, by mira, until resumed" if is_overridden else ""
    told: dict[str, FeedbackRecord] = {}
    for life in lives:
        row = replace(life, overridden=says)
        writes, _ = compare(told, row)
        for write in writes:
            assert write.state != "success" or write.description.startswith(ETERNAL), write
        told = take(told, row)


ERROR_LINE = "1 import error: dags/orders.py, line 3: ModuleNotFoundError: No module named 'moon'"


@pytest.mark.parametrize(
    ("row", "state", "says"),
    [
        (prove(make_live(), Proof.VERIFIED), "success", "it was deployed, verified"),
        (prove(make_live(), Proof.FAILED), "failure", ERROR_LINE),
        (prove(make_live(), Proof.PENDING), "pending", "being verified"),
        (prove(make_live(), Proof.UNKNOWN), "pending", "not verified: no connection"),
        (
            prove(make_live(), Proof.UNKNOWN, unknown="success"),
            "success",
            "it was deployed, not verified: no connection",
        ),
        (prove(make_live(), Proof.PENDING, unknown="success"), "pending", "being verified"),
        (prove(make_live(deployed=B), Proof.FAILED), "failure", ERROR_LINE),
        (
            prove(make_live(state=State.ASLEEP), Proof.VERIFIED),
            "success",
            "it was deployed, verified",
        ),
        (prove(make_live(state=State.UNHEALTHY, status_reason="sick"), Proof.FAILED), "failure", ERROR_LINE),
        (prove(make_live(state=State.HELD, why="update: no"), Proof.UNKNOWN), "pending", "not verified: no connection"),
        (prove(make_flight(deployed=B), Proof.VERIFIED), "pending", "being deployed"),
        (prove(make_flight(deployed=B), Proof.FAILED), "pending", "being deployed"),
        (prove(make_flight(verb="verify", deployed=A), Proof.PENDING), "pending", "being verified"),
    ],
)
def test_success_is_said_of_what_is_verified(row: Row, state: str, says: str) -> None:
    (write,) = compare({}, row)[0]
    assert (write.state, write.description) == (state, says)


@pytest.mark.parametrize("proof", [Proof.PENDING, Proof.UNKNOWN])
def test_green_stays_green_until_that_very_deploy_is_shown_not_to_work(proof: Proof) -> None:
    told = tell(make_live())
    assert told[KEY].state == "success"
    assert compare(told, prove(make_live(), proof))[0] == []
    (write,) = compare(told, prove(make_live(), Proof.FAILED))[0]
    assert write.state == "failure"


@pytest.mark.parametrize("proof", [Proof.PENDING, Proof.UNKNOWN])
@pytest.mark.parametrize("state", [State.LIVE, State.UNHEALTHY])
def test_red_turns_green_by_a_proof_alone(proof: Proof, state: State) -> None:
    told = tell(make_live())
    told |= {write.key: write.record for write in compare(told, prove(make_live(), Proof.FAILED))[0]}
    assert told[KEY].state == "failure"
    assert {write.state for write in compare(told, prove(make_live(state=state), proof))[0]} <= {"pending", "failure"}
    (write,) = compare(told, prove(make_live(), Proof.VERIFIED))[0]
    assert write.state == "success"


@pytest.mark.parametrize(
    "overridden",
    [f"overridden by a rollback from {A[:7]} to {B[:7]}: 2 import errors, until resumed", f"overridden by {B[:7]}"],
    ids=["rolled back", "a person's word"],
)
def test_what_was_shown_not_to_work_stays_red_when_something_else_takes_its_place(overridden: str) -> None:
    told = tell(make_live())
    told |= {write.key: write.record for write in compare(told, prove(make_live(), Proof.FAILED))[0]}
    back = prove(make_live(deployed=B, state=State.HELD, why=overridden, overridden=overridden), Proof.VERIFIED)
    said = {each.sha: each.state for each in compare(told, back)[0]}
    assert said == {A: "failure", B: "success"}


def test_a_commit_that_was_overtaken_before_it_was_verified_never_turns_green() -> None:
    told = tell(prove(make_live(), Proof.UNKNOWN))
    assert told[KEY].state == "pending"
    outcome = make_outcome(proof="unknown")
    for row in (prove(make_live(head=B, deployed=A), Proof.UNKNOWN), make_live(B, outcomes=(outcome, make_outcome(B)))):
        (write,) = [each for each in compare(told, row)[0] if each.sha == A]
        assert (write.state, write.description) == ("error", "a newer commit followed before it was verified")
    (write,) = [
        each for each in compare(told, make_live(B, outcomes=(make_outcome(proof="verified"),)))[0] if each.sha == A
    ]
    assert write.state == "success"


def test_what_a_person_forced_is_green_only_where_it_is_verified() -> None:
    row = make_live(head=A, deployed=B, overridden="overridden by b2b2b2b, until resumed", state=State.HELD)
    said = {proof: {each.sha: each.state for each in compare({}, prove(row, proof))[0]}[B] for proof in Proof}
    assert said == {
        Proof.PENDING: "pending",
        Proof.VERIFIED: "success",
        Proof.FAILED: "failure",
        Proof.UNKNOWN: "pending",
    }


def test_what_runs_stays_green_while_a_run_deploys_another_commit() -> None:
    """A release was closed while it was deployed: what the target shows is what ran before."""
    flight = make_flight(B, head=A, deployed=A, run_id=name_run(B), why="no pull request is open")
    assert tell(flight)[KEY].state == "success"
    assert compare(tell(make_live()), flight)[0] == []
    assert {each.state for each in compare(tell(make_live()), replace(flight, run_id=name_run(A)))[0]} == {"pending"}
