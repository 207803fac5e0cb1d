"""The login that an Airflow connection gives to a registry: its own, or one that lasts some hours, of a cloud.

Such a one is made by the hook of the cloud's own provider package, which is imported where a login is needed and never
before. It asks no registry anything.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.deploy_ops.core.errors import ImageRefusedError, RetryableError
from include.deploy_ops.process.redaction import redact

if TYPE_CHECKING:
    from airflow.sdk import Connection

RENEWED_BEFORE = timedelta(minutes=5)
"""So long before its end a login is taken anew; Google's metadata service has no newer one much earlier."""

_UNTOLD_LIFE = timedelta(minutes=15)
"""How long a token is believed whose end nobody tells."""

_TOLD_LENGTH = 300  # characters of a provider's error that ours repeats
_GOOGLE_HOST = re.compile(r"[a-z0-9-]+-docker\.pkg\.dev|docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io")
# https://docs.aws.amazon.com/general/latest/gr/ecr.html, with the partitions of China and the European Sovereign Cloud.
_AMAZON_HOST = re.compile(
    r"\d{12}\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws)"
)


@dataclass(frozen=True, slots=True)
class Login:
    """What a registry is told; no username: nothing. `ends_at`: when it ends by itself, None: never, as far as known.

    A password without a username is no login that a registry knows.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ends_at: datetime | None = None


ANONYMOUS = Login()


class Logins:
    """Takes the logins of connections, and keeps those that end until shortly before they do."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], Login] = {}

    def take(self, connection: Connection, host: str) -> Login:
        """Return the connection's login to a registry.

        :raises ImageRefusedError: its provider package is not installed, or it is of a cloud to which the registry does
            not belong.
        :raises RetryableError: the provider's hook got no login.
        """
        make = _MAKERS.get(connection.conn_type or "")
        if make is None:
            return Login(connection.login or None, connection.password or None)
        # By all that it says: a connection that was repaired has another login.
        key = (connection.conn_id, host, connection.get_uri())
        known = self._kept.get(key)
        if known is None or known.ends_at is None or known.ends_at - RENEWED_BEFORE <= datetime.now(UTC):
            known = self._kept[key] = make(connection, host)
        return known


def read_registry_connection(conn_id: str) -> Connection:
    """Return the connection; raises ImageRefusedError where there is none."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ImageRefusedError(
            f"There is no Airflow connection {conn_id!r} for the image registry. Create it with "
            f"login and password, or name none in the policy to pull anonymously."
        ) from error


def _make_amazon_login(connection: Connection, host: str) -> Login:
    """Return a login to Amazon ECR, of the region that the registry's name has: a token is for one region alone."""
    found = _AMAZON_HOST.fullmatch(host)
    if found is None:
        raise _refuse_host(connection, host, "Amazon ECR (<account>.dkr.ecr.<region>.amazonaws.com)")
    module = _import("airflow.providers.amazon.aws.hooks.ecr", connection, "apache-airflow-providers-amazon")
    try:
        made = module.EcrHook(aws_conn_id=connection.conn_id, region_name=found["region"]).get_temporary_credentials()[
            0
        ]
    except Exception as error:  # whatever the provider and what lies below it may raise
        raise _tell_failure(connection, "Amazon ECR", error) from error
    return Login(made.username, made.password, made.expires_at)


def _make_google_login(connection: Connection, host: str) -> Login:
    """Return a login to Artifact Registry: an access token, under the name that Google gives it."""
    if not _GOOGLE_HOST.fullmatch(host):
        known = "Artifact Registry (<region>-docker.pkg.dev)"
        raise _refuse_host(connection, host, known)
    package = "apache-airflow-providers-google"
    module = _import("airflow.providers.google.common.hooks.base_google", connection, package)
    transport = _import("google.auth.transport.requests", connection, package)
    try:
        made = module.GoogleBaseHook(gcp_conn_id=connection.conn_id).get_credentials()
        made.refresh(transport.Request())  # new ones have no token yet
    except Exception as error:  # likewise
        raise _tell_failure(connection, "Artifact Registry", error) from error
    ends_at = made.expiry.replace(tzinfo=UTC) if made.expiry else datetime.now(UTC) + _UNTOLD_LIFE
    return Login("oauth2accesstoken", made.token, ends_at)


_MAKERS = {"aws": _make_amazon_login, "google_cloud_platform": _make_google_login}


def _import(module: str, connection: Connection, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImageRefusedError(
            f"{_name(connection)}, of which the provider package {package} makes a registry's login. It cannot be "
            f"imported here ({error}): add {package} to requirements.in of the management Deployment, run `make lock`, "
            f"and deploy it."
        ) from error


def _refuse_host(connection: Connection, host: str, known: str) -> ImageRefusedError:
    """Return the error for a registry that is not the cloud's: a token of the cloud opens more than images."""
    return ImageRefusedError(
        f"{_name(connection)}, whose login is for {known} alone; it was not sent to {host!r:.200}. For that registry, "
        f"name a connection with login and password as registry_conn_id."
    )


def _tell_failure(connection: Connection, registry: str, error: Exception) -> RetryableError:
    extra = connection.extra_dejson.values() if connection.extra else ()
    secrets = [connection.password or "", *(each for each in extra if isinstance(each, str))]
    said = redact(f"{type(error).__name__}: {error}", secrets)[:_TOLD_LENGTH]
    return RetryableError(
        f"{_name(connection)}, and got no login to {registry}: {said}. Look at it, and at what its identity may do."
    )


def _name(connection: Connection) -> str:
    return f"The Airflow connection {connection.conn_id!r} is of type {connection.conn_type}"
