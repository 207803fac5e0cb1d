"""What GitHub answers about a branch's rules, a commit's checks and a pull request's reviews, in our own values.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (repos, checks, pulls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from include.deploy_ops.core.target.mergeability import BranchRules
from include.deploy_ops.hooks.github.validation import Json, Many, validate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.hooks.github.http import GithubAnswer

    Seen = tuple[tuple[str, str, int], ...]

ACTIONS_APP = 15368
"""GitHub Actions' own number among apps, on github.com; elsewhere it has another, and its jobs are nobody's."""

_QUEUE, _CHECKS, _REVIEWS = "merge_queue", "required_status_checks", "pull_request"
_APPROVED, _OPINIONS = "APPROVED", frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})


class _Named(Json):
    context: str
    integration_id: int | None = None


class _Parameters(Json):
    required_status_checks: Many[_Named] = Field(default_factory=list)
    required_approving_review_count: int = 0


class _Rule(Json):
    type: str
    parameters: _Parameters | None = None


class _FromApp(Json):
    context: str
    app_id: int | None = None


class _Contexts(Json):
    contexts: Many[str] = Field(default_factory=list)
    checks: Many[_FromApp] = Field(default_factory=list)


class _Protection(Json):
    required_status_checks: _Contexts | None = None


class _Branch(Json):
    protection: _Protection | None = None


class _Status(Json):
    context: str
    state: str


class _Combined(Json):
    statuses: Many[_Status]


class _App(Json):
    id: int


class _CheckRun(Json):
    name: str
    status: str = ""
    conclusion: str | None
    app: _App | None = None


class _CheckRuns(Json):
    check_runs: Many[_CheckRun]


class _Jobs(Json):
    jobs: Many[_CheckRun]


class _WorkflowRun(Json):
    id: int
    status: str | None
    conclusion: str | None


class _WorkflowRuns(Json):
    workflow_runs: Many[_WorkflowRun]


class _User(Json):
    login: str


class _Review(Json):
    user: _User | None
    state: str


def parse_rules(answer: GithubAnswer) -> BranchRules:
    """Read the active rules of a branch, from all rulesets. :raises ObservationError: malformed."""
    rules = validate(list[_Rule], answer)
    parameters = {kind: [each.parameters for each in rules if each.type == kind] for kind in (_CHECKS, _REVIEWS)}
    named = [each for found in parameters[_CHECKS] if found for each in found.required_status_checks]
    counts = [found.required_approving_review_count for found in parameters[_REVIEWS] if found]
    return BranchRules(
        any(each.type == _QUEUE for each in rules),
        frozenset(each.context for each in named),
        max(counts, default=0),
        _bind((each.context, each.integration_id) for each in named),
    )


def parse_protection(answer: GithubAnswer) -> BranchRules:
    """Read the checks that the protection of a branch requires. :raises ObservationError: malformed."""
    protection = validate(_Branch, answer).protection
    required = (protection.required_status_checks if protection else None) or _Contexts()
    names = frozenset(required.contexts) | frozenset(each.context for each in required.checks)
    return BranchRules(checks=names, bound=_bind((each.context, each.app_id) for each in required.checks))


def _bind(checks: Iterable[tuple[str, int | None]]) -> frozenset[tuple[str, int]]:
    """Return the checks that count from one app alone; -1 is GitHub's word for any."""
    return frozenset((name, app) for name, app in checks if app is not None and app > 0)


def parse_protected_checks(answer: GithubAnswer) -> frozenset[str]:
    """Read the names of those checks. :raises ObservationError: malformed."""
    return parse_protection(answer).checks


def parse_statuses(answer: GithubAnswer) -> dict[str, str]:
    """Read the newest status of each context. :raises ObservationError: malformed."""
    return {name: state for name, state, _ in list_statuses(answer)}


def parse_check_runs(answer: GithubAnswer) -> dict[str, str]:
    """Read how the newest check runs ended, empty where one goes on. :raises ObservationError: malformed."""
    return {each.name: each.conclusion or "" for each in validate(_CheckRuns, answer).check_runs}


def list_statuses(answer: GithubAnswer) -> Seen:
    """Read context and state of the newest status of each context; 0, as whose it is stands nowhere.

    :raises ObservationError: malformed.
    """
    return tuple((each.context, each.state, 0) for each in validate(_Combined, answer).statuses)


def list_check_runs(answer: GithubAnswer) -> Seen:
    """Read name, conclusion, or status, and app of the newest check runs. :raises ObservationError: malformed."""
    runs = validate(_CheckRuns, answer).check_runs
    return tuple((each.name, each.conclusion or each.status, each.app.id if each.app else 0) for each in runs)


def list_jobs(answer: GithubAnswer) -> Seen:
    """Read the same of the jobs of a workflow run. :raises ObservationError: malformed."""
    jobs = validate(_Jobs, answer).jobs
    return tuple((each.name, each.conclusion or each.status, ACTIONS_APP) for each in jobs)


def list_workflow_runs(answer: GithubAnswer) -> Seen:
    """Read id and conclusion, or status, of workflow runs. :raises ObservationError: malformed."""
    runs = validate(_WorkflowRuns, answer).workflow_runs
    return tuple((str(each.id), each.conclusion or each.status or "", 0) for each in runs)


def count_approvals(answer: GithubAnswer) -> int:
    """Count whose newest opinion approves; reviews come oldest first. :raises ObservationError: malformed."""
    opinions = {
        each.user.login: each.state for each in validate(list[_Review], answer) if each.user and each.state in _OPINIONS
    }
    return sum(state == _APPROVED for state in opinions.values())
