"""What Airflow's API answers of runs: start, list, read, end; their task instances, and what these logged."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from sandbox.airflow.answers import (
    PAGE,
    Document,
    RefusalError,
    answer_page,
    check_query,
    read_body,
    read_count,
    refuse_twice,
    refuse_value,
    sort_by,
)
from sandbox.airflow.dags_api import find_dag, know_code, matches
from sandbox.airflow.runs import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.instance import Airflow
    from sandbox.airflow.runs import Run

_ONE = "/dags/{dag}/dagRuns/{run}"
_ANY = "~"
_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]+")  # Airflow's [scheduler] allowed_run_id_pattern
_STATES = ("queued", "running", "success", "failed")
_SETTABLE = ("queued", "success", "failed")
_RUN_TYPES = ("backfill", "scheduled", "manual", "operator_triggered", "asset_triggered", "asset_materialization")
_NOTE_CHARACTERS = 1000
_MAYBE_TEXT = (str, type(None))
_NEW_RUN = {
    "dag_run_id": _MAYBE_TEXT,
    "logical_date": _MAYBE_TEXT,
    "run_after": _MAYBE_TEXT,
    "conf": (dict, type(None)),
    "note": _MAYBE_TEXT,
}
_RUN_ORDERS = {
    **{name: name for name in ("state", "dag_id", "logical_date", "run_after", "start_date", "end_date", "run_type")},
    "id": "queued_at",  # rows are numbered as they come
    "run_id": "dag_run_id",
    "dag_run_id": "dag_run_id",
}
_TASK_ORDERS = {name: name for name in ("id", "state", "duration", "start_date", "end_date", "map_index", "try_number")}


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    yield "GET", "/dags/{dag}/dagRuns", know_code(_list_runs)
    yield "POST", "/dags/{dag}/dagRuns", know_code(_create_run)
    yield "GET", _ONE, _get_run
    yield "PATCH", _ONE, _patch_run
    yield "GET", f"{_ONE}/taskInstances", _list_tasks
    yield "GET", f"{_ONE}/taskInstances/{{task}}", _get_task
    yield "GET", f"{_ONE}/taskInstances/{{task}}/logs/{{try_number:int}}", _get_log


async def _list_runs(airflow: Airflow, request: Request) -> Response:
    check_query(request, (*PAGE, "run_type", "state", "run_id_pattern"))
    if request.path_params["dag"] != _ANY:
        find_dag(airflow, request)
    types, states = _read_words(request, "run_type", _RUN_TYPES), _read_words(request, "state", _STATES)
    runs = [
        run.document
        for run in airflow.runs.values()
        if request.path_params["dag"] in {_ANY, run.document["dag_id"]}
        and (not types or run.document["run_type"] in types)
        and (not states or run.state in states)
        and matches(request.query_params.get("run_id_pattern"), run.document["dag_run_id"])
    ]
    return answer_page(request, "dag_runs", sort_by(request, runs, _RUN_ORDERS, "id"))


def _read_words(request: Request, name: str, words: tuple[str, ...]) -> list[str]:
    found = request.query_params.getlist(name)
    for word in found:
        if word not in words:
            raise refuse_value("query", name, says=f"Input should be one of {', '.join(words)}", found=word)
    return found


async def _create_run(airflow: Airflow, request: Request) -> Response:
    body = await read_body(request, _NEW_RUN, required=("logical_date",))
    dag_id = request.path_params["dag"]
    dags = {dag["dag_id"]: dag for dag in airflow.list_dags() if not dag["is_stale"]}
    if dag_id not in dags:
        raise RefusalError(404, f"Dag with dag_id: '{dag_id}' not found")
    allowed = dags[dag_id]["allowed_run_types"]
    if allowed is not None and "manual" not in allowed:
        raise RefusalError(400, f"Dag with dag_id: '{dag_id}' does not allow manual runs")
    given = _read_new_run(body)
    _check_conf(airflow.find_params(dag_id), given.get("conf") or {})
    if _is_taken(airflow, dag_id, given):
        raise refuse_twice()
    return JSONResponse(airflow.trigger(dag_id, given).document)


def _is_taken(airflow: Airflow, dag_id: str, given: Document) -> bool:
    """Whether a DAG has a run of that id, or of that logical date, already."""
    dates = {run.document["logical_date"] for (each, _), run in airflow.runs.items() if each == dag_id} - {None}
    return (dag_id, given.get("dag_run_id")) in airflow.runs or given.get("logical_date") in dates


def _read_new_run(body: Document) -> Document:
    given = {name: value for name, value in body.items() if value is not None}
    if not _RUN_ID.fullmatch(given.get("dag_run_id", "~")):
        said = f"The run_id provided '{given['dag_run_id']}' does not match regex pattern '^[A-Za-z0-9_.~:+-]+$'"
        raise RefusalError(400, said)
    for name in given.keys() & {"logical_date", "run_after"}:
        given[name] = _read_time(name, given[name])
    return given


def _read_time(name: str, text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise refuse_value("body", name, says="Input should be a valid datetime", found=text) from error
    if moment.tzinfo is None:
        raise refuse_value("body", name, says="Input should have timezone info", found=text)
    return format_time(moment.astimezone(UTC))


def _check_conf(params: dict[str, Document], conf: Document) -> None:
    """Refuse a conf that does not give what the DAG's params need, as Airflow does before it makes the run."""
    if not params:
        return
    from jsonschema import FormatChecker, ValidationError, validate  # a fifth of the sandbox's start, rarely needed

    for name, param in params.items():
        if name not in conf and "value" not in param:
            raise RefusalError(400, f"Invalid input for param {name}: No value passed")
        try:
            validate(conf.get(name, param.get("value")), param["schema"], format_checker=FormatChecker())
        except ValidationError as error:
            raise RefusalError(400, f"Invalid input for param {name}: {error}") from error


async def _get_run(airflow: Airflow, request: Request) -> Response:
    return JSONResponse(_find_run(airflow, request).document)


async def _patch_run(airflow: Airflow, request: Request) -> Response:
    check_query(request, ("update_mask",))
    run, mask = _find_run(airflow, request), request.query_params.getlist("update_mask")
    body = await read_body(request, {"state": _MAYBE_TEXT, "note": _MAYBE_TEXT})
    given = {name: value for name, value in body.items() if not mask or name in mask}
    if given.get("state") not in {None, *_SETTABLE}:
        said = f"Input should be {', '.join(_SETTABLE)}"
        raise refuse_value("body", "state", says=said, found=given["state"])
    if len(given.get("note") or "") > _NOTE_CHARACTERS:
        raise refuse_value("body", "note", says="String should have at most 1000 characters", found=given["note"])
    run.document |= {name: value for name, value in given.items() if name == "note"}
    if given.get("state") is not None:
        airflow.set_state(run, given["state"])
    return JSONResponse(run.document)


def _find_run(airflow: Airflow, request: Request) -> Run:
    dag_id, run_id = request.path_params["dag"], request.path_params["run"]
    if (dag_id, run_id) not in airflow.runs:
        raise RefusalError(404, f"The DagRun with dag_id: `{dag_id}` and run_id: `{run_id}` was not found")
    return airflow.runs[dag_id, run_id]


async def _list_tasks(airflow: Airflow, request: Request) -> Response:
    check_query(request, (*PAGE, "state", "task_id"))
    query, run = request.query_params, _find_run(airflow, request)
    airflow.read_progress(run)
    found = [
        each
        for each in run.task_instances
        if (not query.getlist("state") or (each["state"] or "none") in query.getlist("state"))
        and query.get("task_id") in {None, each["task_id"]}
    ]
    return answer_page(request, "task_instances", sort_by(request, found, _TASK_ORDERS, "map_index"))


async def _get_task(airflow: Airflow, request: Request) -> Response:
    run = _find_run(airflow, request)
    return JSONResponse(_find_task(airflow, request, run, map_index=-1))


async def _get_log(airflow: Airflow, request: Request) -> Response:
    check_query(request, ("full_content", "map_index"))
    run, try_number = _find_run(airflow, request), request.path_params["try_number"]
    map_index = _read_map_index(request)
    task = _find_task(airflow, request, run, map_index)
    if try_number > task["try_number"]:
        raise RefusalError(404, "TaskInstance not found")
    lines: list[Any] = airflow.read_log(run, task["task_id"], map_index, try_number)
    source = f"dag_id={task['dag_id']}/run_id={task['dag_run_id']}/task_id={task['task_id']}/attempt={try_number}.log"
    head = [{"event": "::group::Log message source details", "sources": [source]}, {"event": "::endgroup::"}]
    return JSONResponse({"content": [*head, *lines], "continuation_token": None})


def _read_map_index(request: Request) -> int:
    return -1 if request.query_params.get("map_index", "-1") == "-1" else read_count(request, "map_index", 0)


def _find_task(airflow: Airflow, request: Request, run: Run, map_index: int) -> Document:
    airflow.read_progress(run)
    for each in run.task_instances:
        if (each["task_id"], each["map_index"]) == (request.path_params["task"], map_index):
            return each
    place = f"dag_id: `{run.document['dag_id']}`, run_id: `{run.document['dag_run_id']}`"
    task_id = request.path_params["task"]
    raise RefusalError(404, f"The Task Instance with {place} and task_id: `{task_id}` was not found")
