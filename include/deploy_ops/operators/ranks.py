"""Which task begins first where workers are few: what a DAG's tasks weigh for Airflow's scheduler, in one table.

Within a DAG a task weighs the more, the more tasks lie before it: a run that has begun ends before the next one begins.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from airflow.task.priority_strategy import PriorityWeightStrategy

from include.deploy_ops.core.naming import read_comment, read_verb
from include.deploy_ops.core.plan.work import Verb

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

BY_HAND_START = "manual__"
"""How Airflow begins the id of a run that a person triggered."""


class Rank(IntEnum):
    """What a task without any before it weighs; the distances are larger than any DAG is deep."""

    PREVIEW = 1
    URGENT_PREVIEW = 100
    """A run of a preview DAG that deletes, which makes room, or that a person waits for."""
    ASIDE = 1_000
    """Cleanup, orphans, feedback and commands: one task at a time, so that they keep nobody waiting."""
    RELEASE = 10_000
    """Targets, the requests for their approval, and the deploy branch."""
    CONTROL = 100_000
    DISPATCH = 1_000_000
    """Starts what was decided: in a pass, and after an approval."""


class DepthFirst(PriorityWeightStrategy):
    """Weighs a task by rank and depth. `plugins/depth_first.py` registers it, and stored DAGs name it by its path."""

    def get_weight(self, ti: TaskInstance) -> int:
        """Return the rank, and one more for each task that lies before this one."""
        if ti.task is None:
            raise ValueError(f"{ti.dag_id}.{ti.task_id} of {ti.run_id} has no task to weigh")
        rank = ti.task.priority_weight
        if rank == Rank.PREVIEW and is_urgent(ti.run_id):
            rank = Rank.URGENT_PREVIEW
        return rank + len(ti.task.get_flat_relative_ids(upstream=True))


def is_urgent(run_id: str) -> bool:
    """Whether a run of a preview DAG deletes, or was triggered by a person, by form or by comment."""
    return read_verb(run_id) == Verb.DELETE.value or run_id.startswith(BY_HAND_START) or read_comment(run_id) > 0


def rank_tasks(rank: Rank) -> dict[str, Any]:
    """Return the arguments of a task of this rank, or what a DAG gives all of its tasks (`default_args`)."""
    return {"priority_weight": int(rank), "weight_rule": DepthFirst()}
