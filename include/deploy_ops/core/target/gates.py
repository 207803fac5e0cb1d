"""What a deploy still waits for, beside a person: a judgement for each gate, met or not yet, why, and until when. Pure.

What is not known is not met, and says so: a gate never opens since somebody could not look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from include.deploy_ops.core.change.refs import shorten_name
from include.deploy_ops.core.naming import OWN_CHECKS
from include.deploy_ops.core.target.mergeability import PASSED
from include.deploy_ops.core.text.markdown import describe_span
from include.deploy_ops.core.verification.verdict import Proof, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from include.deploy_ops.core.policy.windows import Windows

GateName = Literal["checks", "verified", "soak", "windows"]
Wanted = tuple[str, ...] | Literal["required"]
"""Checks that have to be green: patterns for their names, or those that the branch's protection requires."""

_RUNNING = frozenset({"", "pending", "queued", "in_progress", "waiting", "requested", "expected"})
_NAMED_MAX = 5
"""Checks that a line names: `*` may mean a thousand, and whoever pushes a branch may call them anything."""
_WEEK = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Gate:
    """How one gate stands. `unmet` says what is awaited, empty where it is met; `opens_at` when it may be by itself.

    `is_stuck`: it does not come by itself, but a person has to mend something. `met` says by what it is met, and when;
    it makes it no other gate.
    """

    name: GateName
    unmet: str = ""
    opens_at: datetime | None = None
    is_stuck: bool = False
    met: str = field(default="", compare=False)

    @property
    def said(self) -> str:
        """How it stands, in words."""
        return self.unmet or self.met


@dataclass(frozen=True, slots=True)
class Checks:
    """What GitHub shows of the checks on one commit.

    `states` is the newest of each by its name: of a status its state, of a check run its conclusion, or its status
    where it has none yet. `required` are the names that the branch's rules require, from whomever; `bound` are name and
    app of those that count from that app alone, and `by_app` has the states of what is known to be an app's. `blind`
    says why some checks cannot be seen, `unread` why the rules cannot; empty where they can.
    """

    states: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    blind: str = ""
    unread: str = ""
    bound: frozenset[tuple[str, int]] = frozenset()
    by_app: Mapping[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another target shows of the content that is to be deployed.

    `target` is its name. `differs` says why it does not run the same content, empty where it does; `is_stuck`: a person
    has to end that. `verification` is that of what it runs, None where nobody knows one. `reset` says what had it
    verified anew since, if anything did.
    """

    target: str
    differs: str = ""
    verification: Verification | None = None
    reset: str = ""
    is_stuck: bool = False


def judge_checks(wanted: Wanted, checks: Checks) -> Gate:
    """Return whether all wanted checks are green; what we say ourselves never counts."""
    if wanted == "required":
        if checks.unread:
            return Gate("checks", f"which checks are required is not known: {checks.unread}", is_stuck=True)
        found = [_judge_check(each, checks) for each in _leave_out_own(checks.required)]
        found += [_judge_bound(name, app, checks) for name, app in sorted(checks.bound) if not is_own(name)]
    else:
        found = [gate for pattern in wanted for gate in _judge_matching(pattern, checks)]
    unmet = [*dict.fromkeys(each.unmet for each in found if each.unmet)]
    more = [f"and {len(unmet) - _NAMED_MAX} more"] if len(unmet) > _NAMED_MAX else []
    said = "; ".join([*unmet[:_NAMED_MAX], *more])
    return Gate("checks", said, is_stuck=any(each.is_stuck for each in found), met="" if said else _tell_green(found))


def _tell_green(found: Sequence[Gate]) -> str:
    """Return which checks are green."""
    named = [*dict.fromkeys(each.met for each in found)]
    more = [f"and {len(named) - _NAMED_MAX} more"] if len(named) > _NAMED_MAX else []
    return f"green: {', '.join([*named[:_NAMED_MAX], *more])}" if named else "no check is required"


def judge_verified(elsewhere: Elsewhere, now: datetime) -> Gate:
    """Return whether the other target runs the same content, and is shown to work.

    :param now: in the time zone in which people are told.
    """
    target, known = elsewhere.target, elsewhere.verification
    if elsewhere.differs:
        return Gate("verified", elsewhere.differs, is_stuck=elsewhere.is_stuck)
    if known is None or known.proof is not Proof.VERIFIED:
        said = f"{target}: {known.said}" if known and known.said else f"{target} is not verified yet"
        return Gate("verified", said, is_stuck=known is not None and known.proof is not Proof.PENDING)
    return Gate("verified", met=f"{target} runs the same, verified {_tell_since(known, now)}")


def judge_soak(elsewhere: Elsewhere, soak: timedelta, now: datetime) -> Gate:
    """Return whether the other target has run the same content, verified, for so long; at its very end it has.

    :param now: in the time zone in which people are told.
    """
    known, why = elsewhere.verification, f", since {elsewhere.reset}" if elsewhere.reset else ""
    if known is None or judge_verified(elsewhere, now).unmet:
        return Gate("soak", f"soaks on {elsewhere.target} for {describe_span(soak)} once that is verified{why}")
    end = ((known.since or known.at) + soak).astimezone(now.tzinfo)
    if now >= end:
        return Gate("soak", met=f"soaked on {elsewhere.target} for {describe_span(soak)} until {tell_time(end, now)}")
    return Gate("soak", f"soaks on {elsewhere.target} until {tell_time(end, now)}{why}", end)


def judge_windows(windows: Windows, now: datetime) -> Gate:
    """Return whether a deploy may begin now."""
    if windows.is_open(now):
        return Gate("windows", met=f"window is open {tell_time(now.astimezone(windows.zone), now)}")
    opening = windows.find_opening(now)
    if opening is None:
        return Gate("windows", "no window opens within a year; correct the policy", is_stuck=True)
    return Gate("windows", f"window opens {tell_time(opening.astimezone(windows.zone), now)}", opening)


def tell_time(moment: datetime, now: datetime) -> str:
    """Return a moment as people read it, in its own time zone: by its weekday where that is near."""
    return f"{moment:%a %H:%M %Z}" if abs(moment - now) < _WEEK else f"{moment:%Y-%m-%d %H:%M %Z}"


def _tell_since(known: Verification, now: datetime) -> str:
    return tell_time((known.since or known.at).astimezone(now.tzinfo), now)


def find_unmet(gates: Iterable[Gate]) -> tuple[str, datetime | None]:
    """Return what is awaited, in a line, and when the first of it may end by itself.

    :return: an empty line where every gate is met; no time where all that is awaited is an event.
    """
    unmet = [each for each in gates if each.unmet]
    times = (each.opens_at for each in unmet if each.opens_at is not None)
    return "; ".join(each.unmet for each in unmet), min(times, default=None)


def is_own(check: str) -> bool:
    """Whether we say this of a commit ourselves, in whichever project: it is no proof, and nothing waits for it."""
    return check.startswith(OWN_CHECKS)


def list_closed(gates: Iterable[Gate]) -> tuple[str, ...]:
    """Return the names of the gates that are not met."""
    return tuple(each.name for each in gates if each.unmet)


def _leave_out_own(names: Iterable[str]) -> list[str]:
    return sorted(each for each in names if not is_own(each))


def _judge_matching(pattern: str, checks: Checks) -> list[Gate]:
    """Return how each check stands that the pattern means; one at least has to be there."""
    names = _leave_out_own(each for each in checks.states if fnmatchcase(each, pattern))
    if checks.blind and pattern not in names:
        return [_find_unseen(pattern, checks)]
    return [_judge_check(each, checks) for each in names or [pattern]]


def _judge_check(name: str, checks: Checks) -> Gate:
    """Return whether a check is green."""
    state = checks.states.get(name)
    if state is None:
        return _find_unseen(name, checks)
    if state in PASSED:
        return Gate("checks", met=f"'{shorten_name(name)}'")
    is_running, shown = state in _RUNNING, f"check '{shorten_name(name)}'"
    said = f"{shown} runs" if is_running else f"{shown} did not succeed: {state}"
    return Gate("checks", said, is_stuck=not is_running)


def _judge_bound(name: str, app: int, checks: Checks) -> Gate:
    """Return whether a check is green that counts from one app alone: anybody may call another one so."""
    known = {each: state for (each, by), state in checks.by_app.items() if by == app}
    if name in known or name not in checks.states or checks.blind:
        return _judge_check(name, replace(checks, states=known))
    shown, counts = f"check '{shorten_name(name)}'", f"it counts from app {app} alone"
    if any(each == name for each, _ in checks.by_app):
        return Gate("checks", f"{shown} is not there yet: {counts}, and this one is another's")
    # Of a status GitHub does not say which app gave it.
    advice = "name it in the policy's `checks` in place of `required`, or have the app give check runs"
    said = f"{shown} is not known: {counts}, and whose this status is stands nowhere; {advice}"
    return Gate("checks", said, is_stuck=True)


def _find_unseen(name: str, checks: Checks) -> Gate:
    """Return what is said of a check that is not there, or cannot be seen."""
    shown = f"check '{shorten_name(name)}'"
    said = f"{shown} is not known: {checks.blind}" if checks.blind else f"{shown} is not there yet"
    return Gate("checks", said, is_stuck=bool(checks.blind))
