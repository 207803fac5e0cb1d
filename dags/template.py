"""One template DAG per project that names a Deployment to make it from: daily, or by hand. Wires tasks only."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from include.deploy_ops.core.plan.pulse import spread_daily
from include.deploy_ops.core.plan.work import TEMPLATE_DAG
from include.deploy_ops.operators.notify import tell_failed_proposal
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.operators.template.comparison import PROPOSE_TASK, CompareOperator
from include.deploy_ops.operators.template.inspection import INSPECT_TASK, InspectOperator
from include.deploy_ops.operators.template.proposal import ProposeOperator
from include.deploy_ops.run.forms import leave_params_to, make_template_params
from include.deploy_ops.run.scope import CLI_POOL, Scope, read_scopes

GUIDE = """Keeps the Deployment template on trunk true. **inspect** reads the Deployment that `previews.template_from`
names, and hands on no value that the policy does not let it copy. **compare** shows what changed there since the last
merged snapshot, field by field, and the files as they would be (Rendered Templates). **propose** brings a branch of its
own and one pull request to that, or closes it where nothing is left. Nothing is ever merged here. Trigger it by hand
for the first template, or to be asked again after a pull request was declined. Pause it to propose nothing."""


def make_template_dag(scope: Scope) -> DAG:
    """Return the project's template DAG."""
    with DAG(
        dag_id=scope.template_dag,
        description=f"Proposes for the template of {scope.project.repository} what changed in "
        f"{scope.project.template_source}",
        # Not at once when the DAG is first unpaused, and so without a start date: people look at a dry run before.
        schedule=CronTriggerTimetable(
            spread_daily(scope.project.name, TEMPLATE_DAG), timezone="UTC", run_immediately=timedelta()
        ),
        catchup=False,
        default_args={**rank_tasks(Rank.ASIDE), "on_failure_callback": tell_failed_proposal},
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        params=make_template_params(),
        doc_md=GUIDE,
    ) as dag:
        inspect = InspectOperator(task_id=INSPECT_TASK, pool=CLI_POOL, scope=scope)
        compare = CompareOperator(task_id="compare", scope=scope)
        propose = ProposeOperator(task_id=PROPOSE_TASK, scope=scope)
        inspect >> compare >> propose
    return leave_params_to(dag)


for each in read_scopes():
    if each.project.template_source:
        globals()[each.template_dag] = make_template_dag(each)
