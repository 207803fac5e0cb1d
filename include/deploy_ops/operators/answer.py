"""What a person answers to a question of ours, as one value, and the operator that waits for it and returns it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput
from pydantic import TypeAdapter

from include.deploy_ops.core.errors import PermanentError, RunSpentError, SealError
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.plan.work import REJECTED_BY, REJECTED_UNANSWERED
from include.deploy_ops.operators.base import tell_failures
from include.deploy_ops.operators.sealed import SealingOperator
from include.deploy_ops.run.seals import WORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

ANSWER_STEP: dict[str, Any] = {
    "retries": 10,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=30),
}
"""How a task is tried again that asks, or that looks whether an answer still counts.

Soon at first: an answer given in the seconds in which the task parks is lost, and the next try asks again. For more
than two hours in all: so long an answer waits for GitHub and Astro, and nobody is asked twice.
"""

FOREVER = timedelta.max
"""How long a task's own store keeps a value: what Airflow calls NEVER_EXPIRE."""

ASKED_KEY = "asked"
"""Key in a task's own store, which outlasts its being cleared: a fingerprint of what it asks."""

ANSWER_KEY = "answer"
"""Key in a task's own store: what was answered, sealed. It outlasts a try that could not weigh it."""

ANSWER_COMMENT_LENGTH_MAX = 2000
"""Characters of an approver's comment that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `person` is empty when nobody did in time, which rejects.

    `user_id` is the person's id in Airflow; `approval` is the sealed yes, where it is to a release; `asked` the
    fingerprint of what the page was about.
    """

    is_approved: bool
    person: str
    comment: str
    at: datetime
    user_id: str = ""
    approval: Approval | None = None
    asked: str = ""

    def require(self, asked: Mapping[str, Any]) -> None:
        """Raise PermanentError unless the page was about this: a task before the question may have been cleared."""
        if self.asked != fingerprint_asked(asked):
            who = self.person or "nobody"
            raise PermanentError(f"{who} answered another question than what this run is about now; trigger a new run")

    def describe_rejection(self) -> str:
        """Return who said no, and why, in one line."""
        who = f"{REJECTED_BY}{self.person}" if self.person else f"{REJECTED_UNANSWERED}nobody answered in time"
        return f"{who}, because {' '.join(self.comment.split())}" if self.comment else who


_ANSWER = TypeAdapter(Answer)


def fingerprint_asked(asked: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of what is asked."""
    return hash_text(json.dumps(asked, sort_keys=True), 16)


def load_answer(value: Any) -> Answer:
    """Return the answer that the approval step returned."""
    return _ANSWER.validate_python(value)


def make_answer_params(guide: str = "Why; a rejection's comment is posted to the pull request") -> dict[str, Param]:
    """Return the fields beside the two buttons. Passed where the task is made: Airflow adds the DAG's own to them."""
    return {"comment": Param(None, type=["string", "null"], title="Comment", description=guide)}


def count_clearings(context: Context) -> int:
    """Return how often a person cleared the run, unless Airflow was told to leave it as it is."""
    return getattr(context["dag_run"], "clear_number", None) or 0


def _name_round(context: Context) -> str:
    """Return what differs after each clearing, of the run or of the task alone, and is the same for Airflow's retries.

    Airflow counts the clearings of a run, unless it was told to leave the run as it is; and it moves the last try that
    the task may have.
    """
    return f"{count_clearings(context)}.{context['ti'].max_tries}"


class AskOperator(SealingOperator, ApprovalOperator):
    """Waits for a yes or a no, and returns the answer as JSON, also a no. The tasks after it decide what follows.

    A rejection does not skip them by itself, as Airflow's operator would: then nobody could read its comment.
    Airflow loses an answer that is given in the very seconds in which the task parks; its retry asks again. One that
    came is kept until it is weighed: no failure between lets anybody be asked twice.
    """

    template_fields: Sequence[str] = ()  # the page holds what others wrote: never a template

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(body="", defaults=self.REJECT, **kwargs)

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, or return what an earlier try was answered and could not weigh."""
        self.choose_seals_of(context)
        kept = self._find_kept(context)
        if kept is None:
            self.put_question(context)
        self.log.info("an earlier try was answered already")
        return self._conclude(context, _ANSWER.validate_python(kept["answer"]), kept["asked"])

    def put_question(self, context: Context) -> NoReturn:
        """Make the page, and park the task by `ask`."""
        raise NotImplementedError

    def choose_seals_of(self, context: Context) -> None:
        """Set `seals`, where what the run is about says which they are."""

    def ask(self, context: Context, asked: Mapping[str, Any]) -> NoReturn:
        """Park the task with what it asks, as JSON: this comes back with the answer, whatever becomes of XComs.

        :raises RunSpentError: the run has asked something else before, and Airflow would show that page again.
        """
        store, fingerprint = context["task_state_store"], fingerprint_asked(asked)
        if store.get(ASKED_KEY, fingerprint) != fingerprint:
            raise RunSpentError(
                "this run has asked about something else before, and Airflow would show that page again; a new run "
                "asks about what is so now"
            )
        store.set(ASKED_KEY, fingerprint, retention=FOREVER)
        try:
            ApprovalOperator.execute(self, context)
        except TaskAwaitingInput as parked:
            parked.kwargs = {"asked": asked}
            raise
        raise AssertionError("execute parks")

    @tell_failures
    def execute_complete(
        self, context: Context, event: dict[str, Any], asked: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the answer; a malformed one fails the try, and the next one asks again."""
        payload: Mapping[str, Any] = HITLOperator.execute_complete(self, context, event)
        person = payload["responded_by_user"] or {}
        answer = Answer(
            is_approved=payload["chosen_options"] == [self.APPROVE] and not event.get("timedout"),
            person=str(person.get("name") or person.get("id") or ""),
            comment=str((payload["params_input"] or {}).get("comment") or "").strip()[:ANSWER_COMMENT_LENGTH_MAX],
            at=payload["responded_at"],
            user_id=str(person.get("id") or ""),
            asked="" if asked is None else fingerprint_asked(asked),
        )
        self.choose_seals_of(context)
        self._keep(context, answer, asked)
        return self._conclude(context, answer, asked)

    def _conclude(self, context: Context, answer: Answer, asked: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = self.weigh(context, answer, asked)
        self.log.info("%s", f"approved by {answer.person}" if answer.is_approved else answer.describe_rejection())
        return dict(_ANSWER.dump_python(answer, mode="json"))

    def _keep(self, context: Context, answer: Answer, asked: Mapping[str, Any] | None) -> None:
        value = {
            "answer": _ANSWER.dump_python(answer, mode="json"),
            "asked": None if asked is None else dict(asked),
            "round": _name_round(context),
        }
        seal = self.seals.make(WORK, self._place(context, self.task_id, ANSWER_KEY), value)
        context["task_state_store"].set(ANSWER_KEY, {"value": value, "seal": seal}, retention=FOREVER)

    def _find_kept(self, context: Context) -> dict[str, Any] | None:
        """Return what was answered since the task was cleared last: who clears it wants it asked again."""
        kept = context["task_state_store"].get(ANSWER_KEY, None)
        if not isinstance(kept, dict):
            return None
        value: Any = kept.get("value")
        try:
            self.seals.check(WORK, self._place(context, self.task_id, ANSWER_KEY), value, kept.get("seal"))
        except SealError as error:
            self.log.warning("it is asked again: %s", error)
            return None
        return dict(value) if value["round"] == _name_round(context) else None

    def forget_answer(self, context: Context) -> None:
        """Let the next try ask again: what was answered does not count."""
        context["task_state_store"].delete(ANSWER_KEY)

    def weigh(self, context: Context, answer: Answer, asked: Mapping[str, Any] | None) -> Answer:  # noqa: ARG002
        """Return the answer as it counts: what was asked is as it was when the person was shown it."""
        return answer
