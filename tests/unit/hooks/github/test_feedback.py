"""What is ours on GitHub is found by our mark and our name alone; a write is sent once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import (
    ObservationError,
    RateLimitError,
    ReadRefusedError,
    WriteRefusedError,
    WriteUnknownError,
)
from include.deploy_ops.core.feedback.values import GithubDeploymentState
from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook
from tests.worlds.doubles.github import NOT_FOUND, REPO, TOKEN, GithubDouble, Reply, connect, make_sha

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMENTS, LISTING = f"{REPO}/issues/7/comments", f"{REPO}/issues/7/comments?per_page=100"
COMMENT = f"{REPO}/issues/comments/31"
MARKER = "<!-- ours -->"
SHA = make_sha(1)
DEPLOYMENTS = f"{REPO}/deployments"
DEPLOYMENT_LISTING = f"{DEPLOYMENTS}?environment=preview%2Fdev-x&per_page=100&sha={SHA}&task=deploy"
FORBIDDEN = {"message": "Resource not accessible by personal access token"}


@pytest.fixture
def hook(github: GithubDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubFeedbackHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    github.answers["/user"] = Reply({"id": 5, "login": "deploy-ops"})
    hook = GithubFeedbackHook("github_default", "acme/pipes", sleep=pauses.append)
    yield hook
    hook.close()


def make_comment(number: int, body: str | None, user: int | None = 5, app: int | None = None) -> dict[str, Any]:
    return {
        "id": number,
        "body": body,
        "user": None if user is None else {"id": user},
        "performed_via_github_app": None if app is None else {"id": app},
    }


def test_our_comment_is_found_by_mark_and_author(github: GithubDouble, hook: GithubFeedbackHook) -> None:
    others = [
        make_comment(1, None),
        make_comment(2, f"quoting {MARKER}"),
        make_comment(3, f"{MARKER}\nby a stranger", 6),
        make_comment(4, f"{MARKER}\nby a ghost", None),
    ]
    github.answers[LISTING] = Reply(others, headers=github.link_to(f"{COMMENTS}?page=2"))
    github.answers[f"{COMMENTS}?page=2"] = Reply([make_comment(8, f"{MARKER}\nours"), make_comment(9, MARKER)])
    found = hook.find_comment(7, MARKER)
    assert found is not None
    assert (found.id, found.body) == (8, f"{MARKER}\nours")
    github.answers[LISTING] = Reply(others)
    assert hook.find_comment(7, MARKER) is None
    assert github.statuses("/user") == [200]  # who we are is asked once


def test_a_token_that_is_told_nothing_of_its_owner_goes_by_the_mark(
    github: GithubDouble, hook: GithubFeedbackHook
) -> None:
    github.answers["/user"] = Reply(FORBIDDEN, 403)
    github.answers[LISTING] = Reply([make_comment(3, MARKER, 6)])
    found = hook.find_comment(7, MARKER)
    assert found is not None
    assert found.id == 3


def test_an_app_knows_its_comments(github: GithubDouble, private_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = {"token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z"}
    github.answers["/app/installations/2/access_tokens"] = Reply(token, 201)
    connect(monkeypatch, host=github.api_url, extra={"app_id": 1, "installation_id": 2, "private_key": private_key})
    github.answers[LISTING] = Reply(
        [make_comment(3, MARKER, 6), make_comment(4, MARKER, 6, 9), make_comment(5, MARKER, 6, 1)]
    )
    hook = GithubFeedbackHook("github_default", "acme/pipes")
    found = hook.find_comment(7, MARKER)
    assert found is not None
    assert found.id == 5
    assert github.statuses("/user") == []
    access = hook.fingerprint_access()
    hook.close()
    github.answers["/app/installations/2/access_tokens"] = Reply({**token, "token": "ghs_renewed"}, 201)
    assert hook.fingerprint_access() == access


def test_another_token_has_another_fingerprint_that_tells_nothing_of_it(
    hook: GithubFeedbackHook, github: GithubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = hook.fingerprint_access()
    assert len(access) == 8
    hook.close()
    connect(monkeypatch, host=github.api_url, password=f"{TOKEN}x")
    assert hook.fingerprint_access() != access


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(FORBIDDEN, 403), ReadRefusedError),
        (Reply(NOT_FOUND, 404), ObservationError),
        (Reply([{"body": MARKER}]), ObservationError),
        (Reply({"id": 1}), ObservationError),
    ],
)
def test_a_listing_that_cannot_be_used_is_an_error(
    reply: Reply, error: type[Exception], github: GithubDouble, hook: GithubFeedbackHook
) -> None:
    github.answers[LISTING] = reply
    with pytest.raises(error):
        hook.find_comment(7, MARKER)


def test_a_comment_is_created_and_edited(github: GithubDouble, hook: GithubFeedbackHook) -> None:
    github.answers |= {COMMENTS: Reply(make_comment(31, "x"), 201), COMMENT: Reply(make_comment(31, "y"))}
    assert hook.create_comment(7, "x") == 31
    assert hook.edit_comment(31, "y")
    assert [(asked.method, asked.body) for asked in github.asked] == [("POST", {"body": "x"}), ("PATCH", {"body": "y"})]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_comment_that_is_gone_or_anothers_is_no_error(
    status: int, github: GithubDouble, hook: GithubFeedbackHook
) -> None:
    github.answers[COMMENT] = Reply(NOT_FOUND, status)
    assert not hook.edit_comment(31, "y")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(FORBIDDEN, 403), WriteRefusedError),
        (Reply({"message": "slow down"}, 403, {"retry-after": "9"}), RateLimitError),
        (Reply({"message": "You have exceeded a secondary rate limit"}, 403), RateLimitError),
        (Reply({"message": "Server Error"}, 500), WriteUnknownError),
        (Reply({"no": "id"}, 201), WriteUnknownError),
        (Reply(is_dropped=True), WriteUnknownError),
    ],
)
def test_every_ending_of_a_creation_has_its_error_and_is_not_repeated(
    reply: Reply, error: type[Exception], github: GithubDouble, hook: GithubFeedbackHook
) -> None:
    github.answers |= {COMMENTS: reply, DEPLOYMENTS: reply}
    with pytest.raises(error):
        hook.create_comment(7, "x")
    with pytest.raises(error):
        hook.create_deployment("preview/dev-x", SHA, "mark", is_transient=True, is_production=False)
    assert len(github.asked) == 2


def test_a_status_says_what_it_is_given(github: GithubDouble, hook: GithubFeedbackHook) -> None:
    github.answers[f"{REPO}/statuses/{SHA}"] = Reply({"id": 1}, 201)
    hook.set_status(SHA, "deploy-ops/preview", "success", "live", "https://airflow.example/x")
    hook.set_status(SHA, "deploy-ops/preview", "error", "superseded", "")
    said = {"state": "success", "context": "deploy-ops/preview", "description": "live"}
    assert [asked.body for asked in github.asked] == [
        said | {"target_url": "https://airflow.example/x"},
        said | {"state": "error", "description": "superseded"},
    ]


def test_our_deployment_is_found_by_environment_commit_and_mark(github: GithubDouble, hook: GithubFeedbackHook) -> None:
    ours = {"id": 3, "sha": SHA, "environment": "preview/dev-x", "payload": {"deploy_ops": "m"}}
    others = [ours | {"id": 4, "payload": ""}, ours | {"id": 5, "sha": make_sha(2)}, ours | {"id": 6, "payload": {}}]
    github.answers[DEPLOYMENT_LISTING] = Reply([*others, ours])
    statuses = f"{DEPLOYMENTS}/3/statuses?per_page=1"
    github.answers[statuses] = Reply([{"state": "success", "environment_url": "https://x.example", "log_url": ""}])
    state = GithubDeploymentState("success", "", "https://x.example", "")
    assert hook.find_deployment("preview/dev-x", SHA, "m") == (3, state)
    github.answers[statuses] = Reply([])
    assert hook.find_deployment("preview/dev-x", SHA, "m") == (3, None)
    github.answers[DEPLOYMENT_LISTING] = Reply(others)
    assert hook.find_deployment("preview/dev-x", SHA, "m") is None


def test_a_deployment_waits_for_no_check_and_merges_nothing(github: GithubDouble, hook: GithubFeedbackHook) -> None:
    github.answers[DEPLOYMENTS] = Reply({"id": 3}, 201)
    github.answers[f"{DEPLOYMENTS}/3/statuses"] = Reply({"id": 4}, 201)
    assert hook.create_deployment("production", SHA, "m", is_transient=False, is_production=True) == 3
    hook.add_deployment_state(
        3, "production", GithubDeploymentState("failure", "boom", "", "https://airflow.example/x")
    )
    created, added = (asked.body for asked in github.asked)
    assert created == {
        "ref": SHA,
        "task": "deploy",
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"deploy_ops": "m"},
        "environment": "production",
        "transient_environment": False,
        "production_environment": True,
    }
    assert added == {
        "state": "failure",
        "environment": "production",
        "auto_inactive": False,
        "description": "boom",
        "log_url": "https://airflow.example/x",
    }
