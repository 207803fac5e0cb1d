"""A GitHub App's installation token, asked for within our limits, and renewed before it ends.

PyGithub can do it too, but it waits for ever, reads whatever comes, and follows what it reads.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from github.Auth import Auth
from jwt.exceptions import PyJWTError
from requests import RequestException

from include.deploy_ops.core.errors import ObservationError, RateLimitError, TokenRefusedError
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.github.http import (
    API_VERSION,
    USER_AGENT,
    DetourError,
    UnavailableError,
    explain_silence,
    open_connection,
    read_pause_s,
)
from include.deploy_ops.hooks.json_body import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.Auth import AppInstallationAuth

_RENEWED_BEFORE = timedelta(minutes=5)
"""A token lives for an hour; whoever gets one may need it for a while, as a fetch by Git does."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, when it ends, and what it may: access (read, write, admin) by permission; None where GitHub tells none.

    Permissions are in GitHub's words, such as `pull_requests` (apps: create an installation access token).
    """

    token: str = field(repr=False)
    ends_at: datetime
    permissions: Mapping[str, str] | None = None


class InstallationAuth(Auth):
    """Authenticates as an installation of a GitHub App.

    :param given: the provider's, of which app, key and installation are taken; it is never asked for a token itself.
    :param base_url: of the API.
    :param where: names repository and connection in errors.
    """

    def __init__(self, given: AppInstallationAuth, base_url: str, where: str) -> None:
        super().__init__()
        self.app_id = given.app_id
        self.installation_id = given.installation_id
        self._app = given.requester.auth
        self._path = f"{urlsplit(base_url).path.rstrip('/')}/app/installations/{self.installation_id}/access_tokens"
        self._permissions = given.token_permissions or {}
        self._base_url = base_url
        self._where = where
        self._grant = Grant("", datetime.min.replace(tzinfo=UTC))

    @property
    def token_type(self) -> str:
        """Return the word before the token in the header."""
        return "token"

    @property
    def token(self) -> str:
        """Return a token that is good for some minutes yet.

        :raises UnavailableError: GitHub did not answer.
        :raises RateLimitError: GitHub wants a pause.
        :raises TokenRefusedError: the key cannot sign, or GitHub refused the app.
        :raises ObservationError: GitHub's answer is malformed.
        """
        if datetime.now(UTC) + _RENEWED_BEFORE > self._grant.ends_at:
            self._grant = self._read(*self._ask(self._sign()))
        return self._grant.token

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the newest token may, as GitHub told with it; None before the first, and where it told nothing."""
        return self._grant.permissions

    def _sign(self) -> str:
        try:
            return self._app.token if self._app else ""
        except (PyJWTError, ValueError, TypeError) as error:
            raise TokenRefusedError(
                f"{self._where}: no installation token, {type(error).__name__}: "
                "the GitHub App's private key is no RSA key in PEM form"
            ) from error

    def _ask(self, signed: str) -> tuple[int, dict[str, str], str]:
        headers = {
            "Authorization": f"Bearer {signed}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-GitHub-Api-Version": API_VERSION,
        }
        connection = open_connection(self._base_url)
        metrics.count_request(metrics.GITHUB)
        try:
            connection.request("POST", self._path, json.dumps({"permissions": self._permissions}), headers)  # type: ignore[arg-type]  # PyGithub's HTTP class says that it takes no body
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except RequestException as error:
            raise explain_silence(f"{self._where}: no installation token: {type(error).__name__}", error) from error
        except DetourError as error:
            raise ObservationError(f"{self._where}: asked for an installation token, GitHub {error}") from error
        finally:
            connection.close()

    def _read(self, status: int, headers: dict[str, str], body: str) -> Grant:
        what = f"{self._where}: asked for an installation token, GitHub answered HTTP {status}"
        if (pause_s := read_pause_s(status, headers, body)) is not None:
            raise RateLimitError(f"{what} and wants a pause of {pause_s:.0f} s", pause_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(what)
        if status >= HTTPStatus.BAD_REQUEST:
            raise TokenRefusedError(f"{what}: check app_id, installation_id and private key in the connection's extra")
        try:
            return _read_grant(read_json(body))
        except ValueError as error:
            raise ObservationError(f"{what}, and no token with its end: {error}") from error


def _read_grant(answer: Any) -> Grant:
    """Return the token and when it ends. :raises ValueError: one of them is missing or malformed."""
    if not isinstance(answer, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - what an answer is like is no programming error
    token, ends = answer.get("token"), answer.get("expires_at")
    if not isinstance(token, str) or not token or not isinstance(ends, str):
        raise ValueError("it is malformed")
    ends_at = datetime.fromisoformat(ends)
    if ends_at.tzinfo is None:
        raise ValueError("its end has no zone")
    return Grant(token, ends_at, _read_permissions(answer.get("permissions")))


def _read_permissions(told: Any) -> Mapping[str, str] | None:
    """Return what a token may; None where that is not told, by which nothing else is the worse."""
    if not isinstance(told, dict):
        return None
    return {name: access for name, access in told.items() if isinstance(access, str)}
