"""Which previews hold older values than the management Airflow has now, told by seals of the values alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from include.deploy_ops.core.naming import hash_text

if TYPE_CHECKING:
    from datetime import datetime

REREAD_AFTER = timedelta(minutes=40)
"""Between two readings of what is mapped: with the time that updates take, a new value is everywhere in an hour."""

RETRY_AFTER = timedelta(minutes=5)
"""The same after a reading that failed."""

_DIGEST_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Laid:
    """What a Deployment was given last: by environment variable a seal of its value, for that Deployment alone.

    There is none while a call is under way, and after one that failed: nobody knows what it did. `at` is when the
    values were read.
    """

    deployment_id: str
    seals: Mapping[str, str]
    at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """The values of a Deployment that are others by now: by environment variable the seal of the new one."""

    seals: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment variables."""
        return tuple(sorted(self.seals))

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name the new values."""
        return hash_text(repr(sorted(self.seals.items())), _DIGEST_LENGTH)

    def is_laid(self, laid: Laid | None, read_at: datetime) -> bool:
        """Whether the Deployment got them since, or newer ones: a secrets backend may make another one for each reader.

        :param read_at: when they were read.
        """
        if laid is None:
            return False
        is_newer = laid.at is not None and laid.at >= read_at
        return is_newer or all(laid.seals.get(key) == seal for key, seal in self.seals.items())


@dataclass(frozen=True, slots=True)
class Reading:
    """The last reading of what is mapped: when, which Deployments have other values, or why it failed."""

    at: AwareDatetime
    stale: Mapping[str, Rotated] = field(default_factory=dict)
    problem: str = ""

    @property
    def due_at(self) -> datetime:
        """When it is time to read again."""
        return self.at + (RETRY_AFTER if self.problem else REREAD_AFTER)

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to read again."""
        return not self.at <= now < self.due_at


def find_rotated(laid: Laid | None, deployment_id: str, seals: Mapping[str, str]) -> Rotated | None:
    """Return what a Deployment lacks of the values of now, by their seals; None where it has them all."""
    known = laid.seals if laid is not None and laid.deployment_id == deployment_id else {}
    found = {key: seal for key, seal in seals.items() if known.get(key) != seal}
    return Rotated(found) if found else None
