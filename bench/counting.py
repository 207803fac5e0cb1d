"""A project on the sandbox, and an Airflow played by tables in memory, whose calls and bytes are counted."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.author import Author
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.conftest import start_sandbox
from tests.worlds.doubles.airflow import DictStore, FakeAirflow
from tests.worlds.stages.fixtures import set_stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tests.worlds.stages.stage import Stage


@dataclass
class CountedAirflow(FakeAirflow):
    """Airflow's answers and its state stores, counted; `read` and `written` in bytes, as is the `largest` value."""

    calls: int = 0
    read: int = 0
    written: int = 0
    largest: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def forget_counts(self) -> None:
        """Count from here."""
        self.calls = self.read = self.written = self.largest = 0

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state."""
        self.calls += 1
        return super().get_dagrun_state(dag_id, run_id)

    def get_task_states(self, dag_id: str, run_ids: Iterable[str]) -> Mapping[str, Any]:
        """Return the task states of the runs that exist."""
        self.calls += 1
        return super().get_task_states(dag_id, run_ids)

    def get_dr_count(
        self, dag_id: str, run_ids: Collection[str] | None = None, states: Collection[str] | None = None
    ) -> int:
        """Return how many of the runs exist."""
        self.calls += 1
        return super().get_dr_count(dag_id, run_ids, states)

    def get_dag(self, dag_id: str) -> Any:
        """Return whether the DAG is paused."""
        self.calls += 1
        return super().get_dag(dag_id)


class CountedStore(DictStore):
    """A state store whose calls are counted."""

    def __init__(self, airflow: CountedAirflow) -> None:
        super().__init__()
        self._airflow = airflow

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        value = super().get(key, default)
        self._airflow.calls += 1
        self._airflow.read += self._weigh(value)
        return value

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write the value."""
        self._airflow.calls += 1
        self._airflow.written += self._weigh(value)
        super().set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        """Forget the value."""
        self._airflow.calls += 1
        super().delete(key)

    def _weigh(self, value: Any) -> int:
        size = len(json.dumps(value)) if value is not None else 0
        self._airflow.largest = max(self._airflow.largest, size)
        return size


@contextlib.contextmanager
def open_counted_stage() -> Iterator[tuple[Stage, CountedAirflow]]:
    """Yield a stage on a sandbox of its own, and the Airflow that counts what is asked of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        start_sandbox(Path(folder) / "sandbox") as sandbox,
    ):
        author = Author(Path(folder) / "clone", sandbox.url, GITHUB_TOKEN)
        author.clone()
        stage, airflow = set_stage(sandbox, author, patch), CountedAirflow()
        stage.airflow = airflow
        for asset in (stage.scope.fleet, stage.scope.repository):
            stage.stores[asset.name] = CountedStore(airflow)
        yield stage, airflow
