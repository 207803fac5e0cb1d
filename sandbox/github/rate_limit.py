"""Count requests an hour as GitHub does. Decides nothing about which requests count."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.settings import Settings

WINDOW_S = 3600.0


@dataclass(slots=True)
class RateLimit:
    """The requests of one token in the running hour; the limit is read from the settings each time."""

    settings: Settings
    used: int = 0
    _started_s: float = field(default_factory=time.time)

    @property
    def limit(self) -> int:
        """Give how many requests an hour are answered."""
        return self.settings.rate_limit

    @property
    def remaining(self) -> int:
        """Give how many are left, starting a new hour where one has passed."""
        if time.time() >= self._started_s + WINDOW_S:
            self.restart()
        return max(0, self.limit - self.used)

    @property
    def reset_s(self) -> int:
        """Give when the hour ends, in seconds since the epoch."""
        return int(self._started_s + WINDOW_S)

    def restart(self) -> None:
        """Start a new hour now."""
        self.used, self._started_s = 0, time.time()

    def count_request(self) -> None:
        """Count one answered request."""
        self.used += 1

    def list_headers(self) -> dict[str, str]:
        """Give the headers that every answer carries."""
        return {
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset_s),
            "x-ratelimit-resource": "core",
        }
