"""The time of day at the sandbox's GitHub and Astro: that of this machine, or as far beside it as the settings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_ahead = [timedelta()]


def now() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC) + _ahead[0]


def set_ahead(seconds: float) -> None:
    """Let the clocks be ahead of this machine's by so much, or behind it where that is negative."""
    _ahead[0] = timedelta(seconds=seconds)
