"""Pull requests as values: what one holds, and how it follows the branches it joins. Moves no branch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sandbox.clock import now
from sandbox.github.git import ZERO
from sandbox.github.merging import sign, write_merge
from sandbox.github.refs import set_ref

if TYPE_CHECKING:
    from sandbox.github.git import Git


def read_clock() -> datetime:
    """Give the time, timezone-aware."""
    return now()


@dataclass(frozen=True, slots=True)
class Label:
    """A label of the repository."""

    id: int
    name: str
    color: str = "ededed"  # what GitHub gives a label that is made by using it


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pull request comes from: a branch of a repository, which may be a fork's."""

    owner: str
    repository: str
    branch: str
    is_fork: bool = False

    @property
    def label(self) -> str:
        """Give `owner:branch`, GitHub's name for it."""
        return f"{self.owner}:{self.branch}"


@dataclass(slots=True)
class PullRequest:
    """One pull request.

    `base_sha` is the base's tip when the head last moved, as GitHub keeps it: it goes stale when only the base moves.
    `merge_sha` is GitHub's `merge_commit_sha`: the test merge while open, what the merge made afterwards.
    """

    number: int
    title: str
    body: str | None
    source: Source
    head_sha: str
    base: str
    base_sha: str
    user: str
    is_draft: bool = False
    state: str = "open"
    mergeable: bool | None = None
    merge_sha: str | None = None
    tested: tuple[str, str] | None = None  # the (base, head) that `mergeable` speaks of
    awaited: tuple[str, str] | None = None  # the (base, head) whose test merge is to be made, and since when
    awaited_since_s: float = 0.0  # on the monotonic clock
    merged_by: str | None = None
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    created_at: datetime = field(default_factory=read_clock)
    updated_at: datetime = field(default_factory=read_clock)
    labels: list[Label] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor merged."""
        return self.state == "open"

    def has_head(self, branch: str) -> bool:
        """Whether its head is this branch of this repository; a fork's branch of that name is another branch."""
        return self.source.branch == branch and not self.source.is_fork

    def touch(self) -> None:
        """Remember that something about it changed now."""
        self.updated_at = read_clock()

    def close(self) -> None:
        """Close it without merging."""
        self.state, self.closed_at = "closed", read_clock()
        self.mergeable = None
        self.touch()

    def reopen(self, head_sha: str, base_sha: str) -> None:
        """Open it again, on its branch's present tip."""
        self.state, self.closed_at = "open", None
        self.move_head(head_sha, base_sha)

    def move_head(self, head_sha: str, base_sha: str) -> None:
        """Follow a push to its head branch."""
        self.head_sha, self.base_sha = head_sha, base_sha
        self.touch()

    def finish(self, merge_sha: str, base_sha: str, user: str) -> None:
        """Mark it merged; from now on its head is frozen."""
        self.close()
        self.merge_sha, self.base_sha = merge_sha, base_sha
        self.merged_at, self.merged_by = self.closed_at, user


def publish_refs(git: Git, pull: PullRequest, base_sha: str | None, mergeability_s: float) -> None:
    """Bring refs/pull/N/head and /merge up to date with the pull request and its base's tip (None: it is gone).

    The test merge's parents are exactly (base, head); on conflict, and once closed, the ref is absent. It is made
    `mergeability_s` seconds after one of them moved; until then `mergeable` is None, and the commit is the one before.
    """
    folder = f"refs/pull/{pull.number}"
    if not pull.is_open or base_sha is None:
        if pull.tested is not None:
            set_ref(git, f"{folder}/merge", ZERO)
        pull.tested = pull.awaited = None
    elif pull.tested != (base_sha, pull.head_sha):
        _await_test(git, pull, base_sha)
        if time.monotonic() - pull.awaited_since_s >= mergeability_s:
            _test_merge(git, pull, base_sha)


def _await_test(git: Git, pull: PullRequest, base_sha: str) -> None:
    if pull.awaited != (base_sha, pull.head_sha):
        set_ref(git, f"refs/pull/{pull.number}/head", pull.head_sha)
        pull.awaited, pull.awaited_since_s = (base_sha, pull.head_sha), time.monotonic()
        pull.mergeable = None


def _test_merge(git: Git, pull: PullRequest, base_sha: str) -> None:
    message = f"Merge {pull.head_sha} into {base_sha}"
    pull.merge_sha = write_merge(git, base_sha, pull.head_sha, message, sign())
    pull.mergeable = pull.merge_sha is not None
    pull.tested = (base_sha, pull.head_sha)
    set_ref(git, f"refs/pull/{pull.number}/merge", pull.merge_sha or ZERO)
