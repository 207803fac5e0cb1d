"""What Deployments cost is an estimate of hours and prices: never negative, added up over passes, of one UTC month."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.model import Deployment, DeploymentStatus
from include.deploy_ops.core.policy.keys import Prices
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.core.view.cost import (
    COUNTED_EVERY,
    GONE,
    Estimate,
    Meter,
    add_costs,
    advance,
    count_hours,
    count_units,
    estimate,
    is_due,
    tell_total,
)
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_deployment

NOW = datetime(2026, 11, 12, 10, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICES = Prices(currency="USD", small=0.5, medium=1.0, hibernating=0.1, workers={"A5": 0.25})
TWO_A5 = ({"worker_type": "A5", "min_worker_count": 2},)
ASLEEP = DeploymentStatus.HIBERNATING

UNITS = st.dictionaries(st.sampled_from(["SMALL", "MEDIUM", "LARGE", "worker A5", "worker A10"]), st.integers(0, 5))
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds it
PRICE = st.floats(0, 1000)
PRICE_LISTS = st.builds(
    Prices,
    small=st.none() | PRICE,
    medium=st.none() | PRICE,
    hibernating=PRICE,
    workers=st.dictionaries(st.sampled_from(["A5", "A10"]), PRICE),
)


@st.composite
def meters(draw: st.DrawFn) -> Meter:
    at = draw(TIMES)
    keys = st.sampled_from(["SMALL", "asleep SMALL", "LARGE", "worker A5", "asleep worker A5", "asleep LARGE"])
    hours = draw(st.dictionaries(keys, st.floats(0, 5000)))
    return Meter(at, at, hours, draw(UNITS), draw(st.booleans()))


def make(branch: str = "dev-x", size: object = "SMALL", queues: Any = (), **changes: Any) -> Deployment:
    settings = {"configuration": {"scheduler_size": size}, "worker_queues": list(queues)}
    return make_deployment(branch, **{"settings": settings, "created_at": NOW - HOUR, **changes})


def count(known: dict[str, Meter], now: datetime, *deployments: Deployment) -> dict[str, Meter]:
    return count_hours(known, {each.id: each for each in deployments}, now)


def is_close(one: Estimate, other: Estimate) -> bool:
    pairs = ((one.spent, other.spent), (one.saved, other.saved))
    return all(math.isclose(*pair, rel_tol=1e-9, abs_tol=1e-6) for pair in pairs)


@given(meters(), TIMES, PRICE_LISTS)
def test_nothing_is_ever_negative(meter: Meter, now: datetime, prices: Prices) -> None:
    later = advance(meter, now)
    assert all(hours >= 0 for hours in later.hours.values())
    found = estimate(later, prices)
    assert found.spent >= 0
    assert found.saved >= 0


@given(meters(), st.lists(TIMES, min_size=2, max_size=6), PRICE_LISTS)
def test_passes_between_change_nothing(meter: Meter, times: list[datetime], prices: Prices) -> None:
    ordered = sorted({meter.at, *times})
    ordered = ordered[ordered.index(meter.at) :]
    step = meter
    for at in ordered:
        step = advance(step, at)
    whole = advance(meter, ordered[-1])
    assert is_close(estimate(step, prices), estimate(whole, prices))
    assert (step.at, step.since) == (whole.at, whole.since)


@given(meters(), TIMES)
def test_a_month_has_no_more_hours_than_passed_of_it(meter: Meter, now: datetime) -> None:
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    fresh = advance(replace(meter, hours={}), now)
    passed_h = (now - begin) / HOUR
    for unit, number in meter.units.items():
        key = f"asleep {unit}" if meter.is_asleep else unit
        assert fresh.hours.get(key, 0) <= passed_h * number + 1e-6


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans(), st.integers(0, 600)), max_size=12))
def test_a_life_of_comings_and_goings_adds_up(steps: list[tuple[str, bool, int]]) -> None:
    """Held to a plain sum: whoever was there at both of two passes was there between them."""
    known = count({}, NOW)
    living: dict[str, Deployment] = {}
    now, plain_h = NOW, 0.0
    for name, is_there, minutes in steps:
        before = set(living)
        living.pop(name, None)
        if is_there:
            living[name] = make(name, created_at=None)
        span = timedelta(minutes=minutes)
        now += span
        plain_h += len(before & set(living)) * (span / HOUR)
        known = count(known, now, *living.values())
    assert known.keys() == {GONE, *(each.id for each in living.values())}
    counted_h = sum(hours for meter in known.values() for hours in meter.hours.values())
    assert counted_h == pytest.approx(plain_h)


def test_the_border_of_a_month_is_utcs() -> None:
    here = timezone(timedelta(hours=9))  # where it is December already
    meter = Meter(datetime(2026, 11, 30, 20, tzinfo=UTC), MONTH, {"SMALL": 700.0}, {"SMALL": 1})
    last = advance(meter, datetime(2026, 12, 1, 8, 30, tzinfo=here))
    assert last.hours == {"SMALL": 703.5}
    first = advance(last, datetime(2026, 12, 1, 9, 15, tzinfo=here))
    assert (first.hours, first.since) == ({"SMALL": 0.25}, datetime(2026, 12, 1, tzinfo=UTC))
    assert tell_total({GONE: Meter(MONTH, MONTH), "x": last}, PRICES, last.at) == "351.75 USD in 2026-11"


def test_what_sleeps_costs_what_the_policy_says_and_saves_the_rest() -> None:
    known = count({}, NOW, make(queues=TWO_A5))
    known = count(known, NOW + 10 * HOUR, make(queues=TWO_A5, status=ASLEEP))
    known = count(known, NOW + 30 * HOUR, make(queues=TWO_A5, status=ASLEEP))
    found = estimate(known["id-dev-x"], PRICES)
    # Ten hours awake with two workers, and twenty asleep, which have none.
    assert found == Estimate(10 * (0.5 + 2 * 0.25) + 20 * 0.1, 20 * (0.5 - 0.1 + 2 * 0.25))
    free = PRICES.model_copy(update={"hibernating": 0.0})
    assert estimate(known["id-dev-x"], free).spent == 10.0


def test_sleep_that_costs_more_than_waking_saves_nothing() -> None:
    known = count(count({}, NOW, make(status=ASLEEP)), NOW + HOUR, make())
    assert estimate(known["id-dev-x"], Prices(small=0.1, hibernating=5.0)) == Estimate(5.0, 0.0)


def test_a_size_without_a_price_is_named_and_not_taken_for_free() -> None:
    known = count(count({}, NOW, make(size="LARGE")), NOW + HOUR, make())
    found = estimate(known["id-dev-x"], PRICES)
    assert (found.spent, found.unpriced) == (0.0, frozenset({"LARGE"}))
    rows = add_costs(make_rows(), {}, known, PRICES, NOW + HOUR)
    cost = rows["dev-x"].cost
    assert cost is not None
    assert cost.said == "0.00 USD in 2026-11, no price for LARGE"


@pytest.mark.parametrize(
    ("size", "queues", "units"),
    [
        ("SMALL", [{"worker_type": "A5", "min_worker_count": 2}], {"SMALL": 1, "worker A5": 2}),
        (
            "EXTRA_LARGE",
            [
                {"worker_type": machine, "min_worker_count": count}
                for machine, count in (("A20", 1), ("A5", 1), ("A20", 3))
            ],
            {"EXTRA_LARGE": 1, "worker A20": 4, "worker A5": 1},
        ),
        ("MEDIUM", [{"worker_type": "A5", "min_worker_count": 0}], {"MEDIUM": 1}),
        (None, [], {}),
        ("small <b>", [{}, {"worker_type": "A5"}, {"min_worker_count": 1}], {}),
        ("X" * 999, [{"worker_type": "A5", "min_worker_count": -3}], {}),
    ],
)
def test_units_are_counted_as_far_as_they_can_be_read(size: object, queues: Any, units: dict[str, int]) -> None:
    assert count_units(make(size=size, queues=queues).settings) == units


def test_a_hybrid_deployment_has_no_price_and_says_so() -> None:
    settings = {"configuration": {"deployment_type": "HYBRID", "scheduler_au": 5}}
    known = count(count({}, NOW, make(settings=settings)), NOW + HOUR)
    assert tell_total(known, PRICES, NOW + HOUR).startswith("0.00 USD in 2026-11, no price for HYBRID")


def test_a_new_one_is_counted_from_when_it_was_made_but_not_from_before_anybody_counted() -> None:
    first = count({}, NOW, make(created_at=NOW - 5 * HOUR))
    assert first["id-dev-x"].hours == {"SMALL": 0.0}
    later = count(first, NOW + 3 * HOUR, make(), make("dev-new", created_at=NOW + HOUR), make("dev-old"))
    assert later["id-dev-new"].hours == {"SMALL": 2.0}
    assert later["id-dev-old"].hours == {"SMALL": 3.0}  # it was adopted since: it has been there
    future = count(first, NOW, make("dev-z", created_at=NOW + 99 * HOUR))
    assert future["id-dev-z"].hours == {"SMALL": 0.0}


def test_what_is_gone_still_costs_this_month() -> None:
    known = count(count({}, NOW, make()), NOW + 2 * HOUR, make())
    gone = count(known, NOW + 3 * HOUR)
    assert gone.keys() == {GONE}
    assert gone[GONE].hours == {"SMALL": 2.0}
    later = NOW + 3 * HOUR
    assert tell_total(gone, PRICES, later) == "1.00 USD in 2026-11; counted since 2026-11-12 10:00 UTC"
    december = datetime(2026, 12, 3, tzinfo=UTC)
    assert tell_total(count(gone, december), PRICES, december) == "0.00 USD in 2026-12"


def test_one_that_cannot_be_read_is_what_it_was() -> None:
    known = count(count({}, NOW, make()), NOW + HOUR, make(problem="odd", settings={}, status=ASLEEP))
    later = count(known, NOW + 2 * HOUR, make())
    assert later["id-dev-x"].hours == {"SMALL": 2.0}


def test_hours_are_counted_where_something_changed_or_some_time_passed() -> None:
    known = count({}, NOW, make())
    soon, there = NOW + COUNTED_EVERY / 2, {"id-dev-x": make()}
    assert not is_due(known, there, soon)
    assert is_due({}, {}, NOW)
    assert is_due(known, there, NOW + COUNTED_EVERY)
    assert is_due(known, {}, soon)
    assert is_due(known, {**there, "id-dev-y": make("dev-y")}, soon)
    assert is_due(known, {"id-dev-x": make(status=ASLEEP)}, soon)
    assert is_due(known, {"id-dev-x": make(size="MEDIUM")}, soon)


def test_a_time_that_cannot_be_heals_by_itself() -> None:
    tomorrow = {GONE: Meter(NOW + 24 * HOUR, MONTH), "id-dev-x": Meter(NOW + 24 * HOUR, MONTH, {"SMALL": 1.0})}
    assert is_due(tomorrow, {"id-dev-x": make()}, NOW)
    counted = count(tomorrow, NOW, make())
    assert {meter.at for meter in counted.values()} == {NOW}
    assert counted["id-dev-x"].hours == {"SMALL": 1.0}


def make_rows(**changes: Any) -> dict[str, Row]:
    preview = Row("dev-x", RowKind.PREVIEW, "dev-x", "dev-x", "shop.preview", State.LIVE, NOW, deployment_id="id-dev-x")
    target = Row(
        "~staging", RowKind.TARGET, "staging", "s", "shop.staging", State.LIVE, NOW, deployment_id="id-staging"
    )
    return {each.slug: each for each in (replace(preview, **changes), target)}


def tell(rows: dict[str, Row], before: dict[str, Row], known: dict[str, Meter], now: datetime) -> dict[str, Row]:
    return add_costs(rows, before, known, PRICES, now)


def test_a_row_says_its_cost_anew_when_it_changes_and_four_times_a_day() -> None:
    known = count({}, NOW, make())
    first = tell(make_rows(), {}, known, NOW)
    assert first["~staging"].cost is None, "nobody counted its hours"
    assert tell(make_rows(), first, known, NOW + HOUR) == first
    changed = tell(make_rows(why="new"), first, known, NOW + HOUR)["dev-x"].cost
    assert changed is not None
    assert (changed.said, changed.at) == ("0.50 USD in 2026-11", NOW + HOUR)
    noon = tell(make_rows(), first, known, NOW + 2 * HOUR)["dev-x"].cost
    assert noon is not None
    assert noon.said == "1.00 USD in 2026-11"
    dearer = PRICES.model_copy(update={"small": 50.0})
    priced = add_costs(make_rows(), first, known, dearer, NOW + HOUR)["dev-x"].cost
    assert priced is not None
    assert priced.said == "50.00 USD in 2026-11"


def test_targets_count_and_their_part_of_the_whole_is_told() -> None:
    staging = make("staging", size="MEDIUM", created_at=NOW)
    known = count(count({}, NOW, make(), staging), NOW + HOUR, make(), staging)
    rows = tell(make_rows(), {}, known, NOW + HOUR)
    assert [row.cost and row.cost.said for row in rows.values()] == ["0.50 USD in 2026-11", "1.00 USD in 2026-11"]
    said = tell_total(known, PRICES, NOW + HOUR, {"id-staging"})
    assert said.startswith("1.50 USD in 2026-11, of it 1.00 USD for targets; counted since ")


def test_without_prices_nothing_is_shown_not_even_what_was() -> None:
    known = count({}, NOW, make())
    shown = tell(make_rows(), {}, known, NOW)
    assert [row.cost for row in add_costs(shown, shown, {}, None, NOW).values()] == [None, None]
    assert tell_total(known, None, NOW) == ""
    assert tell_total({}, PRICES, NOW) == ""


def test_hours_that_cannot_be_are_forgotten_alone() -> None:
    store = DictStore()
    memory = Memory(store)
    memory.meters.write({"a": Meter(NOW, MONTH, {"SMALL": 1.0}), "b": Meter(NOW, MONTH, {"SMALL": 2.0})})
    kept = Memory(store).meters.read()
    assert kept["b"].hours == {"SMALL": 2.0}
    for broken in (
        {"at": "2026-11-12T10:00:00", "since": MONTH.isoformat()},
        {"at": NOW.isoformat(), "since": MONTH.isoformat(), "hours": {"SMALL": -1.0}},
        {"at": NOW.isoformat(), "since": MONTH.isoformat(), "units": {"SMALL": "many"}},
    ):
        sound = {"at": NOW.isoformat(), "since": MONTH.isoformat(), "hours": {"SMALL": 3.0}}
        store.set("control.meters", wrap_value({"a": broken, "b": sound}))
        assert {name: meter.hours for name, meter in Memory(store).meters.read().items()} == {"b": {"SMALL": 3.0}}
