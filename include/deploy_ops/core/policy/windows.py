"""The hours in which a target may be deployed to: whether now is one of them, and when the next begins. Pure.

Hours are those of a wall clock in one time zone: where clocks go forward an hour is missing, and a window that would
begin in it begins as they go; where they go back an hour comes twice, and so does a window in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HORIZON = timedelta(days=400)
"""How far an opening is looked for: what does not open within a year opens never."""

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = re.compile(r"([A-Za-z,-]+) ([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})")
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:/([0-9]{4}-[0-9]{2}-[0-9]{2}))?")
_MIDNIGHT, _LATE_MIDNIGHT = time(0), "24:00"
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Some hours of some weekdays (0 is Monday). One that ends no later than it starts ends on the next day."""

    days: frozenset[int]
    start: time
    end: time

    def holds(self, wall: datetime) -> bool:
        """Whether a wall clock's time is in them; the end is not."""
        now, day = wall.time(), wall.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= now < self.end
        return (day in self.days and now >= self.start) or ((day - 1) % 7 in self.days and now < self.end)


@dataclass(frozen=True, slots=True)
class Dates:
    """Whole days, the last one among them."""

    first: date
    last: date

    def holds(self, wall: datetime) -> bool:
        """Whether a wall clock's time is in them."""
        return self.first <= wall.date() <= self.last


@dataclass(frozen=True, slots=True)
class Windows:
    """When a deploy may begin: in any of `allow` (at all times, where there is none), and in none of `deny`."""

    allow: tuple[Hours, ...]
    deny: tuple[Hours | Dates, ...]
    zone: tzinfo

    def is_open(self, moment: datetime) -> bool:
        """Whether a deploy may begin at that moment."""
        wall = moment.astimezone(self.zone)
        is_allowed = not self.allow or any(each.holds(wall) for each in self.allow)
        return is_allowed and not any(each.holds(wall) for each in self.deny)

    def find_opening(self, now: datetime) -> datetime | None:
        """Return the first moment, now or later, at which a deploy may begin, in UTC; None: there is none in a year."""
        if self.is_open(now):
            return now.astimezone(UTC)
        return next((each for each in self._list_borders(now) if each > now and self.is_open(each)), None)

    def _list_borders(self, now: datetime) -> Iterator[datetime]:
        """Yield, in order, each moment of the coming year at which anything could open."""
        day = now.astimezone(self.zone).date()
        for _ in range(HORIZON.days):
            yield from sorted(self._list_borders_of(day))
            day += _DAY

    def _list_borders_of(self, day: date) -> set[datetime]:
        ends = (each.end for each in self.deny if isinstance(each, Hours))
        times = {_MIDNIGHT, *(each.start for each in self.allow), *ends}
        walls = (datetime.combine(day, each, self.zone).replace(fold=fold) for each in times for fold in (0, 1))
        return {each.astimezone(UTC) for each in walls} | set(self._find_turn(day))

    def _find_turn(self, day: date) -> Iterator[datetime]:
        """Yield the moment of the day at which clocks are moved, to the minute, where they are."""
        early = datetime.combine(day, _MIDNIGHT, self.zone).astimezone(UTC)
        late = datetime.combine(day + _DAY, _MIDNIGHT, self.zone).astimezone(UTC)
        if self._find_offset(early) == self._find_offset(late):
            return
        before = self._find_offset(early)
        while late - early > _MINUTE:
            middle = early + (late - early) // _MINUTE // 2 * _MINUTE
            early, late = (middle, late) if self._find_offset(middle) == before else (early, middle)
        yield late

    def _find_offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self.zone).utcoffset()


def parse_hours(text: str) -> Hours:
    """Return the hours that a text such as `Mon-Thu 09:00-16:00` or `Sat,Sun 22:00-02:00` means.

    :raises ValueError: what is expected.
    """
    match = _HOURS.fullmatch(text)
    days = _parse_days(match[1]) if match else None
    if match is None or days is None:
        raise ValueError("weekdays and hours, such as 'Mon-Thu 09:00-16:00' or 'Sat,Sun 22:00-02:00'")
    start, end = _parse_time(match[2]), _parse_time("00:00" if match[3] == _LATE_MIDNIGHT else match[3])
    if match[2] == match[3]:
        raise ValueError("hours that end at another time than they start; a whole day is 00:00-24:00")
    return Hours(days, start, end)


def parse_dates(text: str) -> Dates:
    """Return the days that a text such as `2026-12-20/2027-01-03` or `2026-12-24` means.

    :raises ValueError: what is expected.
    """
    match = _DATES.fullmatch(text)
    try:
        first, last = (date.fromisoformat(each) for each in (match[1], match[2] or match[1])) if match else (None, None)
    except ValueError:
        first = last = None
    if first is None or last is None or last < first:
        raise ValueError("a day or two with / between them, the later one last, such as '2026-12-20/2027-01-03'")
    return Dates(first, last)


def parse_denied(text: str) -> Hours | Dates:
    """Return the days or hours that a text means.

    :raises ValueError: what is expected.
    """
    return parse_dates(text) if text[:1].isdigit() else parse_hours(text)


def _parse_days(text: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS or part.endswith("-"):
            return None
        start, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
        found.update((start + each) % 7 for each in range((end - start) % 7 + 1))
    return frozenset(found)


def _parse_time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"times from 00:00 to 24:00; {text} is none") from None
