"""What the remembered verdict means for what runs now: of another record it says nothing. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from include.deploy_ops.core.verification.verdict import Proof, Verification

BEING_VERIFIED, NOT_YET = "being verified", "not verified yet"
NOT_VERIFIED = "not verified"
UNASKED = f"{NOT_VERIFIED}: nobody asked its Airflow since this deploy"
UNANSWERED = f"{NOT_VERIFIED}: the run that asked its Airflow ended without an answer"
OVERTAKEN = f"{NOT_VERIFIED}: a newer deploy came after it"
_VERDICTS = frozenset({Proof.VERIFIED, Proof.FAILED})
_NEVER = datetime.min.replace(tzinfo=UTC)


def recall_verification(
    known: Verification | None, deploy_id: str, commit: str, *, is_asking: bool = False
) -> Verification:
    """Return what is known of the newest deploy record.

    :param known: the newest verification that is remembered, of whatever record.
    :param is_asking: whether a run is at work that verifies; without one a question stays open for good.
    """
    if known is None or known.deploy_id != deploy_id:
        proof, said = (Proof.PENDING, NOT_YET) if is_asking else (Proof.UNKNOWN, UNASKED)
        return Verification(deploy_id, commit, proof, _NEVER, said)
    if known.proof is Proof.PENDING and not is_asking:
        return replace(known, proof=Proof.UNKNOWN, said=UNANSWERED)
    if known.again.startswith(BEING_VERIFIED) and not is_asking:
        known = replace(known, again=UNANSWERED)
    return replace(known, said=tell_standing(known), again="")


def keep_verdict(known: Verification | None, found: Verification) -> Verification:
    """Return what is to be remembered: a verdict on the very record stands until another one, whoever asks meanwhile.

    :param known: what is remembered until now.
    :param found: what is known anew; a question that is open, or was not answered, is no verdict.
    """
    is_judged = known is not None and known.proof in _VERDICTS and known.deploy_id == found.deploy_id
    if known is None or not is_judged:
        return found
    if found.proof in _VERDICTS:
        is_still = known.proof is found.proof is Proof.VERIFIED
        return replace(found, since=known.since or known.at) if is_still else found
    return replace(
        known, attempt=found.attempt, unpaused=found.unpaused, again=found.said, runtime=found.runtime or known.runtime
    )


def tell_standing(verification: Verification) -> str:
    """Return the verdict in a line, with what became of asking once more."""
    return f"{verification.said}; asked again: {verification.again}" if verification.again else verification.said


def awaits_proof(verification: Verification, *, is_success_unknown: bool) -> bool:
    """Whether nothing good may follow yet: it failed, or is not known, and the policy lets that be no success.

    :param is_success_unknown: the policy's `unknown: success`.
    """
    if verification.proof is Proof.UNKNOWN:
        return not is_success_unknown
    return verification.proof is not Proof.VERIFIED


def advise(verification: Verification) -> str:
    """Return what a person does about a verification that did not succeed."""
    if verification.proof is Proof.FAILED and verification.runs:
        return "push a commit that mends it, or run it again by the form's action 'verify'"
    if verification.proof is Proof.FAILED:
        return "push a commit that mends it, or mute the error of a preview by the action 'mute'"
    return "mend what stands in the way, then verify it by the form's action 'verify', or by clearing the task 'verify'"
