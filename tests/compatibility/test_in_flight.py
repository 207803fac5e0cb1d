"""Runs that were in flight when the release came, on a stage: each goes on where it was, or fails and is planned anew.

A scene is a piece of work, planned by a pass. It is played up to each step; there, what the run has in its hands
becomes what an older release would have written about it, and the tasks of today go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from dags.feedback import make_feedback_dag
from include.deploy_ops.core.feedback import budget
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Feedback
from tests.compatibility.on_stage import age_run, age_state
from tests.compatibility.samples import RELEASES, find_release, strip_version
from tests.worlds.doubles.airflow import FakeStores, FakeTaskInstance
from tests.worlds.stages.cleanup import AT_ONCE, SOON, CleanupStage
from tests.worlds.stages.commands import Conversation
from tests.worlds.stages.promotion import Promotions
from tests.worlds.stages.reference import TEMPLATE, Reference
from tests.worlds.stages.request import STAGING, open_gate
from tests.worlds.stages.stage import FAILED, WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.request import Gate, RequestRun
    from tests.worlds.stages.stage import Run, Stage

pytestmark = pytest.mark.long
BRANCH = "dev-orders"
SINCE_0_3 = [release.name for release in RELEASES if release.is_sealing]
NO_SEAL = "bears no seal: a release before 0.3 wrote it"


@dataclass
class Scene:
    """What is due, and what is so once it is done; `again` makes the same kind of work due anew."""

    stage: Stage
    again: Callable[[], object]
    is_done: Callable[[], bool]

    def plan(self) -> Run:
        """Return the run that a pass starts for it."""
        (run,) = self.stage.plan()
        return run

    def settle(self) -> list[Run]:
        """Make passes until nothing is due; return the runs that they started, which ended well."""
        played: list[Run] = []
        for _ in range(5):
            if not (runs := self.stage.plan()):
                return played
            for run in runs:
                play(run)
            played += runs
        raise AssertionError(f"passes find no end: {[run.run_id for run in played]}")


def play(run: Run) -> None:
    """Play a run, which must end well."""
    if run.dag_id == run.stage.scope.feedback_dag:
        tell(run.stage)
        run.stage.airflow.states[run.run_id] = "success"
        return
    run.play()
    assert not FAILED & set(run.states.values()), run.xcoms


def make_preview(stage: Stage, branch: str = BRANCH) -> str:
    head = stage.push(branch, {f"dags/{branch}.py": "# fresh\n"})
    stage.author.open_pull_request(branch, "main", "Orders")
    return head


def push_more(stage: Stage, branch: str = BRANCH) -> str:
    stage.author.start_branch(branch, f"origin/{branch}")
    return stage.push_more(branch, {"dags/fresh.py": "# more\n"})


def is_newest_there(stage: Stage, branch: str, name: str) -> bool:
    """Whether there is one Deployment of that name, which runs what the branch has, deployed once."""
    found = [each for each in stage.list_deployments() if each["name"] == name]
    stage.author.git("fetch", "--quiet")
    head = stage.author.git("rev-parse", f"origin/{branch}")
    if len(found) != 1 or stage.list_files(found[0]["id"]) != stage.author.hash_files(head):
        return False
    return sum(f" commit={head} " in each["description"] for each in stage.list_deploys(found[0]["id"])) == 1


def create(stage: Stage) -> Scene:
    """Play a preview's creation."""
    branches = ["dev-0"]

    def again() -> None:
        branches.append(f"dev-{len(branches)}")
        make_preview(stage, branches[-1])

    make_preview(stage, "dev-0")
    return Scene(stage, again, lambda: is_newest_there(stage, branches[-1], f"shop-{branches[-1]}"))


def deploy(stage: Stage) -> Scene:
    """Play a deploy of DAGs to a preview."""
    stage.create_preview(BRANCH, make_preview(stage))
    push_more(stage)
    return Scene(stage, lambda: push_more(stage), lambda: is_newest_there(stage, BRANCH, f"shop-{BRANCH}"))


def update(stage: Stage) -> Scene:
    """Play a preview's update to the template."""
    stage.create_preview(BRANCH, make_preview(stage))
    emails: list[str] = []

    def again() -> None:
        emails.append(f"team-{len(emails)}@acme.example")
        stage.change_project(previews={"overrides": {"alert_emails": emails[-1:]}})

    again()
    return Scene(stage, again, lambda: emails[-1] in stage.find_deployment(BRANCH)["contactEmails"])


def delete(stage: Stage) -> Scene:
    """Play the end of a preview whose branch is gone."""
    stage.change_project(limits={"max_deletes": 50, "max_delete_fraction": 1.0})

    def again() -> None:
        stage.create_preview(BRANCH, stage.push(BRANCH))
        stage.author.delete(BRANCH)

    again()
    return Scene(stage, again, lambda: stage.list_deployments() == [])


def hibernate(stage: Stage) -> Scene:
    """Play the sleep of a preview that nobody uses, as cleanup decided."""
    stage.change_project(previews={"hibernate_after": AT_ONCE})
    return let_idle(stage, lambda branch: stage.find_deployment(branch)["status"] == "HIBERNATING")


def expire(stage: Stage) -> Scene:
    """Play the end of a preview that nobody uses, as cleanup decided."""
    limits = {"max_deletes": 50, "max_delete_fraction": 1.0}
    stage.change_project(previews={"delete_after": SOON, "delete_notice": AT_ONCE}, limits=limits)
    return let_idle(stage, lambda _: stage.list_deployments() == [])


def let_idle(stage: Stage, is_done: Callable[[str], bool]) -> Scene:
    """Let cleanup decide about a preview that is idle at once."""
    cleanup = CleanupStage(stage, {})
    branches: list[str] = []

    def again() -> None:
        branches.append(f"dev-{len(branches)}")
        stage.create_preview(branches[-1], make_preview(stage, branches[-1]))
        cleanup.end(cleanup.run())

    again()
    return Scene(stage, again, lambda: is_done(branches[-1]))


def target(stage: Stage) -> Scene:
    """Play a deploy to a target that follows a branch."""
    stage.change_project(targets={"staging": STAGING})
    stage.make_deployment("", name="Staging", description="")
    stage.push("astro_deploy")

    def again() -> None:
        stage.author.start_branch("astro_deploy", "origin/astro_deploy")
        stage.push_more("astro_deploy", {"dags/fresh.py": "# more\n"})

    return Scene(stage, again, lambda: is_newest_there(stage, "astro_deploy", "Staging"))


def promotion(stage: Stage) -> Scene:
    """Play a promotion of an open pull request."""
    promotions = Promotions(stage)
    stage.change_project(previews={"branches": ("nothing*",)})
    number = 0

    def again() -> None:
        nonlocal number
        number += 1
        promotions.open_pull(f"dev-{number}", {f"dags/of_{number}.py": f"# {number}\n"})

    again()
    return Scene(stage, again, lambda: f"dags/of_{number}.py" in promotions.list_files(promotions.tip))


SCENES = (create, deploy, update, delete, hibernate, expire, target, promotion)
each_scene = pytest.mark.parametrize("open_scene", SCENES, ids=lambda scene: scene.__name__)


def list_steps(run: Run) -> list[str]:
    """Return the tasks that do something for the run's errand, in order, the report last."""
    verb = Verb(run.conf["job"]["verb"])
    ordered = [task for task in run._make_dag().topological_sort() if verb in getattr(task, "verbs", tuple(Verb))]
    return [task.task_id for task in ordered]


def play_up_to(run: Run, step: str) -> bool:
    """Run the tasks before the step, in whose turn nothing failed; return whether it is still to come."""
    for task in run._make_dag().topological_sort():
        if task.task_id == step:
            return step not in run.states
        if task.task_id not in run.states:
            run._play_task(task)
    raise AssertionError(f"{run.dag_id} has no task {step}")


def let_an_hour_pass(stage: Stage) -> None:
    """Let all claims and endings be an hour older: what failed, or is due again, is tried again later."""
    for key, stored in stage.stores[stage.scope.fleet.name].values.items():
        if re.fullmatch(r"environment\..+\.(planned|manual|remembered|requests)", key):
            value = strip_version(stored)
            for each, at in [(value, "at"), *((ending, "ended_at") for ending in value.get("endings", {}).values())]:
                if at in each:
                    each[at] = (datetime.fromisoformat(each[at]) - timedelta(hours=1)).isoformat()


def list_writes(stage: Stage) -> list[str]:
    return [*stage.list_requests("astro", WRITES), *stage.list_requests("github", WRITES)]


@each_scene
@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_run_goes_on_at_each_step_and_does_nothing_twice(
    name: str, open_scene: Callable[[Stage], Scene], stage: Stage
) -> None:
    scene = open_scene(stage)
    run = scene.plan()
    for step in list_steps(run):
        play_up_to(run, step)
        age_run(run, find_release(name))
    run.play()
    assert not FAILED & set(run.states.values()), run.xcoms
    assert set(run.tries.values()) == {1}
    assert scene.is_done()
    assert stage.plan() == []


@each_scene
def test_a_run_that_bears_no_seal_fails_at_each_step_writes_nothing_and_is_planned_anew(
    open_scene: Callable[[Stage], Scene], stage: Stage
) -> None:
    scene, steps = open_scene(stage), []
    while True:
        run = scene.plan()
        ahead = [step for step in list_steps(run) if step not in steps and step != "report"]
        found = next((step for step in ahead if play_up_to(run, step)), None)
        if found is None:
            break
        steps.append(found)
        age_state(stage, "0.2.0")
        stage.forget_requests()
        refs = stage.author.git("ls-remote", "origin")
        states = run.play()
        assert states[found] == "failed"
        assert run.read_failure(found)["is_permanent"]
        assert NO_SEAL in run.read_failure(found)["cause"]
        assert list_writes(stage) == []
        assert stage.author.git("ls-remote", "origin") == refs
        assert stage.airflow.states[run.run_id] == "failed"
        was_done = scene.is_done()
        let_an_hour_pass(stage)
        assert bool(scene.settle()) != was_done
        assert scene.is_done()
        scene.again()
    assert "claim" in steps


# A release to production: asked about, approved, deployed, merged


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a gated production with an open pull request."""
    return open_gate(stage, monkeypatch)


def start_production(gate: Gate) -> Run:
    """Return the run that a pass starts for production."""
    (planned,) = gate.plan()
    return gate.stage.start_dispatched(planned)


def name_approver(gate: Gate) -> str:
    """Return who said yes last, empty where that counts no more."""
    approval = gate.remembered.approval
    return "" if approval is None else str(approval.person)


def play_question(run: RequestRun, stop: str = "") -> None:
    """Play a request, to which a person says yes, up to the step; to its end without one."""
    for step in ("prepare", "change_type", "image", "approve", "recheck"):
        if step == stop:
            return
        play_asking(run, step)
    run.step("report")
    run.stage.airflow.states[run.run_id] = "success"


def play_asking(run: RequestRun, step: str) -> None:
    """Play one step, if its turn comes."""
    if run.states.get(step) == "skipped":
        return
    if step != "approve":
        run.step(step)
        return
    if run.states.get(step) != "awaiting_input":
        run.park()
    run.answer("Approve", "fine")


@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_release_goes_on_from_question_to_merge(name: str, gate: Gate) -> None:
    release, run = find_release(name), gate.start_planned()
    for step in ("prepare", "change_type", "image", "approve", "recheck"):
        age_run(run, release)
        play_asking(run, step)
        age_run(run, release)
    run.step("report")
    gate.stage.airflow.states[run.run_id] = "success"
    assert name_approver(gate) == "ada"
    for verb in ("deploy", "merge"):
        planned = start_production(gate)
        assert planned.conf["job"]["verb"] == verb
        for step in list_steps(planned):
            play_up_to(planned, step)
            age_run(planned, release)
        planned.play()
        assert not FAILED & set(planned.states.values()), planned.xcoms
        assert set(planned.tries.values()) == {1}
    assert gate.stage.author.show_pull_request(gate.number)["merged"]
    assert gate.plan() == []


@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_question_that_is_open_is_not_asked_again(name: str, gate: Gate) -> None:
    run = gate.start_planned()
    play_question(run, "approve")
    run.park()
    age_run(run, find_release(name))
    age_state(gate.stage, name)
    assert gate.plan() == []


@pytest.mark.parametrize("step", ["prepare", "change_type", "image", "approve", "recheck"])
def test_a_question_that_bears_no_seal_does_nothing_and_is_asked_anew(step: str, gate: Gate) -> None:
    run = gate.start_planned()
    play_question(run, step)
    age_state(gate.stage, "0.2.0")
    gate.stage.forget_requests()
    with pytest.raises(AirflowFailException, match=r"before 0\.3 (wrote it|asked)"):
        play_asking(run, step)
    assert list_writes(gate.stage) == []
    assert name_approver(gate) == ""
    gate.stage.airflow.states[run.run_id] = "failed"
    let_an_hour_pass(gate.stage)
    again = gate.start_planned()
    assert again.run_id != run.run_id
    play_question(again)
    assert name_approver(gate) == "ada"
    (deploy,) = gate.plan()
    assert (deploy["trigger_dag_id"], deploy["conf"]["job"]["verb"]) == ("shop.production", "deploy")


def test_a_yes_that_bears_no_seal_deploys_nothing_and_is_asked_for_anew(gate: Gate) -> None:
    play_question(gate.start_planned())
    assert name_approver(gate) == "ada"
    age_state(gate.stage, "0.2.0")
    assert name_approver(gate) == "ada"
    gate.stage.forget_requests()
    let_an_hour_pass(gate.stage)
    (planned,) = gate.plan()
    assert planned["trigger_dag_id"] == "shop.production.request"
    assert list_writes(gate.stage) == []


@pytest.mark.parametrize("step", ["claim", "change_type", "image", "deploy", "settle"])
def test_a_release_that_bears_no_seal_deploys_no_more_and_people_are_asked_anew(step: str, gate: Gate) -> None:
    play_question(gate.start_planned())
    run = start_production(gate)
    assert play_up_to(run, step)
    deploys = gate.stage.list_deploys(gate.production)
    age_state(gate.stage, "0.2.0")
    gate.stage.forget_requests()
    assert run.play()[step] == "failed"
    assert "bears no seal" in run.read_failure(step)["cause"]
    assert list_writes(gate.stage) == []
    assert gate.stage.list_deploys(gate.production) == deploys
    let_an_hour_pass(gate.stage)
    play_question(gate.start_planned())
    for _ in range(2):
        play(start_production(gate))
        if gate.stage.author.show_pull_request(gate.number)["merged"]:
            break
    assert gate.stage.author.show_pull_request(gate.number)["merged"]
    assert gate.plan() == []


# What has no claim


@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_word_that_was_heard_gets_its_run_and_its_sign(name: str, stage: Stage, monkeypatch: Any) -> None:
    monkeypatch.setattr(budget, "SECONDS_BETWEEN", 0.0)
    said = Conversation.open(stage)
    comment = said.say("/deploy-ops deploy")
    hearing = said.find_hearing()
    assert hearing is not None
    age_run(hearing, find_release(name))
    (told,) = hearing.step("hear")
    age_run(hearing, find_release(name))
    run = stage.start_dispatched(told)
    age_run(run, find_release(name))
    hearing.step("answer")
    said.end(hearing)
    assert said.list_signs(comment) == ["eyes", "rocket"]
    run.play()
    assert not FAILED & set(run.states.values()), run.xcoms
    assert is_newest_there(stage, said.branch, f"shop-{said.branch}")
    assert said.find_hearing() is None


@pytest.mark.parametrize("name", SINCE_0_3)
def test_a_template_that_was_inspected_is_proposed(name: str, stage: Stage) -> None:
    reference = Reference(stage)
    reference.commit({TEMPLATE: None})
    run = reference.start()
    for step in ("inspect", "compare", "propose"):
        run.step(step)
        age_run(run, find_release(name))
    (pull,) = reference.list_pulls()
    assert pull["state"] == "open"
    assert reference.list_writes(reference.run) == []


@pytest.mark.parametrize("name", [release.name for release in RELEASES])
def test_what_github_was_told_is_not_told_again(name: str, stage: Stage) -> None:
    stage.change_project(feedback=Feedback())
    number = stage.author.open_pull_request(BRANCH, "main", "Orders") if stage.push(BRANCH) else 0
    Scene(stage, lambda: None, lambda: True).settle()
    assert stage.author.list_comments(number)
    age_state(stage, name)
    stage.forget_requests()
    Scene(stage, lambda: None, lambda: True).settle()
    tell(stage)
    assert stage.list_requests("github", WRITES) == []


def tell(stage: Stage) -> None:
    """Run the feedback DAG's one task; no time goes by between runs."""
    stage.memory.budget.write(Budget())
    task: Any = make_feedback_dag(stage.scope).task_dict["tell"]
    task.execute(
        {
            "ti": FakeTaskInstance(stage.airflow, {}, "tell", 1),
            "dag_run": SimpleNamespace(run_id="tell~1", run_type="operator_triggered"),
            "asset_state_store": FakeStores(stage.stores, task),
        }
    )
