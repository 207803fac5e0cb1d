"""Cleanup, orphans and adoption over a release, on a stage: what was decided, told, asked and answered counts on.

As in `test_in_flight.py`, what a run has in its hands, or cleanup remembers, becomes what an older release would have
written about it, and the tasks of today go on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.preview.ownership import is_own
from tests.compatibility.on_stage import age_run, age_state
from tests.compatibility.samples import BEFORE_0_3, RELEASES, find_release
from tests.compatibility.test_in_flight import NO_SEAL, SINCE_0_3, let_an_hour_pass, list_writes
from tests.unit.operators.cleanup.test_activity import Lived
from tests.worlds.stages.cleanup import AT_ONCE, MANUAL, SCHEDULED, SOON, CleanupStage, OrphansStage, watch_questions
from tests.worlds.stages.idle import NOTICE, let_notice_pass
from tests.worlds.stages.promotion import Promotions, finish
from tests.worlds.stages.request import answer_request
from tests.worlds.stages.stage import FAILED, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.worlds.stages.cleanup import AskingRun
    from tests.worlds.stages.stage import Stage

pytestmark = pytest.mark.long
each_release = pytest.mark.parametrize("name", [release.name for release in RELEASES])
THREE = ("dev-a", "dev-b", "dev-c")
"""One more than the policy's `max_deletes`."""

GONE = ("dev-a", "dev-b", "dev-c", "dev-d")
"""Branches that are gone: the brake lets one of them go in an hour, and holds the others."""

PARKED = "parked"
"""The moment at which a person was asked, and did not answer."""

POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/data-platform
    image: [reuse]
    previews: {branches: ["dev*"], template: deployments/preview.yaml, merged_into: [main]}
"""


@pytest.fixture
def doomed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> CleanupStage:
    """Give a stage on which every preview is idle enough to be deleted at once."""
    stage.change_project(previews={"delete_after": SOON, "delete_notice": AT_ONCE})
    return CleanupStage(stage, watch_questions(monkeypatch))


def plant(doomed: CleanupStage, *branches: str) -> dict[str, str]:
    """Let previews be there of which control knows; return their ids by branch."""
    ids = doomed.plant(*branches)
    assert doomed.stage.plan() == []
    return ids


def play_on(run: Run, answer: str = "Approve", *, stop: str = "", asking: str = "approve") -> None:
    """Run what has not run yet, and let a person answer; up to a task, or to the question where that is `PARKED`."""
    for task in run._make_dag().topological_sort():
        if task.task_id == stop:
            return
        if task.task_id not in run.states:
            with contextlib.suppress(TaskAwaitingInput):
                run._play_task(task)
        if run.states[task.task_id] == "awaiting_input":
            if stop == PARKED:
                return
            with contextlib.suppress(Exception):  # its state says so
                answer_request(run, answer, task_id=asking)
    run.stage.airflow.states[run.run_id] = "failed" if FAILED & set(run.states.values()) else "success"


def play_aged(run: Run, name: str, steps: tuple[str, ...], answer: str = "Approve", asking: str = "approve") -> None:
    """Play a run that ends well, and let it be as the release would have had it at each of the steps."""
    for step in steps:
        play_on(run, answer, stop=step, asking=asking)
        age_run(run, find_release(name))
    play_on(run, answer, asking=asking)
    assert not FAILED & set(run.states.values()), run.xcoms
    assert set(run.tries.values()) == {1}


def check_refused(run: Run, steps: set[str]) -> None:
    """See that the run failed at one of the steps, for good, since an older release wrote what it was handed."""
    failed = [task for task, state in run.states.items() if state == "failed" and task in steps]
    assert failed
    assert all(run.read_failure(task)["is_permanent"] for task in failed)
    assert all(NO_SEAL in run.read_failure(task)["cause"] for task in failed)
    assert run.stage.airflow.states[run.run_id] == "failed"


def list_deletes(stage: Stage) -> dict[str, Run]:
    """Return the deletes that a pass starts now, by branch."""
    return {run.conf["job"]["branch"]: run for run in stage.plan() if run.conf["job"]["verb"] == "delete"}


def play_deletes(stage: Stage) -> set[str]:
    """Play the deletes that a pass starts now; return their branches."""
    runs = list_deletes(stage)
    for run in runs.values():
        assert not FAILED & set(run.play().values()), run.xcoms
    return set(runs)


def list_names(stage: Stage) -> set[str]:
    return {each["name"] for each in stage.list_deployments()}


def check_nobody_is_asked(doomed: CleanupStage, **params: Any) -> None:
    """See that another run of cleanup asks nothing."""
    run = doomed.start(MANUAL, dry_run=False, **params) if params else doomed.start(SCHEDULED)
    play_on(run)
    assert run.states["approve"] == "skipped"
    assert not FAILED & set(run.states.values())


# What cleanup remembers between its runs


@each_release
def test_a_notice_that_was_given_counts_on(name: str, doomed: CleanupStage) -> None:
    stage = doomed.stage
    stage.change_project(previews={"delete_notice": NOTICE})
    plant(doomed, "dev-a")
    told = doomed.run()
    doomed.end(told)
    before = stage.memory.verdicts.read()
    age_state(stage, name)
    assert ("is_final" in str(stage.stores[stage.scope.fleet.name].values["cleanup.verdicts"])) == (name in SINCE_0_3)
    doomed.end(doomed.run())
    assert stage.memory.verdicts.read() == before
    assert doomed.list_emitted() == [told.run_id], "nothing is told anew"
    assert list_deletes(stage) == {}
    let_notice_pass(stage)
    age_state(stage, name)
    assert play_deletes(stage) == {"dev-a"}
    assert stage.list_deployments() == []
    assert stage.plan() == []


@each_release
@pytest.mark.parametrize("how", ["a push", "kept"])
def test_who_moves_or_keeps_a_preview_ends_the_notice_that_was_given(name: str, how: str, doomed: CleanupStage) -> None:
    stage = doomed.stage
    ids = plant(doomed, "dev-a", "dev-b")
    doomed.end(doomed.run())
    if how == "kept":
        assert not FAILED & set(stage.start_form(branch="dev-a", action="keep", reason="the demo").play().values())
    age_state(stage, name)
    if how == "a push":
        stage.push("dev-a", {"dags/moved.py": "# moved\n"})
    assert play_deletes(stage) == {"dev-b"}
    if how == "kept":
        doomed.end(doomed.run())
        assert ids["dev-a"] not in stage.memory.verdicts.read()
        assert list_deletes(stage) == {}
    assert [each["id"] for each in stage.list_deployments()] == [ids["dev-a"]]


@each_release
def test_an_open_question_is_not_asked_twice_and_holds_what_it_is_about(name: str, doomed: CleanupStage) -> None:
    plant(doomed, *THREE)
    play_on(doomed.start(SCHEDULED), stop=PARKED)
    age_state(doomed.stage, name)
    check_nobody_is_asked(doomed)
    assert doomed.list_standings() == dict.fromkeys(THREE, ("delete", "asked"))
    assert list_deletes(doomed.stage) == {}


@each_release
def test_an_answer_about_previews_holds(name: str, doomed: CleanupStage) -> None:
    ids = plant(doomed, *THREE)
    play_on(doomed.start(SCHEDULED), "Reject")
    age_state(doomed.stage, name)
    check_nobody_is_asked(doomed)
    assert list_deletes(doomed.stage) == {}
    assert doomed.list_standings() == dict.fromkeys(THREE, ("delete", "refused"))
    others = plant(doomed, "dev-x", "dev-y", "dev-z")
    play_on(doomed.start(SCHEDULED))
    age_state(doomed.stage, name)
    assert play_deletes(doomed.stage) == set(others)
    assert {each["id"] for each in doomed.stage.list_deployments()} == set(ids.values())


@pytest.fixture
def held(doomed: CleanupStage) -> set[str]:
    """Let control's brake hold deletes of branches that are gone; return these branches."""
    for branch in GONE:
        doomed.stage.make_deployment(branch)
    (started,) = play_deletes(doomed.stage)
    return set(GONE) - {started}


@each_release
def test_a_question_about_what_the_brake_holds_is_not_asked_twice(
    name: str, held: set[str], doomed: CleanupStage
) -> None:
    run = doomed.start(MANUAL, dry_run=False, max_deletes=1)
    play_on(run, stop=PARKED)
    assert run.shown["subject"] == f"Delete {len(held)} previews of shop?"
    age_state(doomed.stage, name)
    check_nobody_is_asked(doomed, max_deletes=1)


@each_release
@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_an_answer_about_what_the_brake_holds_counts_on(
    name: str, answer: str, held: set[str], doomed: CleanupStage
) -> None:
    stage = doomed.stage
    play_on(doomed.start(MANUAL, dry_run=False, max_deletes=1), answer)
    age_state(stage, name)
    assert {"~delete~" in each for each in stage.memory.released.read()} <= {name in BEFORE_0_3}
    check_nobody_is_asked(doomed, max_deletes=1)
    if answer == "Reject":
        stage.memory.begun_deletes.write(())  # an hour later
    age_state(stage, name)
    assert play_deletes(stage) == (held if answer == "Approve" else set())
    assert len(stage.list_deployments()) == (0 if answer == "Approve" else len(held))


@each_release
def test_who_works_in_a_preview_keeps_it_whatever_was_decided_before(name: str, stage: Stage, monkeypatch: Any) -> None:
    lived = Lived(stage, watch_questions(monkeypatch))
    assert lived.clean_up()[0] == "hibernate"
    age_state(stage, name)
    stage.forget_requests()
    assert lived.clean_up()[0] == "hibernate"
    assert len(lived.list_asked()) == (2 if name in BEFORE_0_3 else 0), "what was told within the hour is known"
    age_state(stage, name)
    lived.start_run()
    assert lived.play_hibernation().states["hibernate"] == "skipped"
    assert lived.count_hibernations() == 0
    assert lived.clean_up()[0] == "keep"


# A question of cleanup, step by step


@pytest.mark.parametrize("name", SINCE_0_3)
@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_a_run_of_cleanup_goes_on_from_finding_to_remembering(name: str, answer: str, doomed: CleanupStage) -> None:
    plant(doomed, *THREE)
    run = doomed.start(SCHEDULED)
    play_aged(run, name, ("approve", PARKED, "remember", "summary"), answer)
    assert doomed.list_standings() == dict.fromkeys(THREE, ("delete", "released" if answer == "Approve" else "refused"))
    assert play_deletes(doomed.stage) == (set(THREE) if answer == "Approve" else set())
    check_nobody_is_asked(doomed)


@pytest.mark.parametrize("name", BEFORE_0_3)
@pytest.mark.parametrize("step", ["approve", PARKED, "remember"])
def test_a_run_of_cleanup_that_bears_no_seal_remembers_nothing_and_the_next_one_asks(
    step: str, name: str, doomed: CleanupStage
) -> None:
    stage = doomed.stage
    plant(doomed, *THREE)
    run = doomed.start(SCHEDULED)
    play_on(run, stop=step)
    age_state(stage, name)
    before, known = stage.list_deployments(), dict(stage.stores[stage.scope.fleet.name].values)
    stage.forget_requests()
    play_on(run)
    check_refused(run, {"approve", "remember"})
    assert stage.stores[stage.scope.fleet.name].values == known
    assert list_writes(stage) == []
    assert list_deletes(stage) == {}
    assert stage.list_deployments() == before
    play_on(doomed.start(SCHEDULED))
    assert play_deletes(stage) == set(THREE)
    assert stage.list_deployments() == []


@pytest.mark.parametrize("name", BEFORE_0_3)
def test_a_yes_to_what_the_brake_holds_that_bears_no_seal_lets_nothing_pass(
    name: str, held: set[str], doomed: CleanupStage
) -> None:
    stage, form = doomed.stage, {"dry_run": False, "max_deletes": 1}
    run = doomed.start(MANUAL, **form)
    play_on(run, stop=PARKED)
    age_state(stage, name)
    play_on(run)
    check_refused(run, {"remember"})
    assert stage.memory.released.read() == {}
    assert list_deletes(stage) == {}
    play_on(doomed.start(MANUAL, **form))
    assert play_deletes(stage) == held


# Orphans


@pytest.fixture
def orphans(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OrphansStage:
    """Give a stage with a whole policy, and what is none of ours."""
    found = OrphansStage.open(stage, POLICY, tmp_path / "policy.yaml", monkeypatch)
    found.leave("other", control_plane="other")
    stage.make_deployment("dev-y", name="plain", description="made by hand")
    return found


OTHERS = {"other", "plain"}


def delete(orphans: OrphansStage) -> Callable[[], bool]:
    """Let Deployments of a project that left the policy be there; return whether they are gone, and nothing else is."""
    orphans.leave("gone-a")
    orphans.leave("gone-b")
    return lambda: list_names(orphans.stage) == OTHERS


def adopt(orphans: OrphansStage) -> Callable[[], bool]:
    """Let the project's repository have had another name; return whether its preview bears the new one."""
    stage = orphans.stage
    stage.push("dev-x")
    preview = orphans.leave("shop-dev-x", project="shop", repository="acme/old")

    def is_done() -> bool:
        mark = parse_mark(stage.ask_astro("GET", f"deployments/{preview}")["description"])
        assert list_names(stage) == OTHERS | {"shop-dev-x"}
        return mark is not None and is_own(mark, stage.scope.control_plane, stage.scope.project)

    return is_done


def start_orphans(orphans: OrphansStage, action: str) -> AskingRun:
    return orphans.start(action=action, dry_run=False)


@pytest.mark.parametrize("name", SINCE_0_3)
@pytest.mark.parametrize("leave", [delete, adopt])
def test_a_run_of_orphans_goes_on_and_does_exactly_what_was_agreed(
    name: str, leave: Callable[[OrphansStage], Callable[[], bool]], orphans: OrphansStage
) -> None:
    is_done, action = leave(orphans), leave.__name__
    run = start_orphans(orphans, action)
    play_on(run, stop="approve")
    orphans.leave("gone-late")
    play_aged(run, name, ("approve", PARKED, action))
    assert "gone-late" in list_names(orphans.stage)
    (late,) = [each["id"] for each in orphans.stage.list_deployments() if each["name"] == "gone-late"]
    orphans.stage.ask_astro("DELETE", f"deployments/{late}")
    assert is_done()


@each_release
def test_an_open_question_about_orphans_is_not_asked_twice(name: str, orphans: OrphansStage) -> None:
    delete(orphans)
    play_on(start_orphans(orphans, "delete"), stop=PARKED)
    age_state(orphans.stage, name)
    again = start_orphans(orphans, "delete")
    play_on(again)
    assert again.states == {"find": "success", "approve": "skipped", "delete": "skipped", "adopt": "skipped"}
    assert list_names(orphans.stage) == OTHERS | {"gone-a", "gone-b"}


@pytest.mark.parametrize("name", BEFORE_0_3)
@pytest.mark.parametrize("step", ["approve", PARKED, "delete"])
def test_a_run_of_orphans_that_bears_no_seal_deletes_nothing_and_the_next_one_asks(
    step: str, name: str, orphans: OrphansStage
) -> None:
    is_done = delete(orphans)
    run = start_orphans(orphans, "delete")
    play_on(run, stop=step)
    age_state(orphans.stage, name)
    orphans.stage.forget_requests()
    play_on(run)
    check_refused(run, {"approve", "delete"})
    assert list_writes(orphans.stage) == []
    assert not is_done()
    play_on(start_orphans(orphans, "delete"))
    assert is_done()


@pytest.mark.parametrize("name", BEFORE_0_3)
def test_a_preview_that_an_older_release_offered_to_delete_is_never_offered_while_its_branch_lives(
    name: str, orphans: OrphansStage
) -> None:
    """Before 0.3 a repository's new name had all of its previews offered, by a list without a fate."""
    is_done = adopt(orphans)
    orphans.stage.author.delete("dev-x")
    run = start_orphans(orphans, "delete")
    play_on(run, stop=PARKED)
    age_state(orphans.stage, name)
    orphans.stage.push("dev-x")
    play_on(run)
    check_refused(run, {"approve", "delete", "adopt"})
    assert start_states(orphans, "delete") == ("skipped", "skipped")
    assert not is_done()
    assert start_states(orphans, "adopt") == ("skipped", "success")
    assert is_done()


def start_states(orphans: OrphansStage, action: str) -> tuple[str, str]:
    """Play another run of orphans; return how its delete and its adoption ended."""
    run = start_orphans(orphans, action)
    play_on(run)
    return run.states["delete"], run.states["adopt"]


# The adoption of a Deployment with a preview's name, which a person asks for


@pytest.fixture
def by_hand(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let somebody have made a branch's Deployment by hand; return its id."""
    watch_questions(monkeypatch)
    stage.push("dev-x")
    stage.make_deployment("dev-y", name="plain", description="made by hand")
    return stage.make_deployment("dev-x", description="made by hand")


def start_adoption(stage: Stage) -> Run:
    return stage.start_form(branch="dev-x", action="adopt", reason="it was there first")


def play_adoption(run: Run, stop: str = "") -> None:
    play_on(run, stop=stop, asking="approve_adoption")


def check_adopted(stage: Stage, deployment_id: str) -> None:
    """See that it bears the branch's mark, that nothing else changed, and that control goes on with a deploy."""
    found = {each["name"]: each for each in stage.list_deployments()}
    assert found.keys() == {"shop-dev-x", "plain"}
    assert (found["shop-dev-x"]["id"], found["plain"]["description"]) == (deployment_id, "made by hand")
    mark = parse_mark(found["shop-dev-x"]["description"])
    assert mark is not None
    assert mark.branch == "dev-x"
    (deploy,) = stage.plan()
    assert deploy.conf["job"]["verb"] == "deploy"
    assert not FAILED & set(deploy.play().values()), deploy.xcoms
    assert stage.plan() == []


@pytest.mark.parametrize("name", SINCE_0_3)
def test_an_adoption_goes_on_from_question_to_mark(name: str, by_hand: str, stage: Stage) -> None:
    run = start_adoption(stage)
    steps = ("claim", "render_template", "approve_adoption", PARKED, "adopt", "report")
    play_aged(run, name, steps, asking="approve_adoption")
    check_adopted(stage, by_hand)


@pytest.mark.parametrize("name", BEFORE_0_3)
@pytest.mark.parametrize("step", ["render_template", "approve_adoption", PARKED, "adopt"])
def test_an_adoption_that_bears_no_seal_writes_nothing_and_a_person_asks_anew(
    step: str, name: str, by_hand: str, stage: Stage
) -> None:
    run = start_adoption(stage)
    play_adoption(run, step)
    age_state(stage, name)
    before = stage.list_deployments()
    stage.forget_requests()
    play_adoption(run)
    check_refused(run, {"render_template", "approve_adoption", "adopt"})
    assert list_writes(stage) == []
    assert stage.list_deployments() == before
    let_an_hour_pass(stage)
    assert stage.plan() == []
    play_adoption(start_adoption(stage))
    check_adopted(stage, by_hand)


# The adoption of a commit that somebody else pushed to the deploy branch


@pytest.fixture
def promotions(stage: Stage) -> Promotions:
    """Let somebody have pushed to the branch that promotions make."""
    made = Promotions(stage)
    stage.change_project(previews={"branches": ("nothing*",)})
    made.open_pull("dev-a", {"dags/new.py": "# new\n"})
    made.promote()
    made.push("astro_deploy", {"dags/by_hand.py": "# hand\n"})
    return made


@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_promotion_goes_on_to_adopt_the_commit_that_a_person_saw(name: str, promotions: Promotions) -> None:
    stranger = promotions.tip
    play_aged(promotions.start_form(action="adopt"), name, ("claim", "promote", "report"))
    assert promotions.show(promotions.tip, "%P") == stranger
    assert promotions.remembered.adopted == stranger
    assert promotions.promote()["commit"] == ""


@pytest.mark.parametrize("name", BEFORE_0_3)
def test_an_adoption_of_a_commit_that_bears_no_seal_pushes_nothing_and_a_person_asks_anew(
    name: str, promotions: Promotions
) -> None:
    stage, stranger = promotions.stage, promotions.tip
    run = promotions.start_form(action="adopt")
    play_on(run, stop="promote")
    age_state(stage, name)
    stage.forget_requests()
    play_on(run)
    check_refused(run, {"promote"})
    assert list_writes(stage) == []
    assert (promotions.tip, promotions.remembered.adopted) == (stranger, "")
    finish(promotions.start_form(action="adopt"))
    assert promotions.show(promotions.tip, "%P") == stranger
