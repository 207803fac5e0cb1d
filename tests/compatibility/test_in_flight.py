"""Runs that were in flight when the release came, on a stage: each goes on where it was, or fails and is planned anew.

A scene is a piece of work, planned by a pass. It is played up to each step; there, what the run has in its hands
becomes what an older release would have written about it, and the tasks of today go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.plan.work import Verb
from tests.compatibility.on_stage import BEFORE_0_3, age_run, age_state, find_release
from tests.compatibility.samples import RELEASES
from tests.worlds.stages.promotion import Promotions
from tests.worlds.stages.request import STAGING
from tests.worlds.stages.stage import FAILED, WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-orders"
SINCE_0_3 = [release.name for release in RELEASES if release.name not in BEFORE_0_3]
NO_SEAL = r"bears no seal: a release before 0.3 wrote it"


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
                run.play()
                assert not FAILED & set(run.states.values()), run.xcoms
            played += runs
        raise AssertionError(f"passes find no end: {[run.run_id for run in played]}")


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


SCENES = (create, deploy, update, delete, target, promotion)
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


def let_an_hour_pass(stage: Stage, run: Run) -> None:
    """Let what the run claimed have been claimed an hour ago: one that ends without a report is tried again later."""
    claim = stage.memory.claim(run.conf["job"]["work"].partition("~")[0], "planned")
    known = claim.read()
    assert known is not None
    assert known.run_id == run.run_id
    claim.write(replace(known, at=known.at - timedelta(hours=1)))


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
        assert "bears no seal: a release before 0.3 wrote it" in run.read_failure(found)["cause"]
        assert list_writes(stage) == []
        assert stage.author.git("ls-remote", "origin") == refs
        assert stage.airflow.states[run.run_id] == "failed"
        was_done = scene.is_done()
        let_an_hour_pass(stage, run)
        assert bool(scene.settle()) != was_done
        assert scene.is_done()
        scene.again()
    assert "claim" in steps
