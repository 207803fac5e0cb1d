"""One cleanup DAG per project with previews: a run decides what expires, and asks past the brake. Wires tasks only."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from include.deploy_ops.operators.answer import ANSWER_STEP, make_answer_params
from include.deploy_ops.operators.cleanup.answer import ApproveCleanupOperator, RememberAnswerOperator
from include.deploy_ops.operators.cleanup.find import FindExpiredOperator, make_alias
from include.deploy_ops.operators.cleanup.form import make_cleanup_params
from include.deploy_ops.operators.cleanup.summary import SummarizeCleanupOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.forms import leave_params_to
from include.deploy_ops.run.scope import Scope, read_scopes

WAITING_MAX = 50
"""Runs at once: one that waits for a person keeps neither the next day's nor a dry run from looking."""

GUIDE = """Decides which previews nobody uses: they hibernate, and later they are told and deleted. **find** shows every
preview with age, idle time, verdict and reason (Rendered Templates); the control DAG acts on what was decided. More
deletes than the brake allows wait under **Required Actions** for a yes to exactly the list that is shown; nothing else
waits. **By hand a run is a dry run** that writes nothing, unless the form says otherwise."""


def make_cleanup_dag(scope: Scope) -> DAG:
    """Return the project's cleanup DAG."""
    with DAG(
        dag_id=scope.cleanup_dag,
        description=f"Decides which previews of {scope.project.repository} hibernate or go, since nobody uses them",
        # Not at once when the DAG is first unpaused, and so without a start date: people look at a dry run before.
        schedule=CronTriggerTimetable(scope.previews.cleanup_cron, timezone="UTC", run_immediately=timedelta()),
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        max_active_runs=WAITING_MAX,
        max_active_tasks=WAITING_MAX,
        tags=["deploy-ops", scope.project.name],
        params=make_cleanup_params(),
        doc_md=GUIDE,
    ) as dag:
        # One at a time over all runs: what one run decides and asks, the next one sees.
        find = FindExpiredOperator(
            task_id="find",
            outlets=[make_alias(scope)],
            max_active_tis_per_dag=1,
            scope=scope,
        ).as_setup()
        approve = ApproveCleanupOperator(
            task_id="approve", params=make_answer_params("Why"), scope=scope, **ANSWER_STEP
        )
        remember = RememberAnswerOperator(task_id="remember", outlets=[scope.fleet], scope=scope)
        summary = SummarizeCleanupOperator(task_id="summary", scope=scope)
        find >> approve >> remember >> summary.as_teardown(setups=find)
    return leave_params_to(dag)


for each in read_scopes():
    if each.project.previews is not None:
        globals()[each.cleanup_dag] = make_cleanup_dag(each)
