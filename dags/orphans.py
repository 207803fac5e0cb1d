"""One DAG for the installation: finds what projects left behind, deletes or adopts it after approval. Wires tasks only.

It does not read the policy here, so it stays while the policy is wrong, and its runs then say that they do nothing.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from include.deploy_ops.operators.answer import ANSWER_STEP, make_answer_params
from include.deploy_ops.operators.base import STEP
from include.deploy_ops.operators.cleanup.adoption import AdoptOrphansOperator
from include.deploy_ops.operators.cleanup.form import make_orphans_params
from include.deploy_ops.operators.cleanup.orphans import (
    ORPHANS,
    ApproveOrphansOperator,
    DeleteOrphansOperator,
    FindOrphansOperator,
)
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.forms import leave_params_to
from include.deploy_ops.run.scope import CLI_POOL

DAG_ID = "orphans"
WEEKLY_CRON = "0 6 * * 1"
WAITING_MAX = 20
"""Runs at once: each may wait for a person for days, and keeps no other from looking."""

GUIDE = """Looks, in the workspaces of the policy's Astro connections, for Deployments with **our control plane's mark**
whose project has left the policy, or has no previews any more, and shows them (**find**, Rendered Templates). It always
asks before it deletes, and then deletes exactly the list that was approved, each looked at again right before. While
any part of the policy is wrong, it refuses to look. By hand a run is a dry run, unless the form says otherwise.

After a repository was renamed, and the policy says so, the form's action `adopt` marks the project's previews anew.
What may be adopted, because its branch lives, is never offered to delete."""


def make_orphans_dag() -> DAG:
    """Return the installation's DAG."""
    with DAG(
        dag_id=DAG_ID,
        description="Deletes, after approval, the Deployments of projects that left the policy",
        # Not at once when the DAG is first unpaused, and so without a start date: people look at a dry run before.
        schedule=CronTriggerTimetable(WEEKLY_CRON, timezone="UTC", run_immediately=timedelta()),
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        max_active_runs=WAITING_MAX,
        max_active_tasks=WAITING_MAX,
        tags=["deploy-ops"],
        params=make_orphans_params(),
        doc_md=GUIDE,
    ) as dag:
        # One at a time over all runs: what one run asks about, the next one sees.
        find = FindOrphansOperator(
            task_id="find",
            inlets=[ORPHANS],
            max_active_tis_per_dag=1,
            **STEP,
        )
        approve = ApproveOrphansOperator(task_id="approve", params=make_answer_params("Why"), **{**STEP, **ANSWER_STEP})
        (
            find
            >> approve
            >> [
                DeleteOrphansOperator(task_id="delete", pool=CLI_POOL, **STEP),
                AdoptOrphansOperator(task_id="adopt", pool=CLI_POOL, **STEP),
            ]
        )
    return leave_params_to(dag)


orphans = make_orphans_dag()
