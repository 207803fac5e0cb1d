"""Wake the control DAG when a repository's branches or pull requests change, or when planned work falls due.

Decides nothing and stores nothing: events tell that it is worth looking, and the task that was woken keeps the cursor.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from pydantic import TypeAdapter

from include.deploy_ops.core.versioned import read_value, unwrap_value
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.triggers.base import StoredTrigger
from include.deploy_ops.triggers.repository_cursor import Cursor, has_changed, read_cursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from include.deploy_ops.hooks.github.http import Quota
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

CURSOR_KEY = "cursor"
WAKE_AT_KEY = "wake_at"
_CURSOR = TypeAdapter(Cursor)
FIRST_BACKOFF_S = 2.0
LONGEST_BACKOFF_S = 300.0
SCARCE_INTERVAL_S = 60.0  # between polls while little of the rate limit is left


@dataclass(eq=False, repr=False)
class RepositoryTrigger(StoredTrigger, BaseEventTrigger):
    """Polls one repository with conditional requests for as long as a DAG waits for its events; never ends by itself.

    Yields `{"reason": …, "cursor": …}`. `reason` is "started" once, after the first successful poll; "changed" per
    poll that found a real change; "due" once per time that the plan left in the asset state store as "wake_at" (ISO
    8601). The task that is woken stores `cursor` there as "cursor", so that a restarted trigger goes on conditionally;
    a lost cursor costs requests and nothing else. Every failure is logged in one line and tried again, after 2 s at
    first and up to 5 minutes, or when GitHub's rate limit permits.

    :param project: the policy's project, in every log line.
    :param github_conn_id: the Airflow connection to GitHub.
    :param repository: owner/name.
    :param trunk: the branch whose absence means that a listing cannot be trusted.
    :param poll_interval_s: seconds between polls.
    """

    project: str
    github_conn_id: str
    repository: str
    trunk: str
    poll_interval_s: float = 10.0
    _hook: DeployOpsGithubHook | None = field(default=None, init=False)
    _cursor: Cursor | None = field(default=None, init=False)
    _has_started: bool = field(default=False, init=False)
    _announced_wake: str = field(default="", init=False)
    _is_slowed: bool = field(default=False, init=False)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until cancelled; see the class."""
        start_stats()
        failures = 0
        while True:
            reasons: list[str] = []
            try:
                reasons = await self._poll()
                failures, pause_s = 0, self._choose_interval_s()
            except Exception as error:  # noqa: BLE001 - a trigger that raises is restarted every 2 s, for ever
                failures += 1
                pause_s = choose_backoff_s(error, failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
                self._close_hook()
                self._tell_failure(error, pause_s)
            # The cursor goes with the event, and the task that it wakes stores it. Written here it would be saved
            # before the event is, and a triggerer that dies in between would lose the change.
            for reason in reasons:
                yield self._make_event(reason)
            await asyncio.sleep(pause_s)

    async def cleanup(self) -> None:
        """Close the connections to GitHub."""
        self._close_hook()

    async def _poll(self) -> list[str]:
        # What was announced is only remembered at the end, so that a failure half-way announces it again.
        wake = await self._find_due_wake()
        known = self._cursor or await self._load_cursor()
        # The hook waits for its answers: in the triggerer's own loop it would hold up every other trigger.
        current = await asyncio.to_thread(self._look, known)
        # After a start nobody knows what went by: one pass looks at everything, so that no difference need be told
        # besides.
        reasons = [] if self._has_started else ["started"]
        if self._has_started and has_changed(known, current):
            reasons.append("changed")
        if wake is not None:
            reasons.append("due")
            # The store keeps the time until a plan writes another, and it is announced once.
            self._announced_wake = wake
        self._cursor, self._has_started = current, True
        return reasons

    def _look(self, known: Cursor) -> Cursor:
        if self._hook is None:
            self._hook = _make_hook(self.github_conn_id, self.repository)
        return read_cursor(self._hook, self.trunk, known)

    def _close_hook(self) -> None:
        # The next poll reads the Airflow connection again: it may have been repaired.
        if self._hook is not None:
            self._hook.close()
        self._hook = None

    def _make_event(self, reason: str) -> TriggerEvent:
        cursor = self._cursor or Cursor()
        return TriggerEvent({"reason": reason, "cursor": cursor.model_dump(mode="json")})

    async def _read_state(self, key: str) -> Any:
        return None if self.asset_state_store is None else await self.asset_state_store.aget(key)

    async def _load_cursor(self) -> Cursor:
        stored = await self._read_state(CURSOR_KEY)
        cursor = read_value(CURSOR_KEY, stored, _CURSOR, within=("pull_requests",))
        if cursor is None and stored is not None:
            self.log.warning("%s: the stored cursor cannot be used, reading everything again", self.project)
        return cursor or Cursor()

    async def _find_due_wake(self) -> str | None:
        wake = unwrap_value(WAKE_AT_KEY, await self._read_state(WAKE_AT_KEY))
        if wake is None or wake == self._announced_wake:
            return None
        try:
            wake_at = datetime.fromisoformat(wake)
            is_due = wake_at <= datetime.now(UTC)
        except (TypeError, ValueError):
            # It wakes now rather than never: the plan that is woken writes a new one.
            self.log.warning("%s: stored %s %r is no ISO 8601 time with its zone", self.project, WAKE_AT_KEY, wake)
            is_due = True
        return wake if is_due else None

    def _choose_interval_s(self) -> float:
        quota = self._hook.quota if self._hook else None
        interval_s = choose_interval_s(self.poll_interval_s, quota, datetime.now(UTC))
        is_slowed = interval_s > self.poll_interval_s
        if is_slowed != self._is_slowed:
            self._is_slowed = is_slowed
            self.log.warning(
                "%s: %s polling %s every %.0f s, GitHub's rate limit has %s",
                self.project,
                "slowed down," if is_slowed else "back to",
                self.repository,
                interval_s,
                f"{quota.remaining} of {quota.limit} requests left" if quota else "no bounds",
            )
        return interval_s

    def _tell_failure(self, error: Exception, pause_s: float) -> None:
        said, text = "%s: polling %s failed, trying again in %.0f s: %s: %s", " ".join(str(error).split())
        self.log.warning(said, self.project, self.repository, pause_s, type(error).__name__, text)


def _make_hook(github_conn_id: str, repository: str) -> DeployOpsGithubHook:
    """Return a hook that tries once: the trigger backs off itself, without holding a thread."""
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook  # not where DAG files are parsed

    return DeployOpsGithubHook(github_conn_id, repository, tries=1)


def choose_interval_s(poll_interval_s: float, quota: Quota | None, now: datetime) -> float:
    """Return the seconds until the next poll: longer while the rate limit is nearly used, never beyond its reset."""
    if quota is None or not quota.is_nearly_used:
        return poll_interval_s
    until_reset_s = (quota.resets_at - now).total_seconds()
    return max(poll_interval_s, min(SCARCE_INTERVAL_S, until_reset_s))
