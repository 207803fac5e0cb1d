"""How much may still be written to GitHub now: its limits on creating content, and the pauses it asks for. Pure.

GitHub asks for a second between writes, at most 80 a minute and 500 an hour; others use the token, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

WRITES_PER_HOUR_MAX = 400
SECONDS_BETWEEN = 1.0
"""Between two writes; so never more than 60 a minute."""

REST, REST_MAX = timedelta(seconds=30), timedelta(hours=1)
"""How long no new run is started after a failure: a minute at first, then twice as long each time."""

NOTED_AT_ONCE = 10
"""Writes that are noted before the first of them is sent: a tenth of the questions to Airflow's store."""

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """The writes of the last hour, by the minute in which they were sent, and until when GitHub wants silence.

    `failures` counts the tries that failed one after the other, the last one at `failed_at`.
    """

    minutes: Mapping[str, int] = field(default_factory=dict)
    last_at: datetime | None = None
    paused_until: datetime | None = None
    failures: int = 0
    failed_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether a new run is worth starting: something may be written, and a failure is not too fresh."""
        if self.failed_at is not None and now < self.failed_at + min(REST_MAX, REST * 2 ** min(self.failures, 10)):
            return False
        return self.count_left(now) > 0

    def end_run(self, now: datetime, *, has_failed: bool) -> Budget:
        """Return the budget after a run; a good one ends the row of failures."""
        if not has_failed:
            return replace(self, failures=0, failed_at=None)
        return replace(self, failures=self.failures + 1, failed_at=now)

    def count_left(self, now: datetime) -> int:
        """Return how many writes may follow, one second after the other."""
        if self.paused_until is not None and now < self.paused_until:
            return 0
        return max(0, WRITES_PER_HOUR_MAX - sum(self._list_recent(now).values()))

    def count_wait_s(self, now: datetime) -> float:
        """Return the seconds until the next write may be sent."""
        if self.last_at is None:
            return 0.0
        return min(SECONDS_BETWEEN, max(0.0, SECONDS_BETWEEN - (now - self.last_at).total_seconds()))

    def spend(self, now: datetime, count: int = 1) -> Budget:
        """Return the budget after one write, or after as many."""
        recent = self._list_recent(now)
        minute = _begin_minute(now).isoformat()
        return replace(self, minutes={**recent, minute: recent.get(minute, 0) + count}, last_at=now)

    def spend_ahead(self, now: datetime) -> Budget:
        """Return the budget as it is remembered before a write: with some more that may follow in this minute.

        Whoever dies then has noted some too many, and never too few. Who comes after waits a second: the last write may
        have been sent at any time until the minute's end.
        """
        return replace(self.spend(now, NOTED_AT_ONCE), last_at=_begin_minute(now) + _MINUTE)

    def covers(self, other: Budget, now: datetime) -> bool:
        """Whether what was written by the other in this minute is noted here."""
        minute = _begin_minute(now).isoformat()
        return other.minutes.get(minute, 0) <= self.minutes.get(minute, 0)

    def pause(self, now: datetime, seconds: float) -> Budget:
        """Return the budget after GitHub asked to wait."""
        return replace(self, paused_until=now + timedelta(seconds=seconds))

    def _list_recent(self, now: datetime) -> dict[str, int]:
        """Return the minutes that count: of the last hour, and the whole of the one in which it began."""
        begin = _begin_minute(now - _HOUR)
        return {each: count for each, count in self.minutes.items() if datetime.fromisoformat(each) >= begin}


def _begin_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
