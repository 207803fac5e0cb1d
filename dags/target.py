"""One DAG per long-lived target: a run deploys to it, or merges the pull request that it runs. Wires tasks only."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, TaskGroup

from include.deploy_ops.operators.base import VERIFY_TASK
from include.deploy_ops.operators.claim import ClaimOperator
from include.deploy_ops.operators.decide import DecideOperator
from include.deploy_ops.operators.deploy.classify import ClassifyChangeOperator
from include.deploy_ops.operators.deploy.deploy import DeployCodeOperator
from include.deploy_ops.operators.deploy.image import FindImageOperator
from include.deploy_ops.operators.deploy.merge import MergePullRequestOperator
from include.deploy_ops.operators.deploy.settle import SettleDeployOperator
from include.deploy_ops.operators.deploy.verify import VerifyDeployOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.operators.report import ReportOperator
from include.deploy_ops.run.forms import leave_params_to, make_target_params
from include.deploy_ops.run.scope import CLI_POOL, Scope, is_to_build, read_scopes

GUIDE = """Each run works on one Deployment, one run after the other. The control DAG starts them; trigger one by hand
to force a deploy, or to resume what a forced deploy overrode. **Clear a failed run to retry it; pause this DAG to
freeze the target**: unpaused, it gets the newest head only."""


def make_target_dag(scope: Scope, name: str) -> DAG:
    """Return the target's DAG."""
    target = scope.target(name)
    step: dict[str, Any] = {"scope": scope, "trigger_rule": "none_failed"}
    with DAG(
        dag_id=scope.target_dag(name),
        description=f"Deploys {scope.project.repository} to {target.deployment}",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.RELEASE),
        max_active_runs=1,
        tags=["deploy-ops", scope.project.name],
        params=make_target_params(target),
        doc_md=GUIDE,
    ) as dag:
        claim = ClaimOperator(task_id="claim", target=name, scope=scope).as_setup()
        # As in `preview.py`: groups by errand, task ids without them.
        with TaskGroup("deploying", group_display_name="Deploy", prefix_group_id=False):
            change_type = ClassifyChangeOperator(task_id="change_type", scope=scope)
            image = FindImageOperator(task_id="image", **step)
            deploy = DeployCodeOperator(task_id="deploy", pool=CLI_POOL, **step)
            settle = SettleDeployOperator(task_id="settle", **step)
        with TaskGroup("deciding", group_display_name="Merge, resume", prefix_group_id=False):
            merge = MergePullRequestOperator(task_id="merge", scope=scope)
            decide = DecideOperator(task_id="decide", scope=scope)
        verify = VerifyDeployOperator(task_id=VERIFY_TASK, **step)
        report = ReportOperator(task_id="report", outlets=[scope.fleet], scope=scope)
        claim >> [change_type, decide, merge]
        change_type >> image >> deploy >> settle >> verify
        change_type >> deploy >> verify
        [verify, decide, merge] >> report.as_teardown(setups=claim)
    return leave_params_to(dag)


for each in read_scopes():
    for target_name in each.project.targets:
        if is_to_build(each.target_dag(target_name)):
            globals()[each.target_dag(target_name)] = make_target_dag(each, target_name)
