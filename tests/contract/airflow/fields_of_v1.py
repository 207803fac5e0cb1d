"""What Airflow 2.11's API reference names of what is asked and answered. Restated, since it is not here.

https://airflow.apache.org/docs/apache-airflow/2.11.0/stable-rest-api-ref.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

TEXT, COUNT, NUMBER, FLAG, NOTHING = str, int, float, bool, type(None)
Fields = dict[str, tuple[type, ...]]

DAG: Fields = {
    "dag_id": (TEXT,),
    "dag_display_name": (TEXT,),
    "root_dag_id": (TEXT, NOTHING),
    "is_paused": (FLAG, NOTHING),
    "is_active": (FLAG, NOTHING),
    "is_subdag": (FLAG,),
    "last_parsed_time": (TEXT, NOTHING),
    "last_pickled": (TEXT, NOTHING),
    "last_expired": (TEXT, NOTHING),
    "scheduler_lock": (FLAG, NOTHING),
    "pickle_id": (TEXT, NOTHING),
    "default_view": (TEXT, NOTHING),
    "fileloc": (TEXT,),
    "file_token": (TEXT,),
    "owners": (list,),
    "description": (TEXT, NOTHING),
    "schedule_interval": (dict, NOTHING),
    "timetable_description": (TEXT, NOTHING),
    "tags": (list, NOTHING),
    "max_active_tasks": (COUNT, NOTHING),
    "max_active_runs": (COUNT, NOTHING),
    "max_consecutive_failed_dag_runs": (COUNT, NOTHING),
    "has_task_concurrency_limits": (FLAG, NOTHING),
    "has_import_errors": (FLAG, NOTHING),
    "next_dagrun": (TEXT, NOTHING),
    "next_dagrun_data_interval_start": (TEXT, NOTHING),
    "next_dagrun_data_interval_end": (TEXT, NOTHING),
    "next_dagrun_create_after": (TEXT, NOTHING),
}
IMPORT_ERROR: Fields = {
    "import_error_id": (COUNT,),
    "timestamp": (TEXT,),
    "filename": (TEXT,),
    "stack_trace": (TEXT,),
}
RUN: Fields = {
    "dag_run_id": (TEXT,),  # null in what is asked for alone
    "dag_id": (TEXT,),
    "logical_date": (TEXT, NOTHING),
    "execution_date": (TEXT, NOTHING),
    "start_date": (TEXT, NOTHING),
    "end_date": (TEXT, NOTHING),
    "data_interval_start": (TEXT, NOTHING),
    "data_interval_end": (TEXT, NOTHING),
    "last_scheduling_decision": (TEXT, NOTHING),
    "run_type": (TEXT,),
    "state": (TEXT,),
    "external_trigger": (FLAG,),
    "conf": (dict,),
    "note": (TEXT, NOTHING),
}
TASK_INSTANCE: Fields = {
    "task_id": (TEXT,),
    "task_display_name": (TEXT,),
    "dag_id": (TEXT,),
    "dag_run_id": (TEXT,),
    "execution_date": (TEXT,),
    "start_date": (TEXT, NOTHING),
    "end_date": (TEXT, NOTHING),
    "duration": (NUMBER, COUNT, NOTHING),
    "state": (TEXT, NOTHING),
    "try_number": (COUNT,),
    "map_index": (COUNT,),
    "max_tries": (COUNT,),
    "hostname": (TEXT,),
    "unixname": (TEXT,),
    "pool": (TEXT,),
    "pool_slots": (COUNT,),
    "queue": (TEXT, NOTHING),
    "priority_weight": (COUNT, NOTHING),
    "operator": (TEXT, NOTHING),
    "queued_when": (TEXT, NOTHING),
    "pid": (COUNT, NOTHING),
    "executor": (TEXT, NOTHING),
    "executor_config": (TEXT,),
    "sla_miss": (dict, NOTHING),
    "rendered_map_index": (TEXT, NOTHING),
    "rendered_fields": (dict,),
    "trigger": (dict, NOTHING),
    "triggerer_job": (dict, NOTHING),
    "note": (TEXT, NOTHING),
}
POOL: Fields = {
    "name": (TEXT,),
    "slots": (COUNT,),
    "occupied_slots": (COUNT,),
    "running_slots": (COUNT,),
    "queued_slots": (COUNT,),
    "open_slots": (COUNT,),
    "scheduled_slots": (COUNT,),
    "deferred_slots": (COUNT,),
    "description": (TEXT, NOTHING),
    "include_deferred": (FLAG,),
}
LOG: Fields = {"content": (TEXT,), "continuation_token": (TEXT, NOTHING)}
PROBLEM: Fields = {"detail": (TEXT,), "status": (COUNT,), "title": (TEXT,), "type": (TEXT,)}


@dataclass(frozen=True)
class Operation:
    """What may be asked, by which names, and what is answered: an object, or below `plural` a list of them."""

    answer: Fields | None
    plural: str = ""
    query: frozenset[str] = frozenset()
    sent: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    status: int = 200
    refusals: frozenset[int] = field(default_factory=lambda: frozenset({400, 401, 403, 404}))


_PAGE = frozenset({"limit", "offset", "order_by"})
_FIELDS = frozenset({"fields"})
_TIMES = frozenset(
    f"{name}_{end}" for name in ("execution_date", "start_date", "end_date", "updated_at") for end in ("gte", "lte")
)
_RUN, _TASK, _POOL = "/dags/{dag}/dagRuns/{run}", "/dags/{dag}/dagRuns/{run}/taskInstances", "/pools/{pool}"
_NEW_RUN = frozenset({"dag_run_id", "logical_date", "data_interval_start", "data_interval_end", "conf", "note"})
_MADE_POOL = frozenset({"name", "slots", "description", "include_deferred"})
_TWICE = frozenset({400, 401, 403, 404, 409})
OPERATIONS = {
    ("GET", "/dags/{dag}"): Operation(DAG, query=_FIELDS),
    ("PATCH", "/dags/{dag}"): Operation(DAG, query=frozenset({"update_mask"}), sent=frozenset({"is_paused"})),
    ("GET", "/dags/{dag}/dagRuns"): Operation(RUN, "dag_runs", query=_PAGE | _TIMES | _FIELDS | {"state"}),
    ("POST", "/dags/{dag}/dagRuns"): Operation(RUN, sent=_NEW_RUN, refusals=_TWICE),
    ("GET", _RUN): Operation(RUN, query=_FIELDS),
    ("PATCH", _RUN): Operation(RUN, sent=frozenset({"state"}), needed=frozenset({"state"})),
    ("GET", _TASK): Operation(
        TASK_INSTANCE,
        "task_instances",
        query=_PAGE | _TIMES | {"state", "pool", "queue", "executor", "duration_gte", "duration_lte"},
    ),
    ("GET", f"{_TASK}/{{task}}"): Operation(TASK_INSTANCE),
    ("GET", f"{_TASK}/{{task}}/logs/{{number}}"): Operation(
        LOG, query=frozenset({"full_content", "map_index", "token"})
    ),
    ("GET", "/pools"): Operation(POOL, "pools", query=_PAGE),
    ("POST", "/pools"): Operation(POOL, sent=_MADE_POOL, needed=frozenset({"name", "slots"}), refusals=_TWICE),
    ("GET", _POOL): Operation(POOL),
    ("PATCH", _POOL): Operation(
        POOL, query=frozenset({"update_mask"}), sent=_MADE_POOL, needed=frozenset({"name", "slots"}), refusals=_TWICE
    ),
    ("DELETE", _POOL): Operation(None, status=204),
}


def find_operation(method: str, path: str) -> Operation | None:
    """Return what serves a path below the version."""
    for (each, described), operation in OPERATIONS.items():
        if each == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", described), path):
            return operation
    return None


def list_request_problems(request: httpx.Request) -> list[str]:
    """Say what Airflow 2 would refuse of a request."""
    operation = find_operation(request.method, _cut_path(request))
    if operation is None:
        return [f"{request.method} {request.url.path} is not described"]
    sent = json.loads(request.content) if request.content else {}
    return [
        *(f"{name} is no parameter" for name in request.url.params.keys() - operation.query),
        *(f"{name} is not to be sent" for name in sent.keys() - operation.sent),
        *(f"{name} is to be sent" for name in operation.needed - sent.keys()),
    ]


def list_answer_problems(answer: httpx.Response) -> list[str]:
    """Say what Airflow 2 would not answer so."""
    operation = find_operation(answer.request.method, _cut_path(answer.request))
    if operation is None:
        return ["not described"]
    if answer.status_code in operation.refusals:
        return list_field_problems(PROBLEM, answer.json())
    if answer.status_code != operation.status:
        return [f"{answer.status_code} instead of {operation.status}"]
    if operation.answer is None:
        return [] if not answer.content else ["a body"]
    found: Any = answer.json()
    if not operation.plural:
        return list_field_problems(operation.answer, found)
    items = found[operation.plural]
    problems = [] if found.keys() == {operation.plural, "total_entries"} else [f"{sorted(found)}"]
    return [*problems, *(problem for each in items for problem in list_field_problems(operation.answer, each))]


def _cut_path(request: httpx.Request) -> str:
    return request.url.path.partition("/api/v1")[2]


def list_field_problems(fields: Fields, value: dict[str, object]) -> list[str]:
    """Say which fields are missing, unknown, or of another type."""
    missing = [f"{name} is missing" for name in fields.keys() - value.keys()]
    unknown = [f"{name} is not known" for name in value.keys() - fields.keys()]
    shared = fields.keys() & value.keys()
    return [
        *missing,
        *unknown,
        *(f"{name} is {value[name]!r}" for name in shared if type(value[name]) not in fields[name]),
    ]
