"""When a trigger of a deferred task may send its event, and how long it waits after a failed look.

Waits for nothing itself.
"""

from __future__ import annotations

import math
import random

from include.deploy_ops.core.errors import RateLimitError

FIRST_EVENT_S = 7.0
"""Seconds from a trigger's start before it may send an event: Airflow 3.3's supervisor may see the exit of the task
that deferred some 5 s late, and a task that is resumed before that fails."""

LONGEST_BACKOFF_S = 60.0


def choose_backoff_s(error: Exception, failures: int, interval_s: float) -> float:
    """Return the seconds to wait after the `failures`-th failure in a row (1, 2, …): growing, spread, up to a minute.

    A rate limit's own wish counts, however long.
    """
    wanted_s = error.retry_after_s if isinstance(error, RateLimitError) else 0.0
    backoff_s = min(LONGEST_BACKOFF_S, math.ldexp(interval_s, min(failures, 16)))
    return max(wanted_s, backoff_s * random.uniform(0.5, 1))  # noqa: S311 - spreads callers, no secret
