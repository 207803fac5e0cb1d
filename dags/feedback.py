"""One feedback DAG per project: a run tells GitHub what people there do not know yet. Wires tasks only."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from include.deploy_ops.operators.feedback.tell import TellOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.scope import Scope, read_scopes

GUIDE = """Each run brings GitHub up to date with what control last wrote: the comment on each pull request, the commit
statuses and the GitHub Deployments. The **tell** task's report shows what it told (Rendered Templates). The control DAG
starts the runs; one of them that fails concerns no deploy. Trigger one by hand after a missing permission was granted.
Pause this DAG to tell nothing."""


def make_feedback_dag(scope: Scope) -> DAG:
    """Return the project's feedback DAG."""
    with DAG(
        dag_id=scope.feedback_dag,
        description=f"Tells {scope.project.repository} how its environments are",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        doc_md=GUIDE,
    ) as dag:
        TellOperator(
            task_id="tell",
            scope=scope,
            retries=3,
            retry_delay=timedelta(seconds=30),
            retry_exponential_backoff=True,
            max_retry_delay=timedelta(minutes=10),
        )
    return dag


for each in read_scopes():
    if each.project.is_planned and each.project.feedback.is_on:
        globals()[each.feedback_dag] = make_feedback_dag(each)
