"""Names that a table may not tell: of branches, Deployments and people, each by a few digits that stay the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import hash_text, slug_branch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.deploy_ops.core.passes.snapshot import Snapshot

_DIGITS = 6


def list_names(snapshots: Iterable[Snapshot]) -> frozenset[str]:
    """Return the names that stand in the passes: of what may be told, and of whom."""
    return frozenset(name for each in snapshots for name in _list_names(each) if name)


def _list_names(snapshot: Snapshot) -> Iterator[str]:
    reading, given = snapshot.facts.reading, snapshot.facts.given
    for branch in reading.snapshot.branches:
        yield from (branch.name, slug_branch(branch.name))
    for pull in (*reading.snapshot.pull_requests, *reading.snapshot.bystanders, *reading.snapshot.merged):
        yield from (pull.head_ref, slug_branch(pull.head_ref), pull.author, pull.title)
    for deployment in reading.observed.deployments:
        yield from (deployment.name, deployment.id)
    for history in reading.observed.histories.values():
        yield history.person
    yield from given.refused.values()
    for hold in snapshot.plan.holds:
        yield from (hold.environment, hold.home)
    for action in snapshot.plan.actions:
        yield from (action.work.environment, action.work.branch, action.work.slug)


class NameHasher:
    """Puts the same few digits in the place of each of the names, wherever a text has it."""

    def __init__(self, names: Iterable[str]) -> None:
        longest_first = sorted(set(names), key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first) or r"(?!)")

    def hide(self, text: str) -> str:
        """Return the text without the names."""
        return self._pattern.sub(lambda found: f"name-{hash_text(found.group(), _DIGITS)}", text)
