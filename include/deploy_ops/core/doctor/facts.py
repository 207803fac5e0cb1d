"""A fact that the doctor looked for and could not read, and how a check tells that. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.text.markdown import cut, flatten

FOUND_LENGTH_MAX = 400
"""Characters of what was found: GitHub's or a registry's words are among them."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a fact is not there, in the words of whoever was asked. `is_refused`: for want of a permission."""

    why: str
    is_refused: bool = False


def make_check(area: Area, name: str, status: Status, found: str, advice: str = "") -> Check:
    """Return the check, with what was found on one line and cut. Where it is ok there is nothing to do."""
    shown = cut(flatten(found), FOUND_LENGTH_MAX)
    return Check(area, name, status, shown, "" if status is Status.OK else flatten(advice))


def tell_unread(area: Area, name: str, fact: Unread, advice: str) -> Check:
    """Return the check of which nobody knows how it stands.

    :param advice: what to look for, and what a refusal looks like.
    """
    return make_check(area, name, Status.NOT_KNOWN, fact.why, advice)
