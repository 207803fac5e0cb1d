"""What a person answers to a question of ours, as one value, and the operator that waits for it and returns it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

ANSWER_TRIES = 5
"""An answer given in the seconds in which the task parks is lost, and the next try asks again."""

ANSWER_COMMENT_LENGTH_MAX = 2000
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


def make_answer_params(guide: str = "Why; a rejection's comment is posted to the pull request") -> dict[str, Param]:
    """Return the fields beside the two buttons. Passed where the task is made: Airflow adds the DAG's own to them."""
    return {"comment": Param(None, type=["string", "null"], title="Comment", description=guide)}


class AskOperator(ApprovalOperator):
    """Waits for a yes or a no, and returns the answer as JSON, also a no. The tasks after it decide what follows.

    A rejection does not skip them by itself, as Airflow's operator would: then nobody could read its comment.
    Airflow loses an answer that is given in the very seconds in which the task parks; its retry asks again.
    """

    template_fields: Sequence[str] = ()  # the page holds what others wrote: never a template

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(body="", defaults=self.REJECT, **kwargs)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; a malformed one fails the try, and the next one asks again."""
        payload: Mapping[str, Any] = HITLOperator.execute_complete(self, context, event)
        person = payload["responded_by_user"] or {}
        answer = Answer(
            is_approved=payload["chosen_options"] == [self.APPROVE] and not event.get("timedout"),
            person=str(person.get("name") or person.get("id") or ""),
            comment=str((payload["params_input"] or {}).get("comment") or "").strip()[:ANSWER_COMMENT_LENGTH_MAX],
            at=payload["responded_at"],
        )
        self.log.info("%s", f"approved by {answer.person}" if answer.is_approved else answer.describe_rejection())
        return dict(_ANSWER.dump_python(answer, mode="json"))
