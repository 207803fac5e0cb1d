"""What Airflow's API answers of pools: list, read, create, change, delete. What they hold up is the runs' affair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.airflow.answers import (
    PAGE,
    Document,
    RefusalError,
    answer_page,
    check_query,
    read_body,
    refuse_twice,
    refuse_value,
    sort_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.instance import Airflow

_DEFAULT = "default_pool"
_NAME_CHARACTERS = 256
_UNLIMITED = -1
_FIELDS = {
    "name": (str,),
    "slots": (int,),
    "description": (str, type(None)),
    "include_deferred": (bool,),
    "team_name": (type(None),),
}


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    yield "GET", "/pools", _list_pools
    yield "POST", "/pools", _create_pool
    yield "GET", "/pools/{pool:path}", _get_pool
    yield "PATCH", "/pools/{pool:path}", _patch_pool
    yield "DELETE", "/pools/{pool:path}", _delete_pool


async def _list_pools(airflow: Airflow, request: Request) -> Response:
    check_query(request, PAGE)
    orders = dict.fromkeys(("id", "name", "pool"), "name")
    pools = [_describe(airflow, pool) for pool in airflow.pools.values()]
    return answer_page(request, "pools", sort_by(request, pools, orders, "id"))


async def _create_pool(airflow: Airflow, request: Request) -> Response:
    body = await read_body(request, _FIELDS, required=("name", "slots"))
    _check(body)
    if len(body["name"]) > _NAME_CHARACTERS:
        raise refuse_value("body", "name", says="String should have at most 256 characters", found=body["name"])
    if body["name"] in airflow.pools:
        raise refuse_twice()
    pool = {"description": None, "include_deferred": False, **body}
    airflow.put_pool(pool)
    return JSONResponse(_describe(airflow, pool), 201)


async def _get_pool(airflow: Airflow, request: Request) -> Response:
    return JSONResponse(_describe(airflow, _find(airflow, request)))


async def _patch_pool(airflow: Airflow, request: Request) -> Response:
    check_query(request, ("update_mask",))
    name, mask = request.path_params["pool"], request.query_params.getlist("update_mask")
    body = await read_body(request, {**_FIELDS, "pool": (str,)})
    _check(body)
    if body.get("pool", body.get("name", name)) != name:
        raise RefusalError(400, "Invalid body, pool name from request body doesn't match uri parameter")
    pool = _find(airflow, request)
    _check_whole(body, mask, name)
    changed = {key: value for key, value in body.items() if key in _FIELDS and key != "name"}
    airflow.put_pool({**pool, **{key: value for key, value in changed.items() if not mask or key in mask}})
    return JSONResponse(_describe(airflow, airflow.pools[name]))


def _check_whole(body: Document, mask: list[str], name: str) -> None:
    """Refuse what Airflow refuses: a part of a pool, whatever the mask says, and of the default pool anything else."""
    if name == _DEFAULT:
        if not mask or set(mask) - {"slots", "include_deferred"}:
            raise RefusalError(400, "Only slots and included_deferred can be modified on Default Pool")
        return
    for field in ("pool", "slots", "include_deferred"):
        if field not in {"pool" if key == "name" else key for key in body}:
            raise refuse_value(field, says="Field required", found=body)


async def _delete_pool(airflow: Airflow, request: Request) -> Response:
    if request.path_params["pool"] == _DEFAULT:
        raise RefusalError(400, "Default Pool can't be deleted")
    del airflow.pools[_find(airflow, request)["name"]]
    return Response(status_code=204)


def _find(airflow: Airflow, request: Request) -> Document:
    name = request.path_params["pool"]
    if name not in airflow.pools:
        raise RefusalError(404, f"The Pool with name: `{name}` was not found")
    return airflow.pools[name]


def _check(body: Document) -> None:
    if body.get("slots", 0) < _UNLIMITED:
        raise refuse_value("body", "slots", says="Input should be greater than or equal to -1", found=body["slots"])


def _describe(airflow: Airflow, pool: Document) -> Document:
    running = airflow.count_running(pool["name"])
    return {
        **{key: pool[key] for key in ("name", "slots", "description", "include_deferred")},
        "occupied_slots": running,
        "running_slots": running,
        "queued_slots": 0,
        "scheduled_slots": 0,
        "deferred_slots": 0,
        "open_slots": _UNLIMITED if pool["slots"] == _UNLIMITED else pool["slots"] - running,
        "team_name": None,
    }
