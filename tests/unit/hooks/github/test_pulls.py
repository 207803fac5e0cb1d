"""What merging a pull request would give, when GitHub's word on it counts, and writes that are sent once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError, WriteRefusedError, WriteUnknownError
from include.deploy_ops.core.model import MergeState
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from tests.worlds.doubles.github import (
    HTML,
    NOT_FOUND,
    REPO,
    TOKEN,
    GithubDouble,
    Reply,
    connect,
    make_pull,
    make_ref,
    make_sha,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE, HEAD, MERGE = make_sha("staging"), make_sha(7), make_sha("merge")
PULL, MERGING, COMMENTS = f"{REPO}/pulls/7", f"{REPO}/pulls/7/merge", f"{REPO}/issues/7/comments"
MARKER = "<!-- request -->"


@pytest.fixture
def pulls(github: GithubDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubPullsHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    hook = GithubPullsHook("github_default", "acme/pipes", sleep=pauses.append)
    yield hook
    hook.close()


def put_pull(github: GithubDouble, parents: tuple[str, ...] = (BASE, HEAD), **changes: Any) -> None:
    """Let GitHub show pull request 7 with a test merge of these parents, and its base at BASE."""
    shown = make_pull(7, mergeable=True, merge_commit_sha=MERGE)
    github.answers[PULL] = Reply(shown | changes)
    github.answers[f"{REPO}/git/ref/heads/staging"] = Reply(make_ref("staging", BASE))
    commit = {
        "sha": MERGE,
        "message": "Merge",
        "tree": {"sha": make_sha("tree")},
        "parents": [{"sha": each} for each in parents],
        "committer": {"date": "2026-02-03T04:05:06Z"},
    }
    github.answers[f"{REPO}/git/commits/{MERGE}"] = Reply(commit)


def test_a_test_merge_of_exactly_base_and_head_counts(github: GithubDouble, pulls: GithubPullsHook) -> None:
    put_pull(github)
    result = pulls.read_merge(7)
    assert (result.state, result.commit, result.base, result.pull.head_sha) == (MergeState.READY, MERGE, BASE, HEAD)
    assert result.reason == ""


@pytest.mark.parametrize(
    "parents",
    [(make_sha("old base"), HEAD), (BASE, make_sha("old head")), (HEAD, BASE), (BASE,), (BASE, HEAD, make_sha(3))],
)
def test_a_test_merge_of_something_else_is_not_computed_yet(
    parents: tuple[str, ...], github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github, parents)
    result = pulls.read_merge(7)
    assert (result.state, result.commit) == (MergeState.PENDING, "")


@pytest.mark.parametrize("changes", [{"mergeable": None}, {"merge_commit_sha": None}])
def test_what_github_has_not_computed_is_told_from_a_conflict(
    changes: dict[str, Any], github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github, **changes)
    assert pulls.read_merge(7).state is MergeState.PENDING


def test_a_test_merge_that_github_cannot_show_yet_is_not_computed_yet(
    github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github)
    github.answers[f"{REPO}/git/commits/{MERGE}"] = Reply(NOT_FOUND, 404)
    github.answers[REPO] = Reply({"id": 7})
    assert pulls.read_merge(7).state is MergeState.PENDING


def test_a_conflict_says_what_to_do(github: GithubDouble, pulls: GithubPullsHook) -> None:
    put_pull(github, mergeable=False)
    result = pulls.read_merge(7)
    assert (result.state, result.commit) == (MergeState.CONFLICT, "")
    assert "merge staging into it" in result.reason


@pytest.mark.parametrize(
    ("merged_at", "state", "commit"),
    [("2026-01-01T00:00:00Z", MergeState.MERGED, MERGE), (None, MergeState.CLOSED, "")],
)
def test_a_closed_pull_request_is_never_ready(
    merged_at: str | None, state: MergeState, commit: str, github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github, state="closed", merged_at=merged_at)
    result = pulls.read_merge(7)
    assert (result.state, result.commit) == (state, commit)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, MergeState.BASELESS),
        ({"mergeable": None}, MergeState.BASELESS),
        ({"mergeable": False}, MergeState.BASELESS),
        ({"state": "closed"}, MergeState.CLOSED),
        ({"state": "closed", "merged_at": "2026-01-01T00:00:00Z"}, MergeState.MERGED),
        ({"head": {"ref": "dev-7", "sha": HEAD, "repo": None}}, MergeState.BASELESS),  # of a fork that is gone, too
    ],
)
def test_a_base_that_is_gone_or_was_renamed_is_told_and_no_error(
    changes: dict[str, Any], state: MergeState, github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github, **changes)
    github.answers[f"{REPO}/git/ref/heads/staging"] = Reply(NOT_FOUND, 404)
    github.answers[REPO] = Reply({"id": 7})
    result = pulls.read_merge(7)
    assert (result.state, result.base) == (state, "")
    assert ("its base staging is gone; make the branch again" in result.reason) is (state is MergeState.BASELESS)
    del github.answers[REPO]
    with pytest.raises(ObservationError, match="the repository is gone or renamed"):
        pulls.read_merge(7)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(NOT_FOUND, 404), "no such pull request"),
        (Reply(make_pull(8, mergeable=True, merge_commit_sha=MERGE)), "another pull request, 8"),
        (Reply(make_pull(7)), "mergeable"),
        (Reply(make_pull(7, mergeable="yes", merge_commit_sha=MERGE)), "mergeable"),
        (Reply(make_pull(7, mergeable=True, merge_commit_sha="abc")), "merge_commit_sha"),
    ],
)
def test_what_is_no_pull_request_is_an_error(
    reply: Reply, said: str, github: GithubDouble, pulls: GithubPullsHook
) -> None:
    put_pull(github)
    github.answers[PULL] = reply
    with pytest.raises(ObservationError, match=said):
        pulls.read_merge(7)


def make_commit(number: int, login: str | None = "ada", name: str | None = "Ada") -> dict[str, Any]:
    return {
        "sha": make_sha(number),
        "html_url": f"https://github.example/acme/pipes/commit/{number}",
        "commit": {"message": f"Change {number}\n\nWhy", "author": None if name is None else {"name": name}},
        "author": {} if login is None else {"login": login},
    }


def test_commits_come_from_all_pages_with_whoever_wrote_them(github: GithubDouble, pulls: GithubPullsHook) -> None:
    path = f"{PULL}/commits"
    github.answers[f"{path}?per_page=100"] = Reply(
        [make_commit(1), make_commit(2, login=None)], headers=github.link_to(f"{path}?page=2")
    )
    github.answers[f"{path}?page=2"] = Reply([make_commit(3, login=None, name=None)])
    found = pulls.list_commits_of(7)
    assert [(each.sha, each.subject, each.author, each.login) for each in found] == [
        (make_sha(1), "Change 1", "ada", "ada"),
        (make_sha(2), "Change 2", "Ada", ""),  # a bare name is whatever its writer says: nobody's account
        (make_sha(3), "Change 3", "", ""),
    ]


def test_a_merge_names_exactly_the_head(github: GithubDouble, pulls: GithubPullsHook) -> None:
    github.answers[MERGING] = Reply({"sha": MERGE, "merged": True, "message": "done"})
    assert pulls.merge(7, HEAD) == MERGE
    (asked,) = github.asked
    assert (asked.method, asked.body) == ("PUT", {"sha": HEAD, "merge_method": "merge"})


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (405, {"message": "At least 1 approving review is required"}, "405: At least 1 approving review is required"),
        (409, {"message": "Head branch was modified."}, "409: Head branch was modified."),
        (422, {"message": "Validation Failed", "errors": [{"field": "sha", "code": "invalid"}]}, "Failed; sha invalid"),
        (422, {"message": "Validation Failed", "errors": [{"message": "No"}, "plain"]}, "Failed; No; plain"),
        (403, {"message": "Resource not accessible by integration"}, "403: Resource not accessible"),
        (
            403,
            {"message": "Resource not accessible by integration"},
            "integration; grant the connection's token Contents: write and Pull requests: write",
        ),
        (409, {"message": "Repository rule violations found"}, "a rule of the branch is against it: let the .* bypass"),
        (404, NOT_FOUND, "404: Not Found"),
        (405, HTML, "405: '<html>"),
    ],
)
def test_a_refusal_is_named_and_never_repeated(
    status: int, body: Any, said: str, github: GithubDouble, pulls: GithubPullsHook, pauses: list[float]
) -> None:
    github.answers[MERGING] = Reply(body, status)
    with pytest.raises(WriteRefusedError, match=said) as refused:
        pulls.merge(7, HEAD)
    assert refused.value.status == status
    assert len(github.asked) == 1
    assert pauses == []


def test_a_redirected_write_was_not_done_and_says_so(github: GithubDouble, pulls: GithubPullsHook) -> None:
    for status in (301, 302, 307, 308):
        github.answers[MERGING] = Reply({}, status, {"Location": "/x"})
        with pytest.raises(
            WriteRefusedError, match=f"was not done: it answered HTTP {status} and pointed to /x"
        ) as found:
            pulls.merge(7, HEAD)
        assert found.value.status == status


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"message": "Server Error"}, 502),
        Reply(is_dropped=True),
        Reply({"sha": MERGE}, missing_bytes=5),
        Reply(HTML),
        Reply({}, headers={"x-ratelimit-limit": "x", "x-ratelimit-remaining": "x", "x-ratelimit-reset": "x"}),
    ],
    ids=["5xx", "dropped", "cut short", "no JSON", "senseless quota"],
)
def test_an_unknown_ending_is_never_repeated(
    reply: Reply, github: GithubDouble, pulls: GithubPullsHook, pauses: list[float]
) -> None:
    github.answers[MERGING] = reply
    with pytest.raises(WriteUnknownError, match="look before it is tried again"):
        pulls.merge(7, HEAD)
    assert len(github.asked) == 1
    assert pauses == []


def test_a_rate_limit_is_no_unknown_ending(github: GithubDouble, pulls: GithubPullsHook) -> None:
    github.answers[MERGING] = Reply({"message": "slow down"}, 429, {"retry-after": "7"})
    with pytest.raises(RateLimitError) as limited:
        pulls.merge(7, HEAD)
    assert limited.value.retry_after_s == 7
    assert len(github.asked) == 1


def test_a_comment_is_made_once_also_by_the_next_try(github: GithubDouble, pulls: GithubPullsHook) -> None:
    listing = f"{COMMENTS}?per_page=100"
    github.answers[listing] = Reply([{"html_url": "u1", "body": "hello"}, {"html_url": "u2"}])
    github.answers[COMMENTS] = Reply({"html_url": "u3", "body": f"No {MARKER}"}, 201)
    assert pulls.comment_once(7, f"No {MARKER}", MARKER) == "u3"
    assert github.asked[-1].body == {"body": f"No {MARKER}"}
    github.answers[listing] = Reply([{"html_url": "u1"}], headers=github.link_to(f"{COMMENTS}?page=2"))
    github.answers[f"{COMMENTS}?page=2"] = Reply([{"html_url": "u3", "body": f"No {MARKER}"}])
    assert pulls.comment_once(7, f"No {MARKER}", MARKER) == "u3"
    assert [asked.method for asked in github.asked].count("POST") == 1
