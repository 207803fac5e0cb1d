"""Whether what runs in an environment is verified, and what of that waits for a person. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.verification.judging import tell_errors
from include.deploy_ops.core.verification.standing import advise, awaits_proof, recall_verification
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.needs import NEED_LENGTH_MAX, NEEDS_MAX, Need
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from include.deploy_ops.core.view.pass_record import PassRecord

ASKING = frozenset({*(verb.value for verb in (Verb.CREATE, Verb.DEPLOY, Verb.VERIFY, Verb.MUTE)), ""})
"""The verbs whose runs verify; of a person's run a row does not tell the verb."""


def is_asking(row: Row) -> bool:
    """Whether a run is at work that verifies, or may."""
    return bool(row.run_id) and row.verb in ASKING


def add_proof(record: PassRecord, row: Row) -> Row:
    """Return the row with the verification of its newest deploy record, and a need where that did not succeed.

    A row that has its state already: a run at work may have asked, and not been answered.
    """
    rules = record.project.find_verify(row.environment if row.kind is RowKind.TARGET else "")
    history = record.observed.histories.get(row.deployment_id, DeployHistory())
    if rules is None or row.kind is RowKind.DEPLOY_BRANCH or not (row.deployment_id and history.newest_id):
        return row
    is_asked = row.state is State.DEPLOYING and is_asking(row)
    known = recall_verification(
        record.verifications.get(row.slug), history.newest_id, history.commit, is_asking=is_asked
    )
    row = replace(
        row, verification=known, awaits_proof=awaits_proof(known, is_success_unknown=rules.unknown == "success")
    )
    # Of a verification that could not tell, and that nothing waits for, nobody has to do anything.
    is_needed = known.proof is Proof.FAILED or (known.proof is Proof.UNKNOWN and row.awaits_proof and not is_asked)
    if is_needed and not any(known.said in need.why for need in row.needs):  # a merge that waits for it says so
        why = f"{tell_errors(known)}\n{advise(known)}"[:NEED_LENGTH_MAX]
        row = replace(row, needs=(*row.needs, Need(Verb.VERIFY.value, why))[:NEEDS_MAX])
    return row
