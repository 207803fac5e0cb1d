"""Reads what GitHub shows of whether it would merge a release; what the token may not read is noted, and no refusal.

One request more for a release, and the rest only where GitHub calls it blocked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from include.deploy_ops.core.errors import ReadRefusedError
from include.deploy_ops.core.target.mergeability import BLOCKED, MergeFacts
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.rule_answers import (
    count_approvals,
    parse_check_runs,
    parse_protected_checks,
    parse_rules,
    parse_statuses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.deploy_ops.core.model import MergeResult
    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MergeReader:
    """Reads about one pull request. `unread` gathers what the token may not read."""

    github: GithubPullsHook
    unread: list[str] = field(default_factory=list)

    def read(self, merge: MergeResult, own_checks: frozenset[str]) -> MergeFacts:
        """Return the facts of a pull request that can be merged as far as its files go."""
        pull, base = merge.pull, quote(merge.pull.base_ref, safe="")
        facts = MergeFacts(pull.number, pull.base_ref, merge.standing, merge.allows_merge_commits, own_checks)
        if facts.allows_merge_commits is None:
            self.unread.append("whether merge commits are allowed is not shown to this token")
        rules = self._ask(f"/rules/branches/{base}?per_page={PAGE_SIZE}", "rules", parse_rules)
        if rules is None or facts.standing != BLOCKED:
            return replace(facts, rules=rules, unread=tuple(self.unread))
        protected = self._ask(f"/branches/{base}", "protection", parse_protected_checks) or frozenset()
        ref = f"/commits/{pull.head_sha}"
        statuses = self._ask(f"{ref}/status?per_page={PAGE_SIZE}", "statuses", parse_statuses)
        runs = self._ask(f"{ref}/check-runs?per_page={PAGE_SIZE}", "checks", parse_check_runs)
        reviews = f"/pulls/{pull.number}/reviews?per_page={PAGE_SIZE}"
        return replace(
            facts,
            rules=replace(rules, checks=rules.checks | protected),
            checks=None if statuses is None or runs is None else statuses | runs,
            approvals=self._ask(reviews, "reviews", count_approvals) if rules.reviews else None,
            unread=tuple(self.unread),
        )

    def _ask(self, path: str, what: str, parse: Callable[[GithubAnswer], T]) -> T | None:
        """Return what GitHub shows; None where it shows nothing to this token, or knows no such address."""
        try:
            answer = self.github.ask(path)
        except ReadRefusedError as error:
            self.unread.append(f"the {what} could not be read: {error}")
            return None
        if answer.is_absent:
            self.unread.append(f"the {what} could not be read: {answer.request} answered HTTP {answer.status}")
            return None
        if answer.next_url is not None:
            self.unread.append(f"the {what} are more than {PAGE_SIZE}, and were not read")
            return None
        return parse(answer)
