"""The objects of the workspace's environment, which a person makes in Astro's pages; the API here lists them alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sandbox.astro.answers import answer_page, guard
from sandbox.astro.records import format_time, make_id
from sandbox.clock import now
from sandbox.identity import WORKSPACE_ID

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

KINDS = ("CONNECTION", "ENVIRONMENT_VARIABLE", "AIRFLOW_VARIABLE", "METRICS_EXPORT")

_SECRET = {"isSecret": True, "value": ""}
_CONTENTS: dict[str, dict[str, Any]] = {
    "CONNECTION": {"connection": {"type": "postgres", "host": "warehouse.example", "login": "loader"}},
    "ENVIRONMENT_VARIABLE": {"environmentVariable": _SECRET},
    "AIRFLOW_VARIABLE": {"airflowVariable": _SECRET},
    "METRICS_EXPORT": {"metricsExport": {"endpoint": "https://metrics.example", "exporterType": "PROMETHEUS"}},
}


@dataclass(frozen=True)
class EnvironmentObject:
    """An object by its kind and key; `is_linked`: to each new Deployment."""

    kind: str
    key: str
    is_linked: bool
    id: str = field(default_factory=make_id)
    made_at: datetime = field(default_factory=now)

    def describe(self) -> dict[str, Any]:
        """Return the object as the API answers it, without its secrets."""
        return {
            "id": self.id,
            "objectKey": self.key,
            "objectType": self.kind,
            "scope": "WORKSPACE",
            "scopeEntityId": WORKSPACE_ID,
            "autoLinkDeployments": self.is_linked,
            "setFields": [],
            "createdAt": format_time(self.made_at),
            "updatedAt": format_time(self.made_at),
            **_CONTENTS[self.kind],
        }


class EnvironmentObjects:
    """All objects, by kind and key."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], EnvironmentObject] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._by_name.clear()

    def put(self, kind: str, key: str, *, is_linked: bool) -> None:
        """Make an object, or let it be linked otherwise."""
        self._by_name[kind, key] = EnvironmentObject(kind, key, is_linked)

    def routes(self) -> list[Route]:
        """Return the routes, relative to where the API is mounted."""
        return [Route("/v1/organizations/{organization}/environment-objects", guard(self._list), methods=["GET"])]

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        found = [
            each.describe()
            for each in self._by_name.values()
            if asked.get("workspaceId", WORKSPACE_ID) == WORKSPACE_ID
            and "deploymentId" not in asked
            and asked.get("objectType", each.kind) == each.kind
            and asked.get("objectKey", each.key) == each.key
        ]
        return answer_page(request, "environmentObjects", found)
