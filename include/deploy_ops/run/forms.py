"""What a person may ask for by hand: the forms' fields, and what was filled in, checked.

Airflow checks types and choices where the form is sent; here everything is checked again, since `conf` may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.definitions.param import ParamsDict
from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationError
from pydantic_core import PydanticUseDefault

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import is_branch
from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX
from include.deploy_ops.core.text.schema import StrictModel, list_problems
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.job import INFER

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Target

REFRESH = "refresh"
"""The action that updates a preview to the template and to what is mapped, by now."""

PreviewAction = Literal["deploy", "refresh", "delete", "keep", "adopt", "resume", "verify", "mute"]
AnyForm = TypeVar("AnyForm", bound=StrictModel)

_ACTIONS = {
    Verb.DEPLOY.value: "Deploy",
    REFRESH: "Refresh: lay template, mapped connections and variables anew",
    Verb.DELETE.value: "Delete the Deployment, until the branch moves",
    Verb.KEEP.value: "Keep it, however idle it is, until somebody resumes it",
    Verb.ADOPT.value: "Adopt the Deployment that has the preview's name, after approval",
    Verb.RESUME.value: "Resume: end a hold, and deploy what is newest",
    Verb.VERIFY.value: "Verify what runs there: ask its Airflow whether it works",
    Verb.MUTE.value: "Mute the import error of a file, until it changes, and verify",
}
_PROMOTION_ACTIONS = {
    Verb.PROMOTE.value: "Promote: bring the deploy branch to the open pull requests' DAGs",
    Verb.ADOPT.value: "Adopt the commit that somebody else pushed to it, then promote",
}
_DEPLOY_TYPES = {
    INFER: "Infer: compare with what is deployed",
    ChangeType.DAGS.value: "DAG-only deploy",
    ChangeType.IMAGE.value: "Image deploy",
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
# It stands in logs, rows, deploy descriptions and comments: what looks like a secret stands in none.
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LENGTH_MAX),
    AfterValidator(mask_text),
]


class PromotionForm(StrictModel):
    """What a person filled in to promote."""

    action: Annotated[Literal["promote", "adopt"], MayBeBlank] = "promote"
    dry_run: bool = False
    reason: Reason


class TemplateForm(StrictModel):
    """What a person filled in to have the template compared with production now."""

    dry_run: bool = False


class TargetForm(StrictModel):
    """What a person filled in about a target; an empty `ref` means what the source has now."""

    action: Annotated[Literal["deploy", "resume", "verify"], MayBeBlank] = "deploy"
    ref: Text = ""
    deploy_type: Annotated[Literal["infer", "dags", "image-and-dags"], MayBeBlank] = "infer"
    wake: bool = False
    dry_run: bool = False
    reason: Reason

    @property
    def verb(self) -> Verb:
        """What a run does for it."""
        return Verb.UPDATE if self.action == REFRESH else Verb(self.action)


class RequestForm(TargetForm):
    """What a person filled in to ask for a deploy to a target with approval."""

    action: Annotated[Literal["deploy"], MayBeBlank] = "deploy"


class PreviewForm(TargetForm):
    """What a person filled in about a branch's preview."""

    branch: BranchName
    action: Annotated[PreviewAction, MayBeBlank] = "deploy"  # type: ignore[assignment]  # more than the parent's
    create_if_missing: bool = True
    file: Text = ""


def leave_params_to(dag: DAG) -> DAG:
    """Take from each task the fields that it has from the DAG; return that.

    A task's context has the DAG's fields anyway, and Airflow checks each field of each task at each parse.
    """
    for task in dag.tasks:
        if isinstance(task, BaseOperator):
            params = ParamsDict(task.params)
            own = [name for name in params if params.get_param(name).source == "task"]
            task.params = ParamsDict({name: params.get_param(name) for name in own})
    return dag


def make_preview_params() -> dict[str, Param]:
    """Return the fields of a preview DAG's form."""
    newest = "the branch's newest commit. Another one than that stays deployed until the branch moves"
    guide = "Make the Deployment where there is none; if this is off, the run fails then"
    return {
        "branch": make_text("Branch", "The branch whose preview is meant", is_required=True),
        **_make_deploy_params(PreviewForm, newest),
        "create_if_missing": make_switch("Create if missing", guide, is_on=True),
        "file": make_text("File", "To mute: the file below dags/ whose import error is muted, such as orders/load.py"),
    }


def make_target_params(target: Target | None = None) -> dict[str, Param]:
    """Return the fields of a target DAG's form; that of a target with gates says what becomes of those."""
    newest = "what the target follows has now. Another commit than that stays deployed until somebody resumes it"
    return _make_deploy_params(TargetForm, newest, _tell_gates(target) if target is not None else "")


def make_request_params(target: Target | None = None) -> dict[str, Param]:
    """Return the fields of a request DAG's form: a target's, without the choice of the only action that it has."""
    return {name: field for name, field in make_target_params(target).items() if name != "action"}


def _tell_gates(target: Target) -> str:
    if target.requires is None:
        return ""
    if target.forced == "gates":
        return ". The policy lets nobody skip a gate: while one is closed, the run fails and says which"
    return ". Gates that are closed are skipped, and named before it"


def _make_deploy_params(kind: type[TargetForm], newest: str, gates: str = "") -> dict[str, Param]:
    guide, types = "All but Deploy need no more than a reason", _pick(_DEPLOY_TYPES, kind, "deploy_type")
    return {
        "action": make_choice("Action", guide, _pick(_ACTIONS, kind, "action")),
        "ref": make_text("What to deploy", f"A branch, tag or commit. Empty: {newest}"),
        "deploy_type": make_choice("Deploy type", "Infer deploys what differs; the others force that deploy", types),
        "reason": make_text("Reason", f"Stands in the deploy's description, with your name{gates}", is_required=True),
        "wake": make_switch("Wake", "Wake the Deployment first, if it is asleep"),
        "dry_run": make_switch("Dry run", "Only show what would be done; write nothing"),
    }


def make_promotion_params() -> dict[str, Param]:
    """Return the fields of a promotion DAG's form."""
    guide = "To promote on top of an adopted commit takes back what no pull request has"
    return {
        "action": make_choice("Action", guide, _pick(_PROMOTION_ACTIONS, PromotionForm, "action")),
        "reason": make_text("Reason", "Stands in the run's log", is_required=True),
        "dry_run": make_switch("Dry run", "Only show what would be done; write nothing"),
    }


def make_template_params() -> dict[str, Param]:
    """Return the fields of a template DAG's form."""
    return {"dry_run": make_switch("Dry run", "Only show what would be proposed; write nothing to GitHub")}


def _pick(words: Mapping[str, str], kind: type[StrictModel], field: str) -> dict[str, str]:
    return {choice: words[choice] for choice in get_args(kind.model_fields[field].annotation)}


# Airflow sends no form in which a required field is empty; required is to it what has a `type` without null. Help is no
# Markdown: the boxes around its code would cover the lines above and below.


def make_text(title: str, guide: str, *, is_required: bool = False, **schema: Any) -> Param:
    """Return a field for a text; `schema` narrows which."""
    default, kind = ("", "string") if is_required else (None, ["string", "null"])
    return Param(default, description=guide, type=kind, title=title, **schema)


def make_choice(title: str, guide: str, words: Mapping[str, str]) -> Param:
    """Return a field for one of some values, each shown in its words; the first is chosen."""
    first, choices = next(iter(words)), list(words)
    return Param(first, description=guide, type="string", enum=choices, values_display=dict(words), title=title)


def make_switch(title: str, guide: str, *, is_on: bool = False) -> Param:
    """Return a switch: its values tell its type."""
    return Param(is_on, description=guide, enum=[True, False], title=title)


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
