"""What a target goes back to: the newest verified deploy of its runtime, for a plain deploy that names it, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.verification.fallback import (
    VERIFIED_MAX,
    VerifiedDeploy,
    find_fallback,
    has_failed,
    note_verdict,
)
from include.deploy_ops.core.verification.verdict import Proof, Verification
from tests.worlds.values.examples import sha

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RUNS = DeployHistory("d2", sha("b"), sha("b"), sha("b"), names_rollback=True)
FAILED = Verification("d2", sha("b"), Proof.FAILED, NOW, "2 import errors", runtime="13.1")
GOOD = Verification("d1", sha("a"), Proof.VERIFIED, NOW, "verified", runtime="13.1")
FORMER = VerifiedDeploy("d1", sha("a"), "13.1", NOW)


def test_a_verified_deploy_is_remembered_with_its_runtime_and_each_record_once() -> None:
    known = note_verdict((), GOOD)
    assert known == (FORMER,)
    later = NOW + timedelta(hours=1)
    assert note_verdict(known, replace(GOOD, at=later)) == (replace(FORMER, at=later),)


@pytest.mark.parametrize("proof", [Proof.PENDING, Proof.UNKNOWN])
def test_what_is_not_known_changes_nothing(proof: Proof) -> None:
    assert note_verdict((FORMER,), replace(GOOD, proof=proof)) == (FORMER,)


def test_what_an_override_or_a_stranger_deployed_is_nothing_to_go_back_to() -> None:
    assert note_verdict((), replace(GOOD, runtime="")) == ()


def test_what_fails_later_is_gone_back_to_no_more_unless_it_is_verified_again() -> None:
    refuted = note_verdict((FORMER,), replace(GOOD, proof=Proof.FAILED))
    assert refuted == (replace(FORMER, is_refuted=True),)
    assert find_fallback(refuted, "13.1") is None
    assert find_fallback(note_verdict(refuted, GOOD), "13.1") == FORMER


def test_a_commit_that_a_rollback_shows_not_to_work_is_gone_back_to_no_more() -> None:
    older = VerifiedDeploy("d0", sha("c"), "13.1", NOW)
    gone_back = replace(GOOD, deploy_id="d3", proof=Proof.FAILED, runtime="")
    assert find_fallback(note_verdict((older, FORMER), gone_back), "13.1") == older


def test_a_failed_deploy_that_names_it_is_rolled_back() -> None:
    assert has_failed(RUNS, FAILED, [FORMER])


@pytest.mark.parametrize(
    ("history", "known"),
    [
        (replace(RUNS, names_rollback=False), FAILED),
        (replace(RUNS, newest_id="d3"), FAILED),
        (RUNS, None),
        *((RUNS, replace(FAILED, proof=proof)) for proof in Proof if proof is not Proof.FAILED),
    ],
    ids=["unnamed", "newer", "unasked", "pending", "verified", "unknown"],
)
def test_nothing_else_is(history: DeployHistory, known: Verification | None) -> None:
    assert not has_failed(history, known, [FORMER])


def test_what_was_verified_once_is_not_rolled_back_for_a_later_failure() -> None:
    assert not has_failed(RUNS, FAILED, [FORMER, replace(FORMER, deploy_id="d2", is_refuted=True)])


_VERDICTS = st.builds(
    Verification,
    deploy_id=st.sampled_from([f"d{number}" for number in range(2 * VERIFIED_MAX)]),
    commit=st.sampled_from([sha("a"), sha("b")]),
    proof=st.sampled_from(Proof),
    at=st.datetimes(timezones=st.just(UTC)),
    runtime=st.sampled_from(["", "13.0", "13.1"]),
)


@given(st.lists(_VERDICTS, max_size=60), st.sampled_from(["13.0", "13.1"]))
def test_it_goes_back_to_what_was_verified_last_on_that_runtime_and_never_failed_since(
    verdicts: list[Verification], runtime: str
) -> None:
    known: tuple[VerifiedDeploy, ...] = ()
    for each in verdicts:
        known = note_verdict(known, each)
        assert len(known) <= VERIFIED_MAX
        assert len({entry.deploy_id for entry in known}) == len(known)
    found = find_fallback(known, runtime)
    if found is None:
        return
    about = [each for each in verdicts if each.deploy_id == found.deploy_id and _is_spoken(each)]
    assert (about[-1].proof, about[-1].runtime, about[-1].commit) == (Proof.VERIFIED, runtime, found.commit)
    later = verdicts[max(number for number, each in enumerate(verdicts) if each is about[-1]) :]
    assert not any(each.proof is Proof.FAILED and each.commit == found.commit for each in later)


def _is_spoken(verdict: Verification) -> bool:
    """Whether it says something of a plain deploy; what is verified without a runtime is none."""
    return verdict.proof is Proof.FAILED or (verdict.proof is Proof.VERIFIED and bool(verdict.runtime))
