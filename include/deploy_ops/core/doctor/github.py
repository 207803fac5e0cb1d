"""GitHub as a project finds it: what was read of the API, the token, the repository and its branches → checks.

Pure. What permissions are needed stands in `permissions`, what branches must let us do in `branches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.branches import (
    BranchFacts,
    find_unwritten,
    judge_merges,
    judge_presence,
    judge_pushes,
    judge_required_checks,
    list_guarded,
    list_merged_into,
)
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, leave_open, make_check
from include.deploy_ops.core.doctor.permissions import Rights, TokenKind, judge_permission, list_needs
from include.deploy_ops.core.plan.work import COMMANDS_DAG, FEEDBACK_DAG, PROMOTION_DAG, REQUEST_DAG, TEMPLATE_DAG
from include.deploy_ops.core.text.markdown import describe_span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.policy.keys import Project

ENDS_SOON = timedelta(days=14)
"""How long before its end a token is told: time enough to ask somebody for another."""

_PAGE = "GitHub, Settings, Developer settings"


@dataclass(frozen=True, slots=True)
class Reach:
    """The API's address, and the version that GitHub Enterprise Server tells; empty for github.com.

    `has_answered`: False where there is no token to ask it with.
    """

    address: str
    version: str = ""
    has_answered: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """What GitHub tells of the token. `owner`: the account that it stands for, empty for an App's.

    `ends_at`: None where GitHub names no end. `refused`: its words where it takes the token for none.
    """

    kind: TokenKind = TokenKind.UNKNOWN
    owner: str = ""
    ends_at: datetime | Unread | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The repository as GitHub shows it. `roles`: what the token's owner is in it; None where that is not told.

    `allows_merge_commits`: None where that is not told.
    """

    id: int
    name: str
    is_public: bool = False
    is_archived: bool = False
    is_disabled: bool = False
    default_branch: str = ""
    allows_merge_commits: bool | None = None
    roles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RequestsLeft:
    """The hour's requests, and whether few are left."""

    limit: int
    remaining: int
    resets_at: datetime
    is_nearly_used: bool


@dataclass(frozen=True, slots=True)
class GithubFacts:
    """All that was read for one project.

    `token`: Unread where nobody could ask. `known_id`: GitHub's number of the repository as passes remember it, 0 where
    nobody does. `requests`: None where GitHub states none. `branches`: by name; `left_out`: those beyond the bound.
    """

    reach: Reach | Unread
    token: Token | Unread
    repository: RepositoryState | Unread | None
    known_id: int = 0
    rights: Rights = field(default_factory=lambda: Rights(TokenKind.UNKNOWN))
    requests: RequestsLeft | Unread | None = None
    branches: Mapping[str, BranchFacts] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def judge_github(
    project: Project, facts: GithubFacts, now: datetime, *, is_alone: bool = True, is_dry: bool = False
) -> tuple[Check, ...]:
    """Return the checks of a project's GitHub, in the table's order.

    :param now: with a time zone.
    :param is_alone: no other project of the policy is about the repository.
    :param is_dry: `mode: plan`, in which nothing is written.
    """
    return (
        _judge_reach(project, facts.reach),
        _judge_repository(project, facts),
        _judge_token(project, facts.token),
        _judge_end(project, facts.token, now),
        *_judge_permissions(project, facts, is_dry=is_dry),
        _judge_requests(project, facts.requests, now),
        *_judge_branches(project, facts, is_alone=is_alone, is_dry=is_dry),
    )


def _judge_reach(project: Project, reach: Reach | Unread) -> Check:
    if isinstance(reach, Unread) and reach.cause is Cause.SILENCE:
        advice = (
            "look again later: https://www.githubstatus.com tells of GitHub's outages, of GitHub Enterprise Server its "
            f"administrators do; if it lasts, look where the host of connection '{project.github_conn_id}' leads, and "
            "at proxy and firewall"
        )
        return make_check(Area.GITHUB, "reachable", Status.NOT_KNOWN, reach.why, advice)
    if isinstance(reach, Unread):
        advice = (
            f"correct the Airflow connection '{project.github_conn_id}' of type GitHub (its host stays empty for "
            "github.com, and is https://<host>/api/v3 for GitHub Enterprise), and let the worker reach it: proxy, "
            "firewall, names, certificates"
        )
        return make_check(Area.GITHUB, "reachable", Status.FAIL, reach.why, advice)
    if not reach.has_answered:
        advice = "mend the token first, see below; without an answer, this check says what broke"
        return make_check(Area.GITHUB, "reachable", Status.NOT_KNOWN, f"{reach.address} was not asked", advice)
    version = f", GitHub Enterprise Server {reach.version}" if reach.version else ""
    return make_check(Area.GITHUB, "reachable", Status.OK, f"{reach.address} answers{version}")


def _judge_repository(project: Project, facts: GithubFacts) -> Check:
    name, wanted, found = "repository", project.repository, facts.repository
    grant = f"grant the token of connection '{project.github_conn_id}' access to it (an App: install it there)"
    if isinstance(found, Unread):
        status = Status.FAIL if found.cause is Cause.RIGHT else Status.NOT_KNOWN
        advice = f"let {wanted} be readable: {grant}; refused, GitHub says HTTP 403 or, as a rule, 404"
        return make_check(Area.GITHUB, name, status, found.why, advice)
    if found is None:
        said = f"HTTP 404: there is no {wanted}, or none that this token may see"
        return make_check(Area.GITHUB, name, Status.FAIL, said, f"correct `repository` in the policy, or {grant}")
    status, said, advice = _judge_state(project, found, facts.known_id)
    return make_check(Area.GITHUB, name, status, said, advice)


def _judge_state(project: Project, found: RepositoryState, known_id: int) -> tuple[Status, str, str]:
    if found.name.casefold() != project.repository.casefold():
        return (
            Status.FAIL,
            f"{project.repository} is called {found.name} now",
            (f"write `repository: {found.name}` for project {project.name}, then adopt its previews by `orphans`"),
        )
    if known_id and known_id != found.id:
        return (
            Status.FAIL,
            f"{found.name} is number {found.id} at GitHub, and was {known_id}: it is another one",
            (
                "write into the policy what the one that is meant is called now; if it is this one, give the project "
                "another name, too"
            ),
        )
    if found.is_archived:
        return (
            Status.FAIL,
            f"{found.name} is archived: GitHub takes no writes",
            ("unarchive it (its Settings, General, Danger Zone), or take the project out of the policy"),
        )
    if found.is_disabled:
        return Status.FAIL, f"{found.name} is disabled by GitHub", "ask its owner, who can ask GitHub's support"
    known = "as before" if known_id else "which nothing remembered is compared with"
    return Status.OK, f"{found.name}, number {found.id}, {known}", ""


def _judge_token(project: Project, token: Token | Unread) -> Check:
    name, conn_id = "token", project.github_conn_id
    if isinstance(token, Unread):
        return leave_open(
            Area.GITHUB, name, token, "mend what keeps GitHub from being asked; refused, it says HTTP 401"
        )
    if token.refused:
        advice = (
            f"write a token that is good into the password of connection '{conn_id}'; of a GitHub App correct app_id, "
            "installation_id and private key in its extra, or install it again"
        )
        return make_check(Area.GITHUB, name, Status.FAIL, token.refused, advice)
    whose = f" of {token.owner}" if token.owner else ""
    if token.kind is TokenKind.UNKNOWN:
        advice = f"see under {_PAGE}, which it is; refused, GitHub says HTTP 401 'Bad credentials'"
        return make_check(
            Area.GITHUB, name, Status.NOT_KNOWN, f"a token{whose} of a kind that GitHub does not tell", advice
        )
    if token.kind is TokenKind.INSTALLATION:
        advice = (
            f"leave the password of connection '{conn_id}' empty, and put the App's app_id, installation_id and "
            "private key into its extra, by which a token is had anew each hour"
        )
        return make_check(Area.GITHUB, name, Status.WARN, f"an {token.kind.value}, good for an hour", advice)
    return make_check(Area.GITHUB, name, Status.OK, f"a {token.kind.value}{whose}")


def _judge_end(project: Project, token: Token | Unread, now: datetime) -> Check:
    name = "token's end"
    renew = (
        f"make a new token with the same permissions ({_PAGE}), and write it into the password of connection "
        f"'{project.github_conn_id}'"
    )
    if isinstance(token, Unread) or token.refused:
        why = (
            token
            if isinstance(token, Unread)
            else Unread("GitHub takes the token for none, as one that ended", Cause.TOKEN)
        )
        return leave_open(Area.GITHUB, name, why, f"{renew}; one that ended is told HTTP 401 'Bad credentials'")
    if token.kind is TokenKind.APP:
        return make_check(Area.GITHUB, name, Status.OK, "the App's token is had anew each hour")
    if isinstance(token.ends_at, Unread):
        return leave_open(Area.GITHUB, name, token.ends_at, f"look at the token's page ({_PAGE})")
    if token.ends_at is None:
        return make_check(Area.GITHUB, name, Status.OK, "GitHub names no end")
    if token.ends_at <= now:
        return make_check(Area.GITHUB, name, Status.FAIL, f"it ended {token.ends_at:%Y-%m-%d %H:%M %Z}", renew)
    left = token.ends_at - now
    found = f"it ends {token.ends_at:%Y-%m-%d %H:%M %Z}, in {describe_span(left)}"
    return make_check(Area.GITHUB, name, Status.WARN if left <= ENDS_SOON else Status.OK, found, renew)


def _judge_permissions(project: Project, facts: GithubFacts, *, is_dry: bool) -> Iterator[Check]:
    for need in list_needs(project, facts.rights.kind):
        dag = _name_writer(project, need.permission)
        yield judge_permission(need, facts.rights, is_dry=is_dry, conn_id=project.github_conn_id, dag=dag)


def _name_writer(project: Project, permission: str) -> str:
    """Return a DAG that the project has, and whose runs use the permission; of several the one that does most often."""
    writers = {"contents": _list_pushers, "workflows": _list_pushers, "pull_requests": _list_speakers}
    told = writers.get(permission, _list_tellers)(project)
    return f"{project.name}.{next(told, 'control')}"


def _list_pushers(project: Project) -> Iterator[str]:
    """Yield the DAGs whose runs write commits."""
    yield from [PROMOTION_DAG] if project.promotion is not None else []
    yield from (name for name, target in project.targets.items() if target.merge)
    yield from [TEMPLATE_DAG] if project.template_source else []


def _list_speakers(project: Project) -> Iterator[str]:
    """Yield the DAGs whose runs comment on pull requests, or open them."""
    yield from [FEEDBACK_DAG] if project.is_planned and project.feedback.comments else []
    yield from [COMMANDS_DAG] if project.feedback.commands and project.previews is not None else []
    yield from (f"{name}.{REQUEST_DAG}" for name, each in project.targets.items() if each.approval == "required")
    yield from [TEMPLATE_DAG] if project.template_source else []


def _list_tellers(project: Project) -> Iterator[str]:
    """Yield the DAG whose runs tell GitHub how environments are."""
    yield from [FEEDBACK_DAG] if project.is_planned and project.feedback.is_on else []


def _judge_requests(project: Project, left: RequestsLeft | Unread | None, now: datetime) -> Check:
    name = "requests left"
    if isinstance(left, Unread):
        return leave_open(Area.GITHUB, name, left, "used up, GitHub says HTTP 403 'API rate limit exceeded'")
    if left is None:
        return make_check(Area.GITHUB, name, Status.OK, "GitHub states no limit")
    found = (
        f"{left.remaining} of {left.limit} an hour, all of them again at {left.resets_at:%H:%M %Z} "
        f"(in {describe_span(max(left.resets_at - now, timedelta()))})"
    )
    advice = (
        f"look who else uses the token of connection '{project.github_conn_id}', give the project an App or a token of "
        "its own, or raise `poll_interval_s`; polling slows down by itself meanwhile"
    )
    status = Status.FAIL if not left.remaining else Status.WARN if left.is_nearly_used else Status.OK
    return make_check(Area.GITHUB, name, status, found, advice)


def _judge_branches(project: Project, facts: GithubFacts, *, is_alone: bool, is_dry: bool) -> Iterator[Check]:
    repository = facts.repository if isinstance(facts.repository, RepositoryState) else None
    for branch, found in facts.branches.items():
        yield judge_presence(project, branch, found, repository.default_branch if repository else "")
    if facts.left_out:
        advice = "nothing is wrong with them by that; look at them in GitHub"
        said = f"{', '.join(facts.left_out)}: more than {len(facts.branches)} are not looked at"
        yield make_check(Area.GITHUB, "further branches", Status.NOT_KNOWN, said, advice)
    allowed = repository.allows_merge_commits if repository else _excuse(facts.repository)
    for branch in list_merged_into(project):
        if branch in facts.branches:
            yield judge_merges(branch, facts.branches[branch], allowed)
    for branch in list_guarded(project):
        if branch in facts.branches:
            own = find_unwritten(facts.branches[branch].required, project, is_alone=is_alone, is_dry=is_dry)
            yield judge_required_checks(branch, facts.branches[branch], own)
    if project.promotion is not None and (branch := project.promotion.deploy_branch) in facts.branches:
        yield judge_pushes(branch, facts.branches[branch], is_app=facts.rights.kind.is_app)


def _excuse(repository: RepositoryState | Unread | None) -> Unread:
    return repository if isinstance(repository, Unread) else Unread("the repository is not to be seen")
