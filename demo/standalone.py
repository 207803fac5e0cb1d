"""Airflow on SQLite with LocalExecutor: `airflow standalone`, and a second API server for tasks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from demo.engine import Starter


class Standalone:
    """The engine with which Airflow is tried out: all components in one group of processes."""

    is_supervised = False

    def __init__(self, home: Path) -> None:
        self._database = home / "airflow.db"

    @property
    def settings(self) -> Mapping[str, str]:
        """Return nothing: the stack's settings are those of this engine."""
        return {}

    def start_services(self, _: Starter) -> None:
        """Start nothing: the database is a file."""

    def start_airflow(self, stack: Starter) -> None:
        """Start Airflow and await both of its API servers.

        Airflow notes a person's request on the server's event loop and waits there for SQLite's lock; a task's request
        on the same server may hold it, and then neither can go on.
        """
        stack.launch("airflow", ["airflow", "standalone"])
        stack.await_up("Airflow's configuration", (stack.home / "airflow.cfg").exists)  # the tokens' secret lies in it
        port = str(stack.ports.execution)
        stack.launch("execution", ["airflow", "api-server", "--apps", "execution", "--port", port])
        stack.await_up("Airflow", stack.is_healthy)
        stack.await_up("the API for tasks", lambda: httpx.get(f"{stack.ports.execution_url}health").is_success)

    def build_command(self, component: str) -> list[str]:
        """Return how a component is started."""
        return ["airflow", component]

    def save_database(self, copy: Path) -> None:
        """Copy the database, also while it is in use, with what its journal holds."""
        _copy(self._database, copy)

    def restore_database(self, copy: Path) -> None:
        """Let the database be what it was; Airflow must not run."""
        for part in self._database.parent.glob(f"{self._database.name}-*"):
            part.unlink()
        _copy(copy, self._database)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
