"""One control DAG per project: wakes on changes, plans a pass, dispatches one run per action. Wires tasks only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from include.deploy_ops.core.plan.pulse import spread_resync
from include.deploy_ops.operators.control.plan import PlanOperator
from include.deploy_ops.operators.dispatch import dispatch_runs
from include.deploy_ops.operators.notify import end_outage, tell_outage
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.scope import Scope, read_scopes
from include.deploy_ops.triggers.repository import RepositoryTrigger


def watch_repository(scope: Scope) -> Asset:
    """Return the repository asset, watched by the trigger that wakes the control DAG."""
    project = scope.project
    trigger = RepositoryTrigger(
        project=project.name,
        github_conn_id=project.github_conn_id,
        repository=project.repository,
        trunk=project.trunk,
        poll_interval_s=project.poll_interval_s,
        astro_conn_id=project.astro_conn_id,
        neighbours=scope.neighbours,
        check_patterns=list(project.awaited_checks),
        is_listening=scope.is_listening,
    )
    return Asset(scope.repository.name, watchers=[AssetWatcher(name=f"{project.name}.repository", trigger=trigger)])


def make_control_dag(scope: Scope) -> DAG:
    """Return the project's control DAG."""
    repository = watch_repository(scope)
    with DAG(
        dag_id=scope.control_dag,
        description=f"Keeps Astro equal to {scope.project.repository}: plans a pass, starts one run per action",
        # What a run is told of its events is incomplete: they only wake it, and the pass reads everything itself.
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable(spread_resync(scope.project.name), timezone="UTC"),
            assets=(repository | scope.fleet),
        ),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        default_args=rank_tasks(Rank.CONTROL),
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        doc_md="Each run is one pass: **plan** shows everything that starts or is held and why (Rendered Templates); "
        "**dispatch** starts one run of the environment's DAG per action. Pause it to stop planning.",
    ) as dag:
        plan = PlanOperator(
            task_id="plan",
            scope=scope,
            inlets=[repository, scope.fleet],
            retries=2,
            retry_delay=timedelta(seconds=10),
            on_failure_callback=tell_outage,
            on_success_callback=end_outage,
        )
        dispatch_runs(scope, plan.output)
    return dag


for each in read_scopes():
    if each.project.is_planned:
        globals()[each.control_dag] = make_control_dag(each)
