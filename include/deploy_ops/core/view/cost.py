"""What a project's Deployments cost this month, as an estimate: hours that control saw, times the policy's prices.

Nothing is known of any bill. Hours are counted of what was seen at one pass until the next; months are UTC's. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

from pydantic import AwareDatetime, Field

from include.deploy_ops.core.model import Deployment, DeploymentStatus
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.view.row import Cost, Row

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Prices

GONE = ""
"""The name of the meter that holds the hours of the Deployments that are gone."""

COUNTED_EVERY = timedelta(minutes=5)
"""How often hours are counted while nothing changes; a pass between writes nothing."""

TOLD_EVERY_S = 6 * 3600
"""A row that stays as it is says its cost anew in each quarter of a day, UTC: rows are read, and told, by change."""

_HOUR = timedelta(hours=1)
_WORKER, _ASLEEP = "worker ", "asleep "
_UNSIZED = "HYBRID"
"""The deployment type whose schedulers have no size: no price is known of it."""

_UNIT = re.compile(r"[A-Z0-9_]{1,30}")
"""What Astro may call a scheduler size, or a kind of worker."""

_QUEUES_MAX = 100


@dataclass(frozen=True, slots=True)
class Meter:
    """The hours of one Deployment within the month of `at`, counted from `since` on; of several that are gone.

    `hours` are by unit: a scheduler size, or a kind of worker, as Astro names them; those in which it hibernated apart.
    `units` is how many of each it had at `at`.
    """

    at: AwareDatetime
    since: AwareDatetime
    hours: Mapping[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = field(default_factory=dict)
    units: Mapping[str, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    is_asleep: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What hours cost, and what hibernation took from that; `unpriced` are scheduler sizes without a price."""

    spent: float = 0.0
    saved: float = 0.0
    unpriced: frozenset[str] = frozenset()

    def __add__(self, other: Estimate) -> Estimate:
        """Return both together."""
        return Estimate(self.spent + other.spent, self.saved + other.saved, self.unpriced | other.unpriced)


def count_hours(known: Mapping[str, Meter], deployments: Mapping[str, Deployment], now: datetime) -> dict[str, Meter]:
    """Return the meters by Deployment id as they stand now.

    What a Deployment was when it was last counted, it was until now. A new one is counted from the last count on, or
    from when it was made; one that is gone, until the last count.
    """
    last = max((meter.at for meter in known.values()), default=now)
    counted = {
        each.id: _observe(advance(known[each.id], now) if each.id in known else _begin(each, last, now), each)
        for each in deployments.values()
    }
    gone = advance(known.get(GONE) or Meter(now, now), now)
    ended = [advance(replace(meter, units={}), now) for name, meter in known.items() if name not in {GONE, *counted}]
    return {**counted, GONE: replace(gone, hours=_add([gone.hours, *(meter.hours for meter in ended)]))}


def is_due(known: Mapping[str, Meter], deployments: Mapping[str, Deployment], now: datetime) -> bool:
    """Whether hours have to be counted: something came, went or changed, or it is some time ago."""
    if GONE not in known or known.keys() - {GONE} != deployments.keys():
        return True
    if abs(now - known[GONE].at) >= COUNTED_EVERY:  # what says that it is of tomorrow is wrong
        return True
    return any(_observe(known[each.id], each) != known[each.id] for each in deployments.values())


def advance(meter: Meter, now: datetime) -> Meter:
    """Return the meter at another time, nothing having changed meanwhile; a new month begins with nothing."""
    begin = _find_month(now)
    is_new = _find_month(meter.at) != begin
    span_h = max((now - max(meter.at, begin)) / _HOUR, 0.0)
    state = _ASLEEP if meter.is_asleep else ""
    passed = {f"{state}{unit}": span_h * count for unit, count in meter.units.items()}
    hours = _add([passed] if is_new else [meter.hours, passed])
    return replace(meter, at=now, since=begin if is_new else meter.since, hours=hours)


def estimate(meter: Meter, prices: Prices) -> Estimate:
    """Return what the meter's hours cost. Workers without a price count for nothing."""
    return sum((_price(key, hours, prices) for key, hours in meter.hours.items()), Estimate())


def add_costs(
    rows: Mapping[str, Row],
    before: Mapping[str, Row],
    meters: Mapping[str, Meter],
    prices: Prices | None,
    now: datetime,
) -> dict[str, Row]:
    """Return the rows with what each Deployment costs; what it cost of one that is gone, and nothing without prices.

    :param before: the rows as they are shown; one in which nothing else changed keeps what it says for a while.
    """
    if prices is None:
        return {slug: replace(row, cost=None) for slug, row in rows.items()}
    digest = hash_text(prices.model_dump_json(), 8)
    told: dict[str, Row] = {}
    for slug, row in rows.items():
        meter = meters.get(row.deployment_id) if row.deployment_id else None
        told[slug] = row if meter is None else _tell(row, before.get(slug), meter, prices, digest, now)
    return told


def tell_total(meters: Mapping[str, Meter], prices: Prices | None, now: datetime, targets: Collection[str] = ()) -> str:
    """Return in words what the project's Deployments cost this month so far; empty without prices.

    :param targets: the ids of the targets' Deployments, whose part is told beside the whole.
    """
    if prices is None or GONE not in meters:
        return ""
    each = {name: advance(meter, now) for name, meter in meters.items()}
    since = each[GONE].since
    counted = "" if since == _find_month(now) else f"; counted since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    found = {name: estimate(meter, prices) for name, meter in each.items()}
    part = sum((found[name] for name in found.keys() & set(targets)), Estimate())
    whole = sum(found.values(), Estimate())
    return f"{_say(whole, prices, now, targets=part.spent)}{counted}"


def _begin(deployment: Deployment, last: datetime, now: datetime) -> Meter:
    made = deployment.created_at or now
    since = min(max(made, last, _find_month(now)), now)
    return advance(_observe(Meter(since, since), deployment), now)


def _observe(meter: Meter, deployment: Deployment) -> Meter:
    """Return the meter of what the Deployment is now; of one that cannot be read, of what it was."""
    if deployment.problem:
        return meter
    units = count_units(deployment.settings)
    return replace(meter, units=units, is_asleep=deployment.status is DeploymentStatus.HIBERNATING)


def count_units(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return how many of each unit a Deployment has, as far as it can be read: workers as many as its queues keep.

    :param settings: in the form of a Deployment file's body, as Astro tells them.
    """
    configuration = settings.get("configuration", {})
    is_unsized = configuration.get("deployment_type") == _UNSIZED
    sizes = [_UNSIZED if is_unsized else configuration.get("scheduler_size")]
    counts = Counter({size: 1 for size in sizes if _is_unit(size)})
    for queue in settings.get("worker_queues", ())[:_QUEUES_MAX]:
        machine, count = queue.get("worker_type"), queue.get("min_worker_count", 0)
        if _is_unit(machine) and count > 0:
            counts[f"{_WORKER}{machine}"] += count
    return dict(counts)


def _is_unit(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and _UNIT.fullmatch(name) is not None


def _find_month(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _add(each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for hours in each:
        for key, value in hours.items():
            total[key] = total.get(key, 0.0) + value
    return total


def _price(key: str, hours: float, prices: Prices) -> Estimate:
    unit, is_asleep = key.removeprefix(_ASLEEP), key.startswith(_ASLEEP)
    is_worker = unit.startswith(_WORKER)
    awake = prices.find_worker(unit.removeprefix(_WORKER)) if is_worker else prices.find_size(unit)
    asleep = 0.0 if is_worker else prices.hibernating  # a Deployment that sleeps has no workers
    unpriced = frozenset({unit} if awake is None else ())
    if is_asleep:
        return Estimate(hours * asleep, hours * max((awake or 0.0) - asleep, 0.0), unpriced)
    return Estimate(hours * (awake or 0.0), 0.0, unpriced)


def _tell(row: Row, known: Row | None, meter: Meter, prices: Prices, digest: str, now: datetime) -> Row:
    said = known.cost if known is not None else None
    if said is not None and said.prices == digest and _is_same_quarter(said.at, now):
        kept = replace(row, cost=said)
        if kept == known:
            return kept
    cost = _say(estimate(advance(meter, now), prices), prices, now)
    return replace(row, cost=Cost(cost, now, digest))


def _is_same_quarter(one: datetime, other: datetime) -> bool:
    return one.timestamp() // TOLD_EVERY_S == other.timestamp() // TOLD_EVERY_S


def _say(found: Estimate, prices: Prices, now: datetime, targets: float = 0.0) -> str:
    parts = [f"{_write(found.spent, prices)} in {now.astimezone(UTC):%Y-%m}"]
    parts += [f"of it {_write(targets, prices)} for targets"] if round(targets, 2) else []
    parts += [f"{_write(found.saved, prices)} saved by hibernation"] if round(found.saved, 2) else []
    parts += [f"no price for {', '.join(sorted(found.unpriced))}"] if found.unpriced else []
    return ", ".join(parts)


def _write(amount: float, prices: Prices) -> str:
    return f"{amount:.2f} {prices.currency or ''}".rstrip()
