"""What a run was started to do: planned work from control, or what a person asked for, as one value.

Planned `conf` counts only in a run that another DAG triggered; anything a person sends is form input (`forms.py`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import KnownAnswer
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.plan.work import Action, Assignment, Verb
from include.deploy_ops.run.seals import WORK, Place, Seals

if TYPE_CHECKING:
    from collections.abc import Mapping


PLANNED_RUN_TYPE = "operator_triggered"
"""How Airflow calls a run that another DAG triggered; a person cannot start one."""

INFER = "infer"
CONF_PART = "conf"


@dataclass(frozen=True, slots=True)
class Job(Assignment):
    """One run's assignment, and how it is to be done.

    `work` is the planned work's name, empty in a person's run; `deploy_type` is "infer" or set. `ref` is what a person
    called the commit. `observed` is the newest deploy on top of which it was planned or approved; None in a run that a
    person started there and then. `is_override`: something else is deployed than what the source has now. `wake`: a
    hibernating Deployment is woken. `ends_keep`: the preview may expire again. `is_dry`: nothing is written.
    `is_expiry`: it is done because nobody uses the preview, whose branch lives. `problem`: why what a person asked for
    cannot be done; the run fails by it in its next task, so that its report tells of it. `approval`: another person's
    yes to what a person asked for; one to what control planned is remembered instead. `file`: whose import error is
    muted, below the DAG folder. `skips` are the gates of its target that a person has it pass by. `answers` are what
    control read of GitHub about it, so that its run asks again for what may have changed alone, and for that
    conditionally.
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
    problem: str = ""
    approval: Approval | None = None
    file: str = ""
    skips: tuple[str, ...] = ()
    answers: tuple[KnownAnswer, ...] = ()

    @property
    def is_forced(self) -> bool:
        """Whether a person asked for it, whatever the planner thinks."""
        return not self.work

    @property
    def is_approved(self) -> bool:
        """Whether a person asked for it and another approved: for this source, on top of this deploy."""
        return self.is_forced and self.observed is not None


_ANSWERS = TypeAdapter(tuple[KnownAnswer, ...])
_JOB = TypeAdapter(Job)  # keys that it does not know are passed over: a newer control may have written them


def dump_job(job: Job) -> dict[str, Any]:
    """Return the job as JSON for XCom and `conf`, flat: runs that wait in Airflow's queue hold it across releases."""
    return dict(_JOB.dump_python(job, mode="json"))


def load_job(value: Any) -> Job:
    """Return the job that `dump_job` wrote."""
    return _JOB.validate_python(value)


def dump_answers(answers: tuple[KnownAnswer, ...]) -> list[Any]:
    """Return the answers as JSON for XCom."""
    return list(_ANSWERS.dump_python(answers, mode="json"))


def load_answers(value: Any) -> tuple[KnownAnswer, ...]:
    """Return the answers that `dump_answers` wrote."""
    return _ANSWERS.validate_python(value)


def make_job(action: Action, deploy_type: str = INFER, answers: tuple[KnownAnswer, ...] = ()) -> Job:
    """Return what the run of control's action is to do; the policy may set a target's deploy type.

    :param answers: what was read of GitHub about it.
    """
    work = action.work
    return Job(
        **{each.name: getattr(work, each.name) for each in fields(Assignment)},
        work=work.name,
        deploy_type=deploy_type,
        observed=work.observed,
        is_expiry=work.is_expiry,
        is_override=bool(work.undoes),
        wake=work.verb in {Verb.CREATE, Verb.DEPLOY},  # a new one may be born into its schedule's night
        answers=answers,
    )


def make_dispatch(seals: Seals, dag_id: str, run_id: str, job: Job) -> dict[str, Any]:
    """Return the keyword arguments of the dispatch of one run, with the job sealed for that run."""
    value = dump_job(job)
    seal = seals.make(WORK, Place(dag_id, run_id, CONF_PART), value)
    return {"trigger_dag_id": dag_id, "trigger_run_id": run_id, "conf": {"job": value, "seal": seal}}


def open_conf(seals: Seals, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> Job:
    """Return the job of a run that a DAG of ours triggered.

    :raises PermanentError: there is none, or it is not what was sealed for this run.
    """
    job = read_planned(conf)
    seals.check(WORK, Place(dag_id, run_id, CONF_PART), conf["job"], conf.get("seal"))
    return job


def read_planned(conf: Mapping[str, Any]) -> Job:
    """Return the job that a run's conf holds, whoever wrote it."""
    try:
        return load_job(conf["job"])
    except (KeyError, ValidationError) as error:
        raise PermanentError(
            "this run was triggered by another DAG without a job in its conf; only the control DAG triggers it, "
            "people use the form"
        ) from error
