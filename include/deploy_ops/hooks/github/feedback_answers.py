"""What GitHub answers about comments, GitHub Deployments and their statuses, in our own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.feedback.values import GithubDeploymentState
from include.deploy_ops.hooks.github.validation import Json, validate

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.http import GithubAnswer


class _Identity(Json):
    id: int


class _Comment(Json):
    id: int
    body: str | None = None
    user: _Identity | None = None
    performed_via_github_app: _Identity | None = None


class _Deployment(Json):
    id: int
    sha: str
    environment: str
    payload: Any = None


class _Status(Json):
    state: str
    description: str | None = None
    environment_url: str | None = None
    log_url: str | None = None


@dataclass(frozen=True, slots=True)
class FoundComment:
    """A comment; `user` and `app` are the ids of who wrote it, 0 where GitHub does not say."""

    id: int
    body: str
    user: int
    app: int


@dataclass(frozen=True, slots=True)
class FoundDeployment:
    """A GitHub Deployment; `mark` is our own word in its payload, empty in others'."""

    id: int
    sha: str
    environment: str
    mark: str


MARK_KEY = "deploy_ops"


def parse_id(answer: GithubAnswer) -> int:
    """Read the id of a thing, or of an account. :raises ObservationError: malformed."""
    return validate(_Identity, answer).id


def parse_comments(answer: GithubAnswer) -> tuple[FoundComment, ...]:
    """Read a page of comments, oldest first. :raises ObservationError: malformed."""
    return tuple(
        FoundComment(
            each.id,
            each.body or "",
            each.user.id if each.user else 0,
            each.performed_via_github_app.id if each.performed_via_github_app else 0,
        )
        for each in validate(list[_Comment], answer)
    )


def parse_deployments(answer: GithubAnswer) -> tuple[FoundDeployment, ...]:
    """Read a page of GitHub Deployments, newest first. :raises ObservationError: malformed."""
    return tuple(
        FoundDeployment(each.id, each.sha, each.environment, _read_mark(each.payload))
        for each in validate(list[_Deployment], answer)
    )


def parse_newest_state(answer: GithubAnswer) -> GithubDeploymentState | None:
    """Read the first of a page of a GitHub Deployment's statuses. :raises ObservationError: malformed."""
    statuses = validate(list[_Status], answer)
    if not statuses:
        return None
    newest = statuses[0]
    return GithubDeploymentState(
        newest.state, newest.description or "", newest.environment_url or "", newest.log_url or ""
    )


def _read_mark(payload: Any) -> str:
    mark = payload.get(MARK_KEY) if isinstance(payload, dict) else None
    return mark if isinstance(mark, str) else ""
