"""Which import errors a person muted: one file's, for one branch, until the error changes. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

if TYPE_CHECKING:
    from include.deploy_ops.core.verification.verdict import BrokenFile

MUTES_MAX = 20
"""Of one branch; the oldest go."""


@dataclass(frozen=True, slots=True)
class Mute:
    """A person's word that the error of a file fails nothing, and why.

    `file` is below the DAG folder. `error` is the identity of the error that was muted, empty until it was seen: then
    it is the one that is seen first.
    """

    file: str
    reason: str
    person: str
    at: AwareDatetime
    error: str = ""

    def covers(self, broken: BrokenFile) -> bool:
        """Whether it is about this error."""
        return self.file == broken.file and self.error in {"", broken.identity}


def mute_errors(broken: Iterable[BrokenFile], mutes: Iterable[Mute]) -> tuple[BrokenFile, ...]:
    """Return the errors, each with whether it is muted."""
    known = tuple(mutes)
    return tuple(replace(each, is_muted=any(mute.covers(each) for mute in known)) for each in broken)


def keep_mutes(broken: Sequence[BrokenFile], mutes: Iterable[Mute]) -> tuple[Mute, ...]:
    """Return the mutes that go on: those whose error is still there, which is noted where it was not yet."""
    pairs = ((mute, next((each for each in broken if mute.covers(each)), None)) for mute in mutes)
    return tuple(replace(mute, error=found.identity) for mute, found in pairs if found is not None)


def add_mute(mutes: Iterable[Mute], mute: Mute) -> tuple[Mute, ...]:
    """Return the mutes with one more, which takes the place of an older one of its file."""
    others = [each for each in mutes if each.file != mute.file]
    return (*others, mute)[-MUTES_MAX:]
