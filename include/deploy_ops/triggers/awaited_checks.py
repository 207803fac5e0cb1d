"""Which commits' checks control awaits, as its last pass left them, and whether one of them stands otherwise now.

Wakes nobody and judges no check. What is stored carries ETags, so that looking costs no quota while nothing changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.errors import ObservationError, RateLimitError, TokenRefusedError
from include.deploy_ops.core.versioned import read_value, wrap_value
from include.deploy_ops.hooks.github.commit_checks import CommitChecks, read_commit_checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.deploy_ops.hooks.github.commit_checks import States
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

AWAITED_KEY = "awaited_checks"

HEADS_MAX = 20
"""Commits that are looked at: each costs some requests at every poll. The others' turn comes with the passes."""

STORED_LENGTH_MAX = 40_000
"""Characters of all that is stored; of a commit with very many checks nothing but its id is."""

_AWAITED = TypeAdapter(dict[str, CommitChecks])


def read_awaited(stored: Any) -> dict[str, CommitChecks]:
    """Return what was stored of each awaited commit; nothing where nothing was, or what is no such thing."""
    found = read_value(AWAITED_KEY, stored, _AWAITED, within=()) or {}
    return dict(list(found.items())[:HEADS_MAX])


def write_awaited(heads: Iterable[str], found: Mapping[str, CommitChecks]) -> Any:
    """Return what is stored of commits that are awaited: what was found of each, as far as there is room."""
    kept = {head: found.get(head, CommitChecks()) for head in list(dict.fromkeys(heads))[:HEADS_MAX]}
    left, dumped = STORED_LENGTH_MAX, {}
    for head, checks in kept.items():
        value = checks.model_dump(mode="json", exclude_defaults=True)
        length = len(json.dumps(value))
        dumped[head] = value if length <= left else {}
        left -= length if length <= left else 0
    return wrap_value(dumped)


@dataclass
class CheckWatch:
    """What one trigger saw of the awaited commits.

    :param patterns: for the names of the checks of which a change counts.
    """

    patterns: Sequence[str]
    seen: dict[str, CommitChecks] = field(default_factory=dict)
    _told: dict[str, States] = field(default_factory=dict)

    def look(self, hook: DeployOpsGithubHook, awaited: Mapping[str, CommitChecks]) -> tuple[bool, Exception | None]:
        """Return whether a check stands otherwise than control knows, and what went wrong at a commit.

        One commit that cannot be read hides no other, but where GitHub does not answer, or takes no such token, it is
        asked about no more.
        """
        from include.deploy_ops.hooks.github.http import UnavailableError  # not where DAG files are parsed

        self.seen = {head: each for head, each in self.seen.items() if head in awaited}
        self._told = {head: each for head, each in self._told.items() if head in awaited}
        is_news, problem = False, None
        for head, known in awaited.items():
            try:
                is_news |= self._look_at(hook, head, known)
            except (UnavailableError, RateLimitError, TokenRefusedError) as error:
                return is_news, error
            except ObservationError as error:
                problem = error
        return is_news, problem

    def count_requests(self) -> int:
        """Return how many requests a look costs."""
        return sum(len(each.pages) for each in self.seen.values())

    def _look_at(self, hook: DeployOpsGithubHook, head: str, known: CommitChecks) -> bool:
        """Return whether it is another than control knows, once for each; without what control knows, than before."""
        before = self.seen.get(head, known)
        after = self.seen[head] = read_commit_checks(hook, head, before, is_blind=bool(known.blind))
        states, base = self._select(after), self._select(known if known.pages else before)
        if states == base:
            self._told.pop(head, None)  # or the same turn would not count when it comes again
        if not before.pages or states in (base, self._told.get(head)):
            return False
        self._told[head] = states
        return True

    def _select(self, checks: CommitChecks) -> States:
        return tuple(pair for pair in checks.states if any(fnmatchcase(pair[0], each) for each in self.patterns))
