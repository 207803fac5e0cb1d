"""The tour's steps: each timed, told with the page that shows it, and kept for what comes at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from demo.witness import Witness

T = TypeVar("T")


@dataclass
class Steps:
    """The witness who plays them, and what was measured: name and seconds of each step."""

    witness: Witness
    write: Callable[[str], None]
    measured: list[tuple[str, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Print a line, and remember it."""
        self.said.append(line)
        self.write(line)

    def tell(self, step: str, seconds: float, run: dict[str, Any], detail: str) -> None:
        """Print one finished step, with its run's page."""
        self.tell_page(step, seconds, self.witness.link(run), detail)

    def tell_page(self, step: str, seconds: float, page: str, detail: str) -> None:
        """Print one finished step, with the page that shows it."""
        self.measured.append((step, seconds))
        self.say(f"✔ {step}: {seconds:.1f} s; {detail}\n    {page}")

    def tell_all(self) -> None:
        """Print every step's time once more, and that of all."""
        minutes, rest = divmod(round(time.monotonic() - self.began_s), 60)
        self.say(f"Every step came true, in {minutes} min {rest} s:")
        for step, seconds in self.measured:
            self.say(f"  {seconds:6.1f} s  {step}")

    def time(self, play: Callable[[], T]) -> tuple[T, float]:
        """Return what comes of it, and after how many seconds."""
        start = time.monotonic()
        return play(), time.monotonic() - start
