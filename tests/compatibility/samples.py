"""What an earlier version wrote: the files of its folder, and the DAGs, XComs and runs that they speak of."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.serde import deserialize

from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeEvents, FakeOutlets, FakeStores, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent / "before_0_2_0"
POLICY = FOLDER / "policy.yaml"
PROJECT = "data_platform"


def read_samples(name: str) -> dict[str, Any]:
    """Return the samples of one file by their names."""
    found: dict[str, Any] = json.loads(FOLDER.joinpath(name).read_text(encoding="utf-8"))
    return found


def list_samples(name: str, *parts: str) -> list[str]:
    """Return the names of one file's samples, or of those in a part of it."""
    found = read_samples(name)
    for part in parts:
        found = found[part]
    return list(found)


def revive(stored: Any) -> Any:
    """Return keyword arguments as Airflow gives them to a task that goes on: a column of JSON, read by its own code."""
    return deserialize(stored)


@dataclass
class OldRun:
    """A run that was begun by the earlier version: its XComs by task and key, its conf, and what it may remember."""

    dag_id: str
    run_id: str
    run_type: str = "operator_triggered"
    conf: Mapping[str, Any] = field(default_factory=dict)
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    stores: dict[str, DictStore] = field(default_factory=dict)
    airflow: FakeAirflow = field(default_factory=FakeAirflow)
    events: FakeEvents = field(default_factory=FakeEvents)

    def make_context(self, task: Any, states: Mapping[str, str] | None = None) -> Any:
        """Return what Airflow gives to the task; `states` are those of the run's other tasks."""
        self.airflow.states[self.run_id] = "running"
        self.airflow.tasks[self.run_id] = dict(states or {})
        return {
            "ti": FakeTaskInstance(self.airflow, self.xcoms, task.task_id, 1, self.dag_id),
            "dag_run": SimpleNamespace(
                run_id=self.run_id,
                run_type=self.run_type,
                conf=dict(self.conf),
                triggering_user_name="admin",
                start_date=datetime(2026, 11, 29, 14, tzinfo=UTC),
            ),
            "dag": task.get_dag(),
            "outlet_events": FakeOutlets(task),
            "inlet_events": self.events.read(),
            "task_instance": SimpleNamespace(id=f"{self.run_id}.{task.task_id}"),
            "task_state_store": DictStore(),
            "asset_state_store": FakeStores(self.stores, task),
            "params": dict(self.params),
        }

    def remember(self, stores: Mapping[str, Mapping[str, Any]]) -> None:
        """Give the run what the earlier version remembered, by asset and key."""
        for asset, values in stores.items():
            self.stores[asset] = DictStore()
            self.stores[asset].values.update(values)


def take(dags: Mapping[str, Any], dag_id: str, task_id: str) -> Any:
    """Return a copy of the DAG's task, as a worker makes its own."""
    return copy.copy(dags[dag_id].task_dict[task_id])
