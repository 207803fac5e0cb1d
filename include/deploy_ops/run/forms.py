"""What a person may ask for by hand: the forms' fields, and what was filled in, checked.

Airflow checks types and choices where the form is sent; here everything is checked again, since `conf` may be anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import is_branch
from include.deploy_ops.run.job import INFER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEPLOY_TYPES = (INFER, ChangeType.DAGS.value, ChangeType.IMAGE.value)
PREVIEW_ACTIONS = (Verb.DEPLOY.value, Verb.DELETE.value, Verb.KEEP.value, Verb.ADOPT.value, Verb.RESUME.value)
TARGET_ACTIONS = (Verb.DEPLOY.value, Verb.RESUME.value)
REQUEST_ACTIONS = (Verb.DEPLOY.value,)
PROMOTION_ACTIONS = (Verb.PROMOTE.value, Verb.ADOPT.value)

_ACTION_GUIDE = {
    Verb.DEPLOY.value: "deploy the ref below",
    Verb.DELETE.value: "delete the Deployment until the branch moves",
    Verb.KEEP.value: "keep it, however idle it is, until somebody resumes it",
    Verb.ADOPT.value: "mark a Deployment of the preview's name as ours, after approval",
    Verb.RESUME.value: "end a hold: what the source has now is deployed again",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What a person filled in.

    `branch` is empty in a target's form, `ref` where what the source has now is meant.
    """

    branch: str = ""
    action: str = Verb.DEPLOY.value
    ref: str = ""
    deploy_type: str = INFER
    create_if_missing: bool = True
    wake: bool = False
    dry_run: bool = False
    reason: str = ""


def make_preview_params() -> dict[str, Param]:
    """Return the fields of a preview DAG's form."""
    branch = Param("", type="string", title="Branch", description_md="The branch whose preview is meant")
    missing = Param(
        default=True,
        type="boolean",
        title="Create if missing",
        description_md="Make the Deployment where there is none; otherwise the run fails",
    )
    common = make_target_params(PREVIEW_ACTIONS)
    return {"branch": branch, **common, "create_if_missing": missing, "reason": common["reason"]}


def make_target_params(actions: Sequence[str] = TARGET_ACTIONS) -> dict[str, Param]:
    """Return the fields of a target DAG's form."""
    guide = "; ".join(f"`{action}`: {_ACTION_GUIDE[action]}" for action in actions)
    return {
        "action": Param(actions[0], type="string", enum=list(actions), title="Action", description_md=guide),
        "ref": Param(
            "",
            type="string",
            title="Ref",
            description_md="A branch, tag or commit; empty: what the source has now. Anything else than that stays "
            "deployed until the branch moves, or, on a target, until somebody resumes it",
        ),
        "deploy_type": Param(
            INFER,
            type="string",
            enum=list(DEPLOY_TYPES),
            title="Deploy type",
            description_md="`infer` compares with what is deployed; the others force that deploy",
        ),
        "wake": Param(
            default=False, type="boolean", title="Wake", description_md="Wake the Deployment if it hibernates"
        ),
        "dry_run": Param(
            default=False, type="boolean", title="Dry run", description_md="Plan and render only; write nothing"
        ),
        "reason": Param(
            "", type="string", title="Reason", description_md="Required; stands in the deploy's description"
        ),
    }


def make_promotion_params() -> dict[str, Param]:
    """Return the fields of a promotion DAG's form."""
    common = make_target_params()
    return {
        "action": Param(
            Verb.PROMOTE.value,
            type="string",
            enum=list(PROMOTION_ACTIONS),
            title="Action",
            description_md="`promote`: bring the deploy branch to the open pull requests' DAGs; `adopt`: take over the "
            "commit that somebody else pushed to it, then promote on top of it, which takes back what no pull request "
            "has",
        ),
        "dry_run": common["dry_run"],
        "reason": Param("", type="string", title="Reason", description_md="Required; stands in the run's log"),
    }


def read_form(params: Mapping[str, Any], actions: Sequence[str], *, needs_branch: bool = False) -> Form:
    """Return what a person filled in. Raises PermanentError that names the field, what was found, and what it takes."""
    form = Form(**{field.name: _read_field(params, field.name, field.default) for field in fields(Form)})
    for name, value, allowed in (
        ("action", form.action, actions),
        ("deploy_type", form.deploy_type, DEPLOY_TYPES),
    ):
        if value not in allowed:
            raise PermanentError(f"{name}: '{value}' is not one of {', '.join(allowed)}")
    if needs_branch and not form.branch:
        raise PermanentError("branch: missing; say the branch whose preview is meant")
    if needs_branch and not is_branch(form.branch):
        raise PermanentError(f"branch: {form.branch!r} is no branch's name")
    if not form.reason:
        raise PermanentError("reason: missing; say why, for those who read the deploy")
    return form


def _read_field(params: Mapping[str, Any], name: str, default: Any) -> Any:
    value = params.get(name, default)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise PermanentError(f"{name}: {value!r} is neither true nor false")
        return value
    if not isinstance(value, str | None):
        raise PermanentError(f"{name}: {value!r} is no text")
    if any("\ud800" <= character <= "\udfff" for character in value or ""):
        raise PermanentError(f"{name}: {value!r} is no text that can be written")
    return (value or "").strip() or default
