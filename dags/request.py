"""One request DAG per target with approval: a run asks a person before the target is deployed to. Wires tasks only."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from include.deploy_ops.operators.answer import ANSWER_STEP, make_answer_params
from include.deploy_ops.operators.dispatch import dispatch_runs
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.operators.request.approve import ApproveReleaseOperator
from include.deploy_ops.operators.request.request import (
    ClassifyReleaseOperator,
    FindReleaseImageOperator,
    PrepareRequestOperator,
    RecheckReleaseOperator,
    ReportRequestOperator,
)
from include.deploy_ops.run.forms import leave_params_to, make_request_params
from include.deploy_ops.run.scope import Scope, is_to_build, read_scopes

WAITING_MAX = 1000
"""Runs at once: each waits for a person for days, and none may keep a newer one from asking."""

GUIDE = """Each run asks whether the target may be deployed to, and waits under **Required Actions**; it claims nothing
and holds no worker. The control DAG starts a run for each new state of the pull request; trigger one by hand to ask for
a forced deploy. **An approval counts for the head, base and deploy that it was asked for**; when one moves, a new run
asks. A rejection, also by timeout, holds until then, or until the run is cleared."""


def make_request_dag(scope: Scope, name: str) -> DAG:
    """Return the target's request DAG."""
    target = scope.target(name)
    with DAG(
        dag_id=scope.request_dag(name),
        description=f"Asks a person before {scope.project.repository} is deployed to {target.deployment}",
        schedule=None,
        catchup=False,
        default_args=rank_tasks(Rank.RELEASE),
        max_active_runs=WAITING_MAX,
        max_active_tasks=WAITING_MAX,
        tags=["deploy-ops", scope.project.name],
        params=make_request_params(target),
        doc_md=GUIDE,
    ) as dag:
        prepare = PrepareRequestOperator(task_id="prepare", target=name, scope=scope).as_setup()
        # As in `preview.py`: task ids stand without their group's.
        with TaskGroup("looking", group_display_name="What it deploys", prefix_group_id=False):
            change_type = ClassifyReleaseOperator(task_id="change_type", scope=scope)
            image = FindReleaseImageOperator(task_id="image", scope=scope)
        approve = ApproveReleaseOperator(
            task_id="approve",
            target=name,
            params=make_answer_params(),
            trigger_rule="none_failed",  # a DAG-only deploy needs no image
            scope=scope,
            **ANSWER_STEP,
        )
        recheck = RecheckReleaseOperator(task_id="recheck", scope=scope, **ANSWER_STEP)
        dispatch = dispatch_runs(scope, recheck.output)
        # One at a time: it adds to what the runs before it wrote, and a run of this DAG claims nothing.
        report = ReportRequestOperator(task_id="report", outlets=[scope.fleet], scope=scope, max_active_tis_per_dag=1)
        change_type >> image >> approve
        prepare >> change_type >> approve >> recheck >> dispatch >> report.as_teardown(setups=prepare)
    return leave_params_to(dag)


for each in read_scopes():
    for target_name, gated in each.project.targets.items():
        if gated.approval == "required" and is_to_build(each.request_dag(target_name)):
            globals()[each.request_dag(target_name)] = make_request_dag(each, target_name)
