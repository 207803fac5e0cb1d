"""A fact that a check is made of, or why it could not be read, and what that leads to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from include.deploy_ops.core.doctor.check import Check, Status
from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX, cut, flatten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.doctor.check import Area

NAMED_MAX = 5
"""Names that a check lists before it counts."""

T = TypeVar("T")


class Cause(Enum):
    """Why nothing was read: nobody answered, or the answer is of no use, or it is not for us, not there, or wrong."""

    SILENCE = auto()
    UNUSABLE = auto()
    TOKEN = auto()
    RIGHT = auto()
    ABSENT = auto()
    WRONG = auto()


@dataclass(frozen=True, slots=True)
class Unread:
    """What stands in a fact's place; `why` is for people."""

    why: str
    cause: Cause = Cause.UNUSABLE


Fact: TypeAlias = T | Unread


def tell(error: Exception) -> str:
    """Return what an error says, on one line and cut."""
    return cut(flatten("; ".join(str(error).splitlines())), REASON_LENGTH_MAX)


def make_check(area: Area, name: str, status: Status, found: str, advice: str = "") -> Check:
    """Return the check, each text on one line and cut: others' words are in it. Where it is ok there is no advice."""
    told = "" if status is Status.OK else cut(flatten(advice), REASON_LENGTH_MAX)
    return Check(area, name, status, cut(flatten(found), REASON_LENGTH_MAX), told)


def leave_open(area: Area, name: str, unread: Unread, refusal: str) -> Check:
    """Return the check of which nobody knows how it stands.

    :param refusal: what one sees elsewhere if it does not stand well.
    """
    return make_check(area, name, Status.NOT_KNOWN, unread.why, f"{_ADVICE[unread.cause]}; {refusal}")


_ADVICE = {
    Cause.SILENCE: "run the doctor again",
    Cause.UNUSABLE: "run the doctor again",
    Cause.TOKEN: "see the check of the token",
    Cause.RIGHT: "the token may not read this, which is no fault by itself",
    Cause.ABSENT: "what it is read of is not there: see the checks above",
    Cause.WRONG: "mend what is named here",
}


def name_some(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    listed = list(names)
    more = len(listed) - NAMED_MAX
    return ", ".join([*listed[:NAMED_MAX], *([f"{more} more"] if more > 0 else [])])
