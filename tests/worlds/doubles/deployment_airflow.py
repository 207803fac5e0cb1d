"""What a Deployment's own Airflow answers, as a script for `HostileServer`: lists by page, as Airflow gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.worlds.doubles.hostile_server import Asked, Script, answer

TOKEN = "deployment-token-that-must-not-show"  # noqa: S105 - opens nothing
DATE = "Mon, 30 Nov 2026 00:10:25 GMT"


def make_dag(dag_id: str = "orders", /, **changes: Any) -> dict[str, Any]:
    """Return a DAG as Airflow 3.3.2 answered it."""
    return {
        "dag_id": dag_id,
        "dag_display_name": dag_id,
        "is_paused": True,
        "is_stale": False,
        "last_parsed_time": "2026-11-30T00:10:20.615667Z",
        "last_parse_duration": 0.25,
        "last_expired": None,
        "bundle_name": "dags-folder",
        "bundle_version": None,
        "relative_fileloc": f"sub/{dag_id}.py",
        "fileloc": f"/usr/local/airflow/dags/sub/{dag_id}.py",
        "description": None,
        "timetable_summary": "0 0 * * *",
        "timetable_description": "At 00:00",
        "timetable_partitioned": False,
        "timetable_periodic": True,
        "tags": [{"name": name, "dag_id": dag_id, "dag_display_name": dag_id} for name in ("b", "a")],
        "max_active_tasks": 16,
        "max_active_runs": 16,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
        "has_import_errors": False,
        "next_dagrun_logical_date": "2026-11-30T00:00:00Z",
        "next_dagrun_data_interval_start": "2026-11-30T00:00:00Z",
        "next_dagrun_data_interval_end": "2026-11-30T00:00:00Z",
        "next_dagrun_run_after": "2026-11-30T00:00:00Z",
        "allowed_run_types": None,
        "owners": ["ann"],
        "is_backfillable": True,
        "file_token": "eyJ",
        **changes,
    }


def make_old_dag(dag_id: str = "orders", /, **changes: Any) -> dict[str, Any]:
    """Return a DAG in the words of Airflow 2's `/api/v1`, as far as it differs by what we read."""
    return {
        "dag_id": dag_id,
        "dag_display_name": dag_id,
        "root_dag_id": None,
        "is_paused": True,
        "is_active": True,
        "is_subdag": False,
        "last_parsed_time": "2026-11-30T00:10:20.615667+00:00",
        "last_pickled": None,
        "last_expired": None,
        "fileloc": f"/usr/local/airflow/dags/sub/{dag_id}.py",
        "file_token": "Ii91",
        "owners": ["ann"],
        "description": None,
        "schedule_interval": {"__type": "CronExpression", "value": "0 0 * * *"},
        "timetable_description": "At 00:00",
        "tags": [{"name": "b"}, {"name": "a"}],
        "has_import_errors": False,
        **changes,
    }


def make_fault(number: int = 1, /, **changes: Any) -> dict[str, Any]:
    """Return an import error as Airflow 3.3.2 answered it."""
    trace = (
        "Traceback (most recent call last):\n"
        '  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed\n'
        f'  File "/usr/local/airflow/dags/broken{number}.py", line 2, in <module>\n'
        "    import nothere\n"
        "ModuleNotFoundError: No module named 'nothere'\n"
    )
    return {
        "import_error_id": number,
        "timestamp": "2026-11-30T00:10:21.314354Z",
        "filename": f"broken{number}.py",
        "bundle_name": "dags-folder",
        "stack_trace": trace,
        **changes,
    }


def say(value: Any, status: int = 200, **headers: str) -> list[bytes]:
    """Return an answer with a value as JSON, and a Date."""
    return answer(status, json.dumps(value).encode(), **{"Date": DATE, "Content_Type": "application/json", **headers})


def serve(
    dags: Sequence[Any] = (), faults: Sequence[Any] = (), *, page_max: int = 100, base: str = "/api/v2"
) -> Script:
    """Return a script that answers these lists to whoever has the token, `page_max` items a page at most."""
    lists = {f"{base}/dags": ("dags", dags), f"{base}/importErrors": ("import_errors", faults)}

    def reply(asked: Asked) -> Iterable[bytes]:
        parts = urlsplit(asked.path)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return say({"detail": "Not authenticated"}, 401)
        if parts.path == f"{base}/version":
            return say({"version": "3.3.2", "git_version": None})
        if parts.path not in lists:
            return say({"error": "API route not found"}, 404)
        key, items = lists[parts.path]
        query = parse_qs(parts.query)
        offset, limit = int(query["offset"][0]), min(int(query["limit"][0]), page_max)
        return say({key: items[offset : offset + limit], "total_entries": len(items)})

    return reply


def make_run(at: datetime, **changes: Any) -> dict[str, Any]:
    """Return a run that a person started at a time, as Airflow 3.3.2 answered it."""
    stamp = at.isoformat()
    return {
        "dag_run_id": f"manual__{stamp}",
        "dag_id": "orders",
        "dag_display_name": "orders",
        "logical_date": None,
        "queued_at": stamp,
        "start_date": stamp,
        "end_date": stamp,
        "duration": 1.5,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": stamp,
        "last_scheduling_decision": stamp,
        "run_type": "manual",
        "state": "success",
        "triggered_by": "ui",
        "triggering_user_name": "ann",
        "conf": {},
        "note": None,
        "dag_versions": [],
        "bundle_version": None,
        "partition_key": None,
        "partition_date": None,
        **changes,
    }


def serve_runs(runs: Sequence[Any], *, base: str = "/api/v2") -> Script:
    """Return a script that answers these runs, which come in the order that is asked for, to whoever has the token."""

    def reply(asked: Asked) -> Iterable[bytes]:
        parts = urlsplit(asked.path)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}" or parts.path != f"{base}/dags/~/dagRuns":
            return say({"detail": "Not authenticated"}, 401)
        query = parse_qs(parts.query)
        found = [
            each
            for each in runs
            if each["state"] in query.get("state", [each["state"]])
            and each["run_type"] in query.get("run_type", [each["run_type"]])
        ]
        offset = int(query.get("offset", ["0"])[0])
        return say({"dag_runs": found[offset : offset + int(query["limit"][0])], "total_entries": len(found)})

    return reply
