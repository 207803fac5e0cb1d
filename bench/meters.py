"""What a running stack takes between two moments: processor, memory, requests, rows and bytes, starts of tasks."""

from __future__ import annotations

import contextlib
import re
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from demo.stack import Stack

COMPONENTS = (
    ("scheduler", r"airflow.scheduler"),
    ("dag-processor", r"airflow.dag.processor"),
    ("triggerers", r"airflow.triggerer"),
    ("workers", r"celery"),
    ("api-server", r"airflow.api.server"),
    ("PostgreSQL", r"postgres"),
    ("Redis", r"redis"),
    ("sandbox", r"sandbox"),
)
"""What a supervisor's child is, by its command line; the first that fits."""
SUPERVISOR = "demo.supervisor"
UNCHANGED = 304
UNCOUNTED = {UNCHANGED, 401}
"""Answers of GitHub that take nothing from a token's hour."""
_ROWS = "SELECT relname FROM pg_stat_user_tables"
_STARTS = "SELECT count(*) FROM celery_taskmeta WHERE date_done >= :since"
"""Celery notes each message that a worker has done: a task's start, and that after each time it was deferred."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken in `seconds`: `cpu` in cores by component, `memory_mb` at the most, `requests` by service.

    `counted` is when the requests to GitHub came that count for the token's hour; `unchanged` were 304. `rows` and
    `kilobytes` are what the database grew by.
    """

    seconds: float
    cpu: Mapping[str, float]
    memory_mb: float
    requests: Mapping[str, int]
    counted: Sequence[datetime]
    unchanged: int
    rows: int
    kilobytes: float
    starts: int

    @property
    def quota(self) -> int:
        """How many requests took of what GitHub gives a token in an hour."""
        return len(self.counted)

    @property
    def watchful(self) -> float:
        """How many cores the components took that are busy although nothing happens."""
        return sum(self.cpu.get(name, 0.0) for name in ("scheduler", "dag-processor", "triggerers"))


class Database:
    """Airflow's PostgreSQL, read."""

    def __init__(self, stack: Stack) -> None:
        self._engine = sqlalchemy.create_engine(stack.engine.settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])

    def ask(self, query: str, **given: Any) -> Sequence[Any]:
        """Return the rows."""
        with self._engine.connect() as connection:
            return connection.execute(sqlalchemy.text(query), given).all()

    def count_rows(self) -> int:
        """Return how many rows all tables have."""
        names = [name for (name,) in self.ask(_ROWS)]
        return sum(int(self.ask(f'SELECT count(*) FROM "{name}"')[0][0]) for name in names)  # noqa: S608 - its own names

    def weigh(self) -> int:
        """Return the bytes of the database."""
        return int(self.ask("SELECT pg_database_size(current_database())")[0][0])

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


@dataclass
class Meter:
    """Counts from its making; `look` now and then sees the memory's peak."""

    stack: Stack
    database: Database
    memory_mb: float = 0.0
    _start_s: float = field(default_factory=time.monotonic)
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.stack.sandbox.delete("/sandbox/requests").raise_for_status()
        self._rows, self._bytes = self.database.count_rows(), self.database.weigh()
        self._cpu = measure_cpu()

    def look(self) -> None:
        """Remember how much memory Airflow holds, if that is more than before."""
        self.memory_mb = max(self.memory_mb, measure_memory_mb())

    def read(self) -> Taken:
        """Return what was taken until now."""
        self.look()
        seconds, cpu = time.monotonic() - self._start_s, measure_cpu()
        journal = self.stack.sandbox.get("/sandbox/requests").json()["requests"]
        github = [each for each in journal if each["face"] == "github"]
        return Taken(
            seconds,
            {name: (spent - self._cpu.get(name, 0.0)) / seconds for name, spent in cpu.items()},
            self.memory_mb,
            Counter(str(each["face"]) for each in journal),
            [datetime.fromisoformat(each["at"]) for each in github if each["status"] not in UNCOUNTED],
            sum(each["status"] == UNCHANGED for each in github),
            self.database.count_rows() - self._rows,
            (self.database.weigh() - self._bytes) / 1000,
            int(self.database.ask(_STARTS, since=self._since.replace(tzinfo=None))[0][0]),
        )


def measure_cpu() -> dict[str, float]:
    """Return the seconds of a processor that each component took since its start, with its children's."""
    spent: dict[str, float] = {}
    for name, process in list_processes():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        taken = times.user + times.system + times.children_user + times.children_system
        spent[name] = spent.get(name, 0.0) + taken
    return spent


def measure_memory_mb() -> float:
    """Return what Airflow's processes hold, in MB; what several of them share is counted once."""
    return sum(read_share_mb(process.pid) for name, process in list_processes() if name in _AIRFLOW)


_AIRFLOW = frozenset({"scheduler", "dag-processor", "triggerers", "workers", "api-server"})


def read_share_mb(pid: int) -> float:
    """Return a process's memory with its part of what it shares; 0 where it ended."""
    try:
        found = re.search(r"^Pss: +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def list_processes() -> Iterator[tuple[str, psutil.Process]]:
    """Yield what supervisors keep below this process, and all of its descendants, each with its component's name."""
    for supervisor in psutil.Process().children():
        if SUPERVISOR not in read_command(supervisor):
            continue
        for leader in supervisor.children():
            name = name_component(read_command(leader))
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now, and is started again
                yield from ((name, each) for each in (leader, *leader.children(recursive=True)))


def read_command(process: psutil.Process) -> str:
    """Return the command line; empty where the process ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def name_component(command: str) -> str:
    """Return what the command line is one of."""
    return next((name for name, pattern in COMPONENTS if re.search(pattern, command)), "others")


def find_share(values: Sequence[float], share: float) -> float:
    """Return what that share of the values, of one, stays below."""
    if len(values) < 2:  # noqa: PLR2004 - quantiles are between values
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]
