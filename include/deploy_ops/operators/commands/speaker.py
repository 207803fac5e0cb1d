"""Answer people on GitHub within its limits: a sign on the comment, a reply on the pull request, and what is settled.

Decides nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.errors import RateLimitError
from include.deploy_ops.core.feedback.commands import QUIET

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from include.deploy_ops.hooks.github.commands import GithubCommandsHook
    from include.deploy_ops.hooks.github.comment_answers import Given
    from include.deploy_ops.run.memory import Memory, Permission

T = TypeVar("T")

BEGUN_MAX = 100
"""Previews of which it is remembered what was begun last."""

REST_S = 60.0
"""What is waited where as much was written as GitHub's limits leave us."""


def read_clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass
class Speaker:
    """Speaks for one project.

    :param clock: returns the time.
    :param pause: called with the seconds to wait before the next write.
    """

    github: GithubCommandsHook
    memory: Memory
    clock: Callable[[], datetime] = read_clock
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self.heard = self.memory.heard.read()

    def react(self, comment_id: int, content: str) -> Given:
        """Give the comment our sign. Raises as `GithubCommandsHook.react`, and where nothing may be written now."""
        return self._write_to_github(lambda: self.github.react(comment_id, content))

    def reply(self, number: int, body: str) -> bool:
        """Comment on the pull request, once an hour at most; return whether it was said. Raises as `react`."""
        now, known = self.clock(), self.heard.replied
        if str(number) in known and now - known[str(number)] < QUIET:
            return False
        recent = {key: at for key, at in known.items() if now - at < QUIET}
        self._write(replied={**recent, str(number): now})  # first: said once too few rather than twice
        self._write_to_github(lambda: self.github.create_comment(number, body))
        return True

    def settle(self, comment_id: int) -> None:
        """Remember that the comment is answered."""
        if comment_id not in self.heard.settled:
            self._write(settled=(*self.heard.settled, comment_id))

    def note_run(self, slug: str, run_id: str) -> None:
        """Remember the run that is begun for a preview; of many previews, those of the newest ones."""
        others = [(key, each) for key, each in self.heard.begun.items() if key != slug]
        self._write(begun=dict([*others[1 - BEGUN_MAX :], (slug, run_id)]))

    def forget(self, listed: Collection[int]) -> None:
        """Drop what GitHub lists no more among the newest comments."""
        kept = tuple(each for each in self.heard.settled if each in listed)
        if kept != self.heard.settled:
            self._write(settled=kept)

    def note(self, key: str, permission: Permission, until: datetime) -> None:
        """Remember what somebody may do, and forget what was said before that time."""
        recent = {name: each for name, each in self.heard.people.items() if each.at >= until}
        self._write(people={**recent, key: permission})

    def _write(self, **changes: object) -> None:
        self.heard = replace(self.heard, **changes)  # type: ignore[arg-type]  # its own fields
        self.memory.heard.write(self.heard)

    def _write_to_github(self, write: Callable[[], T]) -> T:
        self._take_turn()
        try:
            return write()
        except RateLimitError as error:
            self.memory.budget.write(self.memory.budget.read().pause(self.clock(), error.retry_after_s))
            raise

    def _take_turn(self) -> None:
        """Wait until a write may be sent, and count it. Raises RateLimitError where none may be sent now."""
        now, budget = self.clock(), self.memory.budget.read()
        if not budget.count_left(now):
            raise RateLimitError("as much was written to GitHub as its limits leave us for now", REST_S)
        if (pause_s := budget.count_wait_s(now)) > 0:
            self.pause(pause_s)
        self.memory.budget.write(budget.spend(self.clock()))
