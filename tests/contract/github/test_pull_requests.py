"""What the product asks and writes about single pull requests is as GitHub describes it, refusals included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import ObservationError, WriteRefusedError
from include.deploy_ops.core.model import MergeState
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.github.test_requests import assert_described
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect

if TYPE_CHECKING:
    from collections.abc import Callable

BRANCH = "dev/a#b%c+d&e=f"
MARKER = "<!-- deploy-ops 1 -->"


@pytest.fixture
def pulls(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubPullsHook]:
    """Give a hook on a repository with an open pull request into staging."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file(BRANCH, "dags/a.py", "a = 1\n")
    hub.open_pull(BRANCH, "staging")
    hook = GithubPullsHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def ask_for_a_pull_request(hub: Hub, pulls: GithubPullsHook) -> None:
    assert pulls.get_pull_request(1).head_sha == hub.read_heads()[BRANCH]
    with pytest.raises(ObservationError, match="no such pull request"):
        pulls.get_pull_request(9)


def ask_for_merges(hub: Hub, pulls: GithubPullsHook) -> None:
    ready = pulls.read_merge(1)
    heads = hub.read_heads()
    assert ready.state is MergeState.READY
    assert pulls.get_commit(ready.commit).parents == (heads["staging"], heads[BRANCH])
    hub.settings.mergeability_s = 60
    hub.push_file("staging", "dags/a.py", "a = 2\n", start="origin/staging")
    assert pulls.read_merge(1).state is MergeState.PENDING
    hub.settings.mergeability_s = 0
    assert pulls.read_merge(1).state is MergeState.CONFLICT
    hub.send("PATCH", "/pulls/1", status=200, json={"state": "closed"})
    assert pulls.read_merge(1).state is MergeState.CLOSED


def ask_for_commits(hub: Hub, pulls: GithubPullsHook) -> None:
    (commit,) = pulls.list_commits_of(1)
    assert (commit.sha, commit.subject) == (hub.read_heads()[BRANCH], "Write dags/a.py")
    assert commit.url.endswith(commit.sha)


def comment(hub: Hub, pulls: GithubPullsHook) -> None:
    first = pulls.comment_once(1, f"Rejected {MARKER}", MARKER)
    assert pulls.comment_once(1, f"Rejected {MARKER}", MARKER) == first
    assert len(hub.send("GET", "/issues/1/comments", status=200)) == 1
    with pytest.raises(ObservationError):
        pulls.comment_once(9, MARKER, MARKER)


def merge(hub: Hub, pulls: GithubPullsHook) -> None:
    hub.open_pull(BRANCH, "main")
    heads = hub.read_heads()
    with pytest.raises(WriteRefusedError, match="409: Head branch was modified"):
        pulls.merge(2, heads["main"])
    made = pulls.merge(2, heads[BRANCH])
    assert hub.read_heads()["main"] == made
    assert pulls.get_commit(made).parents == (heads["main"], heads[BRANCH])
    assert pulls.read_merge(2).state is MergeState.MERGED
    with pytest.raises(WriteRefusedError, match="405: Pull Request is not mergeable"):
        pulls.merge(2, heads[BRANCH])
    with pytest.raises(WriteRefusedError, match="404: Not Found"):
        pulls.merge(9, heads[BRANCH])


ROWS: dict[str, Callable[[Hub, GithubPullsHook], None]] = {
    "get_pull_request": ask_for_a_pull_request,
    "read_merge": ask_for_merges,
    "list_commits_of": ask_for_commits,
    "comment_once": comment,
    "merge": merge,
}


def test_what_the_hook_asks_and_writes_is_described(
    hub: Hub, pulls: GithubPullsHook, outgoing: Outgoing, judge: Judge
) -> None:
    for ask in ROWS.values():
        ask(hub, pulls)
    assert_described(outgoing, judge)


def test_every_public_method_is_among_them() -> None:
    assert {name for name, value in vars(GithubPullsHook).items() if callable(value) and name[0] != "_"} == ROWS.keys()
