"""The verdict in a row: of the newest deploy record alone, with a need where it is a person's turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.plan.work import Hold, Plan, Remedy
from include.deploy_ops.core.policy.keys import Verify
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.verification.verdict import BrokenFile, Proof, Verification
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.core.view.rows import make_rows
from tests.worlds.values.examples import PLANE, make_deployment, make_project, sha

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = sha("a")
BROKEN = BrokenFile("a.py", 3, "KeyError: 'x'")


def verdict(proof: Proof, deploy_id: str = "d1") -> Verification:
    broken = (BROKEN,) if proof is Proof.FAILED else ()
    return Verification(deploy_id, HEAD, proof, NOW, f"it is {proof.value}", broken=broken)


def show(known: Verification | None, verify: Verify | None = Verify(), **changes: Any) -> Row:  # noqa: B008 - frozen
    """Return the row of a preview that runs its head, of which this is remembered."""
    project = make_project(targets={})
    assert project.previews is not None
    deployment = make_deployment("dev-a")
    record = PassRecord(
        project=project.model_copy(update={"previews": project.previews.model_copy(update={"verify": verify})}),
        control_plane=PLANE,
        now=NOW,
        snapshot=RepositorySnapshot((Branch("main", sha("0")), Branch("dev-a", HEAD)), ()),
        observed=Observed((deployment,), {deployment.id: DeployHistory(newest_id="d1", head=HEAD, commit=HEAD)}),
        wanted={"dev-a": HEAD},
        targets=(),
        plan=Plan((), (), 1),
        verifications={"dev-a": known} if known else {},
    )
    return make_rows(replace(record, **changes))["dev-a"]


@pytest.mark.parametrize("proof", [Proof.VERIFIED, Proof.FAILED, Proof.UNKNOWN])
def test_the_row_has_the_stored_verdict(proof: Proof) -> None:
    row = show(verdict(proof))
    assert row.verification == verdict(proof)
    assert row.state is State.LIVE
    assert row.awaits_proof == (proof is not Proof.VERIFIED)


def test_without_the_key_nothing_is_asked_and_nothing_shown() -> None:
    row = show(verdict(Proof.FAILED), None)
    assert (row.verification, row.awaits_proof, row.needs) == (None, False, ())


@pytest.mark.parametrize(
    "known", [None, verdict(Proof.VERIFIED, "d0"), verdict(Proof.FAILED, "d0"), verdict(Proof.PENDING)]
)
def test_of_the_newest_record_nothing_is_known_where_nobody_was_told(known: Verification | None) -> None:
    row = show(known)
    assert row.verification is not None
    assert (row.verification.deploy_id, row.verification.proof) == ("d1", Proof.UNKNOWN)
    assert row.verification.broken == ()


@pytest.mark.parametrize("run_id", [*(f"dev-a~{verb}~x~y~1" for verb in ("deploy", "verify")), "manual__2026-11-20"])
def test_while_a_run_asks_the_verdict_is_open(run_id: str) -> None:
    row = show(verdict(Proof.PENDING), in_flight={"dev-a": run_id})
    assert row.verification == verdict(Proof.PENDING)
    assert row.needs == ()


def test_a_failed_verification_waits_for_a_person_with_what_to_do() -> None:
    (need,) = show(verdict(Proof.FAILED)).needs
    assert (need.what, need.remedy) == ("verify", Remedy.MEND)
    assert "dags/a.py, line 3: KeyError: 'x'" in need.why
    assert "push a commit" in need.why


def test_what_is_not_known_waits_for_a_person_unless_the_policy_lets_it_pass() -> None:
    assert [need.what for need in show(verdict(Proof.UNKNOWN)).needs] == ["verify"]
    row = show(verdict(Proof.UNKNOWN), Verify(unknown="success"))
    assert (row.needs, row.awaits_proof) == ((), False)
    assert show(verdict(Proof.VERIFIED)).needs == ()


def test_a_merge_that_waits_for_the_proof_is_needed_once() -> None:
    known = verdict(Proof.FAILED)
    hold = Hold("dev-a", "merge", f"{known.said}; push a commit that mends it")
    assert [need.what for need in show(known, plan=Plan((), (hold,), 1)).needs] == ["merge"]
