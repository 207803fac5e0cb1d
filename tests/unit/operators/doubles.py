"""What Airflow gives a running task, from tables in memory: XComs, run states, state stores. It schedules nothing."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import Asset, BaseOperator


class DictStore:
    """A state store in memory; like Airflow's, it keeps JSON and nothing else."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        """Forget the value."""
        self.values.pop(key, None)


class FakeStores:
    """One task's stores: of the assets that are its inlets or outlets, as Airflow gives them, and of no others."""

    def __init__(self, stores: dict[str, DictStore], task: BaseOperator) -> None:
        self._stores = stores
        self._names = {asset.name for asset in [*task.inlets, *task.outlets]}

    def __getitem__(self, asset: Asset) -> DictStore:
        if asset.name not in self._names:
            raise KeyError(f"{asset!r} is not in this task's inlets or outlets")
        return self._stores.setdefault(asset.name, DictStore())


class FakeAirflow:
    """Airflow's answers about runs, from a table of run ids and states: the part of a task instance that asks."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.tasks: dict[str, dict[str, str]] = {}
        self.paused: set[str] = set()

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state."""
        if run_id not in self.states:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
        return self.states[run_id]

    def get_task_states(self, dag_id: str, run_ids: Iterable[str]) -> Mapping[str, Any]:
        """Return the task states of the runs that exist."""
        return {run_id: self.tasks.get(run_id, {}) for run_id in run_ids if run_id in self.states}

    def get_dag(self, dag_id: str) -> Any:
        """Return whether the DAG is paused, as Airflow does, on an object."""
        return SimpleNamespace(is_paused=dag_id in self.paused)


class FakeTaskInstance:
    """One try of one task: its XComs are the run's, its questions go to the table."""

    def __init__(
        self, airflow: FakeAirflow, xcoms: dict[str, dict[str, Any]], task_id: str, try_number: int, dag_id: str = ""
    ) -> None:
        self._xcoms = xcoms
        self.task_id = self._task_id = task_id
        self.dag_id = dag_id
        self.try_number = try_number
        self.get_dagrun_state = airflow.get_dagrun_state
        self.get_task_states = airflow.get_task_states
        self.get_dag = airflow.get_dag

    def xcom_push(self, key: str, value: Any) -> None:
        """Write an XCom, which keeps JSON and nothing else."""
        self._xcoms.setdefault(self._task_id, {})[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        """Return another task's XCom, None where there is none."""
        return self._xcoms.get(task_ids, {}).get(key)
