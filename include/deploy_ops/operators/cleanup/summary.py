"""The summary of a cleanup run, for people: what was found, what happens with it, what is kept and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.text import pick_outcomes, render_summary
from include.deploy_ops.core.text.plain import write_plain
from include.deploy_ops.operators.answer import load_answer
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField
from include.deploy_ops.operators.cleanup.answer import UNANSWERED
from include.deploy_ops.operators.cleanup.find import APPROVE_TASK, FIND_TASK, REMEMBER_TASK, Found, load_found
from include.deploy_ops.operators.report import find_cause, list_failed

if TYPE_CHECKING:
    from airflow.sdk import Context


RECENT = timedelta(days=1)
"""How far back the summary tells what became of earlier verdicts; removed previews are remembered as long."""


class SummarizeCleanupOperator(DeployOpsOperator):
    """Teardown: shows the summary as a rendered field, also of a run whose question failed."""

    summary = RenderedField()

    def execute(self, context: Context) -> None:
        """Make the summary, and log it."""
        found = load_found(self.read(context, FIND_TASK))
        rows = self.memory(context).read_rows().values()
        outcomes = pick_outcomes(((row.environment, row.outcomes) for row in rows), datetime.now(UTC) - RECENT)
        self.summary = render_summary(found.findings, outcomes, self._list_notes(context, found))
        self.log.info("%s", self.summary)

    def _list_notes(self, context: Context, found: Found) -> list[str]:
        if found.is_dry:
            return ["Dry run: nothing was written, and nobody was asked."]
        count = len(found.verdicts) + len(found.works)
        if not count:
            return []
        return [
            f"Asked about {count} deletes, more than the {found.allowed} that need no approval: {self._say(context)}."
        ]

    def _say(self, context: Context) -> str:
        if failed := list_failed(self.runs(context).read_states(context["dag_run"].run_id)):
            cause = write_plain(str(find_cause(context, failed)["cause"]))
            return f"failed in {failed[0]}, {cause}; the next run asks again"
        if said := self.read(context, REMEMBER_TASK):
            return write_plain(str(said))
        value = self.read(context, APPROVE_TASK)
        return UNANSWERED if value is None or not load_answer(value).person else "answered, and not remembered"
