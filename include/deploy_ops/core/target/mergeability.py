"""Would GitHub merge a release? What it shows of pull request, rules and checks → refused, told, or fine. Pure.

Asked before anybody approves: production is never deployed for a merge that is known to be refused. What is not known
is told, and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCKED, BEHIND, DRAFT = "blocked", "behind", "draft"
"""GitHub's words for what stands in a merge's way (`mergeable_state`); of its others none does so by itself."""

PASSED = frozenset({"success", "neutral", "skipped"})
"""What ends a status or a check run so that its being required holds up no merge."""


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What rules of a branch ask of a merge: a queue, checks by name, and how many approving reviews.

    `bound` are those of the checks that count from one app alone, with its number.
    """

    has_queue: bool = False
    checks: frozenset[str] = frozenset()
    reviews: int = 0
    bound: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class MergeFacts:
    """What GitHub shows of one pull request that is to be merged by merge commit.

    `standing` and `allows_merge_commits` as in `MergeResult`. `own_checks` are the names under which we tell of its
    target. `rules`, `checks` (the newest state of each by name) and `approvals` are None where nobody may read them,
    or nobody asked; `unread` says why.
    """

    number: int
    base: str
    standing: str
    allows_merge_commits: bool | None
    own_checks: frozenset[str]
    rules: BranchRules | None = None
    checks: Mapping[str, str] | None = None
    approvals: int | None = None
    unread: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Mergeability:
    """`problem` says why the merge is refused, for sure; `note` what else an approver should know. Empty: nothing."""

    problem: str = ""
    note: str = ""


def judge_mergeability(facts: MergeFacts) -> Mergeability:
    """Return whether GitHub would merge it, as far as it is known."""
    if problem := _find_refusal(facts):
        return Mergeability(f"GitHub would not merge it: {problem}")
    blocked = [_describe_block(facts)] if facts.standing == BLOCKED else []
    return Mergeability(note="; ".join([*blocked, *facts.unread]))


def name_own_checks(project: str, target: str) -> frozenset[str]:
    """Return the names under which commit statuses tell of a target, alone in its repository or not."""
    return frozenset({f"deploy-ops/{target}", f"deploy-ops/{project}/{target}"})


def _describe_block(facts: MergeFacts) -> str:
    if facts.rules is not None and _is_waiting_for_us(facts, facts.rules):
        own = _name(facts.own_checks & facts.rules.checks)
        return f"as far as it can be read, only {own} is awaited, which follows the deploy"
    return f"GitHub calls it blocked by the rules of {facts.base}"


def _find_refusal(facts: MergeFacts) -> str:
    if facts.standing == DRAFT:
        return "it is a draft; mark it ready for review"
    if facts.allows_merge_commits is False:
        return "the repository allows no merge commits; allow them in its settings, or switch `merge` off"
    if facts.rules is not None and facts.rules.has_queue:
        return f"{facts.base} has a merge queue, which nobody passes; take it off, or switch `merge` off"
    if facts.standing == BEHIND:
        return f"its branch is behind {facts.base}, whose rules want it up to date; merge {facts.base} into it"
    return _find_block(facts, facts.rules) if facts.standing == BLOCKED and facts.rules is not None else ""


def _find_block(facts: MergeFacts, rules: BranchRules) -> str:
    """Return what blocks it beside our own checks; empty where that is not known."""
    missing = _list_missing(facts, rules)
    if missing:
        return f"{facts.base} requires {_name(missing)}, which did not succeed"
    if facts.approvals is not None and facts.approvals < rules.reviews:
        return f"{facts.base} requires {rules.reviews} approving reviews, it has {facts.approvals}"
    # Whatever it is, it is not what we are going to tell; but what nobody may read may be just that.
    is_ours = facts.unread or _is_waiting_for_us(facts, rules)
    return "" if is_ours else f"the rules of {facts.base} block it; see the pull request"


def _list_missing(facts: MergeFacts, rules: BranchRules) -> frozenset[str]:
    """Return the required checks that did not succeed, without ours."""
    if facts.checks is None:
        return frozenset()
    return frozenset(each for each in rules.checks - facts.own_checks if facts.checks.get(each, "") not in PASSED)


def _is_waiting_for_us(facts: MergeFacts, rules: BranchRules) -> bool:
    own = facts.own_checks & rules.checks
    return any((facts.checks or {}).get(each, "") not in PASSED for each in own)


def _name(checks: frozenset[str]) -> str:
    return " and ".join(f"'{each}'" for each in sorted(checks))
