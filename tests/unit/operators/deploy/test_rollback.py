"""A target whose deploy does not work goes back to what was verified, once, and stays there until somebody resumes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.naming import DeployNote, parse_note
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.plan.work import Remedy, Verb
from include.deploy_ops.core.policy.keys import Feedback, Verify
from include.deploy_ops.core.verification.standing import OVERTAKEN
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.operators import report
from include.deploy_ops.operators.deploy.deploy import DeployCodeOperator
from include.deploy_ops.operators.deploy.verify import VerifyDeployOperator
from include.deploy_ops.run.job import Job
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from tests.unit.operators.deploy.test_verify import BROKEN, tell
from tests.worlds.stages import stage as stages
from tests.worlds.stages.request import PRODUCTION, SLUG, Gate, open_gate
from tests.worlds.values.examples import make_project
from tests.worlds.values.faces import Faces, check_proof

if TYPE_CHECKING:
    from airflow.sdk.exceptions import TaskDeferred

    from include.deploy_ops.operators.notify import Occasion
    from tests.worlds.stages.stage import Run, Stage

PLAIN = DeployNote("main", "a" * 40, "a" * 40, "r", 1, is_forced=False)
APPROVAL = Approval("a" * 40, "b" * 40, "d1", "ada", datetime(2026, 11, 1, tzinfo=UTC))
RULES = Verify(airflow_conn_id="production_airflow", on_failure="rollback")


@dataclass
class Life:
    """Production, whose Airflow tells what `broken` says; what its runs are told and tell."""

    gate: Gate
    faces: Faces
    broken: list[dict[str, Any]] = field(default_factory=list)
    told: list[Occasion] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        """The world around."""
        return self.gate.stage

    @property
    def row(self) -> Row:
        """What people are shown of production."""
        row = self.stage.memory.read_row(SLUG)
        assert row is not None
        return row

    def look(self) -> list[Run]:
        """Make a pass, tell GitHub of it, see that all faces agree, and return production's runs that start."""
        runs = [run for run in self.stage.plan() if run.dag_id == "shop.production"]
        rows = self.stage.memory.read_rows()
        self.faces.tell(rows, datetime.now(UTC))
        self.faces.check(rows)
        check_proof(self.row, self.stage.memory.verification(SLUG).read())
        return runs

    def deploy(self, *broken: dict[str, Any]) -> Run:
        """Let the run that a pass starts be played, and what it deployed be so broken."""
        (run,) = self.look()
        self.broken = list(broken)
        run.play()
        return run

    def push(self, text: str) -> str:
        """Move the pull request's head."""
        return self.stage.push_more("astro_deploy", {"dags/release.py": f"# {text}\n"})

    def list_notes(self) -> list[Any]:
        """Return what production's deploys say of themselves, oldest first."""
        records = self.stage.list_deploys(self.gate.production)[::-1]
        return [parse_note(record["description"]) for record in records]

    def say(self, head: str) -> tuple[str, str]:
        """Return the commit status of a commit, and its words."""
        key = (head, "deploy-ops/production")
        return self.faces.statuses[key], self.faces.words[key]


@pytest.fixture
def life(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Life:
    """Give a production that follows a pull request, is verified, and merges it."""
    return begin(stage, monkeypatch, approval="none")


def begin(stage: Stage, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Life:
    """Return that production; `changes` are the policy's."""
    gate = open_gate(stage, monkeypatch, verify=RULES, **changes)
    stage.change_project(targets={"production": stage.scope.project.targets["production"]})
    facts = gather_facts(
        stage.scope.project,
        stage.scope.control_plane,
        is_alone=True,
        airflow_url="https://airflow",
        web_url="https://x",
    )
    life = Life(gate, Faces(replace(facts, feedback=Feedback())))
    await_event = stages.await_event

    def answer(deferred: TaskDeferred) -> dict[str, Any]:
        if isinstance(deferred.trigger, DeployVerifiedTrigger):
            return tell(*life.broken)
        return await_event(deferred)

    monkeypatch.setattr(stages, "await_event", answer)
    monkeypatch.setattr(report, "notify", lambda _, __, occasion: life.told.append(occasion))
    return life


def test_what_does_not_work_is_gone_back_from_once_and_a_person_resumes(life: Life) -> None:
    former = life.gate.read_merge()
    assert life.deploy().states["verify"] == "success"
    good_files = life.stage.list_files(life.gate.production)
    head = life.push("worse")
    failed = life.gate.read_merge()
    run = life.deploy(BROKEN)
    assert run.states["verify"] == "failed"
    assert [note.names_rollback for note in life.list_notes()] == [True, True]
    why = f"rollback from {failed.commit[:7]} to {former.commit[:7]}: 1 import error"

    back = life.deploy()
    assert life.row.why == why
    assert back.states["verify"] == "success"
    assert life.stage.list_files(life.gate.production) == good_files
    note = life.list_notes()[-1]
    failed_id = life.stage.list_deploys(life.gate.production)[1]["id"]
    assert (note.commit, note.how, note.undoes, note.names_rollback) == (former.commit, "override", failed_id, False)
    assert (life.told[-1].what, life.told[-1].cause) == (
        "verification",
        f"{why}\nit stays so until somebody mends the source and resumes",
    )

    said = f"overridden by a {why}, until resumed"
    assert life.look() == [], "neither again, nor merged"
    assert (life.row.state, life.row.why, life.row.deployed) == (State.HELD, said, former.commit)
    assert [(need.what, need.remedy) for need in life.row.needs] == [("deploy", Remedy.RESUME)]
    assert said in life.faces.comments[life.gate.number]
    assert life.say(head)[0] == "failure"
    assert "overridden by a rollback" in life.say(head)[1]
    assert life.say(former.commit)[0] == "success"
    deploys = life.stage.memory.deploys(SLUG).read()
    assert [(each.commit, each.reason, each.proof) for each in deploys] == [
        (former.commit, "", "verified"),
        (failed.commit, "", "failed"),
        (former.commit, why, "verified"),
    ]

    fixed = life.push("mended")
    assert life.look() == [], "a push alone ends no override"
    resuming = life.stage.start_target_form("production", action="resume")
    resuming.play()
    assert life.deploy().states["verify"] == "success"
    assert life.look()[0].conf["job"]["verb"] == "merge"
    assert (life.row.overridden, life.row.head) == ("", fixed)


def test_a_rollback_that_fails_is_a_hold_and_one_that_does_not_work_goes_no_further(life: Life) -> None:
    life.deploy()
    life.push("worse")
    life.deploy(BROKEN)
    (run,) = life.look()
    life.stage.sandbox.plant(face="astro", method="POST", path="/deploys$", status=403, times=None)
    run.play()
    assert life.stage.sandbox.client.delete("/sandbox/faults").is_success
    assert run.states["deploy"] == "failed"
    assert life.told[-1].cause.startswith("rollback from ")
    assert "; that failed: " in life.told[-1].cause
    assert life.look() == []
    assert life.row.state.value == "failed"
    assert "that failed, and is not tried again by itself" in life.row.why
    assert [(need.remedy, need.run_id) for need in life.row.needs] == [(Remedy.RETRY, run.run_id)]
    life.push("mended")
    (fix,) = life.look()
    life.stage.sandbox.plant(face="astro", method="POST", path="/deploys$", status=403, times=None)
    fix.play()
    assert life.stage.sandbox.client.delete("/sandbox/faults").is_success
    assert fix.states["deploy"] == "failed"
    assert not any(each.conf["job"]["undoes"] for each in life.look()), "no failed fix has it tried again"

    for task in ("deploy", "settle", "verify", "report", "change_type", "image", "claim"):
        run.states.pop(task, None)
    life.broken = [BROKEN, {**BROKEN, "file": "old.py", "error": "NameError: 'y'", "identity": "i2"}]
    run.play()
    assert run.states["settle"] == "success"
    assert life.look() == []
    assert life.row.state.value == "held"
    assert "until resumed; that is not verified either, 2 import errors: deploy one that works" in life.row.why


def test_it_goes_back_only_to_what_astro_knows_that_the_source_had(life: Life) -> None:
    life.deploy()
    life.push("worse")
    life.deploy(BROKEN)
    slot = life.stage.memory.verified(SLUG)
    forged = life.stage.push("evil", {"dags/evil.py": "# never deployed\n"})
    slot.write((replace(slot.read()[0], commit=forged),))
    before = life.stage.list_files(life.gate.production)
    (run,) = life.look()
    run.play()
    assert "Astro has no record that" in run.read_failure("deploy")["cause"]
    assert life.stage.list_files(life.gate.production) == before


def test_an_approval_names_it_and_the_very_image_that_ran_comes_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = begin(stage, monkeypatch)
    gate = life.gate

    def approve() -> str:
        run = gate.start_planned()
        page = run.ask()["body"]
        run.answer("Approve")
        run.finish()
        return str(page)

    rule = "If its verification fails, the newest verified deploy of its runtime is deployed again, once: now "
    former = gate.read_merge().commit
    assert f"{rule}**nothing**, since no deploy of runtime `3.3-2` is verified." in approve()
    first = life.deploy().xcoms["image"]["return_value"]
    stage.push_more("astro_deploy", {"requirements.txt": "# more\n"})
    assert f"{rule}[`{former[:12]}`]" in approve()
    assert gate.remembered.approval.rolls_back
    life.deploy(BROKEN)
    back = life.deploy()
    assert (back.states["deploy"], back.states["verify"]) == ("success", "success")
    image = back.xcoms["image"]["return_value"]
    assert (image["source"], image["digest"], image["origin"]) == ("reuse", first["digest"], "ci")
    assert gate.plan() == []
    assert f"to {former[:7]}: 1 import error, until resumed" in life.row.overridden


@pytest.mark.parametrize(
    ("rules", "note", "approval", "is_named"),
    [
        (RULES, PLAIN, None, True),
        (RULES, PLAIN, replace(APPROVAL, rolls_back=True), True),
        (RULES, PLAIN, APPROVAL, False),
        (Verify(), PLAIN, replace(APPROVAL, rolls_back=True), False),
        (None, PLAIN, None, False),
        (RULES, replace(PLAIN, is_override=True), None, False),
    ],
    ids=["ungated", "named", "given for a report", "policy edited", "not verified", "a person's word"],
)
def test_a_deploy_names_it_only_where_policy_and_approval_do(
    rules: Verify | None, note: DeployNote, approval: Approval | None, is_named: bool
) -> None:
    targets = {"production": PRODUCTION.model_copy(update={"verify": rules})}
    scope: Any = SimpleNamespace(project=make_project(targets=targets))
    job = Job(Verb.DEPLOY, "main", "a" * 40, "Production", "cl1", "why", target="production")
    task: Any = SimpleNamespace(scope=scope)
    assert DeployCodeOperator._names_rollback(task, job, note, approval) is is_named


@pytest.mark.parametrize(
    ("changes", "watched"),
    [({}, []), ({"approval": "none"}, ["main"]), ({"verify": Verify()}, ["main"])],
    ids=["gated", "ungated", "reported"],
)
def test_a_push_that_waits_for_an_approval_keeps_nothing_from_being_rolled_back(
    changes: dict[str, Any], watched: list[str]
) -> None:
    target = PRODUCTION.model_copy(update={"verify": RULES, **changes})
    scope: Any = SimpleNamespace(target=lambda _: target)
    job = Job(Verb.DEPLOY, "main", "a" * 40, "Production", "cl1", "why", target="production", work="w")
    task: Any = SimpleNamespace(scope=scope, github=None)
    task._is_gated_rollback = lambda job: VerifyDeployOperator._is_gated_rollback(task, job)
    assert list(VerifyDeployOperator._list_heads(task, job)) == watched


UNKNOWN = Verification("d3", "a" * 40, Proof.UNKNOWN, datetime(2026, 11, 1, tzinfo=UTC), "not verified: no connection")
STAYS = "\nit stays so until somebody mends the source and resumes"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, STAYS),
        (replace(UNKNOWN, proof=Proof.VERIFIED, said="verified"), STAYS),
        (
            replace(UNKNOWN, proof=Proof.FAILED, said="1 import error"),
            f"; that is not verified either:\n1 import error{STAYS}",
        ),
        (UNKNOWN, f"; that is not verified: no connection{STAYS}"),
        (replace(UNKNOWN, said=OVERTAKEN), "; that is not verified: a newer deploy came after it"),
    ],
    ids=["unasked", "verified", "failed", "unknown", "overtaken"],
)
def test_people_are_told_whether_what_was_gone_back_to_works(verdict: Verification | None, said: str) -> None:
    job = Job(Verb.DEPLOY, "main", "a" * 40, "Production", "cl1", "rollback from b to a", undoes="d2")
    assert report._tell_rollback(job, verdict) == f"rollback from b to a{said}"
