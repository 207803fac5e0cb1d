"""One promotion DAG per project: a run brings the deploy branch to the open pull requests' DAGs. Wires tasks only."""

from __future__ import annotations

from airflow.sdk import DAG

from include.deploy_ops.operators.promotion.claim import ClaimPromotionOperator
from include.deploy_ops.operators.promotion.promotion import PromoteOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.operators.report import ReportOperator
from include.deploy_ops.run.forms import leave_params_to, make_promotion_params
from include.deploy_ops.run.scope import Scope, read_scopes

GUIDE = """Each run lays the DAGs of open pull requests over the branch that they go into, and brings the deploy branch
to that by one commit, or finds nothing to do. The **promote** task's decision shows what was laid and what conflicts
(Rendered Templates). The control DAG starts the runs. Trigger one by hand to promote at once, or to **adopt** a commit
that somebody else pushed to the deploy branch. Pause this DAG to freeze the deploy branch."""


def make_promotion_dag(scope: Scope) -> DAG:
    """Return the project's promotion DAG."""
    with DAG(
        dag_id=scope.promotion_dag,
        description=f"Brings the deploy branch of {scope.project.repository} to the DAGs of open pull requests",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.RELEASE),
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        params=make_promotion_params(),
        doc_md=GUIDE,
    ) as dag:
        claim = ClaimPromotionOperator(task_id="claim", scope=scope).as_setup()
        promote = PromoteOperator(task_id="promote", scope=scope)
        report = ReportOperator(task_id="report", outlets=[scope.fleet], scope=scope)
        claim >> promote >> report.as_teardown(setups=claim)
    return leave_params_to(dag)


for each in read_scopes():
    if each.project.promotion is not None:
        globals()[each.promotion_dag] = make_promotion_dag(each)
