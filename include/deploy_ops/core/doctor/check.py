"""One line of the doctor's table: what was looked at, how it stands, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check stands; who cannot know says so instead of guessing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_KNOWN = "not known"


class Area(StrEnum):
    """Where what is checked lives; the table's order."""

    GITHUB = "GitHub"
    ASTRO = "Astro"
    REGISTRY = "Registry"
    TEMPLATE = "Template"
    HERE = "Here"


@dataclass(frozen=True, slots=True)
class Check:
    """A check and how it stands; whatever is not ok has an advice."""

    area: Area
    name: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.status is not Status.OK and not self.advice:
            raise ValueError(f"{self.area} {self.name} is {self.status} and says nothing of what to do")
