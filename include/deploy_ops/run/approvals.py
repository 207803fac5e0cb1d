"""A person's yes to a release: sealed by the task that asked, and checked wherever somebody acts on it.

Between the two it lies in XComs and in the state store, which others may write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.run.seals import APPROVAL, Place

if TYPE_CHECKING:
    from include.deploy_ops.core.plan.remembered import Remembered
    from include.deploy_ops.run.seals import Seals
    from include.deploy_ops.run.store import FilledSlot

_APPROVAL = TypeAdapter(Approval)


def seal_approval(seals: Seals, dag_id: str, approval: Approval) -> Approval:
    """Return the approval as the run of the request DAG that asked gives it out."""
    return replace(approval, seal=seals.make(APPROVAL, _place(dag_id, approval), _dump(approval)))


def check_approval(seals: Seals, dag_id: str, approval: Approval) -> None:
    """Raise SealError unless a run of the request DAG gave out exactly this approval."""
    seals.check(APPROVAL, _place(dag_id, approval), _dump(approval), approval.seal)


def void_approval(environment: FilledSlot[Remembered], approval: Approval) -> None:
    """Forget this yes where it is remembered: as long as it counts, nobody is asked anew. For the claim's holder."""
    if (known := environment.read()).approval == approval:
        environment.write(replace(known, approval=None))


def _place(dag_id: str, approval: Approval) -> Place:
    return Place(dag_id, approval.run_id, "approval")


def _dump(approval: Approval) -> Any:
    # Without what equals its default: a field that a later release adds must not break what is sealed already.
    return _APPROVAL.dump_python(replace(approval, seal=""), mode="json", exclude_defaults=True)
