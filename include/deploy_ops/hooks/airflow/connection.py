"""Where a Deployment's Airflow is asked, and with which token: one that was given for it, and never Astro's.

Sends nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from airflow.sdk.log import amask_secret, mask_secret

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.conversation import Service

if TYPE_CHECKING:
    from airflow.sdk import Connection

NO_CONNECTION = "no connection: the policy names no airflow_conn_id, and Astro lets our token mint none"
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(?:/(?!\.{1,2}/)[A-Za-z0-9._~-]+)*/api/v(?P<version>[12]))"
)
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class AirflowApi:
    """One Deployment's API: what a client talks with, and the API's version, 1 (Airflow 2) or 2."""

    service: Service
    version: int


def open_airflow(address: str, token: str) -> AirflowApi:
    """Return where to ask, and with what.

    :param address: as Astro gives it (`webServerAirflowApiUrl`): host and path without a scheme, ending in `/api/v1` or
        `/api/v2`. It is spoken to by https; a local one, such as the sandbox's, by http.
    :param token: one that opens this Deployment and no target.
    :raises ObservationError: the address is none that a token may be sent to.
    """
    found = _ADDRESS.fullmatch(address.partition("?")[0].rstrip("/"))
    if found is None or int((found["port"] or ":0")[1:]) > _PORT_MAX:
        raise _refuse(address, "is no address such as host/path/api/v2")
    is_local = found["host"].lower() in _LOCAL
    scheme = found["scheme"] or ("http" if is_local else "https")
    if scheme == "http" and not is_local:
        raise _refuse(address, "is not https, and a token would travel readable")
    url = f"{scheme}://{found['host']}{found['port'] or ''}{found['path']}"
    version = int(found["version"])
    return AirflowApi(Service(metrics.AIRFLOW, url, check_token("the token of the Deployment", token)), version)


def _refuse(address: str, why: str) -> ObservationError:
    return ObservationError(f"the Deployment's Airflow is not asked: {address!r:.200}, which Astro names, {why}")


def read_airflow_token(conn_id: str, astro_token: str) -> str:
    """Return an Airflow connection's password, masked in logs: the token with which previews' Airflows are asked.

    :param astro_token: refused, since whoever pushes to a preview reads what its Airflow is sent.
    :raises ReadRefusedError: there is no such connection, or none that may be used; says what to do.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise _explain_absence(conn_id, error) from error
    if connection.password:
        mask_secret(connection.password)
    return _check_password(connection, astro_token)


async def aread_airflow_token(conn_id: str, astro_token: str) -> str:
    """Return the same as `read_airflow_token`, for triggers."""
    try:
        connection = await BaseHook.aget_connection(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise _explain_absence(conn_id, error) from error
    if connection.password:
        await amask_secret(connection.password)
    return _check_password(connection, astro_token)


def _explain_absence(conn_id: str, error: Exception) -> ObservationError:
    if isinstance(error, AirflowNotFoundException):
        return ReadRefusedError(
            f"there is no Airflow connection {conn_id!r}; create it, its password an API token that reads these "
            "Deployments' Airflow and reaches no target"
        )
    return ObservationError(f"Airflow did not give the connection {conn_id!r}: {error}")


def _check_password(connection: Connection, astro_token: str) -> str:
    where = f"Airflow connection {connection.conn_id!r}"
    if connection.password and connection.password == astro_token:
        raise ReadRefusedError(
            f"{where}: the password is the token with which we deploy, and a branch's code reads what its Airflow is "
            "sent; put a token there that reaches no target"
        )
    return check_token(f"{where}: the password", connection.password)


def check_token(what: str, token: str | None) -> str:
    """Return the token. :raises ReadRefusedError: it is none."""
    if not token:
        raise ReadRefusedError(f"{what} is empty; put an API token there that reads the Deployment's Airflow")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ReadRefusedError(f"{what} holds characters that no token has; enter the token again")
    return token
