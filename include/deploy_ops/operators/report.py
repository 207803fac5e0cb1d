"""Last step of a run: release the environment, remember how the run ended, and tell control (the fleet asset)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.operators.base import CLAIM_TASK, FAILURE_KEY, DeployOpsOperator
from include.deploy_ops.operators.claims import Claims
from include.deploy_ops.operators.job import load_job
from include.deploy_ops.planner import Verb
from include.deploy_ops.schedule import Ending, Remembered

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.operators.job import Job
    from include.deploy_ops.schedule import Removal

FAILED = frozenset({"failed", "upstream_failed"})


class ReportOperator(DeployOpsOperator):
    """Teardown of the claim; never turns a failed run green, and always wakes control."""

    def execute(self, context: Context) -> str:
        """Return how the run ended, in a line."""
        job = load_job(context["ti"].xcom_pull(task_ids=CLAIM_TASK))
        run_id = context["dag_run"].run_id
        memory, runs = self.memory(context), self.runs(context)
        failed = sorted(task for task, state in runs.read_states(run_id).items() if state in FAILED)
        cause = self._find_cause(context, failed)
        ending = Ending(
            job.work, datetime.now(UTC), bool(failed), bool(cause.get("is_permanent")), str(cause.get("cause", ""))
        )
        known = memory.read_environment(job.slug)
        memory.write_environment(job.slug, Remembered(ending, _keep_removal(known.removal, job), known.judgement))
        Claims(memory, runs).release(job.slug, run_id)
        line = f"{job.verb.value} {job.branch}: " + (f"failed in {failed[0]}: {ending.cause}" if failed else "done")
        self.log.info(line)
        return line

    def _find_cause(self, context: Context, failed: list[str]) -> dict[str, Any]:
        for task in failed:
            if cause := context["ti"].xcom_pull(task_ids=task, key=FAILURE_KEY):
                return dict(cause)
        return {"cause": f"{failed[0]} ended without saying why; see its log"} if failed else {}


def _keep_removal(removal: Removal | None, job: Job) -> Removal | None:
    """Return the removal while it holds: until the head moves, or a person wants the preview again."""
    if removal is None or removal.head != job.head or (job.is_forced and job.verb is not Verb.DELETE):
        return None
    return removal
