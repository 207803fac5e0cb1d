"""What Airflow's API answers of deployed code: DAGs and import errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.airflow.answers import (
    PAGE,
    Document,
    RefusalError,
    answer_page,
    check_query,
    read_body,
    read_flag,
    sort_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.instance import Airflow


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    yield "GET", "/dags", know_code(_list_dags)
    yield "GET", "/dags/{dag}", know_code(_get_dag)
    yield "PATCH", "/dags/{dag}", know_code(_patch_dag)
    yield "GET", "/importErrors", know_code(_list_import_errors)
    yield "GET", "/importErrors/{number:int}", know_code(_get_import_error)


def know_code(endpoint: Endpoint) -> Endpoint:
    """Let an endpoint wait until what is deployed was parsed."""

    async def answer(airflow: Airflow, request: Request) -> Response:
        await airflow.catch_up()
        return await endpoint(airflow, request)

    return answer


async def _list_dags(airflow: Airflow, request: Request) -> Response:
    filters = ("exclude_stale", "paused", "has_import_errors", "tags", "tags_match_mode", "owners", "dag_id_pattern")
    check_query(request, (*PAGE, *filters, "bundle_name"))
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
        raise RefusalError(404, f"The Dag with ID: `{dag_id}` was not found") from None


async def _patch_dag(airflow: Airflow, request: Request) -> Response:
    check_query(request, ("update_mask",))
    dag = find_dag(airflow, request)
    if set(request.query_params.getlist("update_mask")) - {"is_paused"}:
        raise RefusalError(400, "Only `is_paused` field can be updated through the REST API")
    body = await read_body(request, {"is_paused": (bool,)}, required=("is_paused",))
    airflow.set_paused(dag["dag_id"], is_paused=body["is_paused"])
    return JSONResponse(airflow.find_dag(dag["dag_id"]))


async def _list_import_errors(airflow: Airflow, request: Request) -> Response:
    check_query(request, (*PAGE, "filename", "filename_pattern", "bundle_name"))
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
