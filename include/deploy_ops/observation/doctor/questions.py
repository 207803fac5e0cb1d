"""Ask one service for fact after fact: what goes wrong with one of them is told in its place, and costs no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.doctor.fact import Cause, Unread, tell
from include.deploy_ops.core.errors import (
    AbsentError,
    DeployOpsError,
    ImageRefusedError,
    PermanentError,
    RateLimitError,
    ReadRefusedError,
    RightRefusedError,
    SilenceError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SILENCES_MAX = 2
"""Questions in a row without an answer after which no other is asked: each is tried for up to three minutes."""

_CAUSES: tuple[tuple[type[DeployOpsError], Cause], ...] = (
    (SilenceError, Cause.SILENCE),
    (RateLimitError, Cause.SILENCE),
    (TokenRefusedError, Cause.TOKEN),
    (RightRefusedError, Cause.RIGHT),
    (ReadRefusedError, Cause.RIGHT),
    (ImageRefusedError, Cause.RIGHT),
    (AbsentError, Cause.ABSENT),
    (PermanentError, Cause.WRONG),
)


def attempt(read: Callable[[], T]) -> T | Unread:
    """Return what is read, or why it cannot be."""
    try:
        return read()
    except DeployOpsError as error:
        cause = next((cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.UNUSABLE)
        return Unread(tell(error), cause)


@dataclass(slots=True)
class Questions:
    """The questions to one service, called by its name; `silences` counts those in a row that got no answer."""

    service: str
    silences: int = 0

    def ask(self, read: Callable[[], T]) -> T | Unread:
        """Return what the service tells, or why it does not."""
        if self.silences >= SILENCES_MAX:
            told = f"not asked, since {self.service} gave no answer to {SILENCES_MAX} questions before"
            return Unread(told, Cause.SILENCE)
        found = attempt(read)
        is_silent = isinstance(found, Unread) and found.cause is Cause.SILENCE
        self.silences = self.silences + 1 if is_silent else 0
        return found
