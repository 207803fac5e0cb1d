"""A verdict speaks of its own record alone, and nothing good follows from one that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.verification.smoke import count_attempt
from include.deploy_ops.core.verification.standing import advise, awaits_proof, keep_verdict, recall_verification
from include.deploy_ops.core.verification.verdict import Proof, Verification

KNOWN = Verification("d1", "c" * 40, Proof.VERIFIED, datetime(2026, 11, 20, tzinfo=UTC), "verified")


@pytest.mark.parametrize("is_asking", [True, False])
@pytest.mark.parametrize("known", [None, KNOWN, replace(KNOWN, proof=Proof.FAILED)])
def test_of_another_record_nothing_is_known(known: Verification | None, is_asking: bool) -> None:
    found = recall_verification(known, "d2", "e" * 40, is_asking=is_asking)
    assert (found.deploy_id, found.commit) == ("d2", "e" * 40)
    assert found.proof is (Proof.PENDING if is_asking else Proof.UNKNOWN)


def test_a_question_without_a_run_is_answered_by_nobody() -> None:
    asked = replace(KNOWN, proof=Proof.PENDING, said="being verified")
    assert recall_verification(asked, "d1", "", is_asking=True) == asked
    lost = recall_verification(asked, "d1", "")
    assert (lost.proof, lost.said.partition(":")[0]) == (Proof.UNKNOWN, "not verified")


@pytest.mark.parametrize("proof", [Proof.FAILED, Proof.VERIFIED])
def test_a_verdict_stands_while_it_is_asked_again_and_when_that_dies(proof: Proof) -> None:
    known = replace(KNOWN, proof=proof, said="so it is", attempt=1)
    asked = replace(KNOWN, proof=Proof.PENDING, said="being verified", attempt=2, unpaused=("smoke_a",))
    kept = keep_verdict(known, asked)
    assert (kept.proof, kept.attempt, kept.unpaused) == (proof, 2, ("smoke_a",))
    assert count_attempt(kept, "d1") == 2  # who comes after the death goes on
    told = recall_verification(kept, "d1", "", is_asking=True)
    assert (told.proof, told.said) == (proof, "so it is; asked again: being verified")
    died = recall_verification(kept, "d1", "")
    assert (died.proof, died.said[:48]) == (proof, "so it is; asked again: not verified: the run tha")


def test_a_question_without_an_answer_takes_no_verdict_away_and_another_verdict_does() -> None:
    failed = replace(KNOWN, proof=Proof.FAILED, said="1 import error", again="being verified")
    unknown = replace(KNOWN, proof=Proof.UNKNOWN, said="not verified: no connection")
    assert keep_verdict(failed, unknown) == replace(failed, again="not verified: no connection")
    assert keep_verdict(failed, KNOWN) == KNOWN
    for other in (replace(unknown, deploy_id="d2"), replace(KNOWN, deploy_id="d2", proof=Proof.PENDING)):
        assert keep_verdict(failed, other) == other
    assert keep_verdict(None, unknown) == keep_verdict(unknown, unknown) == unknown


def test_what_is_verified_again_is_so_since_the_first_time_unless_it_failed_in_between() -> None:
    second, third = (replace(KNOWN, at=KNOWN.at + timedelta(hours=hours)) for hours in (1, 2))
    failed = replace(second, proof=Proof.FAILED)
    asking = replace(second, proof=Proof.PENDING)
    assert keep_verdict(keep_verdict(keep_verdict(KNOWN, second), asking), third) == replace(third, since=KNOWN.at)
    assert keep_verdict(keep_verdict(KNOWN, failed), third).since is None
    assert keep_verdict(KNOWN, replace(second, deploy_id="d2")).since is None


@given(st.sampled_from(Proof), st.booleans())
def test_nothing_good_follows_before_the_proof(proof: Proof, is_success_unknown: bool) -> None:
    awaits = awaits_proof(replace(KNOWN, proof=proof), is_success_unknown=is_success_unknown)
    assert awaits == (proof not in ({Proof.VERIFIED, Proof.UNKNOWN} if is_success_unknown else {Proof.VERIFIED}))


def test_advice_says_what_a_person_does() -> None:
    assert "push" in advise(replace(KNOWN, proof=Proof.FAILED))
    assert "'verify'" in advise(replace(KNOWN, proof=Proof.UNKNOWN))


def test_what_an_older_release_verified_tells_its_runtime_once_it_is_asked_again() -> None:
    asked = replace(KNOWN, proof=Proof.PENDING, said="being verified", runtime="13.1")
    kept = keep_verdict(KNOWN, asked)
    assert (kept.proof, kept.runtime) == (Proof.VERIFIED, "13.1")
    assert keep_verdict(kept, replace(asked, runtime="")).runtime == "13.1"
