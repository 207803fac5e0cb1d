"""Fetch the files of Git LFS from a repository's own endpoint, each held to the size and hash that its pointer tells.

Which files, and whether at all, is for the caller. `.lfsconfig` is never read: it could name any endpoint. The token is
sent to the clone URL's host alone; where the endpoint's answer says that a file lies, it is asked for without.

Source: github.com/git-lfs/git-lfs, docs/api/batch.md and docs/api/basic-transfers.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from include.deploy_ops.core.errors import ObservationError, RateLimitError, RetryableError
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.bounded_adapter import bound_session, limit_body, stream_pieces
from include.deploy_ops.hooks.github.http import REQUEST_TIMEOUT_S, USER_AGENT
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import ANSWER_TIME_MAX_S, AnswerLimit, read_retry_after_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from include.deploy_ops.core.change.large_files import LargeFile

_MEDIA_TYPE = "application/vnd.git-lfs+json"
_BATCH_SIZE = 100  # what git-lfs asks for at once
_USER = "x-access-token"
_BYTES_PER_S_MIN = 256 << 10  # a file of 1 GiB may take over an hour, one that drips may not
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class _Link:
    url: str
    authorization: str | None  # as the endpoint's answer gives it, for this file only


@dataclass(frozen=True, slots=True)
class LargeFileFetcher:
    """Brings files, one after the other.

    :param token: gives the connection's token.
    """

    token: Callable[[], str]

    def __call__(self, clone_url: str, wanted: Mapping[LargeFile, Path], timeout_s: float) -> None:
        """Write each file whole, or raise.

        :param wanted: where each file is to be written.
        :param timeout_s: seconds for all of them.
        :raises RetryableError: the endpoint refuses, lacks a file (its push may follow), or gives another content.
        :raises RateLimitError: it asks for a pause.
        :raises ObservationError: an answer is malformed, or does not end.
        """
        deadline = time.monotonic() + timeout_s
        with requests.Session() as session:
            bound_session(session)
            session.headers["User-Agent"] = USER_AGENT
            session.auth = _add_nothing
            every = sorted(wanted)
            for files in (every[start : start + _BATCH_SIZE] for start in range(0, len(every), _BATCH_SIZE)):
                links = self._ask(session, clone_url, files)
                for file in files:
                    if (left_s := deadline - time.monotonic()) <= 0:
                        raise RetryableError(f"the files of Git LFS were not there within {timeout_s:.0f} s")
                    _fetch(session, file, links[file.oid], wanted[file], left_s)

    def _ask(self, session: requests.Session, clone_url: str, files: Sequence[LargeFile]) -> dict[str, _Link]:
        """Return where the files lie."""
        url = f"{clone_url}/info/lfs/objects/batch"
        login = base64.b64encode(f"{_USER}:{self.token()}".encode()).decode()
        asked = [{"oid": file.oid, "size": file.size} for file in files]
        answer = _send(
            session,
            "POST",
            url,
            headers={"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE, "Authorization": f"Basic {login}"},
            json={"operation": "download", "transfers": ["basic"], "objects": asked, "hash_algo": "sha256"},
        )
        try:
            told = read_json(answer.content)
            objects = {each["oid"]: each for each in told["objects"]}
            return {file.oid: _read_link(objects[file.oid], clone_url) for file in files}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ObservationError(f"POST {url}: the answer is malformed ({type(error).__name__})") from error


def _read_link(told: Mapping[str, Any], clone_url: str) -> _Link:
    if (problem := told.get("error")) is not None:
        raise RetryableError(
            f"Git LFS has no file {told['oid']} for us (code {str(problem.get('code'))[:20]}); push it by"
            " `git lfs push`, or check that the token may read it"
        )
    download = told["actions"]["download"]
    parts = urlsplit(download["href"])
    if parts.scheme not in {"https", urlsplit(clone_url).scheme} or not parts.hostname or parts.username is not None:
        raise RetryableError(f"Git LFS gives no address for the file {told['oid']} that we fetch from")
    headers = {name.lower(): value for name, value in (download.get("header") or {}).items()}
    authorization = headers.get("authorization")
    if authorization is not None and not _HEADER_VALUE.fullmatch(authorization):
        raise ValueError("a header that cannot be sent")
    return _Link(download["href"], authorization)


def _fetch(session: requests.Session, file: LargeFile, link: _Link, path: Path, left_s: float) -> None:
    headers = {"Accept-Encoding": "identity"}
    if link.authorization is not None:
        headers["Authorization"] = link.authorization
    name = f"the file {file.oid} of Git LFS"
    time_max_s = min(left_s, ANSWER_TIME_MAX_S + file.size / _BYTES_PER_S_MIN)
    answer = _send(session, "GET", link.url, headers=headers, stream=True)
    hashed = hashlib.sha256()
    try:
        with path.open("wb") as written, limit_body(answer, name, time_max_s):
            limit = AnswerLimit(name, file.size, time_max_s)
            for piece in stream_pieces(answer):
                hashed.update(limit.check(piece))
                written.write(piece)
    except requests.RequestException as error:
        raise RetryableError(f"{name} did not come whole: {type(error).__name__}") from error
    finally:
        answer.close()
    if hashed.hexdigest() != file.oid:
        raise RetryableError(f"{name} came with another content; the next attempt fetches it again")


def _send(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Send one request, and follow no redirect: it would lead the token, or us, to another host."""
    place = f"{method} {url.partition('?')[0]:.300}"  # no query: a storage host's holds the right to read
    metrics.count_request(metrics.GITHUB)
    try:
        answer = session.request(method, url, timeout=REQUEST_TIMEOUT_S, allow_redirects=False, **options)
    except (requests.RequestException, ValueError) as error:
        raise RetryableError(f"{place} got no whole answer: {type(error).__name__}") from error
    if answer.status_code == HTTPStatus.OK:
        return answer
    answer.close()
    if (pause_s := read_retry_after_s(answer.headers)) is not None:
        raise RateLimitError(f"{place}: asked to wait {pause_s:.0f} s (HTTP {answer.status_code})", pause_s)
    raise RetryableError(
        f"{place} answered HTTP {answer.status_code}; check that the repository has Git LFS, and that the GitHub"
        " connection's token may read it (permission Contents: read)"
    )


def _add_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep ~/.netrc out."""
    return request
