"""One request to GitHub: outages, rate limits, and that no malformed answer looks like an empty repository."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from requests.exceptions import (
    ConnectionError as BrokenConnectionError,
)
from requests.exceptions import (
    ConnectTimeout,
    InvalidURL,
    ProxyError,
    ReadTimeout,
    RequestException,
    SSLError,
)
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.core.model import Branch
from include.deploy_ops.hooks.github.answers import RepositoryName
from include.deploy_ops.hooks.github.http import UnavailableError, UnconnectedError, explain_silence, read_pause_s
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from tests.worlds.doubles.github import (
    BRANCHES,
    HTML,
    NOT_FOUND,
    TOKEN,
    GithubDouble,
    Reply,
    make_ref,
    make_sha,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("fault", [Reply(HTML, 502), Reply(is_dropped=True), Reply([], missing_bytes=9)])
def test_a_passing_outage_is_ridden_out(
    fault: Reply, github: GithubDouble, hook: DeployOpsGithubHook, pauses: list[float]
) -> None:
    github.answers[BRANCHES] = [fault, fault, Reply([make_ref("main")])]
    assert hook.list_branches("main") == (Branch("main", make_sha("main")),)
    assert len(pauses) == 2
    assert 0.5 <= pauses[0] <= 1.0
    assert 1.0 <= pauses[1] <= 2.0


REFUSED = NewConnectionError(HTTPConnection("host"), "refused")


@pytest.mark.parametrize(
    ("error", "is_unconnected"),
    [
        (SSLError("certificate verify failed"), True),
        (ProxyError("cannot connect to proxy"), True),
        (InvalidURL("no host"), True),
        (BrokenConnectionError(MaxRetryError(HTTPConnectionPool("host"), "/", REFUSED)), True),
        (BrokenConnectionError("Connection aborted."), False),
        (ConnectTimeout(), False),
        (ReadTimeout("read timed out"), False),
    ],
)
def test_a_request_that_never_went_out_is_told_from_an_outage(error: RequestException, is_unconnected: bool) -> None:
    told = explain_silence("GET / got no answer", error)
    assert isinstance(told, UnconnectedError) is is_unconnected
    assert str(told) == "GET / got no answer"


@pytest.mark.parametrize("fault", [Reply(HTML, 520), Reply(is_dropped=True), Reply([], missing_bytes=9)])
def test_a_lasting_outage_is_an_error_after_three_tries(
    fault: Reply, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[BRANCHES] = fault
    with pytest.raises(UnavailableError, match=r"GET http://127\.0\.0\.1:\d+/github/api/v3/repos/acme/pipes/git/match"):
        hook.list_branches("main")
    assert len(github.asked) == 3


def test_a_timeout_is_an_outage(
    github: GithubDouble, hook: DeployOpsGithubHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.deploy_ops.hooks.github.http.REQUEST_TIMEOUT_S", 0.2)
    choose_reply = github._choose_reply

    def choose_slowly(path: str) -> Reply:
        time.sleep(0.5)
        return choose_reply(path)

    monkeypatch.setattr(github, "_choose_reply", choose_slowly)
    with pytest.raises(UnavailableError, match="Timeout"):
        hook.list_branches("main")


def test_a_short_rate_limit_is_waited_for_in_place(
    github: GithubDouble, hook: DeployOpsGithubHook, pauses: list[float]
) -> None:
    github.answers[BRANCHES] = [Reply({}, 429, {"Retry-After": "7"}), Reply([make_ref("main")])]
    hook.list_branches("main")
    assert pauses == [7.0]


def test_a_rate_limit_of_no_time_is_not_hammered(
    github: GithubDouble, hook: DeployOpsGithubHook, pauses: list[float]
) -> None:
    github.answers[BRANCHES] = [Reply({}, 429, {"Retry-After": "0"}), Reply([make_ref("main")])]
    hook.list_branches("main")
    assert [0.5 <= pause_s <= 1.0 for pause_s in pauses] == [True]


@pytest.mark.parametrize(
    ("status", "message", "make_headers", "retry_after_s"),
    [
        (429, "", lambda: {"Retry-After": "61"}, 61),
        (503, "", lambda: {"Retry-After": "90"}, 90),
        (403, "", lambda: {"Retry-After": formatdate(time.time() + 120, usegmt=True)}, 120),
        (403, "", lambda: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 900)}, 900),
        (403, "API rate limit exceeded", lambda: {"Retry-After": "3600"}, 3600),
    ],
)
def test_a_long_rate_limit_is_an_error_that_says_how_long(
    status: int,
    message: str,
    make_headers: Callable[[], dict[str, str]],
    retry_after_s: float,
    github: GithubDouble,
    hook: DeployOpsGithubHook,
    pauses: list[float],
) -> None:
    github.answers[BRANCHES] = Reply({"message": message}, status, make_headers())
    with pytest.raises(RateLimitError) as caught:
        hook.list_branches("main")
    assert caught.value.retry_after_s == pytest.approx(retry_after_s, abs=3)
    assert pauses == []


@pytest.mark.parametrize("ahead_s", [-600, 600])
def test_a_reset_is_waited_for_by_githubs_clock(ahead_s: int) -> None:
    theirs = time.time() - ahead_s
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(theirs) + 900)}
    assert read_pause_s(403, headers | {"date": formatdate(theirs, usegmt=True)}, "") == pytest.approx(900, abs=2)


def test_waiting_in_place_ends_after_a_minute_in_all(
    github: GithubDouble, hook: DeployOpsGithubHook, pauses: list[float]
) -> None:
    github.answers[BRANCHES] = Reply({"message": "You have exceeded a secondary rate limit"}, 403)
    with pytest.raises(RateLimitError):
        hook.list_branches("main")
    assert pauses == [60.0]


def test_a_refusal_for_want_of_permission_is_no_rate_limit(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[BRANCHES] = Reply({"message": "Resource not accessible by personal access token"}, 403)
    with pytest.raises(ObservationError, match="lacks the permission"):
        hook.list_branches("main")
    assert len(github.asked) == 1


def test_the_quota_is_known_after_an_answer(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    def put(remaining: int) -> None:
        headers = {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": "1800000000",
        }
        github.answers[BRANCHES] = Reply([make_ref("main")], headers=headers)

    put(250)
    hook.list_branches("main")
    assert hook.quota is not None
    assert not hook.quota.is_nearly_used
    put(249)
    hook.list_branches("main")
    assert hook.quota.is_nearly_used


def test_the_quota_is_unknown_before_the_first_answer(hook: DeployOpsGithubHook) -> None:
    assert hook.quota is None


def test_an_answer_says_how_far_our_clock_is_ahead(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    assert hook.skew_s is None
    github.answers[BRANCHES] = Reply([make_ref("main")])
    hook.list_branches("main")
    assert hook.skew_s == pytest.approx(0.5, abs=5)


MALFORMED = [
    pytest.param(Reply(HTML), "not JSON", id="html"),
    pytest.param(Reply(b'[{"ref": "refs/heads/ma'), "not JSON", id="cut short"),
    pytest.param(Reply(b""), "not JSON", id="empty body"),
    pytest.param(Reply({}), "body", id="object instead of list"),
    pytest.param(Reply([]), "lacks trunk", id="no branch at all"),
    pytest.param(Reply([make_ref("dev-a")]), "lacks trunk 'main'", id="without trunk"),
    pytest.param(Reply([make_ref("main"), make_ref("main")]), "repeats a branch", id="twice"),
    pytest.param(Reply([{"ref": "refs/heads/main"}]), r"usable 0\.object", id="missing field"),
    pytest.param(Reply([make_ref("main", "abc")]), r"usable 0\.object\.sha", id="short sha"),
    pytest.param(Reply([{"ref": "refs/tags/v1", "object": {"sha": make_sha("v1")}}]), r"usable 0\.ref", id="a tag"),
    pytest.param(Reply(NOT_FOUND, 404), "repository is gone or renamed", id="gone"),
    pytest.param(Reply(HTML, 404), "not JSON", id="404 of a proxy"),
    pytest.param(Reply({"error": "nope"}, 404), "without GitHub's error body", id="404 of another server"),
    pytest.param(Reply({"message": "Git Repository is empty."}, 409), "HTTP 409", id="empty repository"),
    pytest.param(Reply({"message": "Bad credentials"}, 401), "wrong, expired or revoked", id="bad token"),
    pytest.param(Reply({}, 301, {"Location": "/else"}), "HTTP 301 and pointed to /else", id="moved"),
    pytest.param(Reply({}, 307, {"Location": "/x"}), "HTTP 307 and pointed to /x", id="redirect"),
    pytest.param(Reply({}, 202), "HTTP 202", id="promise"),
    pytest.param(Reply(b"", 304), "HTTP 304", id="unchanged, but nothing was asked conditionally"),
    pytest.param(
        Reply([], headers={"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "1"}), "rate-limit", id="quota"
    ),
    pytest.param(
        Reply([make_ref("main")], headers={"Link": '<https://evil.example/p2>; rel="next"'}), "evil.example", id="next"
    ),
]


@pytest.mark.parametrize(("reply", "words"), MALFORMED)
def test_a_malformed_answer_is_an_error_never_an_empty_listing(
    reply: Reply, words: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[BRANCHES] = reply
    with pytest.raises(ObservationError, match=words) as caught:
        hook.list_branches("main")
    assert "acme/pipes" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(github.asked) == 1


MOVED_TO = ["{api}/repositories/7/git/matching-refs/heads/?per_page=100", "https://evil.example/repositories/7"]


@pytest.mark.parametrize("to", MOVED_TO)
def test_a_renamed_repository_is_named_as_it_is_called_now(
    to: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[BRANCHES] = Reply({}, 301, {"Location": to.format(api=github.api_url)})
    github.answers["/repositories/7"] = Reply({"id": 7, "full_name": "acme/store"})
    with pytest.raises(ObservationError, match=r"write `repository: acme/store`, and then adopt its previews") as told:
        hook.list_branches("main")
    assert "/repos/acme/pipes/" in str(told.value)
    assert [asked.path for asked in github.asked] == [BRANCHES, "/repositories/7"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"id": 7, "full_name": "acme/`store`\n"}),
        Reply({"full_name": "acme/store"}),
        Reply(NOT_FOUND, 404),
        Reply({}, 301, {"Location": "/repositories/7"}),
    ],
)
def test_a_present_name_that_cannot_be_told_leaves_the_rest_of_the_news(
    reply: Reply, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers[BRANCHES] = Reply({}, 301, {"Location": "/repositories/7/x"})
    github.answers["/repositories/7"] = reply
    with pytest.raises(ObservationError, match=r"write its new name into the policy$"):
        hook.list_branches("main")
    assert len(github.asked) == 2


def test_which_repository_answers_to_a_name(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers["/repos/acme/pipes"] = Reply({"id": 7, "full_name": "Acme/Pipes"})
    assert hook.read_name() == RepositoryName(7, "Acme/Pipes")
    github.answers["/repos/acme/pipes"] = Reply(NOT_FOUND, 404)
    with pytest.raises(ObservationError, match="gone or renamed"):
        hook.read_name()
