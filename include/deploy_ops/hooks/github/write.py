"""Send GitHub one write, once, and say how it ended: done, refused, or nobody knows.

Never repeats a write. Does not know what a write means, nor what its answer says; `github_pulls` does.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from requests import RequestException

from include.deploy_ops.core.errors import (
    DeployOpsError,
    ObservationError,
    RateLimitError,
    WriteRefusedError,
    WriteUnknownError,
)
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.github.http import (
    PERMISSIONS_HEADER,
    DetourError,
    GithubAnswer,
    open_connection,
    parse_json,
    read_pause_s,
)
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import UnendingAnswerError
from include.deploy_ops.process.redaction import redact_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from github.Requester import Requester

SAID_LENGTH_MAX = 300
"""Characters of GitHub's own words in an error."""

_WAYS_OUT = (
    (
        re.compile(r"without `?workflows?`? (?:permission|scope)"),
        "what is written holds a changed workflow: grant the connection's token Workflows: write",
    ),
    (
        re.compile(r"[Rr]ule violations|[Pp]rotected (?:branch|ref)|[Rr]uleset"),
        "a rule of the branch is against it: let the connection's app or user bypass it, or leave the branch out of it",
    ),
)
_NEEDS = (
    ("/git/", "Contents: write"),
    ("/merge", "Contents: write and Pull requests: write"),
    ("/statuses/", "Commit statuses: write"),
    ("/deployments", "Deployments: write"),
    ("/environments/", "Administration: write"),
    ("/comments", "Pull requests: write"),
    ("/pulls", "Pull requests: write"),
)
"""Which permission a write wants, by a part of its path, where GitHub does not say (REST: permissions of fine-grained
tokens)."""

_LOOK_FIRST = "whether GitHub did it is not known; look before it is tried again"


class GithubWriter:
    """Sends POST, PUT, PATCH and DELETE through PyGithub's requester, which adds the token.

    :param requester: PyGithub's, made with `retry=None`: its own retries would repeat a POST.
    :param token: returns the current token; called before each request, so that a renewed one is masked first.
    """

    def __init__(self, requester: Requester, token: Callable[[], str]) -> None:
        self._requester = requester
        self._token = token
        self._base_url = requester.base_url.rstrip("/")

    def send(self, method: str, path: str, body: Mapping[str, Any] | None) -> GithubAnswer:
        """Send the write on a connection of its own: one kept open may be closed by GitHub just as we send.

        :param path: below the API's base URL, quoted.
        :param body: what is sent along; None sends nothing.
        :raises RateLimitError: GitHub asks to wait, and has done nothing.
        :raises WriteRefusedError: GitHub has done nothing, and says why.
        :raises WriteUnknownError: no whole answer, a 5xx or one that cannot be read: it may have been done.
        """
        token = self._token()
        try:
            return self._send_told(method, path, body)
        except DeployOpsError as error:
            redact_error(error, [token])  # which an answer may repeat
            raise

    def _send_told(self, method: str, path: str, body: Mapping[str, Any] | None) -> GithubAnswer:
        request = f"{method} {self._base_url}{path}"
        status, headers, text = self._send_once(request, method, path, None if body is None else dict(body))
        if (pause_s := read_pause_s(status, headers, text)) is not None:
            raise RateLimitError(f"{request}: GitHub asks to wait {pause_s:.0f} s (HTTP {status})", pause_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise WriteUnknownError(f"{request} answered HTTP {status}; {_LOOK_FIRST}")
        if status >= HTTPStatus.BAD_REQUEST:
            said = read_refusal(text)
            advice = advise_refusal(path, status, headers, said)
            raise WriteRefusedError(f"{request} was refused, HTTP {status}: {said}{advice}", status, said)
        if status == HTTPStatus.NO_CONTENT:
            return GithubAnswer(request, status, None)
        try:
            return GithubAnswer(request, status, parse_json(GithubAnswer(request, status, None), text))
        except ObservationError as error:
            raise WriteUnknownError(f"{error}; {_LOOK_FIRST}") from error

    def _send_once(
        self, request: str, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, str], str]:
        connection = open_connection(self._base_url)
        metrics.count_request(metrics.GITHUB)
        try:
            return self._requester.requestJson(method, f"{self._base_url}{path}", input=body, cnx=connection)
        except DetourError as error:
            if error.is_redirect:
                said = f"{request} was not done: it {error}"
                raise WriteRefusedError(said, error.status, str(error)) from error
            raise WriteUnknownError(f"{request} {error}; {_LOOK_FIRST}") from error
        except (RequestException, UnendingAnswerError) as error:
            said = f"{request} got no whole answer: {type(error).__name__}: {error!s:.300}"
            raise WriteUnknownError(f"{said}; {_LOOK_FIRST}") from error
        except (ValueError, OverflowError) as error:  # PyGithub reads the rate-limit headers as numbers
            raise WriteUnknownError(f"{request}: GitHub's rate-limit headers make no sense; {_LOOK_FIRST}") from error
        finally:
            connection.close()


def advise_refusal(path: str, status: int, headers: Mapping[str, str], said: str) -> str:
    """Return what to grant, as the end of a sentence; empty where it is not for want of a permission.

    :param headers: GitHub names there, by lower-case keys, which permissions would do.
    :param said: GitHub's words.
    """
    for pattern, advice in _WAYS_OUT:
        if pattern.search(said):
            return f"; {advice}"
    if status != HTTPStatus.FORBIDDEN or "not accessible by" not in said:
        return ""
    by_path = next((need for part, need in _NEEDS if part in path), "")
    needed = headers.get(PERMISSIONS_HEADER) or by_path
    return f"; grant the connection's token {needed}" if needed else ""


def read_refusal(text: str) -> str:
    """Return GitHub's own words of a refusal: its message and those of its errors; else the body's beginning."""
    try:
        body = read_json(text)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return f"{text.strip()[:SAID_LENGTH_MAX]!r}"
    errors = body.get("errors")
    details = [_read_detail(each) for each in errors] if isinstance(errors, list) else []
    return "; ".join([body["message"], *filter(None, details)])[:SAID_LENGTH_MAX]


def _read_detail(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    said = error.get("message") or " ".join(str(error[key]) for key in ("field", "code") if error.get(key))
    return str(said)
