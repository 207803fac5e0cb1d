"""Production behind an approval, and somebody who writes XComs and the store: nothing is deployed without a yes."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.run.approvals import seal_approval
from include.deploy_ops.run.job import load_job, make_dispatch
from include.deploy_ops.run.seals import Seals
from sandbox.identity import REGISTRY_PASSWORD, REGISTRY_USER
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.stages.request import SLUG, Gate, open_gate
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.worlds.stages.request import RequestRun
    from tests.worlds.stages.stage import Run, Stage


@pytest.fixture
def gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return open_gate(stage, monkeypatch)


def forge(gate: Gate, **changes: Any) -> Approval:
    """Return the yes that somebody would like to have."""
    merge = gate.read_merge()
    plain = Approval(gate.head, merge.base, "", "ada", datetime.now(UTC), merges=True, commit=merge.commit)
    return replace(plain, **{"kind": "image-and-dags", "run_id": "r", **changes})


def remember(gate: Gate, approval: Approval) -> None:
    gate.stage.memory.approval(SLUG).write(approval)


def list_writes(gate: Gate) -> list[str]:
    return [*gate.stage.list_requests("astro", WRITES), *gate.stage.list_requests("github", WRITES)]


FORGERS: dict[str, Callable[[Gate], Approval]] = {
    "without a seal": forge,
    "with any seal": lambda gate: forge(gate, seal=f"1.00000000.{'0' * 64}"),
    "sealed with another token": lambda gate: seal_approval(
        Seals(gate.stage.scope.control_plane, ("guessed",)), gate.stage.scope.request_dag("production"), forge(gate)
    ),
    "given to another control plane": lambda gate: seal_approval(
        Seals("another", gate.stage.seals.tokens), gate.stage.scope.request_dag("production"), forge(gate)
    ),
    "given to another target": lambda gate: seal_approval(
        gate.stage.seals, gate.stage.scope.request_dag("staging"), forge(gate)
    ),
    "given to another project": lambda gate: seal_approval(gate.stage.seals, "other.production.request", forge(gate)),
    "given to another head": lambda gate: replace(
        seal_approval(gate.stage.seals, gate.stage.scope.request_dag("production"), forge(gate, head="1" * 40)),
        head=gate.head,
    ),
    "given by another person": lambda gate: replace(
        seal_approval(gate.stage.seals, gate.stage.scope.request_dag("production"), forge(gate)), person="the boss"
    ),
}


@pytest.mark.parametrize("make", FORGERS.values(), ids=FORGERS)
def test_an_approval_in_the_store_that_nobody_gave_is_none(gate: Gate, make: Callable[[Gate], Approval]) -> None:
    remember(gate, make(gate))
    (asked,) = gate.plan()
    assert asked["trigger_dag_id"] == "shop.production.request"
    job = replace(load_job(asked["conf"]["job"]), verb=Verb.DEPLOY)
    run = gate.stage.start_job("shop.production", "forged~1", job)  # as if control had been deceived all the same
    run.step("claim")
    run.step("change_type")
    gate.stage.forget_requests()
    for step in ("image", "deploy"):
        with pytest.raises((AirflowFailException, AirflowSkipException)):
            run.step(step)
    assert list_writes(gate) == []
    assert gate.stage.list_deploys(gate.production) == []


def test_a_merge_that_nobody_approved_is_none(gate: Gate) -> None:
    merge = gate.deploy_merge()
    (planned,) = gate.plan()
    job = load_job(planned["conf"]["job"])
    assert job.verb is Verb.MERGE
    remember(gate, replace(gate.remembered.approval, seal=""))
    run = gate.start_merge(job)
    gate.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="is not due any more"):
        run.step("merge")
    assert list_writes(gate) == []
    assert gate.read_merge().base == merge.base


def test_a_rejection_rewritten_as_a_yes_is_none(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    run.answer("Reject", "not today")
    run.xcoms["approve"]["return_value"] |= {"is_approved": True, "comment": ""}
    with pytest.raises(AirflowFailException, match="is not what was sealed there"):
        run.step("recheck")
    assert gate.remembered.approval is None
    run.hand("approve", run.xcoms["approve"]["return_value"])  # as if it could be sealed: the yes itself is missing
    with pytest.raises(AirflowFailException, match="bears no seal"):
        run.step("recheck")
    assert gate.remembered.approval is None


def test_a_task_that_was_marked_as_a_success_answers_nothing(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    run.states["approve"] = "success"
    with pytest.raises(AirflowSkipException, match="'approve' was skipped"):
        run.step("recheck")
    assert gate.remembered.approval is None


XCOMS: dict[str, tuple[str, dict[str, Any]]] = {
    "another commit": ("prepare", {"commit": "1" * 40}),
    "another head": ("prepare", {"head": "1" * 40}),
    "another deploy below": ("change_type", {"observed": "d1"}),
    "another kind": ("change_type", {"change_type": "dags"}),
}


@pytest.mark.parametrize(("task", "changes"), XCOMS.values(), ids=XCOMS)
@pytest.mark.parametrize("is_sealed", [False, True])
def test_what_is_swapped_while_a_person_thinks_is_not_approved(
    gate: Gate, task: str, changes: Mapping[str, Any], *, is_sealed: bool
) -> None:
    run = gate.start_planned()
    run.ask()
    if is_sealed:
        run.rehand(task, **changes)
    else:
        run.xcoms[task]["return_value"] |= changes
    try:
        run.answer("Approve")
    except AirflowFailException:  # who may answer is read of the job once more
        assert "return_value" not in run.xcoms["approve"]
        return
    approval = load_approval(run)
    assert (approval["head"], approval["commit"]) == (gate.head, gate.read_merge().commit)
    assert (approval["observed"], approval["kind"]) == ("", "image-and-dags")
    try:
        run.step("recheck")
    except (AirflowFailException, AirflowSkipException):
        assert gate.remembered.approval is None
    else:  # what was asked is what is remembered
        assert gate.remembered.approval.kind == "image-and-dags"


def load_approval(run: RequestRun) -> dict[str, Any]:
    return dict(run.xcoms["approve"]["return_value"]["approval"])


def test_an_answer_of_a_run_counts_in_no_other(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    other = gate.start(copy.deepcopy(run.conf), "another", "operator_triggered")
    with pytest.raises(AirflowFailException, match="is not what was sealed there"):
        other.step("prepare")
    other.xcoms = copy.deepcopy(run.xcoms)
    with pytest.raises(AirflowFailException, match="is not what was sealed there"):
        other.step("recheck")
    assert gate.remembered.approval is None


def ask_and_approve(gate: Gate) -> Run:
    """Let control plan a deploy that was approved, and return its run, claimed and decided."""
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    run.finish()
    (planned,) = gate.plan()
    made = gate.stage.start_dispatched(planned)
    for step in ("claim", "change_type"):
        made.step(step)
    return made


def move_tag(stage: Stage, tag: str, other: str) -> None:
    """Let the CI's tag name another commit's image."""
    registry = RegistryHook(None)
    repository = f"{stage.sandbox.host}/acme/data-platform"
    before = registry.find_image(f"{repository}:{tag}")
    registry.copy_image(f"{repository}:{other}", f"{repository}:{tag}", REGISTRY_USER, REGISTRY_PASSWORD)
    after = registry.find_image(f"{repository}:{tag}")
    assert before is not None
    assert after is not None
    assert before.digest != after.digest


def test_the_image_that_was_approved_is_deployed_though_its_tag_moved(gate: Gate) -> None:
    run = ask_and_approve(gate)
    asked = gate.remembered.approval.image
    repository, _, digest = asked.partition("@")
    move_tag(gate.stage, gate.head, gate.stage.author.git("rev-parse", "origin/main"))
    found = run.step("image")
    assert (found["image"], found["digest"]) == (f"{repository}@{digest}", digest)
    run.step("deploy")
    (record,) = gate.stage.list_deploys(gate.production)
    assert "image=ci" in record["description"]
    assert "approved=ada" in record["description"]


def test_another_image_than_the_approved_one_is_not_deployed(gate: Gate) -> None:
    run = ask_and_approve(gate)
    run.step("image")
    run.rehand("image", digest=f"sha256:{'0' * 64}")  # as if it could be sealed
    gate.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="ada approved image-and-dags with image sha256:"):
        run.step("deploy")
    assert list_writes(gate) == []
    assert gate.remembered.approval is None


def test_a_kind_that_was_not_approved_is_not_deployed(gate: Gate) -> None:
    run = ask_and_approve(gate)
    run.rehand("change_type", change_type="dags")
    gate.stage.forget_requests()
    with pytest.raises(AirflowSkipException, match="this would be dags; the next request asks anew"):
        run.step("deploy")
    assert list_writes(gate) == []
    assert gate.remembered.approval is None


def test_an_approved_image_that_is_gone_is_asked_about_anew(gate: Gate) -> None:
    run = ask_and_approve(gate)
    unknown = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
    fault = {"method": "GET", "path": "manifests/sha256", "status": 404, "body": unknown}
    assert gate.stage.sandbox.client.post("/sandbox/faults", json=fault).is_success
    with pytest.raises(AirflowSkipException, match="is not in the registry any more; the next request asks anew"):
        run.step("image")
    assert gate.remembered.approval is None
    assert gate.stage.list_deploys(gate.production) == []


def test_what_is_built_has_no_digest_and_is_refused_behind_an_approval(gate: Gate) -> None:
    gate.stage.change_project(image=("build",))
    run = gate.start_planned()
    run.step("prepare")
    run.step("change_type")
    with pytest.raises(Exception, match=r"set `targets\.production\.build: true`"):
        run.step("image")
    assert gate.asked == {}


def test_a_persons_release_carries_the_yes_to_it(gate: Gate) -> None:
    run = gate.start_form(deploy_type="dags")
    run.ask()
    run.answer("Approve")
    (dispatched,) = run.finish()
    job = load_job(dispatched["conf"]["job"])
    assert job.approval is not None
    without = make_dispatch(gate.stage.seals, "shop.production", "stripped~1", replace(job, approval=None))
    other = make_dispatch(
        gate.stage.seals, "shop.production", "other~1", replace(job, approval=replace(job.approval, person="the boss"))
    )
    for each, said in ((without, "nobody approved"), (other, "changed by hand")):
        made = gate.stage.start_dispatched(each)
        made.step("claim")
        made.step("change_type")
        gate.stage.forget_requests()
        with pytest.raises((AirflowFailException, AirflowSkipException), match=said):
            made.step("deploy")
        assert list_writes(gate) == []
        gate.stage.airflow.states[made.run_id] = "failed"


def test_a_question_that_is_asked_again_shows_what_is_asked(gate: Gate) -> None:
    run = gate.start_planned()
    run.ask()
    gate.record(gate.production, run_id="by-hand", is_forced=True)
    run.states.pop("approve")
    run.step("change_type")
    with pytest.raises(AirflowFailException, match="has asked about something else before"):
        run.park()


def test_a_rotated_token_voids_an_approval_and_it_is_asked_again(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    run.finish()
    rotated = Seals(gate.stage.scope.control_plane, ("before",))
    approval = seal_approval(rotated, gate.stage.scope.request_dag("production"), gate.remembered.approval)
    gate.stage.memory.approval(SLUG).write(approval)
    gate.stage.memory.requests(SLUG).forget()  # as if the minute after it had passed
    assert json.loads(os.environ["AIRFLOW_CONN_ASTRO_DEFAULT"])["password"] not in json.dumps(run.xcoms)
    (asked,) = gate.plan()
    assert asked["trigger_dag_id"] == "shop.production.request"


def test_a_kept_answer_that_nobody_gave_is_asked_for(gate: Gate) -> None:
    """Who may write the task's store keeps no yes there: neither one by hand, nor that of another run or clearing."""
    run = gate.start_planned()
    run.ask()
    run.answer("Approve")
    real = copy.deepcopy(run.task_stores["approve"].values["answer"])
    forged = copy.deepcopy(real)
    forged["value"]["answer"]["person"] = "the boss"
    garbled = ("yes", {"seal": real["seal"]}, {"value": real["value"]}, {"value": [], "seal": "x"})
    gate.stage.airflow.states[run.run_id] = "success"
    gate.stage.memory.approval(SLUG).forget()
    gate.stage.memory.requests(SLUG).forget()
    other = gate.start_form(deploy_type="dags", reason="on fire")
    for step in ("prepare", "change_type"):
        other.step(step)
    for kept in (real, forged, *garbled):
        other.task_stores.setdefault("approve", DictStore()).values["answer"] = copy.deepcopy(kept)
        gate.asked.clear()
        assert other.park()["subject"]
    run.clear_number += 1
    for kept in (real, forged):
        run.task_stores["approve"].values["answer"] = copy.deepcopy(kept)
        gate.asked.clear()
        assert run.park()["subject"]
    assert gate.remembered.approval is None
