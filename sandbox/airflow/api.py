"""Airflow's REST API v2, as far as somebody needs it who asks whether deployed code works. Knows no other version."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.airflow.answers import (
    Document,
    RefusalError,
    answer_page,
    check_query,
    read_flag,
    sort_by,
)
from sandbox.airflow.instance import Airflow
from sandbox.airflow.runs import format_time
from sandbox.astro.catalog import name_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

Endpoint = Callable[[Airflow, Request], Awaitable[Response]]
_PAGE = ("limit", "offset", "order_by")
_TEXT, _MAYBE_TEXT = (str,), (str, type(None))


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    yield "GET", "/version", _get_version
    yield "GET", "/monitor/health", _get_health
    for method, path, endpoint in (
        ("GET", "/dags", _list_dags),
        ("GET", "/dags/{dag}", _get_dag),
        ("GET", "/importErrors", _list_import_errors),
        ("GET", "/importErrors/{number:int}", _get_import_error),
    ):
        yield method, path, _know_code(endpoint)


def _know_code(endpoint: Endpoint) -> Endpoint:
    """Let an endpoint wait until what is deployed was parsed."""

    async def answer(airflow: Airflow, request: Request) -> Response:
        await airflow.catch_up()
        return await endpoint(airflow, request)

    return answer


async def _get_version(airflow: Airflow, _request: Request) -> Response:
    return JSONResponse({"version": name_airflow(airflow.runtime), "git_version": None})


async def _get_health(_airflow: Airflow, _request: Request) -> Response:
    at = format_time(datetime.now(UTC))
    beating = ("scheduler", "triggerer", "dag_processor")
    parts = {name: {"status": "healthy", f"latest_{name}_heartbeat": at} for name in beating}
    return JSONResponse({"metadatabase": {"status": "healthy"}, **parts})


async def _list_dags(airflow: Airflow, request: Request) -> Response:
    filters = ("exclude_stale", "paused", "has_import_errors", "tags", "tags_match_mode", "owners", "dag_id_pattern")
    check_query(request, (*_PAGE, *filters, "bundle_name"))
    orders = {name: name for name in ("dag_id", "dag_display_name")}
    dags = [dag for dag in airflow.list_dags() if _is_wanted(dag, request)]
    return answer_page(request, "dags", sort_by(request, dags, orders, "dag_id"))


def _is_wanted(dag: Document, request: Request) -> bool:
    query = request.query_params
    paused, broken = read_flag(request, "paused"), read_flag(request, "has_import_errors")
    tags, owners = query.getlist("tags"), query.getlist("owners")
    has_tags = [name in {tag["name"] for tag in dag["tags"]} for name in tags]
    is_tagged = any(has_tags) if query.get("tags_match_mode", "any") == "any" else all(has_tags)
    return (
        not (dag["is_stale"] and read_flag(request, "exclude_stale", True))
        and paused in {None, dag["is_paused"]}
        and broken in {None, dag["has_import_errors"]}
        and (not tags or is_tagged)
        and (not owners or any(owner.lower() in ", ".join(dag["owners"]).lower() for owner in owners))
        and matches(query.get("dag_id_pattern"), dag["dag_id"])
        and query.get("bundle_name") in {None, dag["bundle_name"]}
    )


def matches(pattern: str | None, text: str) -> bool:
    """Whether a text holds a pattern as SQL's LIKE has them, in any case of letters; None and `~` fit all."""
    if pattern in {None, "~"}:
        return True
    parts = (".*" if each == "%" else "." if each == "_" else re.escape(each) for each in pattern or "")
    return re.search("".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


async def _get_dag(airflow: Airflow, request: Request) -> Response:
    return JSONResponse(find_dag(airflow, request))


def find_dag(airflow: Airflow, request: Request) -> Document:
    """Return the DAG that the path names.

    :raises RefusalError: 404.
    """
    dag_id = request.path_params["dag"]
    try:
        return airflow.find_dag(dag_id)
    except KeyError:
        raise RefusalError(404, f"Dag with id: {dag_id} was not found") from None


async def _list_import_errors(airflow: Airflow, request: Request) -> Response:
    check_query(request, (*_PAGE, "filename", "filename_pattern", "bundle_name"))
    query = request.query_params
    found = [
        each
        for each in airflow.list_import_errors()
        if query.get("filename") in {None, each["filename"]}
        and matches(query.get("filename_pattern"), each["filename"])
        and query.get("bundle_name") in {None, each["bundle_name"]}
    ]
    orders = {name: name for name in ("import_error_id", "timestamp", "filename", "bundle_name")}
    return answer_page(request, "import_errors", sort_by(request, found, {**orders, "id": "import_error_id"}, "id"))


async def _get_import_error(airflow: Airflow, request: Request) -> Response:
    number = request.path_params["number"]
    for each in airflow.list_import_errors():
        if each["import_error_id"] == number:
            return JSONResponse(each)
    raise RefusalError(404, f"The ImportError with import_error_id: `{number}` was not found")
