"""Read the Airflow connection to Astro: where its API is, which workspace is ours, which token opens it, which CLI.

Sends nothing to Astro; `astro_api` reads and `astro_cli` changes.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from airflow.sdk.log import amask_secret, mask_secret

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.conversation import Service

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_DOMAIN = "astronomer.io"
LOCAL_DOMAIN = "localhost"
"""The one domain whose API the Astro CLI looks for at its setting `local.core` (config/cloud.go:53)."""

CLI_VARIABLE = "ASTRO_CLI"
"""Environment variable that names the Astro CLI's executable where the connection does not."""

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class AstroConnection:
    """How to reach one Astro workspace.

    `api_url` ends in `/v1`. `core_url` is set only for an Astro that is not Astronomer's: the URL that stands before
    `/v1`. `registry` is its image registry's host, empty if that is the URL's. The token is masked in logs.
    """

    conn_id: str
    domain: str
    core_url: str | None
    organization_id: str
    workspace_id: str
    executable: str
    registry: str
    token: str = field(repr=False)

    @property
    def api_url(self) -> str:
        """The base of every request: what the CLI makes of the same connection."""
        return f"{self.core_url or f'https://api.{self.domain}'}/v1"

    @property
    def workspace(self) -> tuple[str, str, str]:
        """What tells that two connections lead to one workspace."""
        return self.api_url.casefold(), self.organization_id, self.workspace_id

    @property
    def is_plain_http(self) -> bool:
        """Whether this Astro is spoken to without TLS, as the sandbox is."""
        return self.service.is_plain_http

    @property
    def service(self) -> Service:
        """What a client talks with."""
        return Service(metrics.ASTRO, self.api_url, self.token)


def read_astro_connection(conn_id: str) -> AstroConnection:
    """Return the Airflow connection's content, its token masked in logs.

    Its password is an API token; its host is empty, a domain such as astronomer.io, or a full URL below which `/v1`
    lies; its extra holds `organization_id` and `workspace_id`, and may hold `cli` (a path) and `registry` (a host).

    :raises ObservationError: the connection is missing or incomplete; names it and the field. Retryable, since what
        was planned is still right once a person has repaired the connection.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise _explain_absence(conn_id, error) from error
    if connection.password:
        mask_secret(connection.password)
    return parse_astro_connection(connection)


async def aread_astro_connection(conn_id: str) -> AstroConnection:
    """Return the same as `read_astro_connection`, for triggers."""
    try:
        connection = await BaseHook.aget_connection(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise _explain_absence(conn_id, error) from error
    if connection.password:
        await amask_secret(connection.password)
    return parse_astro_connection(connection)


def parse_astro_connection(connection: Connection) -> AstroConnection:
    """Check an Airflow connection's fields; raises ObservationError as `read_astro_connection` does."""
    where = f"Airflow connection {connection.conn_id!r}"
    extra = _parse_extra(where, connection.extra)
    domain, core_url = _parse_host(where, (connection.host or "").strip(), connection.port)
    return AstroConnection(
        conn_id=connection.conn_id,
        domain=domain,
        core_url=core_url,
        organization_id=_need_id(where, extra, "organization_id"),
        workspace_id=_need_id(where, extra, "workspace_id"),
        executable=_read_text(where, extra, "cli") or os.environ.get(CLI_VARIABLE) or "astro",
        registry=_read_text(where, extra, "registry"),
        token=_check_token(where, connection.password),
    )


def _explain_absence(conn_id: str, error: Exception) -> ObservationError:
    if isinstance(error, AirflowNotFoundException):
        return ObservationError(f"there is no Airflow connection {conn_id!r}; create it with an Astro API token")
    return ObservationError(f"Airflow did not give the connection {conn_id!r}: {error}")


def _parse_extra(where: str, text: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ObservationError(f"{where}: extra is not JSON ({type(error).__name__}); correct it") from None
    if not isinstance(extra, dict):
        raise ObservationError(f"{where}: extra is a {type(extra).__name__}; write a JSON object")
    return extra


def _parse_host(where: str, host: str, port: int | None) -> tuple[str, str | None]:
    if "://" in host:
        return LOCAL_DOMAIN, _check_url(where, host, port)
    domain = host.lower().removeprefix("cloud.") or DEFAULT_DOMAIN
    if port is not None or not _DOMAIN.fullmatch(domain):
        raise ObservationError(f"{where}: host {host!r} is neither a domain, such as {DEFAULT_DOMAIN}, nor a full URL")
    return domain, None


def _check_url(where: str, url: str, port: int | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ObservationError(f"{where}: the host is not a URL like http://127.0.0.1:8900/astro; correct it")
    if "@" in parts.netloc:
        raise ObservationError(f"{where}: remove user and password from the host; the token is the password")
    if port is not None:
        raise ObservationError(f"{where}: write the port {port} into the host's URL, and leave the port empty")
    return url.rstrip("/").removesuffix("/v1")


def _need_id(where: str, extra: dict[str, Any], key: str) -> str:
    value = _read_text(where, extra, key)
    if not _ID.fullmatch(value):
        said = f"{value!r} is no id" if value else "missing"
        raise ObservationError(f"{where}: extra.{key}: {said}; write the id that Astro's settings page shows")
    return value


def _read_text(where: str, extra: dict[str, Any], key: str) -> str:
    value = extra.get(key) or ""
    if not isinstance(value, str):
        raise ObservationError(f"{where}: extra.{key} is a {type(value).__name__}; write a text")
    return value.strip()


def _check_token(where: str, token: str | None) -> str:
    if not token:
        raise ObservationError(f"{where}: the password is empty; put an Astro API token there")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ObservationError(f"{where}: the password holds characters that no token has; enter the token again")
    return token
