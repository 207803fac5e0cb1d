"""What the stack and the engines of Airflow know of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from demo.ports import Ports
    from demo.supervisor import Charge


class Starter(Protocol):
    """Starts processes, and ends them with itself."""

    ports: Ports
    home: Path

    def launch(self, name: str, argv: list[str]) -> None:
        """Start a process whose end is the stack's."""

    def keep(self, name: str, charge: Charge) -> None:
        """Start what a supervisor of that name keeps running."""

    def run(self, name: str, argv: list[str]) -> None:
        """Run a process to its end."""

    def await_up(self, what: str, is_ready: Callable[[], bool]) -> None:
        """Return once it is ready."""

    def is_healthy(self) -> bool:
        """Whether Airflow says so of each of its components."""


class Engine(Protocol):
    """A database, an executor, and the processes that Airflow needs for them."""

    is_supervised: bool
    """Whether a component that exits is started again."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Airflow's settings in which this engine differs."""

    def start_services(self, stack: Starter) -> None:
        """Start what Airflow needs."""

    def start_airflow(self, stack: Starter) -> None:
        """Start Airflow, and await it."""

    def build_command(self, component: str) -> list[str]:
        """Return how a component of Airflow is started."""

    def save_database(self, copy: Path) -> None:
        """Copy the database, also while it is in use."""

    def restore_database(self, copy: Path) -> None:
        """Let the database be what it was when it was copied; Airflow must not run."""
