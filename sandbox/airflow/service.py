"""The Airflows of all Deployments: which there are, who may ask them, and when none answers."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.airflow import api, v1
from sandbox.airflow.answers import RefusalError
from sandbox.airflow.instance import Airflow, Means
from sandbox.airflow.page import lay_out_airflow
from sandbox.astro.answers import ApiError
from sandbox.astro.catalog import name_airflow_api
from sandbox.html import Html

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request

    from sandbox.airflow.answers import Endpoint
    from sandbox.airflow.children import Children
    from sandbox.astro import Astro
    from sandbox.settings import Settings

_VERSIONS = {"v1": v1.list_endpoints, "v2": api.list_endpoints}
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
_BASE = "/airflow/{end}/api"
_ID_END = 8  # characters of an id that the address has
_NOBODY_THERE = frozenset({"CREATING", "HIBERNATING"})
_NOT_THERE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_GONE_V1 = "/api/v1 has been removed in Airflow 3, please use its upgraded version /api/v2 instead."


class Airflows:
    """All of them, by the id of their Deployment; each begins when it is first asked.

    :param data_dir: `airflow/` below it is theirs; beside it lies, hidden, the database that they begin with.
    """

    def __init__(self, data_dir: Path, settings: Settings, astro: Astro, children: Children) -> None:
        self._folder = data_dir / "airflow"
        self._settings = settings
        self._astro = astro
        self._children = children
        database = data_dir / f".airflow-{metadata.version('apache-airflow-core')}.db"
        self._means = Means(self._children, settings, astro.unpack, database)
        self._by_id: dict[str, Airflow] = {}

    def end(self) -> None:
        """Forget all of them, and end what they have running."""
        for airflow in self._by_id.values():
            airflow.end()
        self._by_id.clear()
        self._children.end()

    def routes(self) -> list[Route]:
        """Return the routes, relative to where Astro is mounted."""
        return [
            *(
                Route(f"{_BASE}/{name}{path}", self._guard(endpoint, name), methods=[method])
                for name, list_endpoints in _VERSIONS.items()
                for method, path, endpoint in list_endpoints()
            ),
            Route(f"{_BASE}/{{path:path}}", self._guard(_refuse_unknown, None), methods=_METHODS),
        ]

    def find(self, end: str) -> Airflow | None:
        """Return the Airflow of the Deployment whose id ends so; those of deleted ones are forgotten."""
        deployments = {each.id: each for each in self._astro.list_deployments()}
        for gone in self._by_id.keys() - deployments:
            self._by_id.pop(gone).end()
        for deployment in deployments.values():
            if deployment.id.endswith(end) and len(end) >= _ID_END:
                folder = self._folder / deployment.id
                return self._by_id.setdefault(deployment.id, Airflow(deployment, folder, self._means))
        return None

    def show(self, deployment_id: str) -> Html:
        """Return what a Deployment's Airflow knows so far, as HTML; nothing for one that is not there."""
        airflow = self.find(deployment_id)
        return Html() if airflow is None else lay_out_airflow(airflow)

    def _guard(self, endpoint: Endpoint, version: str | None) -> Callable[[Request], Awaitable[Response]]:
        """Let an endpoint answer where its Airflow is there, has this API, and is asked by who may.

        :param version: of the API that the endpoint speaks; None for both.
        """

        @functools.wraps(endpoint)
        async def answer(request: Request) -> Response:
            airflow = self.find(request.path_params["end"])
            if airflow is None:
                return HTMLResponse(_NOT_THERE.format("404 Not Found"), 404)
            if airflow.deployment.status(self._settings) in _NOBODY_THERE:
                return HTMLResponse(_NOT_THERE.format("503 Service Temporarily Unavailable"), 503)
            try:
                self._check_caller(airflow, request)
                if version not in {None, name_airflow_api(airflow.runtime)}:
                    return await _refuse_unknown(airflow, request)
                return await endpoint(airflow, request)
            except RefusalError as refusal:
                if name_airflow_api(airflow.runtime) == "v1":
                    return v1.answer_refusal(refusal)
                return JSONResponse({"detail": refusal.detail}, refusal.status)

        return answer

    def _check_caller(self, airflow: Airflow, request: Request) -> None:
        try:
            token = self._astro.tokens.find(request)
        except ApiError as error:
            raise RefusalError(error.status, "Not authenticated") from error
        if not token.opens(airflow.deployment.id):
            raise RefusalError(403, "Forbidden")


async def _refuse_unknown(airflow: Airflow, request: Request) -> Response:
    """Answer a path or a version that this Airflow does not have."""
    is_v1 = name_airflow_api(airflow.runtime) == "v1"
    if is_v1:
        raise RefusalError(404, "The requested URL was not found on the server.")
    is_gone = request.path_params.get("path", "v1/").startswith("v1/")
    return JSONResponse({"error": _GONE_V1 if is_gone else "API route not found"}, 404)
