"""Branches and tags that are called like something else: a target gets what its people meant, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.run.job import load_job
from tests.worlds.stages.request import STAGING, Gate, open_gate
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

VERSION = "v1.2.3"


@dataclass(frozen=True)
class Scene:
    """A target, a commit on trunk with a tag, and a commit on nobody's but the attacker's branch."""

    stage: Stage
    deployment_id: str
    good: str
    evil: str

    def plant(self, ref: str, commit: str = "") -> None:
        """Let the attacker push a ref; GitHub asks no right for it but to push."""
        push_ref(self.stage, ref, commit or self.evil)

    def force(self, ref: str) -> Run:
        """Let a person type the ref into the target's form, and play the run."""
        self.stage.forget_requests()
        run = self.stage.start_target_form("staging", ref=ref, deploy_type="dags", reason="to release it")
        run.play()
        return run

    def list_deployed(self) -> set[str]:
        """Return which of the two the target runs."""
        return self.stage.list_files(self.deployment_id).keys() & {"dags/good.py", "dags/evil.py"}


def read_cause(run: Run) -> str:
    """Return why the run failed, by the task that did."""
    failed = next(task for task, state in run.states.items() if state == "failed")
    return str(run.read_failure(failed)["cause"])


def push_ref(stage: Stage, ref: str, commit: str) -> None:
    stage.author.git("push", "--quiet", "--force", "origin", f"{commit}:{ref}")


def push_both(stage: Stage) -> tuple[str, str]:
    """Push the commit that people mean onto trunk, tagged, and the attacker's onto a branch; return their ids."""
    good = stage.push("hotfix", {"dags/good.py": "# good\n"})
    stage.author.push("main")
    push_ref(stage, f"refs/tags/{VERSION}", good)
    stage.author.git("fetch", "--quiet", "origin")
    return good, stage.push("dev-evil", {"dags/evil.py": "# evil\n"}, base="origin/main~1")


@pytest.fixture
def scene(stage: Stage) -> Scene:
    stage.change_project(targets={"staging": STAGING})
    deployment_id = stage.make_deployment("Staging", name="Staging", description="")
    return Scene(stage, deployment_id, *push_both(stage))


SHADOWS = {
    "a branch called like a tag": ("refs/heads/{tag}", "{tag}"),
    "a tag called like a branch": ("refs/tags/main", "main"),
    "a branch called like a short id": ("refs/heads/{id}", "{id}"),
    "a tag called like a short id": ("refs/tags/{id}", "{id}"),
    "a branch called like a short id that is written in capitals": ("refs/heads/{id}", "{ID}"),
    "a branch called as Git shortens a tag": ("refs/heads/tags/{tag}", "tags/{tag}"),
    "a branch called as Git shortens a branch": ("refs/heads/heads/main", "heads/main"),
    "a branch called as Git shows a branch": ("refs/heads/origin/main", "origin/main"),
    "a branch called as Git shows a branch in full": ("refs/heads/remotes/origin/main", "remotes/origin/main"),
}


@pytest.mark.parametrize(("ref", "text"), SHADOWS.values(), ids=SHADOWS)
def test_a_name_that_shadows_another_deploys_nothing_and_both_are_named(scene: Scene, ref: str, text: str) -> None:
    words = {"tag": VERSION, "id": scene.good[:8], "ID": scene.good[:8].upper()}
    planted = ref.format(**words)
    scene.plant(planted)
    run = scene.force(text.format(**words))
    assert scene.stage.list_deploys(scene.deployment_id) == []
    assert scene.stage.list_requests("astro", WRITES) == []
    said = read_cause(run)
    assert scene.evil in said
    assert planted in said
    assert scene.good in said or "perhaps a commit whose id begins so" in said


MEANT = {
    "a branch called like a tag in full": ("refs/heads/refs/tags/{tag}", "refs/tags/{tag}"),
    "a branch called like a branch in full": ("refs/heads/refs/heads/main", "refs/heads/main"),
    "a branch called like a tag, which is written in full": ("refs/heads/{tag}", "refs/tags/{tag}"),
    "a branch called like a short id, whose commit is written in full": ("refs/heads/{id}", "{whole}"),
    "a branch called like a whole id": ("refs/heads/{whole}", "{WHOLE}"),
    "a tag that differs by case": ("refs/tags/V1.2.3", "{tag}"),
    "a branch that differs by a letter that looks alike": ("refs/heads/v1.2.\uff13", "{tag}"),
}


@pytest.mark.parametrize(("ref", "text"), MEANT.values(), ids=MEANT)
def test_what_is_written_without_doubt_is_what_is_deployed(scene: Scene, ref: str, text: str) -> None:
    words = {"tag": VERSION, "id": scene.good[:8], "whole": scene.good, "WHOLE": scene.good.upper()}
    scene.plant(ref.format(**words))
    run = scene.force(text.format(**words))
    assert "failed" not in run.states.values(), run.xcoms
    assert scene.list_deployed() == {"dags/good.py"}
    assert f" commit={scene.good} " in scene.stage.list_deploys(scene.deployment_id)[0]["description"]


NOWHERE = {
    "a branch called HEAD": ("refs/heads/HEAD", "HEAD"),
    "a twin by case alone": ("refs/heads/Release-9", "release-9"),
    "a whole id that is no commit's": ("refs/heads/{ghost}", "{ghost}"),
    "a ref of a pull request": ("refs/heads/refs/pull/1/head", "refs/pull/1/head"),
    "an expression": ("refs/heads/main-evil", "main-evil~0"),
    "an option": ("refs/heads/--force", "--force --"),
}


@pytest.mark.parametrize(("ref", "text"), NOWHERE.values(), ids=NOWHERE)
def test_what_people_cannot_have_meant_deploys_nothing(scene: Scene, ref: str, text: str) -> None:
    words = {"ghost": "0123456789" * 4}
    scene.plant(ref.format(**words))
    run = scene.force(text.format(**words))
    assert read_cause(run)
    assert scene.stage.list_deploys(scene.deployment_id) == []
    assert scene.stage.list_requests("astro", WRITES) == []


def test_an_annotated_tag_is_the_commit_behind_it_and_no_less_ambiguous(scene: Scene) -> None:
    author = scene.stage.author
    author.git("tag", "--force", "--annotate", "--message", "x", "signed", scene.good)
    author.git("push", "--quiet", "--force", "origin", "refs/tags/signed")
    scene.force("signed")
    assert scene.list_deployed() == {"dags/good.py"}
    scene.plant("refs/heads/signed")
    said = read_cause(scene.force("signed"))
    assert f"the tag 'signed' at {scene.good}" in said
    assert scene.list_deployed() == {"dags/good.py"}


def test_at_a_preview_a_branch_still_wins(stage: Stage) -> None:
    good, evil = push_both(stage)
    push_ref(stage, f"refs/heads/{VERSION}", evil)
    job = stage.start_form(branch="dev-evil", ref=VERSION).step("claim")
    assert (job["head"], job["ref"]) == (evil, f"refs/heads/{VERSION}")
    assert good not in {job["head"], job["commit"]}


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return open_gate(stage, monkeypatch)


def list_jobs(dispatched: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return which commit each run is to deploy where."""
    jobs = [load_job(each["conf"]["job"]) for each in dispatched]
    return [(job.target, job.deployed_commit) for job in jobs]


def test_a_shadowed_name_asks_nobody(gate: Gate) -> None:
    _, evil = push_both(gate.stage)
    push_ref(gate.stage, f"refs/heads/{VERSION}", evil)
    run = gate.start_form(ref=VERSION)
    with pytest.raises(AirflowFailException, match="is ambiguous"):
        run.ask()
    assert gate.asked == {}


@pytest.mark.parametrize("moved", [f"refs/tags/{VERSION}", f"refs/heads/{VERSION}"])
def test_a_name_that_moves_after_the_question_changes_nothing_of_what_was_asked(gate: Gate, moved: str) -> None:
    """The tag is moved, or a branch of its name appears, between the question, the answer and the deploy."""
    good, evil = push_both(gate.stage)
    run = gate.start_form(ref=VERSION, deploy_type="dags")
    shown = run.ask()
    assert good in shown["subject"]
    assert f"| ref | tag `{VERSION}` |" in shown["body"]
    assert f"| commit | [`{good}`]" in shown["body"]
    push_ref(gate.stage, moved, evil)
    run.answer("Approve")
    dispatched = run.finish()
    assert list_jobs(dispatched) == [("production", good)]
    gate.stage.start_dispatched(dispatched[0]).play()
    assert gate.stage.list_files(gate.production).keys() & {"dags/good.py", "dags/evil.py"} == {"dags/good.py"}
    note = gate.stage.list_deploys(gate.production)[0]["description"]
    assert note.startswith(f"refs/tags/{VERSION}@{good[:12]}, override by mira, approved by ada")
    gate.plan()
    row = gate.stage.memory.read_row("target.production")
    assert row is not None
    assert [(each.person, each.approver) for each in row.outcomes if each.verb == "deploy"][-1] == ("mira", "ada")
