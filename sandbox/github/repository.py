"""One repository: its Git, what GitHub keeps beside it, and what follows when a branch moves. Speaks no HTTP."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.github.git import ZERO
from sandbox.github.pulls import Label, publish_refs, read_clock
from sandbox.github.records import Environment
from sandbox.github.refs import read_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sandbox.github.git import Git
    from sandbox.github.pulls import PullRequest
    from sandbox.github.records import CheckRun, Comment, Deployment, Status
    from sandbox.github.rules import Ruleset
    from sandbox.github.urls import Urls
    from sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Push:
    """A branch moved. `before` and `after` are 40-digit ids, all zeros where the branch was not or is no more."""

    repository: str
    branch: str
    before: str
    after: str


@dataclass(slots=True)
class Repository:
    """A repository as GitHub knows it.

    :param id: its number, which it keeps whatever it is called.
    :param listeners: called with every Push, after the pull requests followed it.
    """

    id: int
    owner: str
    name: str
    git: Git
    urls: Urls
    default_branch: str
    settings: Settings
    listeners: list[Callable[[Push], None]]
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    required_checks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rulesets: dict[str, Ruleset] = field(default_factory=dict)
    is_archived: bool = False
    allows_merge_commits: bool = True
    deployments: dict[int, Deployment] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    forks: dict[str, int] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    pushed_at: datetime = field(default_factory=read_clock)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def __post_init__(self) -> None:
        self.heads = read_heads(self.git)

    @property
    def full_name(self) -> str:
        """Give `owner/name`."""
        return f"{self.owner}/{self.name}"

    def allot_id(self) -> int:
        """Give an id that nothing else in this repository has."""
        return next(self._ids)

    def find_fork_id(self, full_name: str) -> int:
        """Give the repository id of a fork; the same one each time."""
        return self.forks.setdefault(full_name, 500_000 + len(self.forks))

    def find_environment(self, name: str) -> Environment:
        """Find an environment by name; using a new name makes it, as on GitHub."""
        return self.environments.setdefault(name, Environment(self.allot_id(), name))

    def add_comment(self, pull: PullRequest, comment: Comment) -> Comment:
        """Keep a comment on the pull request, and return it."""
        self.comments[comment.id] = comment
        pull.touch()
        return comment

    def find_label(self, name: str) -> Label:
        """Find a label by name; using a new name makes the label, as on GitHub."""
        return self.labels.setdefault(name, Label(self.allot_id(), name))

    def publish_movements(self) -> None:
        """Compare the branches with those last seen; let pull requests follow, then tell the listeners.

        Called after everything that may have moved one: a push by git, and every write of the API.
        """
        heads = read_heads(self.git)
        names = sorted(self.heads.keys() | heads.keys())
        moves = [Push(self.full_name, name, self.heads.get(name, ZERO), heads.get(name, ZERO)) for name in names]
        pushes = [push for push in moves if push.before != push.after]
        self.heads = heads
        if pushes:
            self.pushed_at = read_clock()
        for push in pushes:
            self._follow(push)
        self.publish_pulls()
        for push in pushes:
            for listener in self.listeners:
                listener(push)

    def publish_pulls(self) -> None:
        """Bring every pull request's refs up to date, and its test merge where it is due."""
        for pull in self.pulls.values():
            publish_refs(self.git, pull, self.heads.get(pull.base), self.settings.mergeability_s)

    def _follow(self, push: Push) -> None:
        for pull in self.pulls.values():
            if not pull.is_open:
                continue
            is_head = pull.has_head(push.branch)
            if push.after == ZERO and (is_head or pull.base == push.branch):
                pull.close()
            elif is_head:
                pull.move_head(push.after, self.heads.get(pull.base, pull.base_sha))
