"""The way to one GitHub repository: the provider's connection opened lazily, its token, the repository's addresses.

Reads nothing of the repository; `github` does.
"""

from __future__ import annotations

import logging
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from airflow.providers.github.hooks.github import GithubHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from github import Github
from github.Auth import AppInstallationAuth

from include.deploy_ops.core.errors import ObservationError, TokenRefusedError
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.hooks.github.http import API_VERSION, REQUEST_TIMEOUT_S, USER_AGENT
from include.deploy_ops.hooks.github.installation import InstallationAuth

_OUR_SETTINGS = {
    "retry": None,
    "timeout": REQUEST_TIMEOUT_S,
    "user_agent": USER_AGENT,
    "api_version": API_VERSION,
    "seconds_between_requests": None,  # a walk through trees asks one after the other, far below 15 a second
    "seconds_between_writes": None,  # GitHub asks for pauses between many writes; a run of ours sends a handful
}


class GithubConnectionHook(GithubHook):
    """Opens the GitHub provider's connection at first use, and without PyGithub's own retries.

    A wrong connection or token is an `ObservationError`: what was planned is still right once a person repaired it.

    :param github_conn_id: the Airflow connection's id. Its password is a token, or its `extra` names a GitHub App
        (`app_id`, `installation_id`, and `private_key` or `key_path`); its host is GitHub Enterprise's API base URL.
    :param repository: owner/name.
    """

    def __init__(self, github_conn_id: str, repository: str) -> None:
        super(GithubHook, self).__init__()  # not GithubHook's own: it connects at once
        self.github_conn_id = github_conn_id
        self.repository = repository
        self.client: Github | None = None
        self._masked_token = ""

    def get_conn(self) -> Github:
        """Return PyGithub's client with the provider's authentication, without retries or pauses of its own.

        :raises ObservationError: the connection is missing or incomplete.
        """
        if self.client is None:
            # PyGithub writes whole answers to its debug log, the one that carries an installation token too.
            logging.getLogger("github.Requester").setLevel(logging.INFO)
            self.client = Github(**(self._make_provided_settings() | _OUR_SETTINGS))
        return self.client

    def close(self) -> None:
        """Close the connection; a later use opens a new one and reads the Airflow connection again."""
        if self.client is not None:
            self.client.close()
        self.client = None

    def token(self) -> str:
        """Return the access token for API and git, masked in Airflow's logs; a GitHub App's is renewed when due.

        :raises ObservationError: GitHub refused the app or did not answer, or the token cannot be sent in a header.
        :raises RateLimitError: GitHub wants a pause.
        """
        auth = self.get_conn().requester.auth
        return self._check_token(auth.token if auth else "")

    def _check_token(self, token: object) -> str:
        if not isinstance(token, str) or not token:
            raise ObservationError(f"{self._where()}: GitHub's answer to the app's request holds no token")
        if token != self._masked_token:  # masking asks the supervisor, so not before each request
            mask_secret(token)
            self._masked_token = token
        if not token.isascii() or not token.isprintable() or " " in token:
            raise TokenRefusedError(f"{self._where()}: the token holds characters that no token has; enter it again")
        return token

    def fingerprint_access(self) -> str:
        """Return what tells that other rights may hold: of the token, or of the app and its installation."""
        auth = self.get_conn().requester.auth
        app, installation = getattr(auth, "app_id", ""), getattr(auth, "installation_id", "")
        return hash_text(f"{app}/{installation}" if app else self.token(), 8)

    def clone_url(self) -> str:
        """Return the repository's HTTP(S) address for git, without a token."""
        return f"{self._find_web_url()}.git"

    @property
    def repository_url(self) -> str:
        """The repository's page."""
        return self._find_web_url()

    def web_url(self, kind: Literal["pull", "commit", "tree", "compare"], name: str | int) -> str:
        """Return the page of a pull request's number, a commit's id, a branch's name or a comparison (`a..b`)."""
        return f"{self._find_web_url()}/{kind}/{quote(str(name))}"

    def _find_web_url(self) -> str:
        # The API of github.com and of *.ghe.com has a host of its own; GitHub Enterprise Server's is a folder.
        parts = urlsplit(self.get_conn().requester.base_url)
        path = parts.path.rstrip("/")
        host = parts.netloc if path else parts.netloc.removeprefix("api.")
        return f"{parts.scheme}://{host}{path.removesuffix('/api/v3')}/{quote(self.repository)}"

    def _make_provided_settings(self) -> dict[str, Any]:
        try:
            client = super().get_conn()
        except AirflowNotFoundException as error:
            raise ObservationError(f"{self._where()}: no such Airflow connection; create it") from error
        except (AttributeError, AssertionError) as error:  # PyGithub takes the base URL apart unchecked
            raise ObservationError(f"{self._where()}: the host must be like https://ghe.example/api/v3") from error
        except (ValueError, OSError) as error:
            raise ObservationError(f"{self._where()}: the Airflow connection cannot be used: {error}") from error
        finally:
            self.client = None  # the provider's client retries; it must never be the one that asks
        if "@" in urlsplit(client.requester.base_url).netloc:
            raise ObservationError(f"{self._where()}: remove user and password from the connection's host")
        settings = client.requester.kwargs
        if isinstance(settings["auth"], AppInstallationAuth):  # which asks without limits
            settings["auth"] = InstallationAuth(settings["auth"], client.requester.base_url, self._where())
        return settings

    def _where(self) -> str:
        return f"{self.repository} through connection {self.github_conn_id!r}"
