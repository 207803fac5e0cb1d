"""What a table may not tell: names of branches, Deployments and people, and what people and failures said.

A name has a few digits in its place that stay the same, and so has a text, of which a no keeps its first words.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import hash_text, slug_branch
from include.deploy_ops.core.plan.work import OVERRIDDEN, REJECTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.deploy_ops.core.passes.snapshot import Snapshot
    from include.deploy_ops.core.plan.remembered import Remembered

_DIGITS = 6
_CUT = "…"
_BY_WHOM = re.compile(f"({'|'.join(map(re.escape, (OVERRIDDEN, *REJECTION)))})(?!{_CUT}|text-).*", re.DOTALL)
"""A no or an override in words that stand nowhere else as they are: whoever they are of is named to their end."""


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


def list_texts(snapshots: Iterable[Snapshot]) -> frozenset[str]:
    """Return what people wrote, and what failures said, which may hold anything: how the passes remember it."""
    return frozenset(text for each in snapshots for text in _list_texts(each) if text)


def _list_texts(snapshot: Snapshot) -> Iterator[str]:
    given, reading = snapshot.facts.given, snapshot.facts.reading
    states = snapshot.states
    for known in chain(given.remembered.values(), (state.remembered for state in states)):
        yield from _list_remembered(known)
    for history in chain(reading.observed.histories.values(), (state.history for state in states)):
        yield history.overridden_by


def _list_remembered(known: Remembered) -> Iterator[str]:
    yield from (ending.cause for ending in known.endings.values())
    yield known.kept
    if known.removal is not None:
        yield known.removal.reason


class NameHasher:
    """Puts the same few digits in the place of each of the names and texts, wherever a text has it."""

    def __init__(self, names: Iterable[str], texts: Iterable[str] = ()) -> None:
        self._names, self._texts = _match_any(names), _match_any(texts)

    def hide(self, text: str) -> str:
        """Return the text without the names, and without the texts."""
        text = _BY_WHOM.sub(rf"\1{_CUT}", self._texts.sub(lambda found: _shorten(found.group()), text))
        return self._names.sub(lambda found: f"name-{hash_text(found.group(), _DIGITS)}", text)


def _match_any(wanted: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(set(wanted), key=lambda each: (-len(each), each))
    return re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in longest_first) or r"(?!)")


def _shorten(text: str) -> str:
    """Return how a no begins, of any other text its digits: a failure may begin with a person's name."""
    start = next((each for each in REJECTION if text.startswith(each)), "")
    return f"{start}{_CUT}" if start else f"text-{hash_text(text, _DIGITS)}"
