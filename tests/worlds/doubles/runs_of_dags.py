"""An Airflow that starts, ends and pauses, as a script for `HostileServer`: what it holds, tests set and read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.worlds.doubles.deployment_airflow import TOKEN, make_dag, say
from tests.worlds.doubles.hostile_server import Asked

_PATH = re.compile(r"/api/v[12]/dags/(?P<dag>[^/]+)(?:/dagRuns(?:/(?P<run>[^/]+))?)?(?P<rest>/taskInstances.*)?")
UNSCHEDULED: dict[str, Any] = {"timetable_summary": "None", "next_dagrun_run_after": None}


def make_run(dag_id: str, run_id: str, state: str = "queued", **changes: Any) -> dict[str, Any]:
    """Return a run as Airflow 3.3.2 answers it."""
    times = {"start_date": "2026-11-30T00:10:00Z", "end_date": "2026-11-30T00:10:40Z"}
    if state not in {"success", "failed"}:
        times["end_date"] = None  # type: ignore[assignment]
    return {"dag_id": dag_id, "dag_run_id": run_id, "state": state, **times, **changes}


@dataclass
class RunsOfDags:
    """Its DAGs and runs. A run that is begun is in the next of `states`, of which the last one stays."""

    dags: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: list[str] = field(default_factory=lambda: ["success"])
    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    confs: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    log: Any = field(default_factory=list)
    busy: int = 0
    done: list[str] = field(default_factory=list)
    spoil: Callable[[Asked], list[bytes] | None] = lambda _: None

    def add(self, dag_id: str, **changes: Any) -> None:
        """Have a DAG, paused and without a schedule."""
        self.dags[dag_id] = make_dag(dag_id, **{**UNSCHEDULED, **changes})

    def is_paused(self, dag_id: str) -> bool:
        return bool(self.dags[dag_id]["is_paused"])

    def __call__(self, asked: Asked) -> Iterable[bytes]:
        spoilt = self.spoil(asked)
        return self._answer(asked) if spoilt is None else spoilt

    def _answer(self, asked: Asked) -> list[bytes]:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return say({"detail": "Not authenticated"}, 401)
        found = _PATH.fullmatch(urlsplit(asked.path).path)
        dag_id = unquote(found["dag"]) if found else ""
        if found is None or dag_id not in self.dags:
            return say({"detail": f"Dag with id: {dag_id} was not found"}, 404)
        if refusal := self.refusals.get(f"{asked.method} {dag_id}"):
            return say({"detail": refusal[1]}, refusal[0])
        if found["rest"]:
            return self._answer_tasks(dag_id, found["rest"])
        if "/dagRuns" in asked.path:
            return self._answer_runs(asked, dag_id, unquote(found["run"] or ""))
        if asked.method == "PATCH":
            self.dags[dag_id]["is_paused"] = json.loads(asked.body)["is_paused"]
            self.done.append(f"{'pause' if self.dags[dag_id]['is_paused'] else 'unpause'} {dag_id}")
        return say(self.dags[dag_id])

    def _answer_runs(self, asked: Asked, dag_id: str, run_id: str) -> list[bytes]:
        if asked.method == "POST":
            given = json.loads(asked.body)
            run_id = given["dag_run_id"]
            if (dag_id, run_id) in self.runs:
                return say({"detail": {"reason": "Unique constraint violation"}}, 409)
            self.confs[dag_id] = given["conf"]
            self.runs[dag_id, run_id] = make_run(dag_id, run_id)
            self.done.append(f"start {dag_id}")
            return say(self.runs[dag_id, run_id])
        if not run_id:
            return say({"dag_runs": [], "total_entries": self.busy})
        if (dag_id, run_id) not in self.runs:
            said = f"The DagRun with dag_id: `{dag_id}` and run_id: `{run_id}` was not found"
            return say({"detail": said}, 404)
        run = self.runs[dag_id, run_id]
        if asked.method == "PATCH":
            run |= make_run(dag_id, run_id, json.loads(asked.body)["state"])
            self.done.append(f"end {dag_id}")
        elif run["state"] not in {"success", "failed"} and not self.dags[dag_id]["is_paused"]:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            run |= make_run(dag_id, run_id, state)
        return say(run)

    def _answer_tasks(self, dag_id: str, rest: str) -> list[bytes]:
        if "/logs/" in rest:
            return say({"content": self.log, "continuation_token": None})
        task = {"task_id": "load", "map_index": -1, "try_number": 2, "state": "failed", "dag_id": dag_id}
        return say({"task_instances": [{**task, "end_date": "2026-11-30T00:10:40Z"}], "total_entries": 1})
