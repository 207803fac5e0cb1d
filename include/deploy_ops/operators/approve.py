"""The approval step: shows a person what a deploy would change, and waits, holding no slot of anything.

The page is made when the task begins to wait. Airflow keeps the first page of a task that is cleared later: it asks
again with it, which is why the step after it reads everything once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from pydantic import TypeAdapter

from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.notify import APPROVAL, describe_job, notify
from include.deploy_ops.operators.release_facts import ReleaseReader
from include.deploy_ops.planner import Verb
from include.deploy_ops.release import summarize, summarize_subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

PREPARE_TASK, CHANGE_TYPE_TASK, APPROVE_TASK, RECHECK_TASK, DISPATCH_TASK = (
    "prepare",
    "change_type",
    "approve",
    "recheck",
    "dispatch",
)
COMMENT_LENGTH_MAX = 2000
"""Characters of an approver's comment that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `person` is empty when nobody did in time, which rejects."""

    is_approved: bool
    person: str
    comment: str
    at: datetime

    def describe_rejection(self) -> str:
        """Return who said no, and why, in one line."""
        who = f"rejected by {self.person}" if self.person else "rejected: nobody answered in time"
        return f"{who}: {' '.join(self.comment.split())}" if self.comment else who


_ANSWER = TypeAdapter(Answer)


def load_answer(value: Any) -> Answer:
    """Return the answer that the approval step returned."""
    return _ANSWER.validate_python(value)


def make_answer_params() -> dict[str, Param]:
    """Return the fields beside the two buttons. Passed where the task is made: Airflow adds the DAG's own to them."""
    guide = "Why; a rejection's comment is posted to the pull request"
    return {"comment": Param(None, type=["string", "null"], title="Comment", description=guide)}


class ApproveReleaseOperator(DeployOpsOperator, ApprovalOperator):
    """Asks for approval; returns the answer as JSON, also a rejection. The tasks after it decide what follows.

    A rejection does not skip them by itself, as Airflow's operator would: then nobody could read its comment.
    Airflow loses an answer that is given in the very seconds in which the task parks; its retry asks again.
    """

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)
    template_fields: Sequence[str] = ()  # the page holds what others wrote: never a template

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Deploy to {target}?",
            body="",
            defaults=self.REJECT,
            response_timeout=kwargs["scope"].target(target).approval_timeout,
            **kwargs,
        )

    @tell_failures
    def execute(self, context: Context) -> Any:
        """Make the page and park the task."""
        job = self.read_job(context)
        self.refuse_dry(f"ask for approval to deploy {job.deployed_commit[:12]} to {job.target}")
        change = self.need(context, CHANGE_TYPE_TASK)
        reader = ReleaseReader(self.scope, self.github, self.astro, self.memory(context))
        release = reader.read(job, change, datetime.now(UTC))
        self.subject, self.body = summarize_subject(release), summarize(release, self.github.web_url)
        notify(self.scope, context, describe_job(APPROVAL, job, self.subject))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; a malformed one fails the try, and the next one asks again."""
        payload: Mapping[str, Any] = HITLOperator.execute_complete(self, context, event)
        person = payload["responded_by_user"] or {}
        answer = Answer(
            is_approved=payload["chosen_options"] == [self.APPROVE] and not event.get("timedout"),
            person=str(person.get("name") or person.get("id") or ""),
            comment=str((payload["params_input"] or {}).get("comment") or "").strip()[:COMMENT_LENGTH_MAX],
            at=payload["responded_at"],
        )
        self.log.info("%s", f"approved by {answer.person}" if answer.is_approved else answer.describe_rejection())
        return dict(_ANSWER.dump_python(answer, mode="json"))
