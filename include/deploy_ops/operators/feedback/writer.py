"""Carry out the writes that feedback misses, one after the other, and remember each as soon as it is done.

What is missing, `feedback` decides. Here: GitHub's limits, permissions that are missing, and what becomes of a refusal.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, assert_never

from include.deploy_ops.core.errors import (
    DeployOpsError,
    ObservationError,
    RateLimitError,
    ReadRefusedError,
    RetryableError,
    WriteRefusedError,
)
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.feedback.comparison import compare_feedback
from include.deploy_ops.core.feedback.environments import FINAL
from include.deploy_ops.core.feedback.statuses import PENDING
from include.deploy_ops.core.feedback.values import (
    REFUSED,
    AddGithubDeploymentStatus,
    CreateGithubDeployment,
    DeleteGithubEnvironment,
    FeedbackRecord,
    Kind,
    SetStatus,
    Write,
    WriteComment,
    key_lack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from include.deploy_ops.core.feedback.values import Facts
    from include.deploy_ops.core.view.row import Row
    from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook
    from include.deploy_ops.run.memory import Memory

log = logging.getLogger(__name__)

FAILURES_MAX = 3
"""Writes that may go wrong one after the other before a run stops: then it is GitHub, and not the write."""

_FORBIDDEN = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_TOKEN_WRONG = HTTPStatus.UNAUTHORIZED
_LOCKED = "locked"


class _SpentError(DeployOpsError):
    """Nothing more may be written now."""


def read_clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass
class FeedbackResult:
    """What a run told, what it could not, and what waits for the next."""

    told: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lacking: dict[Kind, str] = field(default_factory=dict)
    waiting: int = 0
    pause: str = ""


@dataclass
class FeedbackWriter:
    """Tells one repository what its rows say.

    :param clock: returns the time.
    :param pause: called with the seconds to wait before the next write.
    """

    github: GithubFeedbackHook
    memory: Memory
    facts: Facts
    clock: Callable[[], datetime] = read_clock
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._records: dict[str, FeedbackRecord] = {}
        self._budget = self._noted = Budget()
        self.result = FeedbackResult()

    def write(self, rows: Mapping[str, Row], *, is_fresh: bool = False) -> FeedbackResult:
        """Write what is missing, as far as GitHub's limits allow.

        :param is_fresh: a person asks: kinds of feedback that GitHub refused lately are tried again.
        :raises RetryableError: something went wrong that may go right later; what was told is remembered.
        """
        self._records = self.memory.feedback.read()
        self._budget = self._noted = self.memory.budget.read()
        self.result = result = FeedbackResult()
        if is_fresh:
            self._remember({key_lack(kind): None for kind in Kind})
        plan = compare_feedback(rows, self._records, self.facts, self.clock())
        done = self._tell_each(plan.writes)
        left = [write for write in plan.writes[done:] if write.kind not in result.lacking]
        result.waiting = len(left)
        self._remember(dict.fromkeys((*plan.forgotten, *self._list_left(plan.writes))))
        self._conclude(has_failed=bool(result.failed))
        if result.failed:
            raise RetryableError(f"{len(result.failed)} of {len(plan.writes)} were not told: {result.failed[0]}")
        return result

    def _list_left(self, writes: Iterable[Write]) -> list[str]:
        """Return what of environments that may not be deleted need not be remembered: they stay, and that is told."""
        if Kind.ENVIRONMENT not in self.result.lacking:
            return []
        told = (key for write in writes if isinstance(write, DeleteGithubEnvironment) for key in write.told)
        return [key for key in told if key in self._records and self._records[key].state in FINAL]

    def _conclude(self, *, has_failed: bool) -> None:
        self._budget = self._budget.end_run(self.clock(), has_failed=has_failed)
        self._note(self._budget)

    def _note(self, budget: Budget) -> None:
        if budget != self._noted:
            self.memory.budget.write(budget)
            self._noted = budget

    def _tell_each(self, writes: tuple[Write, ...]) -> int:
        """Carry the writes out in their order; return how many were dealt with."""
        failures = 0
        for number, write in enumerate(writes):
            try:
                is_fine = self._tell_one(write)
            except _SpentError as spent:
                self.result.pause = str(spent)
                return number
            failures = 0 if is_fine else failures + 1
            if failures == FAILURES_MAX:
                return number + 1
        return len(writes)

    def _tell_one(self, write: Write) -> bool:
        """Carry one write out; return False where it failed in a way that may pass."""
        if write.kind in self.result.lacking:
            return True
        before = self._budget
        try:
            self._carry_out(write)
            if self._budget != before:  # GitHub took something, and refuses this kind no longer
                self._remember({key_lack(write.kind): None})
        except RateLimitError as error:
            now = self.clock()
            self._budget = self._budget.pause(now, error.retry_after_s)
            self._note(self._budget)
            raise _SpentError(f"GitHub asks to wait {error.retry_after_s:.0f} s") from error
        except ReadRefusedError as error:
            self._miss_permission(write.kind, error)
        except WriteRefusedError as error:
            return self._take_refusal(write, error)
        except (RetryableError, ObservationError) as error:
            log.warning("%s: %s", write, error)
            self.result.failed.append(f"{write}: {error}")
            return False
        return True

    def _take_refusal(self, write: Write, error: WriteRefusedError) -> bool:
        """Deal with a no: of the token, of a permission, or to this one write, which is not repeated as it is."""
        is_moved = error.status < HTTPStatus.BAD_REQUEST  # a redirect is about the repository, and not about the write
        if error.status == _TOKEN_WRONG or is_moved:
            log.warning("%s: %s", write, error)
            self.result.failed.append(f"{write}: {error}")
            return False
        if error.status in _FORBIDDEN and _LOCKED not in error.said.lower():
            self._miss_permission(write.kind, error)
            return True
        log.warning("%s is not told: %s", write, error)
        self.result.refused.append(f"{write}: {error}")
        if isinstance(write, DeleteGithubEnvironment):
            self._remember(dict.fromkeys(write.told))
            return True
        known = self._records.get(write.key, write.record)
        self._remember({write.key: replace(write.record, id=known.id, state=REFUSED)})
        return True

    def _miss_permission(self, kind: Kind, error: Exception) -> None:
        """Name a missing permission once, and leave its kind of feedback out until something changes."""
        needed = f"{kind.title} is left out, the token needs the permission '{kind.permission}'"
        log.warning("%s: %s", needed, error)
        self.result.lacking[kind] = needed
        lack = FeedbackRecord(digest=self.facts.access, state=REFUSED, policy=self.facts.policy, at=self.clock())
        self._remember({key_lack(kind): lack})

    def _carry_out(self, write: Write) -> None:
        match write:
            case WriteComment():
                self._write_comment(write)
            case SetStatus():
                self._take_turn(write)
                self.github.set_status(write.sha, write.context, write.state, write.description, write.target_url)
                self._remember({write.key: write.record})
            case CreateGithubDeployment():
                self._create_deployment(write)
            case AddGithubDeploymentStatus():
                self._add_state(write)
            case DeleteGithubEnvironment():
                self._delete_environment(write)
                return
            case _:
                assert_never(write)
        self.result.told.append(str(write))

    def _add_state(self, write: AddGithubDeploymentStatus) -> None:
        self._take_turn(write)
        try:
            self.github.add_deployment_state(write.deployment_id, write.environment, write.status)
        except WriteRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self._remember({write.key: None})  # somebody deleted it: the next run makes another, if one is wanted
        else:
            self._remember({write.key: write.record})

    def _delete_environment(self, write: DeleteGithubEnvironment) -> None:
        """Delete it, once all of ours in it is history, and forget that: whatever becomes of it, nobody asks again."""
        records = [self._records.get(key) for key in write.told]
        if any(record is not None and record.state not in FINAL for record in records):
            return  # what would have ended it failed just now, and comes again
        if self.github.has_strangers(write.environment, write.mark):
            self._leave(write, "others deployed to it, too")
        else:
            self._take_turn(write)
            try:
                self.github.delete_environment(write.environment)
            except WriteRefusedError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                self._leave(write, f"it is gone already, or the token needs the permission '{write.kind.permission}'")
            else:
                self.result.told.append(str(write))
        self._remember(dict.fromkeys(write.told))

    def _leave(self, write: DeleteGithubEnvironment, why: str) -> None:
        log.info("%s is not done: %s", write, why)
        self.result.refused.append(f"{write}: {why}")

    def _write_comment(self, write: WriteComment) -> None:
        """Let the comment say it: the one we know, else the one that is found, else a new one."""
        comment_id = write.comment_id
        if not comment_id or not self._edit(write, comment_id):
            self._remember({write.key: None})
            comment_id = self._edit_found(write) or self._create_comment(write)
        self._remember({write.key: replace(write.record, id=comment_id)})

    def _edit_found(self, write: WriteComment) -> int:
        """Let our comment say it that GitHub has, whatever we remember; return its id, 0 where it has none."""
        found = self.github.find_comment(write.pull, write.marker)
        if found is None:
            return 0
        return found.id if found.body == write.body or self._edit(write, found.id) else 0

    def _edit(self, write: WriteComment, comment_id: int) -> bool:
        self._take_turn(write)
        return self.github.edit_comment(comment_id, write.body)

    def _create_comment(self, write: WriteComment) -> int:
        self._take_turn(write)
        return self.github.create_comment(write.pull, write.body)

    def _create_deployment(self, write: CreateGithubDeployment) -> None:
        """Create it unless it is there already, and give it its status unless it has it."""
        found = self.github.find_deployment(write.environment, write.sha, write.mark)
        if found is not None:
            deployment_id, state = found
        else:
            self._take_turn(write)
            state = None
            deployment_id = self.github.create_deployment(
                write.environment,
                write.sha,
                write.mark,
                is_transient=write.is_transient,
                is_production=write.is_production,
            )
        # Without its status yet: whatever happens next, it is not created again.
        self._remember({write.key: replace(write.record, id=deployment_id, digest="", state="")})
        if state is None or state.digest != write.status.digest:
            self._take_turn(write)
            self.github.add_deployment_state(deployment_id, write.environment, write.status)
        self._remember({write.key: replace(write.record, id=deployment_id)})

    def _take_turn(self, write: Write) -> None:
        """Wait until a write may be sent, and count it. Raises `_SpentError` where none may be sent now.

        From here on nobody knows what GitHub was told last, until it has answered: that is doubted.
        """
        now = self.clock()
        if not self._budget.count_left(now):
            raise _SpentError("as much was written as GitHub's limits leave us for now")
        if (pause_s := self._budget.count_wait_s(now)) > 0:
            self.pause(pause_s)
        now = self.clock()
        before, self._budget = self._budget, self._budget.spend(now)
        if not self._noted.covers(self._budget, now):
            self._note(before.spend_ahead(now))
        if not isinstance(write, DeleteGithubEnvironment):
            self._doubt(write)

    def _doubt(self, write: Write) -> None:
        """Remember that GitHub may have been told this, or not: what it was told before is told anew, too.

        What is never taken back counts as told: that a commit was success, that a preview is gone.
        """
        known, after = self._records.get(write.key), write.record
        if known is None and isinstance(write, SetStatus):
            known = FeedbackRecord(state=PENDING, about=after.about)
        if known is not None:
            settled = tuple(sorted(known.succeeded | after.succeeded))
            self._remember({write.key: replace(known, digest="", settled=settled, gone=after.gone)})

    def _remember(self, changes: Mapping[str, FeedbackRecord | None]) -> None:
        after = {key: record for key, record in {**self._records, **changes}.items() if record is not None}
        if after != self._records:
            self.memory.feedback.write(self._records, after)
            self._records = after
