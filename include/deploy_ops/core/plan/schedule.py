"""The difference + what was tried and remembered → the plan of one pass: what starts now, and why the rest waits.

Pure: `now` is an argument. Holds the brake on deletes, the growing delay after failures, and the caps of a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import name_run
from include.deploy_ops.core.plan.continuity import ALWAYS, DOUBTED_FOR
from include.deploy_ops.core.plan.remembered import BegunDelete, Ending, Remembered
from include.deploy_ops.core.plan.work import (
    REJECTION,
    Action,
    Difference,
    Hold,
    HoldKind,
    Plan,
    Remedy,
    Verb,
    Work,
    describe_stuck,
)

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Limits
    from include.deploy_ops.core.text.schema import Location

DELAY_MINUTES_MAX = 60
"""Minutes between attempts once they stopped growing (1, 2, 4 … 60)."""

FRACTION_FROM_LIVE = 4
"""Live previews from which `max_delete_fraction` counts: a quarter of three would forbid every delete."""

BRAKE_WINDOW = timedelta(hours=1)
"""The time over which Deployments that were to be deleted are counted against the brake."""

BRIEFLY = timedelta(seconds=10)
"""When to look again at first for what ends by itself, such as GitHub's computing of a test merge."""

NOT_SO_BRIEFLY = timedelta(minutes=5)
"""The longest pause before it is looked for again: as long as it lasts already, so that its hours cost few passes."""

GO_ON = timedelta(seconds=15)
"""When to go on with what a pass has no room for, where no run's end makes a pass sooner. Starting runs comes before
their tasks, so at once would keep those waiting that began."""

DRY = "mode: plan, nothing is written"
"""Why nothing starts where the policy lets nothing be written."""

Parted = tuple[list[Work], list[Hold]]
Wait = tuple[str, HoldKind, datetime | None]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What one pass knows beside the difference.

    `in_flight` maps an environment's slug to its queued or running run, `stuck` to what that waits for in Airflow,
    `remembered` to what is remembered of it.
    `finished` maps a work's name to its highest finished attempt. `begun_deletes` were dispatched before. `blocked`
    maps a DAG of the project to why it may start nothing ("mode: plan", "paused"). `committed_at` ranks creates when
    not all fit (the newest head first). `released` are the subjects of deletes (`Work.subject`) that a person let pass
    the brake, `refused` maps those of others to the person who said no. `dispatches_max` is how many pieces of work
    Airflow lets one pass start, whatever the policy says; None where nobody asked. `pending` maps what ends a hold by
    itself (`Hold.awaits`) to when a pass saw that first. `remembers_since` is since when the memory has no hole.
    """

    now: datetime
    policy: str
    in_flight: Mapping[str, str] = field(default_factory=dict)
    stuck: Mapping[str, str] = field(default_factory=dict)
    updates_in_flight: int = 0
    creates_in_flight: int = 0
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    finished: Mapping[str, int] = field(default_factory=dict)
    begun_deletes: tuple[BegunDelete, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    committed_at: Mapping[str, datetime] = field(default_factory=dict)
    released: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    dispatches_max: int | None = None
    pending: Mapping[str, datetime] = field(default_factory=dict)
    remembers_since: datetime = ALWAYS


def schedule(difference: Difference, given: Circumstances, limits: Limits, max_live: int) -> Plan:
    """Return the plan: every piece of work either starts or is held, never both and never neither."""
    holds = list(difference.holds)
    due: list[Work] = []
    wakes = [given.now + _choose_pause(hold, given) for hold in holds if hold.awaits]
    wakes.extend(each for each in (difference.look_at, *(hold.opens_at for hold in holds)) if each)
    for work in difference.works:
        if _is_settled(work, given):
            continue
        reason, kind, wake = _find_wait(work, given)
        if reason:
            holds.append(_hold(work, reason, kind))
            wakes.extend([wake] if wake else [])
        else:
            due.append(work)
    due.sort(key=lambda work: (work.rank, given.finished.get(work.name, 0)))  # what fails keeps nobody waiting
    due, held = _keep_first(due)
    # The brake first: it counts all deletes that are due, not only those for which this pass has room.
    due, braked, release = _brake(due, difference, given, limits)
    held += [hold for _, hold in braked]
    wakes.extend([release] if release else [])
    caps = (
        _cap_creates(max_live, difference.live, given),
        _cap_updates(limits, given),
        _block(given),
    )
    for cap in caps:
        due, more = cap(due)
        held.extend(more)
    due, late = _cap_pass(due, limits, given)
    held.extend(late)
    wakes.extend([given.now + GO_ON] if due and late else [])
    actions = tuple(Action(work, name_run(work.name, given.finished.get(work.name, 0) + 1)) for work in due)
    return Plan(
        actions,
        tuple(_sort_holds([*holds, *held])),
        difference.live,
        min(wakes, default=None),
        tuple(work for work, _ in braked),
    )


def _choose_pause(hold: Hold, given: Circumstances) -> timedelta:
    """Return when to look again for what the hold awaits: as long as it has been awaited, within bounds."""
    waited = given.now - given.pending.get(hold.awaits, given.now)
    return min(max(waited, BRIEFLY), NOT_SO_BRIEFLY)


def _is_settled(work: Work, given: Circumstances) -> bool:
    """Whether there is nothing to do after all.

    A head that was judged to need no deploy counts as deployed. A kept preview does not expire, and one verdict lets a
    preview hibernate once: who woke it since wants it awake.
    """
    remembered = given.remembered.get(work.slug, Remembered())
    if work.is_expiry:
        ending = remembered.endings.get(work.verb.value)
        is_done = ending is not None and ending.work == work.name and ending.is_done
        return bool(remembered.find_keep(work.deployment_id)) or (work.verb is Verb.HIBERNATE and is_done)
    return work.verb is Verb.DEPLOY and remembered.is_judged(work.deployed_commit, work.observed, given.policy)


def _find_wait(work: Work, given: Circumstances) -> Wait:
    """Return why the work waits ("" if it does not), of which kind that is, and when it becomes due by itself."""
    return _find_obstacle(work, given) or _find_delay(work, given)


def _find_obstacle(work: Work, given: Circumstances) -> Wait | None:
    """Return why the work waits, whatever became of it before; None if nothing is in its way."""
    if run := given.in_flight.get(work.slug):
        return "; ".join(filter(None, [f"in flight: {run}", given.stuck.get(work.slug)])), HoldKind.FLIGHT, None
    if work.verb is Verb.DELETE and (person := given.refused.get(work.subject)):
        return f"refused by {person}, until something of it moves; delete it by the form", HoldKind.PERSON, None
    if work.due_at is not None and work.due_at > given.now:
        when = f"{work.due_at:%Y-%m-%d %H:%M} UTC"
        return f"{work.reason}; {_DONE[work.verb]} at {when}; push, wake it, or keep it", HoldKind.WAITING, work.due_at
    removal = given.remembered.get(work.slug, Remembered()).removal
    if work.verb is Verb.CREATE and removal is not None and removal.head == work.head:
        return f"{removal.reason}, until the branch moves or someone forces it", HoldKind.ENDED, None
    return None


def _find_delay(work: Work, given: Circumstances) -> Wait:
    """Return how long the work waits after an attempt."""
    remembered = given.remembered.get(work.slug, Remembered())
    ending = _find_ending(work, remembered.endings)
    if ending is None:
        return "", HoldKind.WAITING, None
    if ending.is_rejection:
        return f"{ending.cause}; a new head asks again, and so does clearing the run", HoldKind.PERSON, None
    if ending.is_failure and work.undoes:
        return describe_stuck(work, ending.cause), HoldKind.FAILED, None
    if ending.is_failure and ending.is_permanent:
        return f"{ending.cause}; push a fix, clear the failed run, or force it", HoldKind.FAILED, None
    attempts = max(given.finished.get(work.name, 0), 1)  # a purged run finished all the same
    due_at = ending.ended_at + timedelta(minutes=count_delay_minutes(attempts))
    if due_at <= given.now:
        return "", HoldKind.WAITING, None
    told = "tried before, and due again" if ending.is_skipped else "done before, and due again"
    state = ending.cause if ending.is_failure else told
    kind = HoldKind.FAILING if ending.is_failure else HoldKind.WAITING
    return f"{state}; attempt {attempts + 1} at {due_at:%H:%M:%S} UTC", kind, due_at


def _find_ending(work: Work, endings: Mapping[str, Ending]) -> Ending | None:
    """Return how the work ended before: a person's no by what was asked, everything else by the work's name."""
    if work.verb is Verb.REQUEST and (rejection := endings.get(work.subject)):
        return rejection
    ending = endings.get(work.name) or endings.get(work.ending_key)
    return ending if ending is not None and ending.work == work.name else None


_DONE = {Verb.DELETE: "deleted", Verb.HIBERNATE: "let hibernate"}


def count_delay_minutes(attempts: int) -> int:
    """Return the minutes to wait after so many finished attempts: 1, 2, 4 … 60, then hourly."""
    return min(1 << min(attempts - 1, 6), DELAY_MINUTES_MAX)


def _keep_first(due: Iterable[Work]) -> Parted:
    """Keep one piece of work per environment: an update waits for the deploy before it."""
    first: dict[str, Work] = {}
    late = [work for work in due if first.setdefault(work.slug, work) is not work]
    return list(first.values()), [
        _hold(work, f"one at a time: it comes after the {first[work.slug].verb.value}", HoldKind.WAITING)
        for work in late
    ]


def _brake(
    due: list[Work], difference: Difference, given: Circumstances, limits: Limits
) -> tuple[list[Work], list[tuple[Work, Hold]], datetime | None]:
    """Hold the deletes that exceed what an hour may delete, and say when the next may go; everything else proceeds.

    What a person released passes, and counts as done. So does what comes again within the hour: a delete that fails
    takes one Deployment's room, however often it is tried.
    """
    begun = _find_begun(given)
    every = [work for work in due if work.verb is Verb.DELETE]
    fresh = [work for work in every if work.deployment_id not in begun]
    begun |= {work.deployment_id: given.now for work in every if work.deployment_id in begun}  # they begin anew
    deletes = [work for work in fresh if not (work.is_released or work.is_noted(given.released))]
    passed = len(fresh) - len(deletes)
    recent = sorted(begun.values()) + [given.now] * passed
    live = difference.live - _count_dying(difference, begun) - passed
    allowed = max(count_allowed_deletes(live + len(recent), limits) - len(recent), 0)
    if len(deletes) <= allowed:
        return due, [], None
    if given.now - given.remembers_since < DOUBTED_FOR:
        return _hold_doubted(due, deletes, given)
    release = _find_release([*recent, *[given.now] * allowed], live - allowed, limits)
    way_out = f"the next may go at {release:%H:%M:%S} UTC" if release else "raise them, or delete it in Astro"
    reason = (
        f"the brake: {len(recent)} deletes in the last hour and {len(deletes)} due exceed "
        f"max_deletes {limits.max_deletes} or max_delete_fraction {limits.max_delete_fraction} of "
        f"{live + len(recent)} live; {way_out}"
    )
    late = deletes[allowed:]
    kept, holds = _split(due, late, reason, ("limits", _name_brake(live + len(recent), limits)))
    return kept, list(zip(late, holds, strict=True)), release


def _name_brake(live: int, limits: Limits) -> str:
    """Return the key that lets an hour delete no more, with this many live previews at its start."""
    return "max_deletes" if count_allowed_deletes(live, limits) == limits.max_deletes else "max_delete_fraction"


def _hold_doubted(
    due: list[Work], deletes: list[Work], given: Circumstances
) -> tuple[list[Work], list[tuple[Work, Hold]], datetime | None]:
    """Hold all that exceed the brake: a person may have said no to them before the memory had a hole."""
    release = given.remembers_since + DOUBTED_FOR
    count = "1 delete is due" if len(deletes) == 1 else f"{len(deletes)} deletes are due"
    reason = (
        f"the brake: {count}, and control remembers nothing for certain from before "
        f"{given.remembers_since:%Y-%m-%d %H:%M} UTC: a person's no may be forgotten; answer cleanup's question, or "
        f"the first may go at {release:%Y-%m-%d %H:%M} UTC"
    )
    kept, holds = _split(due, deletes, reason, ("limits", "max_deletes"))
    return kept, list(zip(deletes, holds, strict=True)), release


def _find_begun(given: Circumstances) -> dict[str, datetime]:
    """Return the Deployments whose delete was begun within the hour, with the last time; of old notes, each by itself.

    Releases before 0.3.0 did not note which Deployment it was.
    """
    begun: dict[str, datetime] = {}
    for number, each in enumerate(given.begun_deletes):
        if given.now - each.at < BRAKE_WINDOW:
            key = each.deployment_id or f"{number}"
            begun[key] = max(each.at, begun.get(key, each.at))
    return begun


def _count_dying(difference: Difference, begun: Mapping[str, datetime]) -> int:
    """Return how many live previews the brake counts among the recent deletes already."""
    dying = {work.deployment_id for work in difference.works if work.verb is Verb.DELETE}
    return len(dying & begun.keys())


def _find_release(times: list[datetime], live: int, limits: Limits) -> datetime | None:
    """Return when so many of these deletes are over an hour old that the next may go; None if that is never enough."""
    for number, time in enumerate(times, 1):
        left = len(times) - number
        if count_allowed_deletes(live + left, limits) > left:
            return time + BRAKE_WINDOW
    return None


def count_allowed_deletes(live: int, limits: Limits) -> int:
    """Return how many deletes an hour may see, with this many live previews at its start: one at least, or none ever.

    A fraction so small that its share is less than one slows deletes down; only 0 forbids them.
    """
    if live < FRACTION_FROM_LIVE:
        return limits.max_deletes
    share = int(live * limits.max_delete_fraction)
    return min(limits.max_deletes, max(share, 1) if limits.max_delete_fraction else 0)


def _cap_creates(max_live: int, live: int, given: Circumstances) -> Callable[[list[Work]], Parted]:
    def cap(due: list[Work]) -> Parted:
        creates = [work for work in due if work.verb is Verb.CREATE]
        oldest = datetime.min.replace(tzinfo=given.now.tzinfo)
        # A commit bears the date that its author wrote: one in the future counts as now, or it would always come first.
        creates.sort(key=lambda work: min(given.committed_at.get(work.head, oldest), given.now), reverse=True)
        late = creates[max(max_live - live - given.creates_in_flight, 0) :]
        reason = f"max_live {max_live} previews are live; it gets its Deployment when there is room"
        return _split(due, late, reason, ("previews", "max_live"))

    return cap


def _cap_updates(limits: Limits, given: Circumstances) -> Callable[[list[Work]], Parted]:
    def cap(due: list[Work]) -> Parted:
        updates = [work for work in due if work.verb is Verb.UPDATE]
        late = updates[max(limits.max_updates_per_pass - given.updates_in_flight, 0) :]
        reason = f"max_updates_per_pass {limits.max_updates_per_pass}; the next passes go on"
        return _split(due, late, reason, ("limits", "max_updates_per_pass"))

    return cap


def _block(given: Circumstances) -> Callable[[list[Work]], Parted]:
    """Take out what may not start, before it takes room of a pass from what may."""

    def cap(due: list[Work]) -> Parted:
        return [work for work in due if work.dag not in given.blocked], [
            _hold(work, given.blocked[work.dag], HoldKind.FROZEN, ("mode",) if given.blocked[work.dag] == DRY else ())
            for work in due
            if work.dag in given.blocked
        ]

    return cap


def _cap_pass(due: list[Work], limits: Limits, given: Circumstances) -> Parted:
    room, said = limits.max_actions_per_pass, f"max_actions_per_pass {limits.max_actions_per_pass}"
    if given.dispatches_max is not None and given.dispatches_max < room:
        room = given.dispatches_max
        said += f", of which Airflow's max_map_length leaves {room}"
    return _split(due, _take_turns(due)[room:], f"{said}; the next pass goes on", ("limits", "max_actions_per_pass"))


def _take_turns(due: Iterable[Work]) -> list[Work]:
    """Return the work in turns: of each kind the first, then of each the second, so that many starve no other kind.

    A kind is what one DAG does at one rank: each target's, the deploy branch's, and each verb of the previews'.
    """
    turns: Counter[tuple[str, int]] = Counter()
    ordered: list[tuple[int, Work]] = []
    for work in due:
        kind = work.dag, work.rank
        ordered.append((turns[kind], work))
        turns[kind] += 1
    return [work for _, work in sorted(ordered, key=lambda each: each[0])]


def _split(due: list[Work], late: list[Work], reason: str, rule: Location) -> Parted:
    names = {work.name for work in late}
    return (
        [work for work in due if work.name not in names],
        [_hold(work, reason, HoldKind.WAITING, rule) for work in late],
    )


def _hold(work: Work, reason: str, kind: HoldKind, rule: Location = ()) -> Hold:
    remedy = Remedy.RETRY if reason.startswith(REJECTION) else Remedy.MEND
    return Hold(work.environment, work.verb.value, reason, kind=kind, slug=work.slug, remedy=remedy, rule=rule)


def _sort_holds(holds: Iterable[Hold]) -> list[Hold]:
    return sorted(holds, key=lambda hold: (hold.environment, hold.what, hold.reason))
