"""Ask GitHub's REST API one question at a time: conditional, patient, and suspicious of the answer.

Does not know what an answer means; the models in `answers` do. Only how a repository that moved is called now is read
here. Writes nothing to GitHub: it only sends GET.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass
from requests import RequestException
from requests.exceptions import ProxyError, SSLError
from requests.utils import parse_header_links
from urllib3.exceptions import MaxRetryError, NewConnectionError

from include.deploy_ops.core.errors import (
    NOTHING_FOLLOWS,
    DeployOpsError,
    ObservationError,
    RateLimitError,
    ReadRefusedError,
    SilenceError,
    TokenRefusedError,
)
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.bounded_adapter import bound_session
from include.deploy_ops.hooks.github.answers import parse_repository
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import (
    UNNAMED_WAIT_S,
    Call,
    limit_wait_s,
    read_retry_after_s,
    read_skew_s,
    read_their_now,
)
from include.deploy_ops.process.redaction import redact_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from github.Requester import Requester
    from requests import Response

API_VERSION = "2022-11-28"
USER_AGENT = "deploy-ops"

TRIES = 3
REQUEST_TIMEOUT_S = 15  # GitHub itself gives up after 10 s, and its front needs a moment more
SCARCE_QUOTA = 0.05  # of the limit: below it, whoever can wait should

PERMISSIONS_HEADER = "x-accepted-github-permissions"
"""In which GitHub names what would do where a permission is missing, such as `contents=write`."""

# GET commits/{ref} says it so, where every other address says 404.
_NO_COMMIT = "No commit found for SHA"
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
_REFUSALS = {HTTPStatus.UNAUTHORIZED.value: TokenRefusedError, HTTPStatus.FORBIDDEN.value: ReadRefusedError}

# To where a repository of another name is redirected; no further part of the address is believed.
_NUMBERED = re.compile(r"/repositories/([1-9][0-9]{0,18})(?=/|\?|$)", re.ASCII)

log = logging.getLogger(__name__)


class MovedError(ObservationError):
    """GitHub knows the repository under another name; `repository_id` is its number there."""

    def __init__(self, message: str, repository_id: str) -> None:
        super().__init__(message)
        self.repository_id = repository_id


class UnavailableError(SilenceError):
    """GitHub did not answer or answered 5xx: the one failure besides a rate limit that is asked again in place."""


class UnconnectedError(UnavailableError):
    """Nobody was asked: there is no such name, nothing listens there, or its certificate or the proxy is refused."""


@dataclass(frozen=True, slots=True)
class Quota:
    """GitHub's rate limit as its newest answer stated it, in requests."""

    limit: int
    remaining: int
    resets_at: datetime

    @property
    def is_nearly_used(self) -> bool:
        """Whether less than a twentieth is left."""
        return self.remaining < self.limit * SCARCE_QUOTA


@dataclass(frozen=True, slots=True)
class GithubAnswer:
    """What GitHub said: 200 with `data`, 304 without, or 404 (of a commit, 422) with GitHub's own error as `data`.

    `request` names the question in error texts. `next_url` is the following page's, None on the last one and on a 304.
    """

    request: str
    status: int
    data: Any
    etag: str | None = None
    next_url: str | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether what the ETag stood for is still so."""
        return self.status == HTTPStatus.NOT_MODIFIED

    @property
    def is_absent(self) -> bool:
        """Whether GitHub itself says that there is no such thing, or none that this token may see."""
        return self.status in _ABSENT


@dataclass(eq=False, repr=False)
class GithubReader:
    """Sends GET requests through PyGithub's requester, which adds the token, and checks what comes back.

    :param requester: PyGithub's, made with `retry=None`: its own retries sleep until the rate limit resets.
    :param token: returns the current token; called before each request, so that a renewed one is masked first.
    :param tries: how often a read asks before it raises.
    :param cache: answers of `read_cached`, by URL.
    :param sleep: called with the seconds to wait before a request is repeated.
    :param conn_id: the Airflow connection that the token is of, for the metrics.
    """

    requester: Requester
    token: Callable[[], str]
    _: KW_ONLY
    tries: int = TRIES
    cache: MutableMapping[str, GithubAnswer] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep
    conn_id: str = ""
    quota: Quota | None = field(default=None, init=False)
    skew_s: float | None = field(default=None, init=False)
    """By how many seconds our clock was ahead of GitHub's at the newest answer; None where that said no time."""

    def __post_init__(self) -> None:
        self._base_url = self.requester.base_url.rstrip("/")
        self._connection = open_connection(self._base_url)

    def close(self) -> None:
        """Close the connection; the next read would open a new one."""
        self._connection.close()

    def read(self, path: str, *, etag: str | None = None, tries: int = 0) -> GithubAnswer:
        """Ask, and ask again after a 5xx, a timeout, a dropped connection or a short rate limit.

        :param path: below the API's base URL, quoted, with its query; or the whole URL of a next page.
        :param etag: makes the request conditional: then the answer may be unchanged.
        :param tries: how often it asks, where this question is to be asked otherwise than all.
        :raises RateLimitError: GitHub wants a longer pause than is waited for in place.
        :raises ObservationError: no answer, or one that cannot be trusted.
        """
        url = path if path.startswith(("http://", "https://")) else f"{self._base_url}{path}"
        call = Call(tries or self.tries)
        while True:
            try:
                return self._read_told(url, etag)
            except MovedError as error:
                raise ObservationError(f"{error}{self._find_name(error.repository_id)}") from error
            except (UnavailableError, RateLimitError) as error:
                pause_s = call.endure(error)
                log.warning("%s; asking again in %.1f s", error, pause_s)
                self.sleep(pause_s)

    def read_cached(self, path: str, *, is_complete: Callable[[GithubAnswer], bool] = lambda _: True) -> GithubAnswer:
        """Read conditionally against the cache, so that what did not change costs no quota; raises as `read` does.

        :param is_complete: whether an equal answer would mean an equal whole; others are not kept.
        """
        known = self.cache.get(path)
        answer = self.read(path, etag=known.etag if known else None)
        if known is not None and answer.is_unchanged:
            return known
        self.cache.pop(path, None)
        if answer.etag is not None and not answer.is_absent and is_complete(answer):
            self.cache[path] = answer
        return answer

    def _find_name(self, repository_id: str) -> str:
        """Return what to add to the news that a repository moved: its present name, if GitHub says it."""
        try:
            name = parse_repository(self._read_told(f"{self._base_url}/repositories/{repository_id}", None)).name
        except DeployOpsError as error:
            log.info("how repository %s is called now is not known: %s", repository_id, error)
            return ""
        return f". It is called {name} now: write `repository: {name}`, and then adopt its previews by `orphans`"

    def _read_told(self, url: str, etag: str | None) -> GithubAnswer:
        """Read once; what goes wrong is told without the token, which an answer may repeat."""
        token = self.token()
        try:
            return self._read_once(url, etag)
        except DeployOpsError as error:
            redact_error(error, [token])
            raise

    def _read_once(self, url: str, etag: str | None) -> GithubAnswer:
        request = f"GET {url}"
        headers = {} if etag is None else {"If-None-Match": etag}
        status, answer_headers, body = self._send(request, url, headers)
        self.skew_s = read_skew_s(answer_headers, datetime.now(UTC))
        if (quota := read_quota(request, answer_headers)) is not None:
            self.quota = quota
            metrics.gauge_quota(quota.remaining, self.conn_id)
        return self._judge(GithubAnswer(request, status, None), answer_headers, body, is_conditional=etag is not None)

    def _send(self, request: str, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        metrics.count_request(metrics.GITHUB)
        try:
            return self.requester.requestJson("GET", url, headers=headers, cnx=self._connection)
        except RequestException as error:
            said = f"{request} got no whole answer: {type(error).__name__}: {error!s:.300}"
            raise explain_silence(f"{said}; {NOTHING_FOLLOWS}", error) from error
        except DetourError as error:
            if error.repository_id:
                raise MovedError(f"{request} {error}", error.repository_id) from error
            raise ObservationError(f"{request} {error}") from error
        except (ValueError, OverflowError) as error:  # PyGithub reads the rate-limit headers as numbers
            raise _doubt_quota(request, error) from error

    def _judge(
        self, answer: GithubAnswer, headers: Mapping[str, str], body: str, *, is_conditional: bool
    ) -> GithubAnswer:
        status = answer.status
        if (pause_s := read_pause_s(status, headers, body)) is not None:
            said = f"{answer.request}: GitHub asks to wait {pause_s:.0f} s (HTTP {status})"
            raise RateLimitError(f"{said}; {NOTHING_FOLLOWS}", pause_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"{answer.request} answered HTTP {status}; {NOTHING_FOLLOWS}")
        if status == HTTPStatus.NOT_MODIFIED and is_conditional:
            return answer
        is_missing_commit = status == HTTPStatus.UNPROCESSABLE_ENTITY and _NO_COMMIT in body
        if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND} and not is_missing_commit:
            raise _REFUSALS.get(status, ObservationError)(_explain_refusal(answer, headers, body))
        answer = replace(answer, data=parse_json(answer, body))
        if answer.is_absent:
            return _check_absence(answer)
        return replace(answer, etag=headers.get("etag"), next_url=self._find_next_url(answer, headers))

    def _find_next_url(self, answer: GithubAnswer, headers: Mapping[str, str]) -> str | None:
        links = parse_header_links(headers.get("link", ""))
        url = next((link["url"] for link in links if link.get("rel") == "next"), None)
        if url is not None and _name_host(url) != _name_host(self._base_url):
            raise ObservationError(
                f"{answer.request} names a next page on another host, {_name_host(url) or 'none'}: "
                "correct the connection's host, so that it is the API's own base URL"
            )
        return url


def explain_silence(said: str, error: RequestException) -> UnavailableError:
    """Return the error for a request without a whole answer, which tells one that never went out from an outage."""
    told = error.args[0] if error.args else None
    reason = told.reason if isinstance(told, MaxRetryError) else told
    # An address that cannot be one is a ValueError, too.
    is_unsent = isinstance(error, (SSLError, ProxyError, ValueError)) or isinstance(reason, NewConnectionError)
    return (UnconnectedError if is_unsent else UnavailableError)(said)


def _refuse_detour(response: Response, **_: Any) -> None:
    # PyGithub follows a 301 without its query, so that a listing would come back short, and repeats a 202 for ever.
    status = response.status_code
    is_redirect = status // 100 == 3 and status != HTTPStatus.NOT_MODIFIED  # noqa: PLR2004
    if is_redirect or status == HTTPStatus.ACCEPTED:
        raise DetourError(status, response.headers.get("location"))
    response.encoding = "utf-8"  # JSON's only encoding; requests would guess where the header is silent


class DetourError(Exception):
    """GitHub answered with a redirect or a promise instead of what was asked; becomes an ObservationError."""

    def __init__(self, status: int, location: str | None) -> None:
        self.status = status
        self.is_redirect = status // 100 == 3  # noqa: PLR2004
        super().__init__(
            f"answered HTTP {status} and pointed to {location}: "
            "if the repository was renamed or moved, write its new name into the policy"
        )
        found = _NUMBERED.search(location or "") if status == HTTPStatus.MOVED_PERMANENTLY else None
        self.repository_id = found[1] if found else ""


def _name_host(url: str) -> str:
    """Return host and port, empty for what is no URL."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def read_quota(request: str, headers: Mapping[str, str]) -> Quota | None:
    """Return the rate limit that the answer states, None if it states none (GitHub Enterprise may have none).

    :raises ObservationError: a header is no number.
    """
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    if any(name not in headers for name in names):
        return None
    try:
        limit, remaining, resets_at_s = (int(headers[name]) for name in names)
        return Quota(limit, remaining, datetime.fromtimestamp(resets_at_s, UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise _doubt_quota(request, error) from error


def _doubt_quota(request: str, error: Exception) -> ObservationError:
    return ObservationError(f"{request}: GitHub's rate-limit headers make no sense: {error}; {NOTHING_FOLLOWS}")


def read_pause_s(status: int, headers: Mapping[str, str], body: str) -> float | None:
    """Return the seconds that GitHub asks us to wait, None if it does not (REST: rate limits).

    A refusal for want of permission is a 403 too; it names no time and does not speak of a rate limit.
    """
    if status not in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return None
    if (wanted_s := read_retry_after_s(headers)) is not None:
        return wanted_s
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return None
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(1.0, limit_wait_s(float(headers["x-ratelimit-reset"]) - read_their_now(headers).timestamp()))
    if status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in body.lower():
        return UNNAMED_WAIT_S
    return None


def parse_json(answer: GithubAnswer, body: str) -> Any:
    """Return the answer's JSON. :raises ObservationError: it is none."""
    try:
        return read_json(body)
    except ValueError as error:
        raise ObservationError(
            f"{answer.request} answered HTTP {answer.status} with {len(body)} characters that are not JSON ({error}): "
            f"a proxy's page, a body cut short, or a connection whose host is not the API's base URL; {NOTHING_FOLLOWS}"
        ) from error


def _check_absence(answer: GithubAnswer) -> GithubAnswer:
    # Only GitHub's own 404 counts as "not there": a proxy's or a web server's says nothing about the repository.
    if isinstance(answer.data, dict) and isinstance(answer.data.get("message"), str):
        return answer
    raise ObservationError(
        f"{answer.request} answered HTTP 404 without GitHub's error body; check the connection's host"
    )


def _explain_refusal(answer: GithubAnswer, headers: Mapping[str, str], body: str) -> str:
    needed = headers.get(PERMISSIONS_HEADER) or "to read contents or pull requests"
    advice = {
        HTTPStatus.UNAUTHORIZED.value: "the connection's token is wrong, expired or revoked",
        HTTPStatus.FORBIDDEN.value: f"the connection's token lacks the permission {needed}; grant it",
    }.get(answer.status, f"nothing that can be used, {NOTHING_FOLLOWS}")
    return f"{answer.request} answered HTTP {answer.status}: {advice} ({body.strip()[:200]!r})"


def open_connection(base_url: str) -> HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass:
    """Return PyGithub's connection to the API's host, without detours and within limits; it opens when first used."""
    parts = urlsplit(base_url)
    connect = HTTPSRequestsConnectionClass if parts.scheme == "https" else HTTPRequestsConnectionClass
    connection = connect(parts.netloc.rpartition("@")[2].partition(":")[0], parts.port, timeout=REQUEST_TIMEOUT_S)
    bound_session(connection.session)  # in place of PyGithub's adapter, which has no limits
    connection.session.hooks["response"].append(_refuse_detour)  # called before PyGithub sees the answer
    return connection
