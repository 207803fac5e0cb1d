"""All of Airflow's REST API v2 that the sandbox has: what somebody needs who asks whether deployed code works."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.airflow import dags_api, pools_api, runs_api
from sandbox.airflow.runs import format_time
from sandbox.astro.catalog import name_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.instance import Airflow


def list_endpoints() -> Iterator[tuple[str, str, Endpoint]]:
    """Yield method, path below the version, and endpoint."""
    yield "GET", "/version", _get_version
    yield "GET", "/monitor/health", _get_health
    yield from dags_api.list_endpoints()
    yield from runs_api.list_endpoints()
    yield from pools_api.list_endpoints()


async def _get_version(airflow: Airflow, _request: Request) -> Response:
    return JSONResponse({"version": name_airflow(airflow.runtime), "git_version": None})


async def _get_health(_airflow: Airflow, _request: Request) -> Response:
    at = format_time(datetime.now(UTC))
    beating = ("scheduler", "triggerer", "dag_processor")
    parts = {name: {"status": "healthy", f"latest_{name}_heartbeat": at} for name in beating}
    return JSONResponse({"metadatabase": {"status": "healthy"}, **parts})
