"""What people and programs say about commits and pull requests: comments, statuses, checks, deployments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.github.pulls import read_clock

if TYPE_CHECKING:
    from datetime import datetime


REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What somebody thinks of a comment, in one of GitHub's signs."""

    id: int
    user: str
    content: str
    created_at: datetime = field(default_factory=read_clock)


@dataclass(slots=True)
class Comment:
    """A comment on an issue or pull request, with its reactions; one of each sign and account, as on GitHub.

    `is_by_bot`: an app's own account wrote it. `app_id`: an app wrote it in the user's name.
    """

    id: int
    number: int
    body: str
    user: str
    is_by_bot: bool = False
    app_id: int | None = None
    created_at: datetime = field(default_factory=read_clock)
    updated_at: datetime = field(default_factory=read_clock)
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status: what one context says of one commit."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    user: str
    created_at: datetime = field(default_factory=read_clock)


@dataclass(slots=True)
class CheckRun:
    """A check on a commit; its `conclusion` comes with its end. `workflow_run` has it as a job."""

    id: int
    sha: str
    name: str
    workflow_run: int
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime = field(default_factory=read_clock)
    completed_at: datetime | None = None

    def move(self, state: str, *, is_over: bool) -> None:
        """Come to another state, which is a conclusion where it is over."""
        self.status, self.conclusion = ("completed", state) if is_over else (state, None)
        self.completed_at = read_clock() if is_over else None


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """One state that a GitHub deployment went through."""

    id: int
    state: str
    user: str
    environment: str
    description: str = ""
    environment_url: str = ""
    log_url: str = ""
    created_at: datetime = field(default_factory=read_clock)


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment as its first deployment made it: without rules or secrets."""

    id: int
    name: str
    created_at: datetime = field(default_factory=read_clock)


@dataclass(slots=True)
class Deployment:
    """A GitHub deployment (not one of Astro's) with its statuses, oldest first."""

    id: int
    sha: str
    ref: str
    task: str
    environment: str
    description: str | None
    payload: Any
    is_transient: bool
    is_production: bool
    user: str
    created_at: datetime = field(default_factory=read_clock)
    updated_at: datetime = field(default_factory=read_clock)
    statuses: list[DeploymentStatus] = field(default_factory=list)

    def add_status(self, status: DeploymentStatus) -> None:
        """Add its newest status."""
        self.statuses.append(status)
        self.updated_at = status.created_at
