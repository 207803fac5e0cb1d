"""How runs ended, handed from their report steps to control as the fleet asset's events.

Airflow keeps every event with its extra; what a run that they trigger is told of them is incomplete, so control reads
them itself.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import redact  # type: ignore[attr-defined]  # Airflow has no other public place
from pydantic import TypeAdapter, ValidationError

from include.deploy_ops.core.model import NO_COMMIT
from include.deploy_ops.core.naming import PROMOTION_SLUG
from include.deploy_ops.core.plan.outcome import FAILED, REJECTED, SUCCESS, SUPERSEDED, Ended, Outcome
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.process.redaction import redact_shapes, redact_urls
from include.deploy_ops.run.decision import CHANGE_TASK, load_decision, read_decision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow.sdk import Asset, Context

    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory

log = logging.getLogger(__name__)
ENDED_KEY = "ended"
SUPERSEDED_KEY = "superseded"
SEEN_KEY = "seen"
VERDICT_KEY = "verdict"
"""Under which key of its XComs a run's verification stands, also where it failed the task."""
EVENTS_MAX = 1000
"""Events read in one pass; the next one goes on."""
OVERLAP = timedelta(minutes=1)
"""How much is read again: longer than a task takes from an event's time to its being written."""
_ENDED = TypeAdapter(Ended)


def hand_over(context: Context, fleet: Asset, ended: Ended) -> None:
    """Let the event that this task emits say how its run ended."""
    said = _ENDED.dump_python(ended, mode="json", exclude_defaults=True)
    context["outlet_events"][fleet].extra = {ENDED_KEY: said}


def read_endings(context: Context, fleet: Asset, since: str) -> tuple[tuple[Ended, ...], str]:
    """Return the endings since a time (ISO 8601; empty: the newest ones), and up to when they were read.

    Some come again: one that is written later may bear an earlier time. Whoever reads them tells them by their runs.
    """
    events = context["inlet_events"][fleet].limit(EVENTS_MAX)
    begin = (datetime.fromisoformat(since) - OVERLAP).isoformat() if since else ""
    # Without a time to begin at the newest ones: there may be years of them.
    events = events.after(begin).ascending() if begin else events.ascending(ascending=False)
    found: list[Ended] = []
    for event in events:
        since = max(since, event.timestamp.isoformat())
        value = (event.extra or {}).get(ENDED_KEY)
        if value is None:
            continue
        try:
            found.append(_ENDED.validate_python(value))
        except ValidationError:
            log.warning("an event of run %s cannot be read and counts as none", event.source_run_id)
    return tuple(sorted(found, key=lambda ended: ended.outcome.at)), since


def make_ended(
    context: Context,
    read: Callable[..., Any],
    memory: Memory,
    job: Job,
    states: Mapping[str, str],
    cause: Mapping[str, Any],
    main: Iterable[str],
    verdict: Verification | None = None,
) -> Ended:
    """Return how the run ended.

    `read` returns what a task of the run returned, or handed on by a key; `states` are its tasks', `cause` why it
    failed; `main` the tasks of its errand; `verdict` what its verification came to: how long that took is no part of
    the deploy.
    """
    run, now = context["dag_run"], datetime.now(UTC)
    is_deployed = states.get("settle") == "success"
    done = now - timedelta(seconds=verdict.seconds) if verdict is not None and is_deployed else now
    skipped = [task for task in main if states.get(task) == "skipped"]
    superseded = next(filter(None, _pull(context, skipped, SUPERSEDED_KEY)), "")
    noted = _pull(context, skipped, SEEN_KEY) if superseded else ()
    seen = next((each for each in noted if isinstance(each, str)), None)
    value = read_decision(read) if states.get(CHANGE_TASK) in {"success", "skipped"} else None
    decision = load_decision(value) if value else None
    is_promoted = job.slug == PROMOTION_SLUG and states.get("promote") == "success"
    promoted = read("promote") if is_promoted else None
    row = memory.read_row(job.slug)
    is_pushed = (
        row is not None and row.head_at is not None and row.head == job.head and not (job.is_forced or job.undoes)
    )
    return Ended(
        job.slug,
        Outcome(
            run_id=run.run_id,
            dag=context["dag"].dag_id,
            verb=job.verb.value,
            state=_tell_state(cause, superseded),
            at=now,
            seconds=round((done - run.start_date).total_seconds(), 1) if run.start_date else 0.0,
            commit=job.deployed_commit if job.deployed_commit != NO_COMMIT else "",
            kind=decision.change_type.value if decision else "",
            why=mask_text(superseded or (decision and decision.reason) or job.reason),
            cause=mask_text(str(cause.get("cause", ""))),
            is_permanent=bool(cause.get("is_permanent")),
            person=job.person,
            approver=_find_approver(memory, job) if job.target else "",
            author=row.author if row is not None and row.head == job.head else "",
            is_forced=job.is_forced,
            reason=mask_text(job.reason) if job.is_forced or job.undoes else "",
            pull=job.pull,
            push_s=round((done - row.head_at).total_seconds(), 1)
            if is_pushed and is_deployed and row and row.head_at
            else 0,
            subject=mask_text(decision.subject) if decision else "",
            commit_author=mask_text(decision.author) if decision else "",
            proof=verdict.proof.value if verdict is not None else "",
        ),
        _list_conflicts(promoted) if is_promoted else None,
        job.deployment_id if superseded else "",
        seen if superseded else None,
        {int(pull): str(head) for pull, head in (promoted or {}).get("pulls") or ()} if is_promoted else None,
    )


def _tell_state(cause: Mapping[str, Any], superseded: str) -> str:
    if cause:
        return REJECTED if cause.get("is_rejection") else FAILED
    return SUPERSEDED if superseded else SUCCESS


def _pull(context: Context, tasks: Iterable[str], key: str) -> Iterable[Any]:
    return (context["ti"].xcom_pull(task_ids=task, key=key) for task in tasks)


def _list_conflicts(promoted: Mapping[str, Any] | None) -> dict[int, tuple[str, ...]]:
    told = (promoted or {}).get("told") or {}
    return {int(pull): tuple(texts) for pull, texts in told.items()}


def _find_approver(memory: Memory, job: Job) -> str:
    """Return who approved exactly this, for people to see; nothing is decided by it."""
    approval = job.approval or memory.recall(job.slug).approval
    wanted = (job.head, job.base, job.observed or "", job.deployed_commit)
    return approval.person if approval is not None and approval.covers(*wanted) else ""


def mask_text(text: str) -> str:
    """Return a tool's text as people may read it anywhere: without the secrets that this process has seen.

    Airflow masks its logs alone. What shows nothing is made visible last, so that it parts no secret.
    """
    return reveal(redact_shapes(redact_urls(str(redact(text)))))
