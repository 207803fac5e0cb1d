"""Airflow 2's REST API v1, told by way of v2: other names in what is asked, other fields in what is answered.

Airflow 2 is not here to be asked, so the table says what is known of it: https://airflow.apache.org/docs/ of 2.11.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.airflow.answers import Document, RefusalError
from sandbox.airflow.api import list_endpoints as list_v2_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Message

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.instance import Airflow

_PATHS = {"/monitor/health": "/health"}
_QUERY = {"only_active": "exclude_stale"}
_NEW_QUERY = frozenset({"exclude_stale", "filename_pattern", "run_id_pattern", "run_type", "task_id"})
"""What version 2 alone may be asked: Airflow 2 refuses what its description does not name."""
_RUN_TYPES = {"asset_triggered": "dataset_triggered"}
_BUNDLE = "/usr/local/airflow/dags"
_OK, _CREATED = HTTPStatus.OK, HTTPStatus.CREATED
_RUN = (
    *("conf", "dag_id", "dag_run_id", "data_interval_end", "data_interval_start", "end_date", "logical_date", "note"),
    *("last_scheduling_decision", "start_date", "state"),
)
_TASK = (
    *("dag_id", "dag_run_id", "duration", "end_date", "executor", "executor_config", "hostname", "map_index", "note"),
    *("max_tries", "operator", "pid", "pool", "pool_slots", "priority_weight", "queue", "queued_when", "start_date"),
    *("rendered_fields", "rendered_map_index", "state", "task_display_name", "task_id", "trigger", "triggerer_job"),
    *("try_number", "unixname"),
)
_DAG = (
    *("dag_id", "dag_display_name", "description", "file_token", "fileloc", "has_import_errors", "is_paused", "owners"),
    *("has_task_concurrency_limits", "last_expired", "last_parsed_time", "max_active_runs", "max_active_tasks"),
    *("max_consecutive_failed_dag_runs", "next_dagrun_data_interval_end", "next_dagrun_data_interval_start"),
    "timetable_description",
)


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    for method, path, endpoint in list_v2_endpoints():
        yield method, _PATHS.get(path, path), _translate(endpoint)


def answer_refusal(refusal: RefusalError) -> Response:
    """Return a refusal in the words of v1."""
    status = HTTPStatus(refusal.status)
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    problem = {
        "detail": refusal.detail if isinstance(refusal.detail, str) else json.dumps(refusal.detail),
        "status": status,
        "title": status.phrase,
        "type": "about:blank",
    }
    return JSONResponse(problem, status, media_type="application/problem+json")


def _translate(endpoint: Endpoint) -> Endpoint:
    async def answer(airflow: Airflow, request: Request) -> Response:
        response = await endpoint(airflow, await _ask_as_v2(request))
        if not response.body:
            return response
        status = _OK if response.status_code == _CREATED else response.status_code
        return JSONResponse(_write(json.loads(bytes(response.body))), status)

    return answer


async def _ask_as_v2(request: Request) -> Request:
    """Return the request as v2 would have got it."""
    if extra := sorted(_NEW_QUERY & request.query_params.keys()):
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"Extra query parameter(s) {', '.join(extra)} not in spec")
    query = [(_QUERY.get(name, name), value) for name, value in request.query_params.multi_items()]
    body = await request.body()
    if request.method == "POST" and request.url.path.endswith("/dagRuns"):
        body = _fill_in(body, {"logical_date": None})
    if request.method == "PATCH" and "/pools/" in request.url.path:
        body = _fill_in(body, {"include_deferred": False}, pool="name")

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({**request.scope, "query_string": urlencode(QueryParams(query).multi_items()).encode()}, receive)


def _fill_in(body: bytes, defaults: Document, **named: str) -> bytes:
    """Return the body with what need not be given here, and by the names that version 2 has for it."""
    try:
        given = json.loads(body)
    except ValueError:
        return body
    if not isinstance(given, dict):
        return body
    names = {old: new for new, old in named.items()}
    return json.dumps(defaults | {names.get(name, name): value for name, value in given.items()}).encode()


def _write(document: Document) -> Document:
    """Return an answer of v2 as v1 gives it; one that both have stays."""
    for plural, write in _LISTS.items():
        if plural in document:
            return {**document, plural: [write(each) for each in document[plural]]}
    if "content" in document:
        return write_log(document)
    kinds: tuple[tuple[str, Callable[[Document], Document]], ...] = (
        ("import_error_id", write_error),
        ("task_id", write_task),
        ("run_type", write_run),
        ("is_stale", write_dag),
        ("team_name", write_pool),
    )
    return next((write(document) for field, write in kinds if field in document), document)


def write_dag(dag: Document) -> Document:
    """Return a DAG."""
    summary = dag["timetable_summary"]
    return {
        **{name: dag[name] for name in _DAG},
        "is_active": not dag["is_stale"],
        "tags": [{"name": tag["name"]} for tag in dag["tags"]],
        "schedule_interval": summary and {"__type": "CronExpression", "value": summary},
        "next_dagrun": dag["next_dagrun_logical_date"],
        "next_dagrun_create_after": dag["next_dagrun_run_after"],
        "default_view": "grid",
        **dict.fromkeys(("root_dag_id", "last_pickled", "scheduler_lock", "pickle_id")),
        "is_subdag": False,
    }


def write_run(run: Document) -> Document:
    """Return a run: Airflow 2 knows none without a logical date, which it also calls by its old name."""
    logical_date = run["logical_date"] or run["run_after"]
    return {
        **{name: run[name] for name in _RUN},
        "logical_date": logical_date,
        "execution_date": logical_date,
        "run_type": _RUN_TYPES.get(run["run_type"], run["run_type"]),
        "external_trigger": run["run_type"] == "manual",
    }


def write_task(task: Document) -> Document:
    """Return a task instance."""
    return {
        **{name: task[name] for name in _TASK},
        "execution_date": task["logical_date"] or task["run_after"],
        "sla_miss": None,
    }


def write_error(error: Document) -> Document:
    """Return an import error; Airflow 2 names the whole path, and no bundle."""
    named = {name: error[name] for name in ("import_error_id", "timestamp", "stack_trace")}
    return {**named, "filename": f"{_BUNDLE}/{error['filename']}"}


def write_pool(pool: Document) -> Document:
    """Return a pool, which is no team's."""
    return {key: value for key, value in pool.items() if key != "team_name"}


_LISTS = {
    "dags": write_dag,
    "dag_runs": write_run,
    "task_instances": write_task,
    "import_errors": write_error,
    "pools": write_pool,
}


def write_log(log: Document) -> Document:
    """Return a log: pairs of host and text, which Airflow 2 turns into one text by Python's repr."""
    return {"content": repr([("localhost", "\n".join(map(_write_line, log["content"])))]), "continuation_token": "none"}


def _write_line(line: Document) -> str:
    """Return a line of a log as text."""
    said = [str(line[name]) for name in ("timestamp", "level", "event") if name in line]
    errors: list[Any] = line.get("error_detail", [])
    return " ".join(said + [f"{each['exc_type']}: {each['exc_value']}" for each in errors])
