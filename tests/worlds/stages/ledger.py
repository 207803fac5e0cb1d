"""When control was told of what changed, beside when it changed and what kept a trigger from telling it sooner."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.deploy_ops.triggers.repository import PROBE_INTERVAL_S

if TYPE_CHECKING:
    from tests.worlds.doubles.simulated_time import SimulatedClock

POLL_S = 10.0
GITHUB, ASTRO, CHECKS, WAKE = "GitHub", "Astro", "checks", "wake"
CALM_S = {GITHUB: POLL_S + 5, CHECKS: POLL_S + 8, WAKE: POLL_S + 5, ASTRO: PROBE_INTERVAL_S + 5}
"""Seconds until control is woken by what changed while all was well: the time between two looks, and of a look."""

AFTER_S = {
    GITHUB: PROBE_INTERVAL_S + 25,
    CHECKS: PROBE_INTERVAL_S + 25,
    WAKE: PROBE_INTERVAL_S + 25,
    ASTRO: 2 * PROBE_INTERVAL_S,
}
"""And from the end of whatever was not well: the longest pause, and the time of a look that finds out in vain."""

WRONG_MAX, RECENT_MAX = 20, 25


@dataclass
class Ledger:
    """What control has to hear of, since when, and what kept it from hearing sooner."""

    clock: SimulatedClock
    untold: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in CALM_S})
    troubled_until: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CALM_S, -math.inf))
    longest_s: dict[tuple[str, str], float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """The first of what was not as it should be."""
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    """What was done last, and by whom."""

    def happen(self, kind: str, at_s: float | None = None) -> None:
        """Note that something changed of which control must hear."""
        self.untold[kind].append(self.clock.now_s if at_s is None else at_s)

    def trouble(self, until_s: float, *kinds: str) -> None:
        """Note what keeps a trigger from hearing of these things, or from telling them."""
        for kind in kinds or CALM_S:
            self.troubled_until[kind] = max(self.troubled_until[kind], until_s)

    def tell(self) -> None:
        """Note that control is woken: it looks at everything that has changed until now."""
        now_s = self.clock.now_s
        for kind, times in self.untold.items():
            for at_s in times:
                if at_s <= now_s:
                    self._judge(kind, at_s, now_s)
            times[:] = [at_s for at_s in times if at_s > now_s]

    def check(self) -> None:
        """Note what should have been told by now."""
        now_s = self.clock.now_s
        for kind, times in self.untold.items():
            late = [at_s for at_s in times if at_s <= now_s and self._judge(kind, at_s, now_s)]
            times[:] = [at_s for at_s in times if at_s not in late]

    def note(self, said: str) -> None:
        """Note what was done, for whoever looks into what is wrong."""
        self.recent.append(f"{self.clock.now_s:.1f} s: {said}")

    def doubt(self, said: str) -> None:
        """Note what is wrong, with what was done before."""
        if len(self.wrong) < WRONG_MAX:
            at = f"{self.clock.true_now:%m-%d %H:%M:%S} ({self.clock.now_s:.1f} s)"
            self.wrong.append("\n  ".join([f"{at}: {said}; before it:", *self.recent]))

    def _judge(self, kind: str, at_s: float, now_s: float) -> bool:
        """Return whether it comes too late."""
        troubled_s = min(self.troubled_until[kind], now_s)
        is_calm = troubled_s < at_s - AFTER_S[kind]
        lag_s = now_s - (at_s if is_calm else max(at_s, troubled_s))
        key = (kind, "calm" if is_calm else "after trouble")
        self.longest_s[key] = max(self.longest_s.get(key, 0.0), lag_s)
        is_late = lag_s > (CALM_S if is_calm else AFTER_S)[kind]
        if is_late:
            self.doubt(f"{kind} of {at_s:.1f} s was told {lag_s:.1f} s late, {key[1]}")
        return is_late
