"""What Airflow says of runs: is one alive, how many attempts are finished, is a DAG paused."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowRuntimeError

from include.deploy_ops.core.naming import name_run
from include.deploy_ops.run.scope import CLI_POOL

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

ALIVE = frozenset({"queued", "running"})
RUNNING = frozenset({"running"})
QUEUED = frozenset({"queued"})
SCHEDULED = "scheduled"
"""Of a task that could start if there were a slot for it."""

MAP_LENGTH_MAX = 1024
"""Airflow's own bound on how many tasks one mapping makes, where nobody set another."""

WINDOW = 64
"""Attempts asked for in one request."""


class Runs:
    """Questions about the runs of one DAG."""

    def __init__(self, task_instance: RuntimeTaskInstanceProtocol, dag_id: str) -> None:
        self._task_instance = task_instance
        self._dag_id = dag_id

    def is_alive(self, run_id: str, states: Collection[str] = ALIVE) -> bool:
        """Whether the run is queued or running (or in the given states); a run that Airflow does not know is not."""
        try:
            state = self._task_instance.get_dagrun_state(self._dag_id, run_id)
        except AirflowRuntimeError as error:
            if is_not_found(error):
                return False
            raise
        return state in states

    def find_last_attempt(self, work: str) -> int:
        """Return the highest attempt of the work that Airflow knows, 0 if there is none."""
        last = start = 0
        while last == start:
            known = self._task_instance.get_task_states(
                self._dag_id, run_ids=[name_run(work, start + offset) for offset in range(1, WINDOW + 1)]
            )
            start += WINDOW
            last = max((int(run_id.rpartition("~")[2]) for run_id in known), default=last)
        return last

    def read_states(self, run_id: str) -> dict[str, str]:
        """Return the states of the run's tasks by task id."""
        return dict(self._task_instance.get_task_states(self._dag_id, run_ids=[run_id]).get(run_id, {}))

    def describe_wait(self, run_id: str) -> str:
        """Return what a run waits for that has no place for its next step, and what to do; nothing if it has one.

        Airflow tells no task which pools there are, and never starts a step of a pool that is not there.
        """
        waiting = sorted(task for task, state in self.read_states(run_id).items() if state == SCHEDULED)
        if not waiting:
            return ""
        return (
            f"{', '.join(waiting)} waits for a slot; if it stays so, see that Airflow has the pool {CLI_POOL}: "
            f"airflow pools set {CLI_POOL} 3 'Astro CLI calls'"
        )

    def find_block(self) -> str:
        """Return why the DAG starts nothing now: a person froze it, or Airflow has not parsed it yet; else nothing."""
        try:
            dag = self._task_instance.get_dag(self._dag_id)
        except AirflowRuntimeError as error:
            if is_not_found(error):
                return f"DAG {self._dag_id} is not there yet; look at its import errors if it does not come"
            raise
        return f"paused: DAG {self._dag_id} is paused" if dag.is_paused else ""


def count_dispatches_max() -> int:
    """Return how many pieces of work a pass may start, beside the run that tells GitHub: Airflow maps no more."""
    return max(int(conf.getint("core", "max_map_length", fallback=MAP_LENGTH_MAX)) - 1, 0)


def is_not_found(error: AirflowRuntimeError) -> bool:
    """Whether Airflow's API answered that there is no such thing."""
    return (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND
