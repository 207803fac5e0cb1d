"""How GitHub, Astro and control were seen last, and the one sentence that says of each what fails. Pure.

The page shows the sentence, and the notification of an outage sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

if TYPE_CHECKING:
    from collections.abc import Iterable

GITHUB, ASTRO = "GitHub", "Astro"
CAUSE_LENGTH_MAX = 600
"""Characters of a cause that are kept; the log has all of it."""

OUTAGE_MIN = timedelta(seconds=20)
"""What fails for longer may have failed a pass of control, which rides out a moment and is tried again by itself."""

RENEWED_AFTER = timedelta(seconds=30)
"""After so long it is written anew that a service is seen well."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a service was seen last.

    `well_at` is when it answered as it should; `since`, when it began to fail, None while it does not; `said` the
    sentence about that, empty likewise. `next_at`: when somebody looks again.
    """

    looked_at: AwareDatetime
    well_at: AwareDatetime | None = None
    since: AwareDatetime | None = None
    cause: str = ""
    said: str = ""
    next_at: AwareDatetime | None = None


def see_well(now: datetime) -> Sight:
    """Return how a service is seen that just answered as it should."""
    return Sight(now, well_at=now)


def see_failing(name: str, known: Sight | None, cause: str, now: datetime) -> Sight:
    """Return how a service is seen that just failed; `known` is how it was seen before."""
    since = known.since if known is not None and known.since is not None else now
    told = " ".join(cause.split())[:CAUSE_LENGTH_MAX]
    said = f"{name} fails since {since:%Y-%m-%d %H:%M} UTC: {told}"
    return Sight(now, known.well_at if known is not None else None, since, told, said)


def is_news(known: Sight | None, seen: Sight) -> bool:
    """Whether it is written what was seen: at once what is another, else every now and then."""
    if known is None or (known.since, known.cause) != (seen.since, seen.cause):
        return True
    return abs(seen.looked_at - known.looked_at) >= RENEWED_AFTER  # the clock may have been set back


def has_recovered(known: Sight | None, seen: Sight) -> bool:
    """Whether an outage ended in which control may have failed, so that it had better look again now."""
    if known is None or known.since is None or seen.since is not None:
        return False
    # Where the clock was set back meanwhile, nobody knows how long it was.
    return not timedelta(0) <= seen.looked_at - known.since < OUTAGE_MIN


def expect_look(seen: Sight, pause_s: float) -> Sight:
    """Return the same sight with when somebody looks again."""
    return replace(seen, next_at=seen.looked_at + timedelta(seconds=pause_s))


def describe_outage(sights: Iterable[Sight | None]) -> str:
    """Return what fails, a sentence each; empty where nothing does."""
    return ". ".join(each.said for each in sights if each is not None and each.said)
