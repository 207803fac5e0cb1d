"""What Airflow gives a running task, from tables in memory: XComs, run states, state stores. It schedules nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from airflow.sdk import BaseOperator


class DictStore:
    """A state store in memory; like Airflow's, it keeps JSON and nothing else.

    `asked` counts its calls, `written` are the keys that were set.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.asked = 0
        self.written: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        self.asked += 1
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write the value; nothing expires here."""
        self.asked += 1
        self.written.append(key)
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        """Forget the value."""
        self.asked += 1
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


@dataclass
class FakeEvent:
    """One event of an asset."""

    asset: str
    timestamp: datetime
    extra: dict[str, Any]
    source_run_id: str


class FakeInlets:
    """The events of one asset, as a task with it in its inlets reads them."""

    def __init__(self, events: Iterable[FakeEvent], asset: Asset) -> None:
        self._events = [event for event in events if event.asset == asset.name]

    def limit(self, limit: int) -> FakeInlets:
        """Accept any limit: no test has so many events."""
        return self

    def after(self, after: str) -> FakeInlets:
        """Leave out what came before."""
        self._events = [event for event in self._events if event.timestamp >= datetime.fromisoformat(after)]
        return self

    def ascending(self, ascending: bool = True) -> FakeInlets:
        """Order by time."""
        self._events.sort(key=lambda event: event.timestamp, reverse=not ascending)
        return self

    def __iter__(self) -> Iterator[FakeEvent]:
        return iter(self._events)


class FakeEvents:
    """Airflow's table of asset events: what tasks say with theirs, and read of others'."""

    def __init__(self) -> None:
        self.events: list[FakeEvent] = []

    def read(self) -> Any:
        """Return what a task finds as `inlet_events`."""
        return _ByAsset(lambda asset: FakeInlets(self.events, asset))

    def emit(self, said: Mapping[str, Any], run_id: str) -> None:
        """Keep what a task that ended well said of its outlets, as JSON."""
        for name, accessor in said.items():
            extra = json.loads(json.dumps(accessor.extra))
            self.events.append(FakeEvent(name, datetime.now(UTC), extra, run_id))


class FakeOutlets(dict[str, SimpleNamespace]):
    """What a task says with the events of its outlets."""

    def __init__(self, task: BaseOperator) -> None:
        super().__init__({asset.name: SimpleNamespace(extra={}) for asset in task.outlets if isinstance(asset, Asset)})

    def __getitem__(self, asset: Any) -> SimpleNamespace:
        return super().__getitem__(getattr(asset, "name", asset))


class _ByAsset:
    def __init__(self, find: Callable[[Asset], Any]) -> None:
        self._find = find

    def __getitem__(self, asset: Asset) -> Any:
        return self._find(asset)


class FakeAirflow:
    """Airflow's answers about runs, from a table of run ids and states: the part of a task instance that asks.

    `asked` counts the questions. `dags` tells of which DAG a run is; one that is not there counts for each.
    """

    def __init__(self, **states: str) -> None:
        self.asked = 0
        self.states = states
        self.dags: dict[str, str] = {}
        self.tasks: dict[str, dict[str, str]] = {}
        self.paused: set[str] = set()
        self.missing: set[str] = set()

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state."""
        self.asked += 1
        if run_id not in self.states or not self._is_of(dag_id, run_id):
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
        return self.states[run_id]

    def _is_of(self, dag_id: str, run_id: str) -> bool:
        return self.dags.get(run_id, dag_id) == dag_id

    def get_task_states(self, dag_id: str, run_ids: Iterable[str]) -> Mapping[str, Any]:
        """Return the task states of the runs that exist."""
        self.asked += 1
        return {run_id: self.tasks.get(run_id, {}) for run_id in run_ids if run_id in self.states}

    def get_dr_count(
        self, dag_id: str, run_ids: Collection[str] | None = None, states: Collection[str] | None = None
    ) -> int:
        """Return how many of the runs exist, or of all of the DAG, in these states if any are given.

        Of an empty list Airflow counts all runs, which nobody means.
        """
        self.asked += run_ids is not None
        assert run_ids is None or run_ids
        wanted = self.states if run_ids is None else [run_id for run_id in run_ids if run_id in self.states]
        found = [self.states[run_id] for run_id in wanted if self._is_of(dag_id, run_id)]
        return sum(states is None or state in states for state in found)

    def get_dag(self, dag_id: str) -> Any:
        """Return whether the DAG is paused, as Airflow does, on an object."""
        self.asked += 1
        if dag_id in self.missing:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
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
        self.max_tries = 10
        self.get_dagrun_state = airflow.get_dagrun_state
        self.get_task_states = airflow.get_task_states
        self.get_dr_count = airflow.get_dr_count
        self.get_dag = airflow.get_dag

    def xcom_push(self, key: str, value: Any) -> None:
        """Write an XCom, which keeps JSON and nothing else."""
        self._xcoms.setdefault(self._task_id, {})[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int | None = None) -> Any:
        """Return another task's XCom, None where there is none; a mapped task's only by its index."""
        name = task_ids if map_indexes is None else f"{task_ids}[{map_indexes}]"
        return self._xcoms.get(name, {}).get(key)
