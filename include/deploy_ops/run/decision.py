"""The decision on the change type, as later tasks of the run read it: the one place that knows its form in XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.model import DeployDecision
from include.deploy_ops.core.target.release import ReleaseDecision

if TYPE_CHECKING:
    from collections.abc import Callable

CLAIM_TASK, CHANGE_TASK = "claim", "change_type"
DECISION_KEY = "decision"
"""Under which key the claim hands on the decision where it makes that itself, so that the step need not start."""

_DEPLOY, _RELEASE = TypeAdapter(DeployDecision), TypeAdapter(ReleaseDecision)
_UNASKED = {"image_base", "dags_base", "is_partial", "subject", "author", "changed_dags"}


def dump_decision(decision: DeployDecision) -> dict[str, Any]:
    """Return the decision as JSON for XCom."""
    if isinstance(decision, ReleaseDecision):
        return dict(_RELEASE.dump_python(decision, mode="json", exclude=_UNASKED))
    return dict(_DEPLOY.dump_python(decision, mode="json"))


def read_decision(read: Callable[..., Any]) -> Any:
    """Return the decision that the run's step has made, else its claim's; None where there is none.

    :param read: a task, and the XCom's key where it is not what the task returned → the value.
    """
    decided = read(CHANGE_TASK)
    return decided if decided is not None else read(CLAIM_TASK, DECISION_KEY)


def load_decision(value: Any) -> DeployDecision:
    """Return the decision that `dump_decision` wrote, of a release without what its approver is shown."""
    return _DEPLOY.validate_python(value)


def load_release_decision(value: Any) -> ReleaseDecision:
    """Return the decision about a release that `dump_decision` wrote."""
    return _RELEASE.validate_python(value)
