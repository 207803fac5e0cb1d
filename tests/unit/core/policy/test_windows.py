"""Windows: on both sides of each border, where clocks are moved, over midnight, and where nothing opens."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.policy.windows import Dates, Hours, Windows, parse_dates, parse_denied, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def windows(*allow: str, deny: tuple[str, ...] = (), zone: str = "Europe/Berlin") -> Windows:
    return Windows(tuple(map(parse_hours, allow)), tuple(map(parse_denied, deny)), ZoneInfo(zone))


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rules", "opens", "closes"),
    [
        (windows("Mon-Thu 09:00-16:00"), "2026-11-30 09:00", "2026-11-30 16:00"),
        (windows("Fri 22:00-02:00"), "2026-12-04 22:00", "2026-12-05 02:00"),
        (windows("Sun 23:30-24:00"), "2026-12-06 23:30", "2026-12-07 00:00"),
        (windows("Sat-Mon 00:00-24:00"), "2026-12-05 00:00", "2026-12-08 00:00"),
        (windows(deny=("2026-12-20/2027-01-03",)), "2027-01-04 00:00", ""),
        (windows("Mon 09:00-16:00", deny=("Mon 11:00-13:00",)), "2026-11-30 13:00", "2026-11-30 16:00"),
        (windows("Mon 09:00-16:00", deny=("2026-11-30",)), "2026-12-07 09:00", "2026-12-07 16:00"),
    ],
)
def test_each_border_has_two_sides(rules: Windows, opens: str, closes: str) -> None:
    assert not rules.is_open(berlin(opens) - SECOND)
    assert rules.is_open(berlin(opens))
    assert rules.find_opening(berlin(opens) - SECOND) == berlin(opens)
    if closes:
        assert rules.is_open(berlin(closes) - SECOND)
        assert not rules.is_open(berlin(closes))


def test_without_rules_it_is_always_open() -> None:
    assert windows().find_opening(utc("2026-03-29 01:00")) == utc("2026-03-29 01:00")


def test_what_begins_in_the_missing_hour_begins_as_the_clocks_go_forward() -> None:
    rules = windows("Sun 02:30-04:00")
    turn = utc("2026-03-29 01:00")
    assert not rules.is_open(turn - SECOND)
    assert rules.find_opening(turn - DAY) == turn
    assert rules.is_open(berlin("2026-03-29 03:59"))
    assert not rules.is_open(berlin("2026-03-29 04:00"))


def test_what_lies_in_the_missing_hour_does_not_open_that_day() -> None:
    rules = windows("Sun 02:10-02:50")
    assert rules.find_opening(berlin("2026-03-28 12:00")) == berlin("2026-04-05 02:10")


def test_what_lies_in_the_hour_that_comes_twice_opens_twice() -> None:
    rules = windows("Sun 02:10-02:50")
    first, second = utc("2026-10-25 00:10"), utc("2026-10-25 01:10")
    assert rules.find_opening(berlin("2026-10-25 01:00")) == first
    assert rules.find_opening(first + timedelta(minutes=40)) == second
    assert not rules.is_open(second - SECOND)
    assert rules.find_opening(second + timedelta(minutes=40)) == berlin("2026-11-01 02:10")


@pytest.mark.parametrize("deny", ["Fri 12:00-18:00", "Thu-Sat 00:00-24:00", "2026-01-01/2032-01-01"])
def test_what_is_denied_whole_never_opens(deny: str) -> None:
    assert windows("Fri 13:00-16:00", deny=(deny,)).find_opening(utc("2026-11-30 08:00")) is None


HOURS = st.builds(
    Hours,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.builds(time, st.integers(0, 23), st.sampled_from([0, 10, 30])),
    st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 45])),
)
TURNS = ["2026-03-29 01:00", "2026-10-25 01:00", "2026-04-04 15:30", "2026-04-23 22:00", "2026-10-29 21:00"]
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "UTC"]


@settings(max_examples=60)
@given(
    st.lists(HOURS, max_size=2),
    st.lists(st.one_of(HOURS, st.just(parse_dates("2026-03-29/2026-03-30"))), max_size=2),
    st.sampled_from(ZONES),
    st.sampled_from(TURNS),
    st.integers(-1440, 600),
)
@example([parse_hours("Fri 00:00-01:30")], [], "Africa/Cairo", "2026-04-23 22:00", -1)
def test_the_opening_is_the_first_open_minute(
    allow: list[Hours], deny: list[Hours | Dates], zone: str, turn: str, minutes: int
) -> None:
    rules, now = Windows(tuple(allow), tuple(deny), ZoneInfo(zone)), utc(turn) + minutes * MINUTE
    days = [now + minute * MINUTE for minute in range(2 * 1440)]
    expected = next((each for each in days if rules.is_open(each)), None)
    found = rules.find_opening(now)
    assert found == expected if expected is not None else found is None or found > days[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "weekdays and hours"),
        ("mon 09:00-16:00", "weekdays and hours"),
        ("Mon- 09:00-16:00", "weekdays and hours"),
        ("Mon 9:00-16:00", "weekdays and hours"),
        ("Mon 09:00-25:00", "times from 00:00 to 24:00; 25:00 is none"),
        ("Mon 24:00-01:00", "times from 00:00 to 24:00; 24:00 is none"),
        ("Mon 09:00-09:00", "a whole day is 00:00-24:00"),
        ("2026-02-30", "a day or two"),
        ("2026-12-20/2026-12-19", "a day or two"),
        ("2026-12-20/", "a day or two"),
    ],
)
def test_what_is_no_window_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_denied(text)


def test_weekdays_go_round() -> None:
    assert parse_hours("Sat-Mon,Wed 09:00-16:00").days == {5, 6, 0, 2}
