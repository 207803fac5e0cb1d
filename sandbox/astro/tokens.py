"""The API's tokens: made, listed, deleted, expired, and which Airflow each opens.

The API itself asks for the sandbox's own token, which opens everything.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.astro.answers import ApiError, answer_page, guard, read_object
from sandbox.astro.fields import read_token
from sandbox.astro.records import format_time, make_id
from sandbox.clock import now
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.astro.deployments import Deployments

_BASE = "/v1/organizations/{organization}/tokens"
_SHORT_CHARACTERS = 8
_SUBJECT = {"id": "clsandboxtoken00000000001", "subjectType": "SERVICEKEY", "apiTokenName": "sandbox"}


@dataclass(frozen=True)
class Token:
    """A token. `entity_id` is the Deployment, Workspace or Organization that it is for; `days` is None for ever."""

    name: str
    description: str
    scope: str
    entity_id: str
    role: str
    days: int | None = None
    kind: str = "STANDARD"
    id: str = field(default_factory=make_id)
    made_at: datetime = field(default_factory=now)

    @property
    def ends_at(self) -> datetime | None:
        """Return when it expires."""
        return None if self.days is None else self.made_at + timedelta(days=self.days)

    @property
    def is_expired(self) -> bool:
        """Whether it opens nothing any more."""
        return self.ends_at is not None and now() >= self.ends_at

    def opens(self, deployment_id: str) -> bool:
        """Whether it opens a Deployment's Airflow."""
        return self.scope != "DEPLOYMENT" or self.entity_id == deployment_id

    def describe(self) -> dict[str, Any]:
        """Return the token as the API answers it, without its value."""
        optional = {"expiryPeriodInDays": self.days, "endAt": self.ends_at and format_time(self.ends_at)}
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "kind": self.kind,
            "scope": self.scope,
            "roles": [{"entityType": self.scope, "entityId": self.entity_id, "role": self.role}],
            "shortToken": self.id[-_SHORT_CHARACTERS:],
            "startAt": format_time(self.made_at),
            "createdAt": format_time(self.made_at),
            "updatedAt": format_time(self.made_at),
            "createdBy": _SUBJECT,
            "updatedBy": _SUBJECT,
            **{key: value for key, value in optional.items() if value is not None},
        }


_OWN = Token("sandbox", "", "WORKSPACE", WORKSPACE_ID, "WORKSPACE_OPERATOR", id="sandbox")
"""The sandbox's own, by the id that `ASTRO_TOKEN` says of itself."""


class Tokens:
    """All tokens, by their value."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments
        self._by_value: dict[str, Token] = {}

    def clear(self) -> None:
        """Forget all but the sandbox's own."""
        self._by_value.clear()

    def find(self, request: Request) -> Token:
        """Return the token that a request bears.

        :raises ApiError: 401, for none, an unknown or an expired one.
        """
        kind, _, offered = request.headers.get("authorization", "").partition(" ")
        known = {ASTRO_TOKEN: _OWN, **self._by_value}
        found = known.get(offered)
        if kind != "Bearer" or found is None or found.is_expired:
            raise ApiError(401, "Unauthorized")
        return found

    def routes(self) -> list[Route]:
        """Return the routes, relative to where the API is mounted."""
        one = f"{_BASE}/{{token}}"
        return [
            Route(_BASE, guard(self._list), methods=["GET"]),
            Route(_BASE, guard(self._create), methods=["POST"]),
            Route(one, guard(self._get), methods=["GET"]),
            Route(one, guard(self._delete), methods=["DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        wanted = {request.query_params.get("deploymentId"), request.query_params.get("workspaceId")} - {None}
        found = [each.describe() for each in self._by_value.values() if not wanted or each.entity_id in wanted]
        return answer_page(request, "tokens", found)

    async def _create(self, request: Request) -> Response:
        token = _make_token(read_token(await read_object(request)))
        self._check_entity(token)
        value = _make_value(token)
        self._by_value[value] = token
        return JSONResponse({**token.describe(), "token": value})

    async def _get(self, request: Request) -> Response:
        is_own = request.path_params["token"] == _OWN.id
        return JSONResponse((_OWN if is_own else self._by_value[self._find_value(request)]).describe())

    async def _delete(self, request: Request) -> Response:
        del self._by_value[self._find_value(request)]
        return Response(status_code=204)

    def _check_entity(self, token: Token) -> None:
        if token.scope == "DEPLOYMENT" and all(each.id != token.entity_id for each in self._deployments.list_all()):
            raise ApiError(404, "Deployment not found")
        if token.scope == "WORKSPACE" and token.entity_id != WORKSPACE_ID:
            raise ApiError(404, "Workspace not found")

    def _find_value(self, request: Request) -> str:
        wanted = request.path_params["token"]
        for value, each in self._by_value.items():
            if each.id == wanted:
                return value
        raise ApiError(404, "API token not found")


def _make_token(spec: dict[str, Any]) -> Token:
    return Token(
        name=spec["name"],
        description=spec["description"],
        scope=spec["scope"],
        entity_id=ORGANIZATION_ID if spec["scope"] == "ORGANIZATION" else spec["entityId"],
        role=spec["role"],
        days=spec.get("tokenExpiryPeriodInDays"),
        kind=spec["kind"],
    )


def _make_value(token: Token) -> str:
    """Return an unsigned JWT with the claims that the CLI reads of one."""
    scopes = {"DEPLOYMENT": "deploymentId", "WORKSPACE": "workspaceId", "ORGANIZATION": "organizationId"}
    permissions = dict.fromkeys([f"organizationId:{ORGANIZATION_ID}", f"{scopes[token.scope]}:{token.entity_id}"])
    claims: dict[str, Any] = {"apiTokenId": token.id, "permissions": list(permissions)}
    if token.ends_at is not None:
        claims["exp"] = round(token.ends_at.timestamp())
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(_encode(part) for part in (*parts, secrets.token_bytes(32)))


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
