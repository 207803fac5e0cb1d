"""What a run was started to do: planned work from control, or what a person asked for, as one value.

Planned `conf` counts only in a run that another DAG triggered; anything a person sends is form input (`forms.py`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.plan.work import Action, Assignment, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping


PLANNED_RUN_TYPE = "operator_triggered"
"""How Airflow calls a run that another DAG triggered; a person cannot start one."""

INFER = "infer"


@dataclass(frozen=True, slots=True)
class Job(Assignment):
    """One run's assignment, and how it is to be done.

    `work` is the planned work's name, empty in a person's run; `deploy_type` is "infer" or set. `ref` is what a person
    called the commit. `observed` is the newest deploy on top of which it was planned or approved; None in a run that a
    person started there and then. `is_override`: something else is deployed than what the source has now. `wake`: a
    hibernating Deployment is woken. `ends_keep`: the preview may expire again. `is_dry`: nothing is written.
    `is_expiry`: it is done because nobody uses the preview, whose branch lives.
    """

    _: KW_ONLY
    work: str = ""
    deploy_type: str = INFER
    person: str = ""
    ref: str = ""
    observed: str | None = None
    is_override: bool = False
    wake: bool = False
    ends_keep: bool = False
    is_dry: bool = False
    is_expiry: bool = False

    @property
    def is_forced(self) -> bool:
        """Whether a person asked for it, whatever the planner thinks."""
        return not self.work

    @property
    def is_approved(self) -> bool:
        """Whether a person asked for it and another approved: for this source, on top of this deploy."""
        return self.is_forced and self.observed is not None


_JOB = TypeAdapter(Job)  # keys that it does not know are passed over: a newer control may have written them


def dump_job(job: Job) -> dict[str, Any]:
    """Return the job as JSON for XCom and `conf`, flat: runs that wait in Airflow's queue hold it across releases."""
    return dict(_JOB.dump_python(job, mode="json"))


def load_job(value: Any) -> Job:
    """Return the job that `dump_job` wrote."""
    return _JOB.validate_python(value)


def conf_of(action: Action, deploy_type: str = INFER) -> dict[str, Any]:
    """Return the `conf` with which control triggers the action's run; the policy may set a target's deploy type."""
    work = action.work
    job = Job(
        **{each.name: getattr(work, each.name) for each in fields(Assignment)},
        work=work.name,
        deploy_type=deploy_type,
        observed=work.observed,
        is_expiry=work.is_expiry,
        wake=work.verb is Verb.DEPLOY and not work.target,
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
