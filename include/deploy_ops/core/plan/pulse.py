"""When control looks again although nobody told it anything: soon while something is open, else once an hour. Pure.

And for how long it rests after a long pass.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from include.deploy_ops.core.plan.work import Plan

OPEN_AGAIN = timedelta(minutes=5)
"""The longest pause while something is at work or held: what ends it may be something of which nobody tells us."""

RESYNC = timedelta(hours=1)
"""The longest pause of all."""

LONG_PASS, REST_MAX = timedelta(seconds=2), timedelta(seconds=30)
"""From which time on a pass is a long one, and the longest rest after it."""

REST_TIMES = 3
"""How many times as long as the pass the rest is: then passes take a quarter of the time, and what they start the rest.
"""


def is_open(plan: Plan) -> bool:
    """Whether anything starts, or waits for something other than its branch's next push."""
    return bool(plan.actions) or any(not hold.kind.is_settled for hold in plan.holds)


def find_next_look(plan: Plan, now: datetime, *, is_busy: bool) -> datetime | None:
    """Return when the trigger wakes control at the latest; None leaves it to the hourly resync.

    :param is_busy: whether something is at work, or left to be done, besides what the plan says.
    """
    times = [plan.wake_at, now + OPEN_AGAIN if is_busy or is_open(plan) else None]
    return min((each for each in times if each is not None), default=None)


def find_rest(began: datetime, ended: datetime) -> datetime | None:
    """Return until when control rests after a pass that was a long one; None after others."""
    took = ended - began
    return ended + min(REST_TIMES * took, REST_MAX) if took >= LONG_PASS else None


def spread_resync(project: str) -> str:
    """Return the cron expression of a project's resync: the projects' fall on different minutes of the hour."""
    return f"{_scatter(project) % 60} * * * *"


def spread_daily(project: str, what: str) -> str:
    """Return the cron expression of what a project does once a day: the projects' fall on different minutes of it."""
    hour, minute = divmod(_scatter(f"{project}.{what}") % (24 * 60), 60)
    return f"{minute} {hour} * * *"


def _scatter(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)
