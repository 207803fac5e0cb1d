"""Does the memory reach back without a hole? What people said before one may be forgotten: nothing goes on it. Pure.

Airflow's tables may be restored from a backup, and the memory in them be older than what people said since; or it may
be gone. Nobody tells us. But control notes each pass: after a restore, as after any long pause, the last one is old.
An approval is acted on all the same: it is about one head, base and deploy, so that little can have followed it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

GAP_MAX = timedelta(hours=2)
"""Between two passes that follow one another. An upgrade takes less, and a backup is older as a rule."""

ALWAYS = datetime.min.replace(tzinfo=UTC)

DOUBTED_FOR = timedelta(hours=24)
"""After a hole: how long the brake lets nothing go by itself. Cleanup asks meanwhile, and a no is remembered anew."""


@dataclass(frozen=True, slots=True)
class Continuity:
    """Since when the memory has no hole, and when the last pass began.

    `busy` are the DAGs that had runs at work when all memory was lost, and have: nobody knows what they claimed.
    `heard_since`: since when words on pull requests count, None while they do not. `targets` names the Deployments that
    stood in the policy as targets when all of it could be read last, None where nobody knows.
    """

    since: datetime
    seen_at: datetime
    busy: tuple[str, ...] = ()
    heard_since: datetime | None = None
    targets: tuple[str, ...] | None = None


def continue_memory(known: Continuity | None, now: datetime) -> Continuity:
    """Return the continuity as of now; None is known where nobody remembers a pass."""
    if known is None or now - known.seen_at > GAP_MAX:
        return replace(known, since=now, seen_at=now, busy=()) if known else Continuity(now, now)
    return replace(known, seen_at=max(known.seen_at, now))
