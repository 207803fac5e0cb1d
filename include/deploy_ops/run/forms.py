"""What a person may ask for by hand: the forms' fields, and what was filled in, checked.

Airflow checks types and choices where the form is sent; here everything is checked again, since `conf` may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from airflow.sdk import Param
from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationError
from pydantic_core import PydanticUseDefault

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import is_branch
from include.deploy_ops.core.text.schema import StrictModel, list_problems
from include.deploy_ops.run.job import INFER

PreviewAction = Literal["deploy", "delete", "keep", "adopt", "resume"]
AnyForm = TypeVar("AnyForm", bound=StrictModel)

_ACTION_GUIDE = {
    Verb.DEPLOY.value: "deploy the ref below",
    Verb.DELETE.value: "delete the Deployment until the branch moves",
    Verb.KEEP.value: "keep it, however idle it is, until somebody resumes it",
    Verb.ADOPT.value: "mark a Deployment of the preview's name as ours, after approval",
    Verb.RESUME.value: "end a hold: what the source has now is deployed again",
}


def _leave_blank(value: Any) -> Any:
    """Return a text without blanks around it; what is null, or has nothing else, leaves the field at its default."""
    stripped = value.strip() if isinstance(value, str) else value
    if stripped is None or stripped == "":
        raise PydanticUseDefault
    return stripped


def _check_branch(text: str) -> str:
    if not is_branch(text):
        raise ValueError("the name of the branch whose preview is meant")
    return text


MayBeBlank = BeforeValidator(_leave_blank)
_STRIPPED = StringConstraints(strip_whitespace=True)
Text = Annotated[str, _STRIPPED, MayBeBlank]
BranchName = Annotated[str, _STRIPPED, AfterValidator(_check_branch)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PromotionForm(StrictModel):
    """What a person filled in to promote."""

    action: Annotated[Literal["promote", "adopt"], MayBeBlank] = "promote"
    dry_run: bool = False
    reason: Reason


class TargetForm(StrictModel):
    """What a person filled in about a target; an empty `ref` means what the source has now."""

    action: Annotated[Literal["deploy", "resume"], MayBeBlank] = "deploy"
    ref: Text = ""
    deploy_type: Annotated[Literal["infer", "dags", "image-and-dags"], MayBeBlank] = "infer"
    wake: bool = False
    dry_run: bool = False
    reason: Reason


class RequestForm(TargetForm):
    """What a person filled in to ask for a deploy to a target with approval."""

    action: Annotated[Literal["deploy"], MayBeBlank] = "deploy"


class PreviewForm(TargetForm):
    """What a person filled in about a branch's preview."""

    branch: BranchName
    action: Annotated[PreviewAction, MayBeBlank] = "deploy"  # type: ignore[assignment]  # more than the parent's
    create_if_missing: bool = True


def make_preview_params() -> dict[str, Param]:
    """Return the fields of a preview DAG's form."""
    branch = Param("", type="string", title="Branch", description_md="The branch whose preview is meant")
    missing = Param(
        default=True,
        type="boolean",
        title="Create if missing",
        description_md="Make the Deployment where there is none; otherwise the run fails",
    )
    common = make_target_params(PreviewForm)
    return {"branch": branch, **common, "create_if_missing": missing, "reason": common["reason"]}


def make_target_params(kind: type[TargetForm] = TargetForm) -> dict[str, Param]:
    """Return the fields of a target DAG's form, or of another kind's as far as they are the same."""
    actions = _list_choices(kind, "action")
    guide = "; ".join(f"`{action}`: {_ACTION_GUIDE[action]}" for action in actions)
    return {
        "action": Param(actions[0], type="string", enum=actions, title="Action", description_md=guide),
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
            enum=_list_choices(kind, "deploy_type"),
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
            enum=_list_choices(PromotionForm, "action"),
            title="Action",
            description_md="`promote`: bring the deploy branch to the open pull requests' DAGs; `adopt`: take over the "
            "commit that somebody else pushed to it, then promote on top of it, which takes back what no pull request "
            "has",
        ),
        "dry_run": common["dry_run"],
        "reason": Param("", type="string", title="Reason", description_md="Required; stands in the run's log"),
    }


def _list_choices(kind: type[StrictModel], field: str) -> list[str]:
    return list(get_args(kind.model_fields[field].annotation))


def read_form(kind: type[AnyForm], params: Mapping[str, Any]) -> AnyForm:
    """Return what a person filled in. Raises PermanentError that names each field, what was found and what it takes.

    A field that the form lacks is refused: one that was meant to narrow the run would be passed over.
    """
    try:
        return kind.model_validate(dict(params))
    except ValidationError as error:
        raise PermanentError("; ".join(map(str, list_problems(error, kind)))) from None


def name_person(run: Any) -> str:
    """Return who started the run; empty where Airflow does not know."""
    return str(getattr(run, "triggering_user_name", None) or "")
