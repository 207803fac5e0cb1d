"""The API's Deployments: list, create, read, update, delete, hibernate. Code comes to them by deploys, not here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.astro.answers import ApiError, answer_page, guard, read_object
from sandbox.astro.catalog import describe_options
from sandbox.astro.documents import describe_deployment, describe_override
from sandbox.astro.fields import read_create, read_update, read_variables
from sandbox.astro.records import Deployment, Override
from sandbox.clock import now

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.settings import Settings

_BASE = "/v1/organizations/{organization}"


class Deployments:
    """All Deployments, by id.

    :param settings: read anew for every answer.
    :param base_url: scheme, host and port of the server.
    """

    def __init__(self, settings: Settings, base_url: str) -> None:
        self._settings = settings
        self._base_url = base_url
        self._by_id: dict[str, Deployment] = {}
        self._deleted: dict[str, tuple[Deployment, datetime]] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._by_id.clear()
        self._deleted.clear()

    def add(self, deployment: Deployment) -> None:
        """Take one over that nobody asked the API for."""
        self._by_id[deployment.id] = deployment

    def get(self, deployment_id: str) -> Deployment:
        """Return one Deployment.

        :raises KeyError: when there is none of that id.
        """
        return self._by_id[deployment_id]

    def list_all(self) -> list[Deployment]:
        """Return those that are there, oldest first."""
        return list(self._by_id.values())

    def find_deleted(self, id_end: str) -> tuple[Deployment, datetime] | None:
        """Return the deleted Deployment whose id ends so, and when it was deleted."""
        return next((found for key, found in self._deleted.items() if key.endswith(id_end)), None)

    def describe(self, deployment: Deployment) -> dict[str, Any]:
        """Return the Deployment as the API answers it, secrets without their values."""
        return describe_deployment(deployment, self._settings, self._base_url)

    def find(self, request: Request) -> Deployment:
        """Return the Deployment that the path names.

        :raises ApiError: 404.
        """
        deployment = self._by_id.get(request.path_params["deployment"])
        if deployment is None:
            raise ApiError(404, "Deployment not found")
        return deployment

    def routes(self) -> list[Route]:
        """Return the routes, relative to where the API is mounted."""
        one = f"{_BASE}/deployments/{{deployment}}"
        return [
            Route(f"{_BASE}/deployments", guard(self._list), methods=["GET"]),
            Route(f"{_BASE}/deployments", guard(self._create), methods=["POST"]),
            Route(one, guard(self._get), methods=["GET"]),
            Route(one, guard(self._update), methods=["POST"]),
            Route(one, guard(self._delete), methods=["DELETE"]),
            Route(f"{one}/hibernation-override", guard(self._override), methods=["POST"]),
            Route(f"{one}/hibernation-override", guard(self._remove_override), methods=["DELETE"]),
            Route(f"{_BASE}/deployment-options", guard(_describe_options), methods=["GET"]),
        ]

    def _answer(self, deployment: Deployment) -> JSONResponse:
        return JSONResponse(self.describe(deployment))

    async def _list(self, request: Request) -> Response:
        workspaces, names = (request.query_params.getlist(key) for key in ("workspaceIds", "names"))
        found = [
            self.describe(deployment)
            for deployment in self._by_id.values()
            if (not workspaces or deployment.spec["workspaceId"] in workspaces)
            and (not names or deployment.spec["name"] in names)
        ]
        return answer_page(request, "deployments", found)

    async def _create(self, request: Request) -> Response:
        body = await read_object(request)
        spec = read_create(body)
        variables = read_variables(body, []) if body.get("environmentVariables") is not None else []
        self._check_name(spec, None)
        deployment = Deployment(spec, variables)
        self._by_id[deployment.id] = deployment
        return self._answer(deployment)

    async def _get(self, request: Request) -> Response:
        return self._answer(self.find(request))

    async def _update(self, request: Request) -> Response:
        deployment = self.find(request)
        body = await read_object(request)
        spec = read_update(body, deployment.spec)
        variables = read_variables(body, deployment.variables)
        self._check_name(spec, deployment)
        deployment.spec, deployment.variables = spec, variables
        deployment.touch()
        return self._answer(deployment)

    async def _delete(self, request: Request) -> Response:
        deployment = self.find(request)
        del self._by_id[deployment.id]
        self._deleted[deployment.id] = (deployment, now())
        return Response(status_code=204)

    async def _override(self, request: Request) -> Response:
        deployment = self.find(request)
        override = _read_override(await read_object(request))
        if not deployment.spec["isDevelopmentMode"]:
            raise ApiError(400, "Invalid request: only a development Deployment can hibernate")
        deployment.set_override(override)
        return JSONResponse(describe_override(deployment))

    async def _remove_override(self, request: Request) -> Response:
        self.find(request).set_override(None)
        return Response(status_code=204)

    def _check_name(self, spec: dict[str, Any], itself: Deployment | None) -> None:
        """Names are unique in a workspace: the CLI relies on it, the refusal's words are ours."""
        place = (spec["workspaceId"], spec["name"])
        for other in self._by_id.values():
            if other is not itself and (other.spec["workspaceId"], other.spec["name"]) == place:
                raise ApiError(400, f"Invalid request: a Deployment named {spec['name']!r} already exists")


async def _describe_options(_request: Request) -> Response:
    return JSONResponse(describe_options())


def _read_override(body: dict[str, Any]) -> Override:
    is_hibernating, until = body.get("isHibernating"), body.get("overrideUntil")
    if not isinstance(is_hibernating, bool):
        raise ApiError(400, "Invalid request: isHibernating must be true or false")
    return Override(is_hibernating, None if until is None else _read_time(until))


def _read_time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ApiError(400, f"Invalid request: overrideUntil must be an RFC 3339 time, not {text!r}") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
