"""What GitHub answers about comments that may speak to us, their reactions, and who may push, in our own values.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (issues, reactions,
collaborators).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.feedback.commands import Comment
from include.deploy_ops.hooks.github.validation import Json, validate

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.http import GithubAnswer

_Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_NUMBER = re.compile(r"/issues/([1-9][0-9]{0,9})$", re.ASCII)


class _Account(Json):
    id: int
    login: str
    type: str = ""


class _App(Json):
    id: int


class _Signs(Json):
    eyes: int = 0


class _Said(Json):
    id: int
    issue_url: str
    created_at: _Instant
    updated_at: _Instant
    body: str | None = None
    user: _Account | None  # None when the account was deleted
    performed_via_github_app: _App | None = None
    reactions: _Signs | None = None


class _Owner(Json):
    id: int


class _Reaction(Json):
    content: str
    user: _Owner | None


class _Given(Json):
    user: _Owner | None


class _Collaborator(Json):
    permission: str
    user: _Owner | None


@dataclass(frozen=True, slots=True)
class Given:
    """A reaction of ours: whether it is there only now, and our account's id, 0 where GitHub does not say."""

    is_new: bool
    user_id: int


def parse_said(answer: GithubAnswer) -> tuple[Comment, ...]:
    """Read a page of a repository's comments, in GitHub's order. :raises ObservationError: malformed."""
    return tuple(_to_comment(answer, each) for each in validate(list[_Said], answer))


def find_oldest(answer: GithubAnswer) -> datetime | None:
    """Return when the last comment of a page was written or edited, None where it has none. Raises as `parse_said`."""
    said = validate(list[_Said], answer)
    return datetime.fromisoformat(said[-1].updated_at) if said else None


def _to_comment(answer: GithubAnswer, said: _Said) -> Comment:
    number = _NUMBER.search(said.issue_url)
    if number is None:
        raise ObservationError(f"{answer.request}: comment {said.id} names no issue; nothing follows from that")
    user = said.user
    return Comment(
        id=said.id,
        number=int(number[1]),
        body=said.body or "",
        login=user.login if user else "",
        user_id=user.id if user else 0,
        is_person=user is not None and user.type == "User" and said.performed_via_github_app is None,
        is_edited=said.updated_at != said.created_at,
        has_eyes=said.reactions is None or said.reactions.eyes > 0,
        created_at=datetime.fromisoformat(said.created_at),
    )


def parse_permission(answer: GithubAnswer, user_id: int) -> str:
    """Read what the account may do; none where it is another account. :raises ObservationError: malformed."""
    found = validate(_Collaborator, answer)
    return found.permission if found.user is not None and found.user.id == user_id else "none"


def parse_given(answer: GithubAnswer) -> int:
    """Read whose reaction it is, 0 where nobody says. :raises ObservationError: malformed."""
    found = validate(_Given, answer)
    return found.user.id if found.user else 0


def parse_signs(answer: GithubAnswer) -> tuple[tuple[int, str], ...]:
    """Read a page of reactions: account and sign of each. :raises ObservationError: malformed."""
    return tuple((each.user.id if each.user else 0, each.content) for each in validate(list[_Reaction], answer))
