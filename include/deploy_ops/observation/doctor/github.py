"""Reads what the doctor asks of GitHub for one project, each fact by itself: one that cannot be read takes no other.

Sends GET alone, each question once (the first a second time where it got no answer), and no more than `REQUESTS_MAX`
of them. Where GitHub does not answer at all, takes the token for none or wants a pause, the rest is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from include.deploy_ops.core.doctor.branches import (
    BranchFacts,
    BranchState,
    Rule,
    list_guarded,
    list_merged_into,
    list_uses,
)
from include.deploy_ops.core.doctor.fact import Cause, Unread, tell
from include.deploy_ops.core.doctor.github import (
    GithubFacts,
    Reach,
    RepositoryState,
    RequestsLeft,
    Token,
    judge_github,
)
from include.deploy_ops.core.doctor.permissions import Rights, TokenKind, Write, list_needs
from include.deploy_ops.core.errors import DeployOpsError, RateLimitError, SilenceError, TokenRefusedError
from include.deploy_ops.core.feedback.comparison import is_lacking
from include.deploy_ops.core.feedback.values import REFUSED, Kind, gather_facts, key_lack
from include.deploy_ops.core.promotion.message import is_own_commit
from include.deploy_ops.core.target.gates import is_own
from include.deploy_ops.observation.commit_checks import CheckReader
from include.deploy_ops.observation.doctor.questions import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.feedback.values import Facts, FeedbackRecord
    from include.deploy_ops.hooks.github.inspection import GithubInspectionHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

T = TypeVar("T")

BRANCHES_MAX = 10
"""Branches that are looked at, of those that the policy names; two requests each at the most."""

HEADS_MAX = 3
"""Pull requests whose heads are looked through for required checks, beside the branch's tip: two requests each."""

RULESETS_MAX = 5
"""Rulesets of which it is asked whether the token may pass over them: a request each."""

OUTAGES_MAX = 3
"""Questions without an answer after which nothing more is asked: each may take a quarter of a minute."""

PROBES = {
    "pull_requests": "/pulls?state=all&per_page=1",
    "statuses": "/commits/{trunk}/status?per_page=1",
    "checks": "/commits/{trunk}/check-runs?per_page=1",
    "actions": "/actions/runs?per_page=1",
    "deployments": "/deployments?per_page=1",
}
"""A cheap question for each permission; that of contents is the one for trunk, that of metadata the repository's."""

_KINDS = {
    "statuses": Kind.STATUS,
    "deployments": Kind.DEPLOYMENT,
    "pull_requests": Kind.COMMENT,
    "administration": Kind.ENVIRONMENT,
}
"""What feedback writes by each permission."""

_STARTS = {Kind.STATUS: "status/", Kind.DEPLOYMENT: "deployment/", Kind.COMMENT: "comment/"}
"""How the keys begin of what feedback told of each kind; an environment that is deleted is remembered nowhere."""


def open_inspection(scope: Scope) -> GithubInspectionHook:
    """Return the hook for one look at the project's GitHub; who opens it closes it."""
    from include.deploy_ops.hooks.github.inspection import GithubInspectionHook  # not where DAG files are parsed

    return GithubInspectionHook(scope.project.github_conn_id, scope.project.repository)


def examine_github(
    scope: Scope, github: GithubInspectionHook, now: datetime, memory: Memory | None = None
) -> tuple[Check, ...]:
    """Return the checks of the project's GitHub.

    :param now: with a time zone.
    :param memory: what passes remember of the repository, and feedback of its writes; None where there is none.
    """
    facts = _Reader(scope, github, memory, now).read()
    is_alone = not scope.shares_repository
    return judge_github(scope.project, facts, now, is_alone=is_alone, is_dry=scope.is_dry)


@dataclass(slots=True)
class _Asker:
    """Asks one thing after the other. `silence` says why nothing more is asked, empty while something is."""

    silence: str = ""
    outages: int = 0

    def ask(self, read: Callable[[], T]) -> T | Unread:
        """Return what is read, or why it cannot be."""
        if self.silence:
            return Unread(f"not asked: {self.silence}", Cause.SILENCE)
        found = attempt(partial(self._heed, read))
        if isinstance(found, Unread) and found.cause is Cause.SILENCE and not self.silence:
            self.outages += 1
            self.silence = found.why if self.outages >= OUTAGES_MAX else ""
        return found

    def _heed(self, read: Callable[[], T]) -> T:
        """Read; after a pause that GitHub wants, and without a token, nothing more is asked."""
        try:
            return read()
        except (RateLimitError, TokenRefusedError) as error:
            self.silence = tell(error)
            raise


@dataclass(slots=True)
class _Reader:
    scope: Scope
    github: GithubInspectionHook
    memory: Memory | None
    now: datetime
    asker: _Asker = field(default_factory=_Asker)
    _bypasses: dict[int, str] = field(default_factory=dict)

    def read(self) -> GithubFacts:
        """Return all facts, each by itself."""
        reach, token = self._read_reach()
        if isinstance(token, Token) and not token.refused:
            token = self._name_token()
        repository = self.asker.ask(self.github.read_state)
        if isinstance(repository, RepositoryState):
            self.github.follow(repository.name)
        elif repository is None:
            self.asker.silence = "GitHub shows no such repository (HTTP 404)"
        names = list(list_uses(self.scope.project))
        branches = {name: self._read_branch(name) for name in names[:BRANCHES_MAX]}
        rights = self._read_rights(token, repository, branches)
        branches = {name: self._look_for_checks(name, facts) for name, facts in branches.items()}
        return GithubFacts(
            reach=reach,
            token=self._find_end(token),
            repository=repository,
            known_id=self._recall_id(),
            rights=rights,
            requests=self._count_requests(reach),
            branches=branches,
            left_out=tuple(names[BRANCHES_MAX:]),
        )

    def _read_reach(self) -> tuple[Reach | Unread, Token | Unread]:
        """Ask the first question; what it is answered says whether others are worth asking."""
        try:
            return Reach(self.github.reach(), self.github.version), Token()
        except TokenRefusedError as error:
            said = self.asker.silence = tell(error)
            has_answered = bool(self.github.signs)
            return Reach(self.github.address, self.github.version, has_answered=has_answered), Token(refused=said)
        except RateLimitError as error:
            said = self.asker.silence = tell(error)
            return Reach(self.github.address, self.github.version), Unread(said, Cause.SILENCE)
        except DeployOpsError as error:
            said = self.asker.silence = tell(error)
            return Unread(said, _find_cause(error)), Unread(f"not asked: {said}", Cause.SILENCE)

    def _name_token(self) -> Token:
        if self.github.is_app:
            return Token(TokenKind.APP)
        login = self.asker.ask(self.github.find_login)
        owner = login if isinstance(login, str) else ""
        if self.github.list_scopes() is not None:
            return Token(TokenKind.CLASSIC, owner)
        if isinstance(login, Unread):
            return Token(TokenKind.UNKNOWN)
        return Token(TokenKind.FINE_GRAINED if owner else TokenKind.INSTALLATION, owner)

    def _find_end(self, token: Token | Unread) -> Token | Unread:
        """Return the token with its end, which any answer may have told."""
        if isinstance(token, Unread) or token.refused:
            return token
        return replace(token, ends_at=attempt(self.github.read_ending))

    def _recall_id(self) -> int:
        """Return the repository's number as passes remember it, where the policy's name is still that of then."""
        known = self.memory.repository.read() if self.memory is not None else None
        is_same = known is not None and known.name.casefold() == self.scope.project.repository.casefold()
        return known.id if known is not None and is_same else 0

    def _count_requests(self, reach: Reach | Unread) -> RequestsLeft | Unread | None:
        if isinstance(reach, Unread):
            return Unread(f"not asked: {reach.why}")
        quota = self.github.quota
        if quota is None:
            return None if not self.asker.silence else Unread(self.asker.silence)
        return RequestsLeft(quota.limit, quota.remaining, quota.resets_at, quota.is_nearly_used)

    # Branches

    def _read_branch(self, name: str) -> BranchFacts:
        project = self.scope.project
        state = self.asker.ask(partial(self.github.read_branch_state, name))
        is_fed = project.promotion is not None and name == project.promotion.deploy_branch
        if not is_fed and name not in {*list_guarded(project), *list_merged_into(project)}:
            return BranchFacts(state)
        rules = self.asker.ask(partial(self.github.list_rules, name))
        if not isinstance(rules, Unread) and (is_fed or name in list_merged_into(project)):
            rules = tuple(replace(rule, bypass=self._find_bypass(rule)) for rule in rules)
        is_ours = is_fed and isinstance(state, BranchState) and self._is_ours(state.head)
        return BranchFacts(state, rules, is_our_tip=is_ours)

    def _find_bypass(self, rule: Rule) -> str:
        """Return when the token may pass over a rule; empty where nobody knows, or it need not."""
        if not rule.is_restricting or not rule.ruleset:
            return ""
        if rule.ruleset not in self._bypasses and len(self._bypasses) < RULESETS_MAX:
            found = self.asker.ask(partial(self.github.read_bypass, rule.ruleset))
            self._bypasses[rule.ruleset] = "" if isinstance(found, Unread) else found
        return self._bypasses.get(rule.ruleset, "")

    def _is_ours(self, head: str) -> bool:
        commit = self.asker.ask(partial(self.github.get_commit, head))
        if isinstance(commit, Unread):
            return False
        return is_own_commit(commit.message, commit.tree, self.scope.control_plane, self.scope.project.name)

    def _look_for_checks(self, name: str, facts: BranchFacts) -> BranchFacts:
        """Return the branch with the checks that recent heads carry, where it requires any that are not ours."""
        wanted = {each for each in facts.required if not is_own(each)}
        if not wanted or name not in list_guarded(self.scope.project):
            return facts
        pulls = self.asker.ask(partial(self.github.list_recent_heads, name, HEADS_MAX))
        unseen = {pulls.why} if isinstance(pulls, Unread) else set()
        tip = [facts.state.head] if isinstance(facts.state, BranchState) else []
        heads = [*(() if isinstance(pulls, Unread) else pulls), *tip]
        reader, written, looked = CheckReader(self.github), frozenset[str](), 0
        for head in dict.fromkeys(heads):
            checks = self.asker.ask(partial(reader.read_anew, head))
            looked += 1
            unseen.add(checks.why if isinstance(checks, Unread) else checks.blind)
            written |= frozenset() if isinstance(checks, Unread) else frozenset(checks.states)
            if wanted <= written:
                break
        return replace(facts, written=written, unseen="; ".join(sorted(filter(None, unseen))), heads=looked)

    # What the token may

    def _read_rights(
        self,
        token: Token | Unread,
        repository: RepositoryState | Unread | None,
        branches: Mapping[str, BranchFacts],
    ) -> Rights:
        kind = token.kind if isinstance(token, Token) else TokenKind.UNKNOWN
        state = repository if isinstance(repository, RepositoryState) else None
        rights = Rights(
            kind,
            granted=self.github.permissions if kind is TokenKind.APP else None,
            scopes=self.github.list_scopes() or frozenset(),
            roles=state.roles if state else None,
            is_public=state is not None and state.is_public,
        )
        if kind in {TokenKind.APP, TokenKind.CLASSIC}:
            return rights
        trunk = self.scope.project.trunk
        reads = {
            "metadata": _excuse(repository, "the repository"),
            "contents": _excuse(branches[trunk].state, f"the branch {trunk}"),
        }
        return replace(rights, reads=reads | self._probe(kind), writes=self._recall_writes(branches))

    def _probe(self, kind: TokenKind) -> dict[str, Unread | None]:
        trunk = quote(self.scope.project.trunk, safe="")
        wanted = {need.permission: PROBES.get(need.permission) for need in list_needs(self.scope.project, kind)}
        return {
            name: self.asker.ask(partial(self.github.probe, path.format(trunk=trunk)))
            for name, path in wanted.items()
            if path is not None
        }

    def _recall_writes(self, branches: Mapping[str, BranchFacts]) -> dict[str, Write]:
        """Return what is known of writes before: the deploy branch shows ours, and feedback remembers its own."""
        found = {}
        for name, facts in branches.items():
            if facts.is_our_tip:
                found["contents"] = Write(is_done=True, told=f"the tip of {name} is a commit that we pushed")
        if self.memory is None or self.asker.silence:
            return found
        records, rules = self.memory.feedback.read(), self._gather_facts()
        for permission, kind in _KINDS.items():
            if (write := _recall(records, kind, rules, self.now)) is not None:
                found[permission] = write
        return found

    def _gather_facts(self) -> Facts:
        """Return what feedback goes by where it leaves out what was refused; nothing is told or linked here."""
        return gather_facts(
            self.scope.project,
            self.scope.control_plane,
            is_alone=not self.scope.shares_repository,
            airflow_url="",
            web_url="",
            access=self.github.fingerprint_access(),
        )


def _find_cause(error: DeployOpsError) -> Cause:
    """Return SILENCE for an outage, which passes; where nothing reaches GitHub, a person has something to mend."""
    from include.deploy_ops.hooks.github.http import UnconnectedError  # not where DAG files are parsed

    is_outage = isinstance(error, SilenceError) and not isinstance(error, UnconnectedError)
    return Cause.SILENCE if is_outage else Cause.UNUSABLE


def _excuse(fact: object, what: str) -> Unread | None:
    """Return why a fact could not be read; None where it could. What GitHub does not show was no read, either."""
    if fact is None:
        return Unread(f"{what} is not to be seen (HTTP 404)", Cause.ABSENT)
    return fact if isinstance(fact, Unread) else None


def _recall(records: Mapping[str, FeedbackRecord], kind: Kind, facts: Facts, now: datetime) -> Write | None:
    """Return what feedback remembers of its last write of this kind; None where it does nothing.

    A refusal counts while feedback goes by it. Later it says nothing, and what was told before it neither: the next
    write that GitHub takes lets it be forgotten.
    """
    lack = records.get(key_lack(kind))
    if lack is not None and lack.at is not None and is_lacking(records, kind, facts, now):
        return Write(is_done=False, told=f"GitHub refused {kind.title} {lack.at:%Y-%m-%d %H:%M %Z}")
    if lack is not None:
        return None
    start = _STARTS.get(kind, "")
    if start and any(key.startswith(start) and record.state != REFUSED for key, record in records.items()):
        return Write(is_done=True, told=f"GitHub took what {kind.title} told, by the token of then")
    return None
