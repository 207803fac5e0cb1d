"""The last step of the commands DAG: the sign of each comment whose run is there, and of each whose run is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.commands import CONFUSED, ROCKET
from include.deploy_ops.core.naming import read_comment
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.commands.hear import HEAR_TASK
from include.deploy_ops.operators.commands.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

    from include.deploy_ops.run.airflow_runs import Runs


class AnswerOperator(DeployOpsOperator):
    """Returns how many runs were started.

    A try that dies leaves marks without an end, to which the next run that reads the comments gives one.
    """

    @tell_failures
    def execute(self, context: Context) -> int:
        """Answer each comment that was marked."""
        run_ids = [each["trigger_run_id"] for each in self.read(context, HEAR_TASK) or ()]
        speaker = Speaker(self.commands, self.memory(context))
        started = end_marks(speaker, self.runs(context).of(self.scope.preview_dag), run_ids)
        for run_id in run_ids:
            self.log.info("run %s %s", run_id, "is there" if run_id in started else "was not started")
        return len(started)


def end_marks(speaker: Speaker, runs: Runs, run_ids: Iterable[str]) -> frozenset[str]:
    """Give the comments that asked for the runs their sign; return the runs that are there. Raises as `react`."""
    started = set()
    for run_id in run_ids:
        if runs.exists(run_id):
            started.add(run_id)
        comment = read_comment(run_id)
        speaker.react(comment, ROCKET if run_id in started else CONFUSED)
        speaker.settle(comment)
    return frozenset(started)
