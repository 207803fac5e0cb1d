"""What GitHub answers about a repository as a whole, its branches' protection and rules, and the token that asks.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (repos, users).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from include.deploy_ops.core.doctor.branches import BranchState, Rule
from include.deploy_ops.core.doctor.github import RepositoryState
from include.deploy_ops.hooks.github.validation import Json, Many, Sha, doubt, validate

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.http import GithubAnswer


class _Repository(Json):
    id: int
    full_name: str
    private: bool = False
    archived: bool = False
    disabled: bool = False
    default_branch: str = ""
    allow_merge_commit: bool | None = None  # who may not push is not told
    permissions: dict[str, bool] = Field(default_factory=dict)


class _Commit(Json):
    sha: Sha


class _Contexts(Json):
    contexts: Many[str] = Field(default_factory=list)


class _Protection(Json):
    required_status_checks: _Contexts | None = None


class _Branch(Json):
    name: str
    commit: _Commit
    protected: bool
    protection: _Protection | None = None


class _Named(Json):
    context: str


class _Parameters(Json):
    required_status_checks: Many[_Named] = Field(default_factory=list)
    allowed_merge_methods: Many[str] = Field(default_factory=list)  # none: GitHub Enterprise Server knew none once


class _Rule(Json):
    type: str
    parameters: _Parameters | None = None
    ruleset_id: int = 0


class _Ruleset(Json):
    id: int
    current_user_can_bypass: str = ""


class _User(Json):
    login: str


def parse_repository_state(answer: GithubAnswer) -> RepositoryState:
    """Read the repository as it stands. :raises ObservationError: malformed."""
    found = validate(_Repository, answer)
    roles = {role for role, has in found.permissions.items() if has}
    return RepositoryState(
        id=found.id,
        name=found.full_name,
        is_public=not found.private,
        is_archived=found.archived,
        is_disabled=found.disabled,
        default_branch=found.default_branch,
        allows_merge_commits=found.allow_merge_commit,
        roles=frozenset(roles) if found.permissions else None,
    )


def parse_branch_state(answer: GithubAnswer, name: str) -> BranchState:
    """Read a branch and what its protection shows. :raises ObservationError: malformed, or another than `name`."""
    found = validate(_Branch, answer)
    if found.name != name:
        raise doubt(answer, f"another branch, {found.name}")
    required = (found.protection.required_status_checks if found.protection else None) or _Contexts()
    return BranchState(found.commit.sha, found.protected, frozenset(required.contexts))


def parse_rules(answer: GithubAnswer) -> tuple[Rule, ...]:
    """Read the active rules of a branch, from all rulesets. :raises ObservationError: malformed."""
    return tuple(_to_rule(each) for each in validate(list[_Rule], answer))


def _to_rule(found: _Rule) -> Rule:
    given = found.parameters or _Parameters()
    return Rule(
        found.type,
        found.ruleset_id,
        frozenset(each.context for each in given.required_status_checks),
        frozenset(given.allowed_merge_methods) or None,
    )


def parse_bypass(answer: GithubAnswer, ruleset: int) -> str:
    """Read when the token may pass over a ruleset; empty where that is not told.

    :raises ObservationError: malformed, or another one than `ruleset`.
    """
    found = validate(_Ruleset, answer)
    if found.id != ruleset:
        raise doubt(answer, f"another ruleset, {found.id}")
    return found.current_user_can_bypass


def parse_login(answer: GithubAnswer) -> str:
    """Read the account's name. :raises ObservationError: malformed."""
    return validate(_User, answer).login


def parse_end(text: str) -> datetime:
    """Read when a token ends, as its header writes it: `2026-12-05 11:52:36 UTC`, or with an offset like `-0400`.

    :raises ValueError: it is no time, or has no zone.
    """
    try:
        return datetime.strptime(text.replace(" UTC", " +0000"), "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        end = datetime.fromisoformat(text)
    if end.tzinfo is None:
        raise ValueError("it has no zone")
    return end
