"""What a release wrote: the files of its folder, and the DAGs, XComs and runs that they speak of."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.serde import deserialize

from include.deploy_ops.operators.sealed import SEAL_PREFIX
from include.deploy_ops.run.job import CONF_PART
from include.deploy_ops.run.seals import WORK, Place, Seals
from sandbox.identity import ASTRO_TOKEN
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeEvents, FakeOutlets, FakeStores, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = Path(__file__).parent
PROJECT = "data_platform"
SEALS = Seals("acme-demo", (ASTRO_TOKEN,))
"""The sandbox's, as all releases that seal had them. Older values are given some, to show that their form is still
read; without one each is refused."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release, or what was before the first: the folder that holds what it wrote is named like it."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def is_sealing(self) -> bool:
        """Whether what it handed on bears a seal."""
        return self.name not in BEFORE_0_3

    @property
    def folder(self) -> Path:
        """Its samples."""
        return FOLDER / self.name

    @property
    def policy(self) -> Path:
        """The policy that was in force for them."""
        return self.folder / "policy.yaml"

    def read(self, file: str) -> dict[str, Any]:
        """Return the samples of one file by their names."""
        found: dict[str, Any] = json.loads(self.folder.joinpath(file).read_text(encoding="utf-8"))
        return found

    def read_bare(self, asset: str) -> dict[str, Any]:
        """Return what was remembered of an asset, by key, each without the version of its form."""
        return {key: strip_version(stored) for key, stored in self.read("store.json")[asset].items()}


BEFORE_0_3 = ("before-0.2.0", "0.2.0")
"""The releases that wrote no seal."""

NOT_CHOSEN = {"cleanup": "project", "production.request": "action"}
"""Fields of forms that took a single value, and are read, but offered no more; by the DAG within its project."""

RELEASES = (Release("before-0.2.0"), Release("0.2.0"), Release("0.3.0"))
"""All whose samples are read; the last wrote what is written now."""

WROTE_NOTHING_NEW: tuple[str, ...] = ()
"""The releases after the first of these that write all as the one before them, so that they have no samples."""


def find_release(name: str) -> Release:
    """Return the release of that name."""
    return next(release for release in RELEASES if release.name == name)


def each_sample(file: str, *parts: str, of: Callable[[Any], bool] = lambda _: True) -> list[Any]:
    """Return release and name of every release's samples of one file, or of those in a part of it.

    :param of: whether a sample is meant.
    """
    return [pytest.param(*pair, id=f"{pair[0]}: {pair[1]}") for pair in list_samples(file, *parts, of=of)]


def list_samples(file: str, *parts: str, of: Callable[[Any], bool] = lambda _: True) -> list[tuple[Release, str]]:
    """Return what `each_sample` does, as pairs."""
    found = []
    for release in RELEASES:
        samples = release.read(file)
        for part in parts:
            samples = samples[part]
        found += [(release, name) for name, sample in samples.items() if of(sample)]
    return found


def strip_version(stored: Any) -> Any:
    """Return a remembered value as it was meant; since 0.2.0 it lies beside the version of its form."""
    is_versioned = isinstance(stored, dict) and stored.keys() == {"version", "value"}
    return stored["value"] if is_versioned else stored


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
        """Return what Airflow gives to the task; `states` are those of the run's other tasks.

        XComs bear today's seals: so their form is read. What bears none is refused, whatever its form.
        """
        for task_id, values in self.xcoms.items():
            for key, value in [each for each in values.items() if not each[0].startswith(SEAL_PREFIX)]:
                place = Place(self.dag_id, self.run_id, f"{task_id}.{key}")
                values.setdefault(SEAL_PREFIX + key, SEALS.make(WORK, place, value))
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

    def seal_conf(self) -> None:
        """Let control have sealed the conf."""
        seal = SEALS.make(WORK, Place(self.dag_id, self.run_id, CONF_PART), self.conf["job"])
        self.conf = {**self.conf, "seal": seal}

    def remember(self, stores: Mapping[str, Mapping[str, Any]]) -> None:
        """Give the run what the earlier version remembered, by asset and key."""
        for asset, values in stores.items():
            self.stores[asset] = DictStore()
            self.stores[asset].values.update(values)


def take(dags: Mapping[str, Any], dag_id: str, task_id: str) -> Any:
    """Return a copy of the DAG's task, as a worker makes its own."""
    task = copy.copy(dags[dag_id].task_dict[task_id])
    task.seals = SEALS
    return task
