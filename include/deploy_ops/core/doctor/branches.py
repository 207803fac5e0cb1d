"""Branches that the policy names: whether they are there, and whether their rules let us do what the policy wants.

Pure. Kinds of rules are in GitHub's words (repos: get rules for a branch). Who may pass over a rule is known only
where GitHub says it of the very token that asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.refs import shorten_name
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Unread, leave_open, make_check
from include.deploy_ops.core.target.gates import is_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.policy.keys import Project

_PASSED = frozenset({"always", "exempt"})
"""GitHub's words for who may pass over a ruleset whatever they do; `pull_requests_only` helps a merge alone."""
_PASSED_BY_MERGES = _PASSED | {"pull_requests_only"}

_FORBIDDING = {
    "update": "only who may pass over it moves the branch",
    "pull_request": "changes come by pull requests alone",
    "required_status_checks": "a commit needs its checks before it is pushed",
    "required_deployments": "a commit has to be deployed before it is pushed",
    "required_linear_history": "no merge commits, and ours takes the base branch in as one",
    "required_signatures": "commits have to be signed, which only those of a GitHub App are",
    "merge_queue": "changes come by the merge queue alone",
    "workflows": "workflows have to succeed before it is pushed",
    "code_scanning": "code has to be scanned before it is pushed",
    "code_quality": "code has to be judged before it is pushed",
}
"""Rules that refuse a commit of ours on the deploy branch, and why."""
_HARMLESS = frozenset({"deletion", "non_fast_forward", "copilot_code_review", "tag_name_pattern"})
"""Rules that let us move it forward, which is all that we do."""

_REFUSAL = "refused, the promotion says HTTP 422 'Repository rule violations found', or names a protected branch"
_MERGE_REFUSAL = "refused, a merge says HTTP 405"
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class BranchState:
    """A branch's tip, whether it is protected, and the checks that its protection requires; rulesets stand aside."""

    head: str
    is_protected: bool = False
    checks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """One active rule of a ruleset. `checks`: those that it requires. `merge_methods`: those that it lets, None: all.

    `bypass`: GitHub's word for when our token may pass over the ruleset; empty where it says nothing of it.
    """

    kind: str
    ruleset: int = 0
    checks: frozenset[str] = frozenset()
    merge_methods: frozenset[str] | None = None
    bypass: str = ""

    @property
    def is_restricting(self) -> bool:
        """Whether it may be against anything that we do."""
        return self.kind not in _HARMLESS


@dataclass(frozen=True, slots=True)
class BranchFacts:
    """What was read of one branch. `state` is None where there is no such branch. `rules`: empty where nobody asked.

    `written`: the checks that recent heads carry, of pull requests into it and its own. `unseen` says why some of those
    cannot be seen. `heads`: how many were looked at. `is_our_tip`: whether its tip is a commit that we pushed.
    """

    state: BranchState | Unread | None
    rules: tuple[Rule, ...] | Unread = ()
    written: frozenset[str] = frozenset()
    unseen: str = ""
    heads: int = 0
    is_our_tip: bool = False

    @property
    def required(self) -> frozenset[str]:
        """The checks that its protection and its rules require, as far as they could be read."""
        of_rules = [] if isinstance(self.rules, Unread) else [rule.checks for rule in self.rules]
        of_state = [self.state.checks] if isinstance(self.state, BranchState) else []
        return frozenset[str]().union(*of_rules, *of_state)


def list_uses(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the branches that the policy names, trunk first, each with the keys that name it."""
    named: list[tuple[str, str]] = [(project.trunk, "trunk")]
    if project.promotion is not None:
        named += [
            (project.promotion.into, "promotion.into"),
            (project.promotion.deploy_branch, "promotion.deploy_branch"),
        ]
    for name, target in project.targets.items():
        if target.branch:
            named.append((target.branch, f"targets.{name}.branch"))
        if target.pull_request is not None:
            named.append((target.pull_request.into, f"targets.{name}.pull_request.into"))
            named.append((target.pull_request.source, f"targets.{name}.pull_request.from"))
    if project.previews is not None:
        named += [(each, "previews.merged_into") for each in project.previews.merged_into]
    uses: dict[str, tuple[str, ...]] = {}
    for branch, key in named:
        uses[branch] = (*uses.get(branch, ()), key)
    return uses


def list_guarded(project: Project) -> tuple[str, ...]:
    """Return the branches whose required checks have to come from somewhere: trunk, and the bases of releases."""
    pulls = [target.pull_request.into for target in project.targets.values() if target.pull_request is not None]
    into = [project.promotion.into] if project.promotion is not None else []
    return tuple(dict.fromkeys([project.trunk, *into, *pulls]))


def list_merged_into(project: Project) -> tuple[str, ...]:
    """Return the branches into which we merge."""
    targets = project.targets.values()
    bases = [each.pull_request.into for each in targets if each.merge and each.pull_request is not None]
    return tuple(dict.fromkeys(bases))


def judge_presence(project: Project, branch: str, facts: BranchFacts, default_branch: str) -> Check:
    """Return whether a branch is there that the policy names."""
    keys = list_uses(project)[branch]
    name = "trunk" if branch == project.trunk else f"branch {shorten_name(branch)}"
    match facts.state:
        case Unread() as unread:
            return leave_open(Area.GITHUB, name, unread, "a token without Contents: read is told HTTP 403")
        case BranchState(head=head):
            return make_check(Area.GITHUB, name, Status.OK, f"{branch} is at {head[:12]}")
    found = f"{branch} is not there ({', '.join(keys)})"
    if branch == project.trunk:
        hint = f"; the repository's default branch is {default_branch}" if default_branch not in {"", branch} else ""
        return make_check(Area.GITHUB, name, Status.FAIL, found, f"write a branch that is there as `trunk`{hint}")
    if project.promotion is not None and branch == project.promotion.deploy_branch:
        return make_check(Area.GITHUB, name, Status.OK, f"{found} yet: the first promotion makes it")
    status = Status.WARN if set(keys) == {"previews.merged_into"} else Status.FAIL
    return make_check(
        Area.GITHUB, name, status, found, f"make the branch, or correct {' and '.join(keys)} in the policy"
    )


def judge_pushes(branch: str, facts: BranchFacts, *, is_app: bool) -> Check:
    """Return whether the rules of the deploy branch let us move it forward."""
    name = f"pushes to {shorten_name(branch)}"
    if isinstance(facts.rules, Unread):
        return leave_open(Area.GITHUB, name, facts.rules, f"look at the rules of {branch} in GitHub; {_REFUSAL}")
    if isinstance(facts.state, Unread):
        return leave_open(Area.GITHUB, name, facts.state, f"look at the protection of {branch} in GitHub; {_REFUSAL}")
    against = [rule for rule in facts.rules if _is_against(rule, facts, is_app=is_app) and rule.bypass not in _PASSED]
    if against:
        return _refuse_pushes(name, branch, against)
    return _judge_protection(name, branch, facts)


def _is_against(rule: Rule, facts: BranchFacts, *, is_app: bool) -> bool:
    """Whether a rule refuses our commit, or may do so: it restricts texts or files, or nobody here knows it."""
    if rule.kind == "required_signatures":
        return not is_app
    if rule.kind == "creation":
        return facts.state is None
    if rule.kind == "required_status_checks":
        return bool(rule.checks)
    return rule.is_restricting


def _refuse_pushes(name: str, branch: str, against: list[Rule]) -> Check:
    kinds = dict.fromkeys(rule.kind for rule in against)
    said = "; ".join(f"'{kind}' ({_FORBIDDING.get(kind, 'it may refuse a commit of ours')})" for kind in kinds)
    advice = f"leave {branch} out of the ruleset, or let the connection's App or user bypass it always; {_REFUSAL}"
    is_sure = any(rule.bypass and rule.kind in _FORBIDDING for rule in against)
    told = "which the connection may not bypass" if is_sure else "and whether the connection may bypass is not shown"
    return make_check(Area.GITHUB, name, Status.FAIL if is_sure else Status.WARN, f"rules {said}, {told}", advice)


def _judge_protection(name: str, branch: str, facts: BranchFacts) -> Check:
    """Judge what older branch protection shows: only an administrator's token would see whom it lets push."""
    state = facts.state
    if isinstance(state, BranchState) and state.is_protected and not facts.is_our_tip:
        checks = " and requires checks" if state.checks else ""
        return make_check(
            Area.GITHUB,
            name,
            Status.WARN if state.checks else Status.NOT_KNOWN,
            f"{branch} is protected{checks}, and whom that lets push is shown to administrators alone",
            f"see in the protection of {branch} (Settings, Branches) that the connection's App or user may push "
            f"without a pull request or checks, or take the protection off; {_REFUSAL}",
        )
    shown = "its tip is a commit of ours" if facts.is_our_tip else "no rule is against them"
    return make_check(Area.GITHUB, name, Status.OK, shown)


def judge_merges(branch: str, facts: BranchFacts, allows_merge_commits: bool | Unread | None) -> Check:
    """Return whether the repository and the rules of a branch let us merge into it by merge commit."""
    name = f"merge commits into {shorten_name(branch)}"
    if allows_merge_commits is False:
        advice = "allow merge commits (the repository's Settings, General, Pull Requests), or switch `merge` off"
        return make_check(Area.GITHUB, name, Status.FAIL, "the repository allows no merge commits", advice)
    if isinstance(facts.rules, Unread):
        return leave_open(Area.GITHUB, name, facts.rules, f"look at the rules of {branch} in GitHub; {_MERGE_REFUSAL}")
    if found := _find_merge_ban(facts.rules):
        advice = (
            f"take that off the ruleset of {branch}, let the connection's App or user bypass it, or switch `merge` off"
        )
        return make_check(Area.GITHUB, name, Status.FAIL, found, advice)
    if isinstance(allows_merge_commits, bool):
        return make_check(Area.GITHUB, name, Status.OK, "the repository and the branch's rules allow them")
    unread = allows_merge_commits or Unread("GitHub leaves `allow_merge_commit` out for who may not push")
    return leave_open(Area.GITHUB, name, unread, f"let the token write contents, or look in Settings; {_MERGE_REFUSAL}")


def _find_merge_ban(rules: Iterable[Rule]) -> str:
    """Return which rule refuses a merge commit; empty where none does."""
    for rule in rules:
        if rule.bypass in _PASSED_BY_MERGES:
            continue
        if rule.kind == "required_linear_history":
            return "a rule wants a linear history, without merge commits"
        if rule.kind == "merge_queue":
            return "a rule wants a merge queue, which nobody passes by"
        if rule.merge_methods is not None and "merge" not in rule.merge_methods:
            return f"a rule lets pull requests be merged only by {', '.join(sorted(rule.merge_methods))}"
    return ""


def judge_required_checks(branch: str, facts: BranchFacts, own: Mapping[str, str]) -> Check:
    """Return whether anybody writes the checks that a branch requires.

    :param own: contexts that begin as ours do, with why nobody writes them; those that we write are not in it.
    """
    name = f"required checks of {shorten_name(branch)}"
    if isinstance(facts.rules, Unread):
        return leave_open(Area.GITHUB, name, facts.rules, f"look at the rules of {branch} in GitHub")
    if isinstance(facts.state, Unread):
        return leave_open(Area.GITHUB, name, facts.state, f"look at the protection of {branch} in GitHub")
    if unwritten := [each for each in sorted(facts.required) if each in own]:
        found = "; ".join(f"'{shorten_name(each)}': {own[each]}" for each in unwritten[:_NAMED_MAX])
        return make_check(
            Area.GITHUB, name, Status.FAIL, found, f"write them again, or take them off the rules of {branch}"
        )
    missing = sorted(each for each in facts.required if not is_own(each) and each not in facts.written)
    if not missing:
        return make_check(Area.GITHUB, name, Status.OK, _tell_required(facts.required))
    return _tell_missing(name, branch, facts, missing)


def _tell_required(required: frozenset[str]) -> str:
    if not required:
        return "none is required"
    return f"each of {_list_names(sorted(required))} is written"


def _tell_missing(name: str, branch: str, facts: BranchFacts, missing: list[str]) -> Check:
    shown = _list_names(missing)
    if facts.unseen:
        unread = Unread(f"whether {shown} is written is not known: {facts.unseen}")
        advice = "connect as a GitHub App with Checks: read, or look at a pull request's checks yourself"
        return leave_open(Area.GITHUB, name, unread, advice)
    found = f"{shown} is required, and no head that changed last carries it ({facts.heads} looked at)"
    advice = f"have the CI give it to commits of pull requests into {branch}, or take it off the branch's rules"
    return make_check(Area.GITHUB, name, Status.WARN, found, advice)


def _list_names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(f"'{shorten_name(each)}'" for each in names[:_NAMED_MAX]) + more


def find_unwritten(required: Iterable[str], project: Project, *, is_alone: bool, is_dry: bool) -> dict[str, str]:
    """Return which of the required contexts look like ours and are written by nobody, and why.

    :param is_alone: no other project of the policy is about the repository; others' contexts are theirs to know.
    :param is_dry: nothing is written at all.
    """
    named = {*project.targets, *(["preview"] if project.previews else [])}
    start = "deploy-ops/" if is_alone else f"deploy-ops/{project.name}/"
    ours = {f"{start}{each}" for each in named}
    found = {}
    for context in filter(is_own, required):
        if context in ours and project.feedback.statuses and not is_dry:
            continue
        if context in ours:
            found[context] = "`mode: plan` writes none" if is_dry else "`feedback.statuses` is off"
        elif is_alone or context.startswith(start):
            found[context] = f"we write {', '.join(sorted(ours)) or 'none'}"
    return found
