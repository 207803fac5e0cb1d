"""A backend of Airflow's stats that keeps what it is told, for tests of metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk.observability import stats

NO_STATS = {"export_legacy_names": False}


class StatsDouble:
    """What was counted, set and timed, by name; tags become part of the key."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.gauges: dict[tuple[str, ...], float] = {}
        self.timings: dict[tuple[str, ...], list[float]] = {}

    def incr(self, stat: str, count: int = 1, rate: float = 1, *, tags: Mapping[str, str] | None = None) -> None:
        """Count."""
        self.counts[_key(stat, tags)] += count

    def gauge(self, stat: str, value: float, rate: float = 1, *, tags: Mapping[str, str] | None = None) -> None:
        """Keep the last value."""
        self.gauges[_key(stat, tags)] = value

    def timing(self, stat: str, dt: float | timedelta, *, tags: Mapping[str, str] | None = None) -> None:
        """Keep each time, in seconds."""
        seconds = dt.total_seconds() if isinstance(dt, timedelta) else dt / 1000
        self.timings.setdefault(_key(stat, tags), []).append(seconds)

    @property
    def all_keys(self) -> set[tuple[str, ...]]:
        """Every name with its tags."""
        return {*self.counts, *self.gauges, *self.timings}


def _key(stat: str, tags: Mapping[str, str] | None) -> tuple[str, ...]:
    return (stat, *(f"{name}={value}" for name, value in sorted((tags or {}).items())))


@contextmanager
def keep_stats() -> Iterator[StatsDouble]:
    """Let Airflow's stats be kept here until the end."""
    double = StatsDouble()
    make: Any = lambda: double  # noqa: E731
    stats.initialize(factory=make, **NO_STATS)
    try:
        yield double
    finally:
        stats.initialize(factory=_make_none, **NO_STATS)


def _make_none() -> Any:
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    return NoStatsLogger()
