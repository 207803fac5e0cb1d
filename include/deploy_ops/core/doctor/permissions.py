"""Which permissions on GitHub the policy needs, and whether the token has them: the one table of both. Pure.

`docs/security.md` has the same table for people, and a test holds one to the other. A permission's name here is
GitHub's own word for it (apps: create an installation access token); scopes are those of classic tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, make_check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.policy.keys import Project

READ, WRITE = "read", "write"
_RANKS = {"": 0, READ: 1, WRITE: 2, "admin": 3}
"""GitHub's words for access, each of which includes those before it."""

TITLES = {
    "metadata": "Metadata",
    "contents": "Contents",
    "pull_requests": "Pull requests",
    "statuses": "Commit statuses",
    "checks": "Checks",
    "actions": "Actions",
    "deployments": "Deployments",
    "workflows": "Workflows",
    "administration": "Administration",
}
"""What GitHub's settings call each permission."""

_SCOPES: Mapping[str, frozenset[str]] = {
    "statuses": frozenset({"repo:status"}),
    "deployments": frozenset({"repo_deployment"}),
}
"""Scopes of a classic token that give a permission, beside `repo`, which gives all but workflows."""

_ROLES = {"contents": "push", "statuses": "push", "deployments": "push", "workflows": "push", "administration": "admin"}
"""What the token's owner has to be in the repository for a write, in GitHub's words for its roles."""

_UNTRIED = "no write was done or refused yet, and GitHub tells it in no other way"

_PROPOSED = "the run shows what it would propose, and proposes nothing"

FINE_GRAINED_REFUSAL = "Resource not accessible by personal access token"
APP_REFUSAL = "Resource not accessible by integration"


class TokenKind(Enum):
    """What a token is, as people call it."""

    CLASSIC = "classic personal access token"
    FINE_GRAINED = "fine-grained personal access token"
    APP = "GitHub App"
    INSTALLATION = "installation token of a GitHub App"
    UNKNOWN = "token"

    @property
    def is_app(self) -> bool:
        """Whether it acts as a GitHub App, and not as a person."""
        return self in {TokenKind.APP, TokenKind.INSTALLATION}

    @property
    def refusal(self) -> str:
        """What GitHub says where a permission is missing."""
        return APP_REFUSAL if self.is_app else FINE_GRAINED_REFUSAL


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that something needs. `without`: what is left out where it is missing; empty: it is required.

    `kind`: whose; None: of every token.
    """

    permission: str
    access: str
    without: str = ""
    kind: TokenKind | None = None

    @property
    def name(self) -> str:
        """The permission as people know it, such as `Contents: write`."""
        return f"{TITLES[self.permission]}: {self.access}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: in which case, as the docs say it and as the policy does, and what is needed then."""

    when: str
    is_so: Callable[[Project], bool]
    needs: tuple[Need, ...]


def _has_feedback(kind: str) -> Callable[[Project], bool]:
    return lambda project: bool(getattr(project.feedback, kind)) and project.is_planned


TABLE = (
    Row("GitHub", lambda _: True, (Need("metadata", READ), Need("contents", READ), Need("pull_requests", READ))),
    Row(
        "with `promotion`",
        lambda project: project.promotion is not None,
        (Need("contents", WRITE), Need("workflows", WRITE, "a promotion that changes a workflow is refused")),
    ),
    Row(
        "with `merge: true`",
        lambda project: any(target.merge for target in project.targets.values()),
        (
            Need("contents", WRITE),
            Need("statuses", READ, "what would refuse a merge is not seen before the deploy"),
            Need("checks", READ, "what would refuse a merge is not seen before the deploy"),
        ),
    ),
    Row(
        "with `approval: required`",
        lambda project: any(target.approval == "required" for target in project.targets.values()),
        (Need("pull_requests", WRITE, "a rejection leaves no comment"),),
    ),
    Row(
        "with `previews.template_from`",
        lambda project: project.previews is not None and project.previews.template_from is not None,
        (Need("contents", WRITE, _PROPOSED), Need("pull_requests", WRITE, _PROPOSED)),
    ),
    Row("with `feedback.comments`", _has_feedback("comments"), (Need("pull_requests", WRITE),)),
    Row("with `feedback.statuses`", _has_feedback("statuses"), (Need("statuses", WRITE),)),
    Row(
        "with `feedback.deployments`",
        _has_feedback("deployments"),
        (
            Need("deployments", WRITE),
            Need("administration", WRITE, "environments of gone previews stay on GitHub"),
        ),
    ),
    Row(
        "with `feedback.commands`",
        lambda project: project.feedback.commands and project.previews is not None,
        (Need("pull_requests", WRITE), Need("metadata", READ)),
    ),
    Row(
        "with `requires.checks`",
        lambda project: bool(project.awaited_checks),
        (
            Need("statuses", READ),
            Need("checks", READ, kind=TokenKind.APP),
            Need("actions", READ, kind=TokenKind.FINE_GRAINED),
        ),
    ),
)


def list_needs(project: Project, kind: TokenKind) -> tuple[Need, ...]:
    """Return what a token of this kind needs for all that the policy wants: of each permission the widest access.

    What can be done without is among it where nothing that is required gives it anyway.
    """
    wanted = [need for row in TABLE if row.is_so(project) for need in row.needs]
    wanted = [need for need in wanted if need.kind in {None, _choose_view(kind)}]
    required = _find_widest(need for need in wanted if not need.without)
    spare = _find_widest(need for need in wanted if need.without)
    more = {name: need for name, need in spare.items() if name not in required or _is_wider(need, required[name])}
    return tuple(each[name] for name in TITLES for each in (required, more) if name in each)


def _choose_view(kind: TokenKind) -> TokenKind:
    """Return by whose permission checks are seen: no fine-grained token has that for check runs, all others do."""
    return TokenKind.FINE_GRAINED if kind in {TokenKind.FINE_GRAINED, TokenKind.UNKNOWN} else TokenKind.APP


def _find_widest(needs: Iterable[Need]) -> dict[str, Need]:
    found: dict[str, Need] = {}
    for need in needs:
        if need.permission not in found or _is_wider(need, found[need.permission]):
            found[need.permission] = need
    return found


def _is_wider(one: Need, other: Need) -> bool:
    return _RANKS[one.access] > _RANKS[other.access]


@dataclass(frozen=True, slots=True)
class Write:
    """What is known of writes with a permission: whether GitHub took the last one, and which that was."""

    is_done: bool
    told: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What is known of what the token may.

    `granted`: access by permission, as GitHub tells it of an App; None where it does not. `scopes`: of a classic token.
    `roles`: what its owner is in the repository, None where GitHub does not tell. `reads`: by permission, None where a
    read went through, else why not. `writes`: what was tried before.
    """

    kind: TokenKind
    granted: Mapping[str, str] | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] | None = None
    is_public: bool = False
    reads: Mapping[str, Unread | None] = field(default_factory=dict)
    writes: Mapping[str, Write] = field(default_factory=dict)


def judge_permission(need: Need, rights: Rights, *, is_dry: bool, conn_id: str, dag: str) -> Check:
    """Return whether the token has a permission that the policy needs.

    :param is_dry: nothing is written yet, so that a missing write is only told.
    :param conn_id: the Airflow connection that the token is of.
    :param dag: where a run shows whether a write goes through.
    """
    judge = {TokenKind.APP: _judge_granted, TokenKind.CLASSIC: _judge_scopes}.get(rights.kind, _judge_tried)
    status, found, advice = judge(need, rights, conn_id, dag)
    if need.without:
        spared = f"it can be done without: {need.without}"
        if status is Status.FAIL:
            return make_check(Area.GITHUB, _name(need), Status.OK, f"{found}; {spared}")
        advice = advice and f"{advice}; or leave it out: {spared}"
    if status is Status.FAIL and is_dry and need.access == WRITE:
        status, advice = Status.WARN, f"before `mode: apply`: {advice}"
    return make_check(Area.GITHUB, _name(need), status, found, advice)


_Judged = tuple[Status, str, str]


def _name(need: Need) -> str:
    return f"permission {need.name}"


def _judge_granted(need: Need, rights: Rights, conn_id: str, dag: str) -> _Judged:
    """Judge by what GitHub told with the App's token."""
    del conn_id, dag
    if rights.granted is None:
        said = "GitHub told nothing of the permissions of the App's installation"
        return Status.NOT_KNOWN, said, _advise_app(need)
    has = rights.granted.get(need.permission, "")
    found = f"the installation has {TITLES[need.permission]}: {has or 'no access'}"
    return (Status.OK if _RANKS.get(has, 0) >= _RANKS[need.access] else Status.FAIL), found, _advise_app(need)


def _judge_scopes(need: Need, rights: Rights, conn_id: str, dag: str) -> _Judged:
    """Judge by the scopes of a classic token, and by what its owner may."""
    del dag
    found = f"the token's scopes are: {', '.join(sorted(rights.scopes)) or 'none'}"
    enough = _list_enough(need.permission, is_public=rights.is_public)
    if enough & rights.scopes or (rights.is_public and need.access == READ):
        return _judge_role(need, rights) or (Status.OK, found, "")
    scope = "workflow" if need.permission == "workflows" else "repo"
    place = "GitHub, Settings, Developer settings, Tokens (classic)"
    return Status.FAIL, found, f"give the token of connection '{conn_id}' the scope `{scope}` ({place})"


def _list_enough(permission: str, *, is_public: bool) -> frozenset[str]:
    """Return the scopes of which each gives a permission."""
    if permission == "workflows":
        return frozenset({"workflow"})
    more = {"public_repo"} if is_public else set()
    return frozenset({"repo"}) | _SCOPES.get(permission, frozenset()) | more


def _judge_role(need: Need, rights: Rights) -> _Judged | None:
    """Return that the token's owner may not write, whatever the token may; None where it may, or nobody knows."""
    role = _ROLES.get(need.permission, "") if need.access == WRITE else ""
    if not role or rights.roles is None or role in rights.roles:
        return None
    found = f"the token's owner has in the repository the roles: {', '.join(sorted(rights.roles)) or 'none'}"
    wanted = "Admin" if role == "admin" else "Write"
    advice = f"give its owner the role {wanted} there (the repository's Settings, Collaborators and teams)"
    return Status.FAIL, found, advice


def _judge_tried(need: Need, rights: Rights, conn_id: str, dag: str) -> _Judged:
    """Judge by what went through and what was refused: GitHub lists the permissions of such a token to nobody."""
    advice = f"give the token of connection '{conn_id}' {_describe(need)} (GitHub, Settings, Developer settings)"
    read = rights.reads.get(need.permission)
    if read is not None:
        return (Status.FAIL if read.cause is Cause.RIGHT else Status.NOT_KNOWN), read.why, advice
    if (role := _judge_role(need, rights)) is not None:
        return role
    if need.access == READ and need.permission in rights.reads:
        return Status.OK, "a read went through", ""
    if (write := rights.writes.get(need.permission)) is not None:
        return (Status.OK if write.is_done else Status.FAIL), write.told, advice
    return Status.NOT_KNOWN, _UNTRIED, f"see that the token has {_describe(need)}; {_tell_refusal(need, rights, dag)}"


def _tell_refusal(need: Need, rights: Rights, dag: str) -> str:
    """Return by what run a missing write shows, and what GitHub says then."""
    said = f"HTTP 403 '{rights.kind.refusal}', with {need.permission}={need.access} as what would do"
    if need.permission == "workflows":
        said = "HTTP 404 of a tree, or 403 of a commit, with a changed workflow"
    return f"the first run of `{dag}` that needs it tells; refused, it says {said}"


def _describe(need: Need) -> str:
    """Return the permission as GitHub's settings offer it."""
    return f"'{TITLES[need.permission]}: {'Read and write' if need.access == WRITE else 'Read-only'}'"


def _advise_app(need: Need) -> str:
    return (
        f"give the App {_describe(need)} (its settings, Permissions and events), and accept that where it is installed"
    )
