"""What a run was started to do: planned work from control, or a person's form, as one value.

Planned `conf` counts only in a run that the planner triggered; anything a person sends is form input.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from include.deploy_ops.errors import PermanentError
from include.deploy_ops.model import ChangeType
from include.deploy_ops.naming import slug_branch
from include.deploy_ops.planner import Verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.schedule import Action

PLANNED_RUN_TYPE = "operator_triggered"
"""How Airflow calls a run that another DAG triggered; a person cannot start one."""

INFER = "infer"


@dataclass(frozen=True, slots=True)
class Job:
    """One run's errand. `work` is the planned work's name, empty in a person's run; `deploy_type` is "infer" or forced.

    `deployment_id` is empty while there is no Deployment.
    """

    verb: Verb
    branch: str
    head: str
    deployment_name: str
    deployment_id: str
    reason: str
    work: str = ""
    deploy_type: str = INFER
    person: str = ""

    @property
    def is_forced(self) -> bool:
        """Whether a person asked for it, whatever the planner thinks."""
        return not self.work

    @property
    def slug(self) -> str:
        """The environment's key in run ids and memory."""
        return slug_branch(self.branch)


@dataclass(frozen=True, slots=True)
class Form:
    """What a person filled in to start a preview run by hand."""

    branch: str
    action: str
    deploy_type: str
    reason: str


_JOB = TypeAdapter(Job)
FORM_ACTIONS = ("deploy", "delete")
FORM_DEPLOY_TYPES = (INFER, ChangeType.DAGS.value, ChangeType.IMAGE.value)


def dump_job(job: Job) -> dict[str, Any]:
    """Return the job as JSON for XCom and `conf`."""
    return dict(_JOB.dump_python(job, mode="json"))


def load_job(value: Any) -> Job:
    """Return the job that `dump_job` wrote."""
    return _JOB.validate_python(value)


def conf_of(action: Action) -> dict[str, Any]:
    """Return the `conf` with which control triggers the action's run."""
    work = action.work
    job = Job(
        verb=work.verb,
        branch=work.branch,
        head=work.head,
        deployment_name=work.deployment_name,
        deployment_id=work.deployment_id,
        reason=work.reason,
        work=work.name,
    )
    return {"job": dump_job(job)}


def read_planned(conf: Mapping[str, Any]) -> Job:
    """Return the job of a run that control triggered."""
    try:
        return load_job(conf["job"])
    except (KeyError, ValidationError) as error:
        raise PermanentError(
            "this run was triggered by another DAG without a job in its conf; only the control DAG triggers it, "
            "people use the form"
        ) from error


def read_form(params: Mapping[str, Any], person: str) -> Form:
    """Return what a person filled in; each wrong value gets an error that names the field and what it takes."""
    form = Form(**{name: str(params.get(name) or "").strip() for name in Form.__dataclass_fields__})
    choices = {"action": FORM_ACTIONS, "deploy_type": FORM_DEPLOY_TYPES}
    for name, allowed in choices.items():
        if asdict(form)[name] not in allowed:
            raise PermanentError(f"{name}: '{asdict(form)[name]}' is not one of {', '.join(allowed)}")
    for name, what in (
        ("branch", "the branch whose preview is meant"),
        ("reason", "why, for those who read the deploy"),
    ):
        if not asdict(form)[name]:
            raise PermanentError(f"{name}: missing; say {what}" + (f", {person}" if person else ""))
    return form
