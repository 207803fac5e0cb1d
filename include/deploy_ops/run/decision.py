"""The change type step's decision, as later tasks of the run read it: the one place that knows its form in XCom."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from include.deploy_ops.core.model import DeployDecision
from include.deploy_ops.core.target.release import ReleaseDecision

_DEPLOY, _RELEASE = TypeAdapter(DeployDecision), TypeAdapter(ReleaseDecision)
_UNASKED = {"image_base", "dags_base", "is_partial", "subject", "author", "changed_dags"}


def dump_decision(decision: DeployDecision) -> dict[str, Any]:
    """Return the decision as JSON for XCom."""
    if isinstance(decision, ReleaseDecision):
        return dict(_RELEASE.dump_python(decision, mode="json", exclude=_UNASKED))
    return dict(_DEPLOY.dump_python(decision, mode="json"))


def load_decision(value: Any) -> DeployDecision:
    """Return the decision that `dump_decision` wrote, of a release without what its approver is shown."""
    return _DEPLOY.validate_python(value)


def load_release_decision(value: Any) -> ReleaseDecision:
    """Return the decision about a release that `dump_decision` wrote."""
    return _RELEASE.validate_python(value)
