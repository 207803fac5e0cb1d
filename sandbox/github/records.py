"""What people and programs say about commits and pull requests: comments, statuses, checks, deployments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.github.pulls import read_clock

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class Comment:
    """A comment on an issue or pull request."""

    id: int
    number: int
    body: str
    user: str
    created_at: datetime = field(default_factory=read_clock)
    updated_at: datetime = field(default_factory=read_clock)


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
