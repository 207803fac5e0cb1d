"""Tell people through the Airflow notifiers that the policy names: of a failure, or of a question that waits for them.

Sends nothing itself, decides nothing about the work, and never fails or holds up the run that has something to tell.
It also tells in `mode: plan`, which keeps us from writing to Astro, Git, GitHub and registries: a notice is none of
these, and whoever tries a policy out has to learn that it fails.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk.configuration import conf
from airflow.sdk.log import mask_secret, redact  # type: ignore[attr-defined]  # Airflow has no other public place

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.work import TEMPLATE_DAG
from include.deploy_ops.core.verification.standing import OVERTAKEN
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.health import describe_outage, see_failing
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.notifiers import load_notifier
from include.deploy_ops.run.sights import HEALTH_KEY, read_sights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from airflow.sdk import Context

    from include.deploy_ops.core.policy.keys import Notice
    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.scope import Scope

FAILURE, APPROVAL, VERIFICATION, GATES = "failure", "approval", "verification", "gates"
NOTICE_TIMEOUT_S = 20.0
"""Seconds that all notifiers of an occasion get together; they run at the same time."""

OUTAGE_REMINDER = timedelta(days=1)
"""While control fails pass after pass, it is told at first and then again after this time."""

SAID_LENGTH_MAX = 300
"""Characters of a notifier's own error that are logged."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is told. `what` is "failure", "approval", "verification" (a deploy that is not verified) or "gates".

    The last is a deploy that skipped some. `environment` and the rest are as in `Job`.
    """

    what: str
    environment: str
    verb: str
    cause: str
    person: str = ""
    branch: str = ""
    commit: str = ""


def describe_job(what: str, job: Job, cause: str) -> Occasion:
    """Return what is told about a run's job."""
    return Occasion(what, job.environment, job.verb.value, cause, job.person, job.branch, job.deployed_commit)


def notify(scope: Scope, context: Context, occasion: Occasion) -> None:
    """Send the occasion by each notifier that the policy names for it, once per run and clearing of the run.

    Returns after `NOTICE_TIMEOUT_S` at the latest. Notifiers that fail or hang are logged, and asked again only by
    another try of the task.
    """
    notices = [notice for notice in scope.project.notify if occasion.what in notice.on]
    if not notices:
        return
    try:
        _send_unsent(context, notices, occasion, _describe(scope, context, occasion))
    except Exception as error:  # noqa: BLE001 - that nobody could be told changes nothing about what happened
        _warn("no notifier was called", error)


def is_news(context: Context, memory: Memory, job: Job, cause: Mapping[str, Any]) -> bool:
    """Whether a run's failure is told; to be asked before it is remembered. `cause` is empty where nothing failed.

    Planned work that fails comes again by itself, again and again in an outage: it is told when it fails first, and
    when it has failed for good. Dry runs are told to nobody but to who looks at them.
    """
    if not cause or job.is_dry:
        return False
    if job.is_forced or cause.get("is_permanent") or context["ti"].try_number > 1:
        return True
    known = memory.recall(job.slug).endings.get(job.ending_key)
    return known is None or known.work != job.work or not known.is_failure


def is_proof_news(memory: Memory, job: Job, verdict: Verification | None) -> bool:
    """Whether a verdict is told: each failure, and that nothing can be told where that is new to the environment.

    What a newer deploy overtook is nobody's affair.
    """
    if verdict is None or verdict.proof not in {Proof.FAILED, Proof.UNKNOWN} or verdict.said == OVERTAKEN:
        return False
    row = memory.read_row(job.slug)
    shown = row.verification if row is not None else None
    is_known = shown is not None and (shown.proof, shown.said) == (verdict.proof, verdict.said)
    return verdict.proof is Proof.FAILED or not is_known


def tell_outage(context: Context) -> None:
    """Tell that a pass of control failed for good: when an outage begins, and once a day while it lasts.

    A pass that failed is followed by another within five minutes. An outage ends with a pass that succeeds
    (`end_outage`). It is a callback of the plan task, so that the retries have their chance before anybody is told. The
    page shows the same words, whether or not a notifier is named.
    """
    try:
        scope = _find_scope(context)
        cause = _note_failing(scope, context)
        if not scope.project.notify or not _begin_outage(scope, context):
            return
    except Exception as error:  # noqa: BLE001 - a callback has nobody to raise to
        _warn("whether the failure of control is news cannot be seen", error)
        return
    notify(scope, context, Occasion(FAILURE, "control", "plan", cause))


def tell_failed_proposal(context: Context) -> None:
    """Tell that a step of a template run failed for good, with all its retries; a dry run is told to nobody."""
    try:
        scope = _find_scope(context)
        is_dry = bool((context.get("params") or {}).get("dry_run"))
        cause = _describe_error(context.get("exception"))
        if not is_dry:
            notify(scope, context, Occasion(FAILURE, TEMPLATE_DAG, context["ti"].task_id, cause))
    except Exception as error:  # noqa: BLE001 - a callback has nobody to raise to
        _warn("that the template run failed could not be told", error)


def end_outage(context: Context) -> None:
    """Forget the outage, after a pass that succeeded: the next failure is news."""
    try:
        scope = _find_scope(context)
        memory = Memory(context["asset_state_store"][scope.fleet])
        for slot in (memory.failing, memory.outage):
            if slot.read() is not None:
                slot.forget()
    except Exception as error:  # noqa: BLE001 - as above
        _warn("the outage of control could not be forgotten", error)


def _describe(scope: Scope, context: Context, occasion: Occasion) -> dict[str, str]:
    """Return what notifiers find in the context as `deploy_ops`: data, never templates, and nothing in it is unseen."""
    told = {name: mask_text(str(text)) for name, text in asdict(occasion).items()}
    return told | {"project": scope.project.name, "run_url": _make_run_url(context, occasion.what)}


def _make_run_url(context: Context, what: str) -> str:
    """Return the address of the run in Airflow's UI; of a question, where it is answered."""
    ti = context["ti"]
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    run = f"{base}/dags/{quote(ti.dag_id)}/runs/{quote(context['dag_run'].run_id, safe='')}"
    return f"{run}/tasks/{quote(ti.task_id)}/required_actions" if what == APPROVAL else run


def _send_unsent(context: Context, notices: Iterable[Notice], occasion: Occasion, told: Mapping[str, str]) -> None:
    """Send what no earlier try has sent, and remember it."""
    store = context["task_state_store"]
    # A run that a person cleared is a new occasion; a retry of Airflow's is the same one.
    clearings = getattr(context["dag_run"], "clear_number", None) or 0
    sendings = []
    for notice in notices:
        key = f"told.{occasion.what}.{clearings}.{hash_text(notice.model_dump_json(), 12)}"
        if store.get(key) is None:
            sendings.append(_Sending(notice, context, told, key))
    for sending in _send(sendings):
        store.set(sending.key, datetime.now(UTC).isoformat())


def _send(sendings: Collection[_Sending]) -> list[_Sending]:
    """Run the sendings at the same time; return those that ended well, having logged the others."""
    for sending in sendings:
        sending.start()
    deadline = time.monotonic() + NOTICE_TIMEOUT_S
    done = []
    for sending in sendings:
        sending.join(max(0.0, deadline - time.monotonic()))
        if sending.is_sent:
            done.append(sending)
        else:
            _warn(f"notifier {sending.notice.notifier} did not tell", sending.error)
    return done


class _Sending(threading.Thread):
    """One notifier at work, in a thread of its own.

    What hangs is left behind, and ends with the task's process. An alarm signal could not end it safely: it might fall
    between a question to Airflow's supervisor and the answer, and the task's next question would get that answer.
    """

    def __init__(self, notice: Notice, context: Context, told: Mapping[str, str], key: str) -> None:
        super().__init__(name=f"notifier {notice.notifier}", daemon=True)
        self.notice = notice
        self.key = key
        self.is_sent = False
        self.error: BaseException = TimeoutError(f"it took longer than {NOTICE_TIMEOUT_S:.0f} s, and is left behind")
        self._given: Any = {**context, "deploy_ops": dict(told)}  # its own: notifiers write into it
        self._variables = contextvars.copy_context()

    def run(self) -> None:
        """Call the notifier."""
        try:
            self._variables.run(self._call)
        except BaseException as error:  # noqa: BLE001 - any ending of foreign code is an ending of it alone
            self.error = error
        else:
            self.is_sent = True

    def _call(self) -> None:
        mask_secret(self.notice.arguments)  # those with a telling name, where somebody wrote a secret into the policy
        load_notifier(self.notice)(self._given)


def _find_scope(context: Context) -> Scope:
    task: Any = context["task"]  # one of ours, whose callbacks these are
    scope: Scope = task.scope
    return scope


def _begin_outage(scope: Scope, context: Context) -> bool:
    """Whether the outage is news now; remembers that it was told."""
    memory, now = Memory(context["asset_state_store"][scope.fleet]), datetime.now(UTC)
    told_at = memory.outage.read()
    if told_at is not None and now - told_at < OUTAGE_REMINDER:
        return False
    memory.outage.write(now)
    return True


def _note_failing(scope: Scope, context: Context) -> str:
    """Leave for people how control fails; return that, after what the trigger saw fail, as the page shows it."""
    stores = context["asset_state_store"]
    memory = Memory(stores[scope.fleet])
    cause = mask_text(_describe_error(context.get("exception")))
    failing = see_failing(scope.control_dag, memory.failing.read(), cause, datetime.now(UTC))
    memory.failing.write(failing)
    services = read_sights(stores[scope.repository].get(HEALTH_KEY))
    return describe_outage([*services.values(), failing])


def _describe_error(error: Any) -> str:
    """Return a task's failure: our own words carry no secret, others stay in the log."""
    from airflow.sdk.exceptions import AirflowFailException

    if isinstance(error, (DeployOpsError, AirflowFailException)):
        return str(error)
    return f"{type(error).__name__}; see the task's log" if error else "it ended without saying why; see its log"


def _warn(what: str, error: BaseException) -> None:
    said = str(redact(" ".join(str(error).split())))[:SAID_LENGTH_MAX]
    log.warning("%s: %s: %s", what, type(error).__name__, said)
