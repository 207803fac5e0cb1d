"""One preview DAG per project: a run makes, fills, hibernates or deletes one branch's Deployment. Wires tasks only."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, TaskGroup

from include.deploy_ops.operators.base import VERIFY_TASK
from include.deploy_ops.operators.claim import ClaimOperator
from include.deploy_ops.operators.decide import DecideOperator
from include.deploy_ops.operators.deploy.adopt import AdoptDeploymentOperator, ApproveAdoptionOperator
from include.deploy_ops.operators.deploy.classify import ClassifyChangeOperator
from include.deploy_ops.operators.deploy.deploy import DeployCodeOperator
from include.deploy_ops.operators.deploy.deployment import (
    CreateDeploymentOperator,
    DeleteDeploymentOperator,
    HibernateDeploymentOperator,
    UpdateDeploymentOperator,
)
from include.deploy_ops.operators.deploy.image import FindImageOperator
from include.deploy_ops.operators.deploy.render import RenderTemplateOperator
from include.deploy_ops.operators.deploy.settle import SettleDeployOperator
from include.deploy_ops.operators.deploy.verify import VerifyDeployOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.operators.report import ReportOperator
from include.deploy_ops.run.forms import leave_params_to, make_preview_params
from include.deploy_ops.run.scope import CLI_POOL, Scope, read_scopes

GUIDE = """Each run works on one branch's Deployment. The control DAG starts them; trigger one by hand to force a deploy
or a delete. **Clear a failed run to retry it; pause this DAG to freeze all previews of the project.**"""


def make_preview_dag(scope: Scope) -> DAG:
    """Return the project's preview DAG."""
    step: dict[str, Any] = {"scope": scope, "trigger_rule": "none_failed"}
    # Runs that wait for an image or for Astro count as active: they must not keep a delete waiting.
    busiest = scope.previews.max_live + scope.project.limits.max_actions_per_pass
    with DAG(
        dag_id=scope.preview_dag,
        description=f"Creates, deploys, updates and deletes the previews of {scope.project.repository}",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.PREVIEW),
        max_active_runs=busiest,
        max_active_tasks=busiest,
        tags=["deploy-ops", scope.project.name],
        params=make_preview_params(),
        doc_md=GUIDE,
    ) as dag:
        claim = ClaimOperator(task_id="claim", scope=scope).as_setup()
        # A run has one errand: what belongs to the others is a line per group in the grid, not one per task. Task ids
        # stand without their group's: runs, XComs and seals of earlier releases name them.
        with TaskGroup("deploying", group_display_name="Deploy, update", prefix_group_id=False):
            change_type = ClassifyChangeOperator(task_id="change_type", scope=scope)
            render = RenderTemplateOperator(task_id="render_template", scope=scope)
            image = FindImageOperator(task_id="image", **step)
            create = CreateDeploymentOperator(task_id="create", pool=CLI_POOL, **step)
            update = UpdateDeploymentOperator(task_id="update", pool=CLI_POOL, **step)
            deploy = DeployCodeOperator(task_id="deploy", pool=CLI_POOL, **step)
            settle = SettleDeployOperator(task_id="settle", **step)
        with TaskGroup("keeping", group_display_name="Adopt, keep", prefix_group_id=False):
            approve_adoption = ApproveAdoptionOperator(task_id="approve_adoption", scope=scope)
            adopt = AdoptDeploymentOperator(task_id="adopt", pool=CLI_POOL, scope=scope)
            decide = DecideOperator(task_id="decide", scope=scope)
        with TaskGroup("ending", group_display_name="Hibernate, delete", prefix_group_id=False):
            hibernate = HibernateDeploymentOperator(task_id="hibernate", pool=CLI_POOL, scope=scope)
            delete = DeleteDeploymentOperator(task_id="delete", pool=CLI_POOL, scope=scope)
        # Below the groups: what a person decided in one is verified as is what another deployed.
        verify = VerifyDeployOperator(task_id=VERIFY_TASK, **step)
        report = ReportOperator(task_id="report", outlets=[scope.fleet], scope=scope)
        # Setup and teardown: the report runs whatever failed before it, unless the claim was not got, and counts for
        # nothing in the run's state, so a failed run stays red.
        # Skipped tasks end at once, so each waits for all whose result it reads, not only for the one before it.
        claim >> [change_type, render, approve_adoption, hibernate, delete, decide]
        [render, approve_adoption] >> adopt
        [change_type, render] >> image >> create >> deploy >> settle >> verify
        [deploy, decide] >> verify
        render >> [create, update]
        [change_type, image] >> deploy
        [verify, update, adopt, hibernate, delete, decide] >> report.as_teardown(setups=claim)
    return leave_params_to(dag)


for each in read_scopes():
    if each.project.previews is not None:
        globals()[each.preview_dag] = make_preview_dag(each)
