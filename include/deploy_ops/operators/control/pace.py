"""What control leaves out so soon after a long pass: a burst is on then, and other tasks want Airflow's API server.

After a pass of more than some seconds it rests for a while. Until then the ends of runs begin no pass,
and one that GitHub calls for decides and starts, and leaves it to the next one to show what there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from pydantic import AwareDatetime, TypeAdapter

from include.deploy_ops.core.plan.pulse import REST_MAX, find_rest
from include.deploy_ops.core.versioned import read_value, wrap_value
from include.deploy_ops.triggers.repository import WAKE_AT_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.run.scope import Scope

REST_KEY = "rest_until"
"""Under which key of the repository's state a long pass leaves until when control rests."""

_TIME = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a pass that began at `now` follows the last one.

    `rest_until` is None where no rest lasts, and for what a person or the clock began: they want all of it.
    """

    store: Any
    now: datetime
    rest_until: datetime | None
    has_news: bool
    """Whether something else than the ends of runs called for it."""

    @classmethod
    def read(cls, context: Context, scope: Scope, now: datetime) -> Pace:
        """Return the pace of this task's pass."""
        events: Any = context.get("triggering_asset_events") or {}
        has_news, has_ends = bool(events.get(scope.repository)), bool(events.get(scope.fleet))
        store = context["asset_state_store"][scope.repository]
        known = read_value(REST_KEY, store.get(REST_KEY), _TIME) if has_news or has_ends else None
        is_on = known is not None and now < known <= now + REST_MAX
        return cls(store, now, known if is_on else None, has_news)

    def put_off(self) -> None:
        """Skip the pass that only ends of runs called for, until the rest is over."""
        if self.rest_until is None or self.has_news:
            return
        wake_at = read_value(WAKE_AT_KEY, self.store.get(WAKE_AT_KEY), _TIME)
        if wake_at is None or not self.now < wake_at <= self.rest_until:
            self.store.set(WAKE_AT_KEY, wrap_value(self.rest_until.isoformat()))
        seconds = (self.rest_until - self.now).total_seconds()
        raise AirflowSkipException(f"the last pass was a long one: the next begins in {seconds:.0f} s, or with a push")

    def rest(self, wake_at: datetime | None) -> datetime | None:
        """Leave until when control rests, where this pass was a long one; return when it is woken, not before that."""
        rest_until = self.rest_until
        if rest_until is None:
            rest_until = find_rest(self.now, datetime.now(UTC))
            if rest_until is None:
                return wake_at
            self.store.set(REST_KEY, wrap_value(rest_until.isoformat()))
            return wake_at and max(wake_at, rest_until)
        return rest_until
