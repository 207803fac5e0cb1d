"""When trees are asked of Git instead of the API, for which commits, and what follows where Git does not give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import TreeEntry
from include.deploy_ops.hooks.github.trees import FETCHES_MAX, REQUESTS_MAX, BulkTrees, FindTree
from tests.worlds.doubles.github import make_sha

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRIES = (TreeEntry("a.py", "100644", make_sha("blob")),)


class Git:
    """Gives the one tree of each commit, and remembers for which it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failure = failure

    def fetch(self, commits: Sequence[str]) -> FindTree:
        self.asked.append(tuple(commits))
        if self.failure is not None:
            raise self.failure
        return lambda sha: ENTRIES if sha in {name_tree(commit) for commit in commits} else None


def name_tree(commit: str) -> str:
    return make_sha(f"tree of {commit}")


def spend(bulk: BulkTrees, seed: str) -> None:
    """Ask for as many trees as the API may be asked for, none of which Git has."""
    for number in range(REQUESTS_MAX):
        assert bulk.find(make_sha(f"{seed} {number}")) is None


def test_git_is_asked_once_the_api_was_asked_for_many() -> None:
    git = Git()
    bulk = BulkTrees(git.fetch)
    bulk.note("one")
    bulk.note("other")
    bulk.note("one")
    spend(bulk, "first")
    assert git.asked == []
    assert bulk.find(name_tree("one")) == ENTRIES
    assert bulk.find(name_tree("other")) == ENTRIES
    assert git.asked == [("one", "other")]


def test_a_commit_that_is_read_later_is_fetched_after_as_many_more_and_what_git_brought_stays() -> None:
    git = Git()
    bulk = BulkTrees(git.fetch)
    bulk.note("one")
    spend(bulk, "first")
    assert bulk.find(name_tree("one")) == ENTRIES
    bulk.note("late")
    spend(bulk, "second")
    assert bulk.find(name_tree("late")) == bulk.find(name_tree("one")) == ENTRIES
    assert git.asked == [("one",), ("late",)]


def test_git_is_not_asked_twice_for_the_same() -> None:
    git = Git()
    bulk = BulkTrees(git.fetch)
    bulk.note("one")
    for seed in ("first", "second", "third"):
        spend(bulk, seed)
    assert git.asked == [("one",)]


def test_git_is_not_asked_without_end() -> None:
    git = Git()
    bulk = BulkTrees(git.fetch)
    for number in range(2 * FETCHES_MAX):
        bulk.note(str(number))
        spend(bulk, str(number))
    assert bulk.find(name_tree("0")) == ENTRIES
    assert len(git.asked) == FETCHES_MAX


@pytest.mark.parametrize("failure", [RetryableError("the host hangs"), OSError("no space left on device")])
def test_where_git_does_not_give_them_the_api_is_asked_on(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    git = Git(failure)
    bulk = BulkTrees(git.fetch)
    for seed in ("first", "second", "third"):
        bulk.note(seed)
        spend(bulk, seed)
    assert bulk.find(name_tree("first")) is None
    assert git.asked == [("first", "second")], "once is enough"
    assert str(failure) in caplog.text


def test_without_git_nothing_but_the_api_is_asked() -> None:
    bulk = BulkTrees(None)
    bulk.note("one")
    spend(bulk, "first")
    assert bulk.find(name_tree("one")) is None
