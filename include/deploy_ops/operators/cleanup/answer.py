"""The steps of cleanup around a person's answer: ask past the brake, then release or refuse exactly what was listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.cleanup.expiry import DELETE, Question, refuse, release
from include.deploy_ops.core.cleanup.text import render_question
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.operators.answer import Answer, AskOperator, load_answer
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.cleanup.find import APPROVE_TASK, FIND_TASK, Found, load_found, name_question
from include.deploy_ops.operators.notify import APPROVAL, Occasion, notify
from include.deploy_ops.run.scope import CLEANUP_DAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context


ANSWER_TIMEOUT = timedelta(hours=23)
"""How long a question stays open: the next day's run asks again, about what is still so."""

UNANSWERED = (
    "nobody answered in time: nothing of the list is deleted, and the next run asks again about what is still so"
)


class ApproveCleanupOperator(DeployOpsOperator, AskOperator):
    """Asks whether the listed previews may all be deleted; returns the answer, also a no."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Delete previews?", response_timeout=ANSWER_TIMEOUT, **kwargs)

    def put_question(self, context: Context) -> NoReturn:
        """Name the list, and park the task."""
        found = load_found(self.need(context, FIND_TASK))
        count = len(found.verdicts) + len(found.works)
        self.refuse_dry(None, f"ask whether {count} previews may be deleted")
        self.subject = f"Delete {count} preview{'' if count == 1 else 's'} of {self.scope.project.name}?"
        self.body = (
            f"Without asking, {found.allowed} at once may be deleted. Approving releases exactly these: each is "
            "deleted when its time has come, unless somebody pushes, deploys, wakes or keeps it before. Rejecting "
            "keeps them until something of them moves.\n\n"
            f"{render_question(found.verdicts, found.works, found.findings)}"
        )
        notify(self.scope, context, Occasion(APPROVAL, CLEANUP_DAG, DELETE, self.subject))
        self.ask(context, {"names": name_question(found)})


class RememberAnswerOperator(DeployOpsOperator):
    """Writes the answer to memory; control, which this wakes, acts on it."""

    @tell_failures
    def execute(self, context: Context) -> str:
        """Return in words what was released or refused."""
        found = load_found(self.need(context, FIND_TASK))
        answer = load_answer(self.need(context, APPROVE_TASK))
        if not answer.is_approved and not answer.person:
            raise AirflowSkipException(UNANSWERED)
        answer.require({"names": name_question(found)})
        self.refuse_dry(None, "remember the answer")
        if answer.is_approved:
            count = self._release(context, found, answer)
            said = f"released by {answer.person}: {count} of {len(found.verdicts) + len(found.works)} deletes"
        else:
            count = self._refuse(context, found, answer)
            said = f"{answer.describe_rejection()}; {count} deletes wait until something of them moves"
        self.log.info("%s", said)
        return said

    def _release(self, context: Context, found: Found, answer: Answer) -> int:
        memory = self.memory(context)
        verdicts = release(memory.verdicts.read(), Question(found.verdicts), answer.person, datetime.now(UTC))
        memory.verdicts.write(verdicts)
        memory.released.write({**memory.released.read(), **{work.subject: answer.person for work in found.works}})
        subjects = {work.subject for work in found.works} | {verdict.subject for verdict in found.verdicts}
        memory.refused.write({each: by for each, by in memory.refused.read().items() if each not in subjects})
        return _count(verdicts, found.verdicts, Standing.RELEASED) + len(found.works)

    def _refuse(self, context: Context, found: Found, answer: Answer) -> int:
        memory = self.memory(context)
        verdicts = refuse(memory.verdicts.read(), Question(found.verdicts), answer.person)
        memory.verdicts.write(verdicts)
        asked = {key for work in found.works for key in (work.subject, work.name)}  # 0.2 noted it by the name
        memory.released.write({each: by for each, by in memory.released.read().items() if each not in asked})
        memory.refused.write({**memory.refused.read(), **{work.subject: answer.person for work in found.works}})
        return _count(verdicts, found.verdicts, Standing.REFUSED) + len(found.works)


def _count(verdicts: Mapping[str, Verdict], asked: Sequence[Verdict], standing: Standing) -> int:
    """Return how many of those that were asked about came to stand so; the others moved meanwhile."""
    return sum(
        (found := verdicts.get(each.deployment_id)) is not None
        and found.standing is standing
        and found.decided_at == each.decided_at
        for each in asked
    )
