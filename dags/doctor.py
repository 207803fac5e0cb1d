"""One DAG for the installation: looks daily whether each project can do its work, and what to do. Wires tasks only.

A project has a task of its own, by its name, so that a red one says whose it is; no project waits for another.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, CronTriggerTimetable

from include.deploy_ops.core.doctor.examination import DOCTOR_DAG
from include.deploy_ops.operators.base import STEP
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.operators.doctor.policy import CheckPolicyOperator
from include.deploy_ops.operators.ranks import Rank, rank_tasks
from include.deploy_ops.run.scope import read_all_scopes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.run.scope import Scope

DAILY_CRON = "30 4 * * *"
"""Before cleanup, by default, and before people come."""

POLICY_TASK = "policy-files"
"""Its hyphen keeps it apart from a project's name."""

GUIDE = """Looks at every project: GitHub, Astro, registries, the template, and this Airflow. Each task shows its checks
(Rendered Templates): *ok*, *warn*, *fail* or *not known*, what was found, and what to do. **A task fails where a check
does**, with the advice in its last line; nothing is written, so look as often as you like. **policy-files** says what
is wrong with the policy: a project that is left out of it has no task here."""


def make_doctor_dag(scopes: Iterable[Scope]) -> DAG:
    """Return the installation's DAG, with a task for each of the projects."""
    with DAG(
        dag_id=DOCTOR_DAG,
        description="Looks whether each project can do its work, and says what to do",
        # Not at once when the DAG is first unpaused, and so without a start date: by hand it runs whenever people like.
        schedule=CronTriggerTimetable(DAILY_CRON, timezone="UTC", run_immediately=timedelta()),
        catchup=False,
        default_args=rank_tasks(Rank.ASIDE),
        max_active_runs=1,
        tags=["deploy-ops"],
        doc_md=GUIDE,
    ) as dag:
        CheckPolicyOperator(task_id=POLICY_TASK, **STEP)
        for scope in scopes:
            ExamineOperator(task_id=scope.project.name, scope=scope)
    return dag


doctor = make_doctor_dag(read_all_scopes())
