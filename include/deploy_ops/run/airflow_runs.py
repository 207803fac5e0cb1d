"""What Airflow says of runs: is one alive, how many attempts are finished, is a DAG paused."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowRuntimeError

from include.deploy_ops.core.naming import name_run
from include.deploy_ops.run.scope import CLI_POOL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

ALIVE = frozenset({"queued", "running"})
RUNNING = frozenset({"running"})
QUEUED = frozenset({"queued"})
EXECUTING = frozenset({"queued", "running", "restarting"})
"""Of a task that a worker has, or gets."""

SCHEDULED = "scheduled"
"""Of a task that could start if there were a slot for it."""

MAP_LENGTH_MAX = 1024
"""Airflow's own bound on how many tasks one mapping makes, where nobody set another."""

RUNS_ASIDE = 2
"""Runs that a pass may start besides: one that tells GitHub, and one that hears people there."""

BATCH = 100
"""Runs asked for in one request: their ids stand in its address."""


class Runs:
    """Questions about the runs of one DAG."""

    def __init__(self, task_instance: RuntimeTaskInstanceProtocol, dag_id: str) -> None:
        self._task_instance = task_instance
        self._dag_id = dag_id

    @property
    def dag_id(self) -> str:
        """The DAG that it asks about."""
        return self._dag_id

    def of(self, dag_id: str) -> Runs:
        """Return the same questions about another DAG."""
        return Runs(self._task_instance, dag_id)

    def has_living(self) -> bool:
        """Whether any run of the DAG is queued or running."""
        return self._task_instance.get_dr_count(self._dag_id, states=sorted(ALIVE)) > 0

    def is_executing(self, run_id: str) -> bool:
        """Whether a task of the run is at work or about to be: of a DAG that is gone Airflow ends no run."""
        return bool(EXECUTING & set(self.read_states(run_id).values()))

    def is_alive(self, run_id: str, states: Collection[str] = ALIVE) -> bool:
        """Whether the run is queued or running (or in the given states); a run that Airflow does not know is not."""
        try:
            state = self._task_instance.get_dagrun_state(self._dag_id, run_id)
        except AirflowRuntimeError as error:
            if is_not_found(error):
                return False
            raise
        return state in states

    def exists(self, run_id: str) -> bool:
        """Whether Airflow knows the run, in whatever state."""
        return self._count([run_id]) > 0

    def find_last_attempts(self, known: Mapping[str, int]) -> dict[str, int]:
        """Return each work's last attempt: the known one, or a higher one of which nobody remembers anything.

        The run of the next attempt is never there, so that its id is not given twice. Airflow is asked for runs, not
        for their tasks: these may be gone. One call for hundreds of works, where what is known is all there is.

        :param known: the last attempt that is remembered, 0 if none is, by the work's name.
        """
        following = {name_run(work, last + 1): work for work, last in known.items()}
        ids = tuple(following)
        batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        taken = {following[run_id] for batch in batches for run_id in self._find_taken(batch)}
        return {work: self._climb(work, last + 1) if work in taken else last for work, last in known.items()}

    def find_living(self, run_ids: Iterable[str], states: Collection[str] = ALIVE) -> frozenset[str]:
        """Return those of the runs that are queued or running (or in the given states).

        One call for a hundred of which all are, or none.
        """
        ids = tuple(dict.fromkeys(run_ids))
        batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        return frozenset(run_id for batch in batches for run_id in self._find_taken(batch, sorted(states)))

    def _find_taken(self, run_ids: Sequence[str], states: Sequence[str] | None = None) -> Sequence[str]:
        """Return the ids that runs have, in these states; each half alone, where some have and some have not."""
        count = self._count(run_ids, states)
        if count in {0, len(run_ids)}:
            return run_ids if count else ()
        half = len(run_ids) // 2
        return (*self._find_taken(run_ids[:half], states), *self._find_taken(run_ids[half:], states))

    def _climb(self, work: str, last: int) -> int:
        """Return an attempt from `last` on, which there is, after which there is none: by steps that double."""
        step = 1
        while self._count([name_run(work, last + step)]):
            last, step = last + step, step * 2
        while step > 1:
            step //= 2
            if self._count([name_run(work, last + step)]):
                last += step
        return last

    def _count(self, run_ids: Sequence[str], states: Sequence[str] | None = None) -> int:
        wanted = list(states) if states is not None else None
        return self._task_instance.get_dr_count(self._dag_id, run_ids=list(run_ids), states=wanted)

    def read_states(self, run_id: str) -> dict[str, str]:
        """Return the states of the run's tasks by task id."""
        return dict(self._task_instance.get_task_states(self._dag_id, run_ids=[run_id]).get(run_id, {}))

    def describe_waits(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return what those runs wait for that have no place for their next step, and what to do; a call per hundred.

        Airflow tells no task which pools there are, and never starts a step of a pool that is not there.
        """
        found: dict[str, str] = {}
        for start in range(0, len(run_ids), BATCH):
            batch = run_ids[start : start + BATCH]
            states = self._task_instance.get_task_states(self._dag_id, run_ids=list(batch))
            waiting = {run_id: _list_waiting(states.get(run_id, {})) for run_id in batch}
            found |= {run_id: _describe_wait(tasks) for run_id, tasks in waiting.items() if tasks}
        return found

    def find_block(self) -> str:
        """Return why the DAG starts nothing now: a person froze it, or Airflow has not parsed it yet; else nothing."""
        is_paused = self.find_pause()
        if is_paused is None:
            return f"DAG {self._dag_id} is not there yet; look at its import errors if it does not come"
        return f"paused: DAG {self._dag_id} is paused" if is_paused else ""

    def find_pause(self) -> bool | None:
        """Return whether the DAG is paused; None where Airflow has no such DAG."""
        try:
            return bool(self._task_instance.get_dag(self._dag_id).is_paused)
        except AirflowRuntimeError as error:
            if is_not_found(error):
                return None
            raise


def _list_waiting(states: Mapping[str, str]) -> list[str]:
    return sorted(task for task, state in states.items() if state == SCHEDULED)


def _describe_wait(tasks: Sequence[str]) -> str:
    return (
        f"{', '.join(tasks)} waits for a slot; if it stays so, see that Airflow has the pool {CLI_POOL}: "
        f"airflow pools set {CLI_POOL} 3 'Astro CLI calls'"
    )


def count_dispatches_max() -> int:
    """Return how many pieces of work a pass may start, beside its runs that speak with GitHub: Airflow maps no more."""
    return max(int(conf.getint("core", "max_map_length", fallback=MAP_LENGTH_MAX)) - RUNS_ASIDE, 0)


def is_not_found(error: AirflowRuntimeError) -> bool:
    """Whether Airflow's API answered that there is no such thing."""
    return (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND
