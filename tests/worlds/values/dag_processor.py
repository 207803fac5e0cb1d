"""A trusted model of Airflow's dag-processor, second by second: what it parses when, and what its API tells of that.

Its rules are those of Airflow 3.3's `DagFileProcessorManager` with default settings, as they were seen on a real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
INTERVAL_S, LISTING_S, SWEEP_S, THRESHOLD_S, PROCESSES = 30, 300, 60, 50, 2


@dataclass(frozen=True)
class Source:
    """What is in a file: the ids of its DAGs, or that it cannot be imported; and how long a parse of it takes."""

    dag_ids: frozenset[str] = frozenset()
    is_broken: bool = False
    seconds: float = 1.0


@dataclass(frozen=True)
class _Parse:
    file: str
    began: float
    source: Source


@dataclass
class DagProcessor:
    """Runs since `START`; `now` is in seconds since then. `tells_durations`: as version 2 of the API does."""

    folder: dict[str, Source]
    tells_durations: bool = True
    now: float = 0.0
    _known: list[str] = field(default_factory=list)
    _queue: list[str] = field(default_factory=list)
    _running: list[_Parse] = field(default_factory=list)
    _finished: dict[str, float] = field(default_factory=dict)
    _dags: dict[str, AirflowDag] = field(default_factory=dict)
    _faults: dict[str, ImportFault] = field(default_factory=dict)
    _listed: float = -LISTING_S
    _swept: float = 0.0

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def deploy(self, folder: Mapping[str, Source]) -> None:
        """Replace all files at once."""
        self.folder = dict(folder)

    def run(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now += 1
            self._list()
            if not self._queue:
                self._fill()
            self._start()
            self._collect()
            self._sweep()

    def tell(self) -> AirflowFacts:
        """Return what its API tells now; its clock has whole seconds."""
        dags = tuple(self._dags[name] for name in sorted(self._dags))
        if not self.tells_durations:
            dags = tuple(replace(each, parse_s=None) for each in dags)
        return AirflowFacts(self.time.replace(microsecond=0), dags, tuple(self._faults.values()))

    def _list(self) -> None:
        if self.now - self._listed < LISTING_S:
            return
        self._listed = self.now
        new = [file for file in self.folder if file not in self._known]
        self._known = list(self.folder)
        self._queue = new + [file for file in self._queue if file in self.folder]
        self._faults = {file: fault for file, fault in self._faults.items() if file in self.folder}
        for dag_id, dag in self._dags.items():
            if dag.file not in self.folder:
                self._dags[dag_id] = replace(dag, is_stale=True)

    def _fill(self) -> None:
        busy = {each.file for each in self._running}
        self._queue = [
            file
            for file in self._known
            if file not in busy and self.now - self._finished.get(file, -INTERVAL_S) >= INTERVAL_S
        ]

    def _start(self) -> None:
        while self._queue and len(self._running) < PROCESSES:
            file = self._queue.pop(0)
            if file in self.folder and file not in {each.file for each in self._running}:
                self._running.append(_Parse(file, self.now, self.folder[file]))

    def _collect(self) -> None:
        for parse in [each for each in self._running if self.now - each.began >= each.source.seconds]:
            self._running.remove(parse)
            self._finished[parse.file] = self.now
            self._record(parse)

    def _record(self, parse: _Parse) -> None:
        self._faults.pop(parse.file, None)
        if parse.source.is_broken:
            self._faults[parse.file] = ImportFault(parse.file, self.time, "ImportError: no")
            for dag_id, dag in self._dags.items():
                if dag.file == parse.file:
                    self._dags[dag_id] = replace(dag, is_stale=True)
        for dag_id in parse.source.dag_ids:
            self._dags[dag_id] = AirflowDag(dag_id, parse.file, self.time, self.now - parse.began)

    def _sweep(self) -> None:
        if self.now - self._swept < SWEEP_S:
            return
        self._swept = self.now
        for dag_id, dag in self._dags.items():
            finished = START + timedelta(seconds=self._finished.get(dag.file, 0))
            if dag.parsed_at and dag.parsed_at + timedelta(seconds=THRESHOLD_S) < finished:
                self._dags[dag_id] = replace(dag, is_stale=True)
