"""Wake the control DAG when a repository or a workspace changes, or when planned work falls due.

Decides nothing: events tell that it is worth looking, and the task that was woken keeps the cursor. It leaves for
people how GitHub and Astro were seen.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from pydantic import TypeAdapter

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.plan.pulse import OPEN_AGAIN
from include.deploy_ops.core.versioned import read_value, unwrap_value
from include.deploy_ops.core.view.health import (
    ASTRO,
    GITHUB,
    Sight,
    expect_look,
    has_recovered,
    is_news,
    see_failing,
    see_well,
)
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.sights import HEALTH_KEY, dump_sights, read_sights
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, CheckWatch, read_awaited
from include.deploy_ops.triggers.base import StoredTrigger
from include.deploy_ops.triggers.merging import merge
from include.deploy_ops.triggers.repository_cursor import Cursor, has_changed, read_cursor
from include.deploy_ops.triggers.sharing import share
from include.deploy_ops.triggers.workspace_cursor import fingerprint_deployments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from include.deploy_ops.hooks.github.commit_checks import CommitChecks
    from include.deploy_ops.hooks.github.http import Quota
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

CURSOR_KEY = "cursor"
WAKE_AT_KEY = "wake_at"
BEGUN_AT_KEY = "begun_at"
_CURSOR = TypeAdapter(Cursor)
FIRST_BACKOFF_S = 2.0
PROBE_INTERVAL_S = 60.0
"""Seconds after which both services are looked at again at the latest, however long they fail, but in a rate limit's
pause: so soon after an outage's end it is over for us."""
LOOK_TIMEOUT_S = 50.0  # of one look at Astro
REQUESTS_PER_MINUTE_MAX = 300.0
"""Requests to GitHub with one token, whatever they cost: beyond them its polls lie farther apart."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the repository showed, and what GitHub said of the token's rate limit."""

    cursor: Cursor
    quota: Quota | None


@dataclass(eq=False, repr=False)
class RepositoryTrigger(StoredTrigger, BaseEventTrigger):
    """Polls one repository with conditional requests for as long as a DAG waits for its events; never ends by itself.

    Yields `{"reason": …, "cursor": …}`. `reason` is "started" once, after the first successful poll; "changed" per
    poll that found a real change, also of the workspace's Deployments or of a check that control awaits; "due" once per
    time that the plan left in the asset state store as "wake_at" (ISO 8601), whether or not GitHub answers, but in its
    rate limit's pause at that one's end; "recovered" when GitHub or Astro answers again after an outage; "again" while
    no pass began since the last event, as another "begun_at" in the store tells, whatever clock wrote it. Triggers of
    one process that look at the same repository or workspace share their looks. The task
    that is woken stores `cursor` there as "cursor", so that a restarted trigger goes on conditionally; a lost cursor,
    or none, costs requests and nothing else. Every failure is logged in one line and tried again, after 2 s at first
    and up to a minute, or when the service's rate limit permits. How both were seen stands in the same store as
    "health".

    :param project: the policy's project, in every log line.
    :param github_conn_id: the Airflow connection to GitHub.
    :param repository: owner/name.
    :param trunk: the branch whose absence means that a listing cannot be trusted.
    :param poll_interval_s: seconds between polls; a minute at most.
    :param astro_conn_id: the Airflow connection to Astro, whose Deployments are listed each minute; empty in what a
        release before 0.3 stored: they are not.
    :param neighbours: how many repositories the policy has polled with the same connection, this one included.
    :param check_patterns: for the names of the checks that control may await, on the commits that it left in the store
        as "awaited_checks"; none: nobody looks.
    :param is_listening: whether what people say on pull requests counts: then comments are looked at, too.
    """

    project: str
    github_conn_id: str
    repository: str
    trunk: str
    poll_interval_s: float = 10.0
    astro_conn_id: str = ""
    neighbours: int = 1
    check_patterns: list[str] = field(default_factory=list)
    is_listening: bool = False
    _hook: DeployOpsGithubHook | None = field(default=None, init=False)
    _checks_hook: DeployOpsGithubHook | None = field(default=None, init=False)
    _cursor: Cursor | None = field(default=None, init=False)
    _quota: Quota | None = field(default=None, init=False)
    _fleet: str = field(default="", init=False)
    _has_started: bool = field(default=False, init=False)
    _announced_wake: str = field(default="", init=False)
    _called_at: datetime | None = field(default=None, init=False)
    _begun_before: Any = field(default=None, init=False)
    _is_slowed: bool = field(default=False, init=False)
    _sights: dict[str, Sight] | None = field(default=None, init=False)
    _written: dict[str, Sight] = field(default_factory=dict, init=False)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until cancelled; see the class."""
        start_stats()
        sources = [self._watch_repository()]
        sources += [self._watch_astro()] if self.astro_conn_id else []
        sources += [self._watch_checks()] if self.check_patterns else []
        async for event in merge(*sources) if len(sources) > 1 else sources[0]:
            yield event

    async def _watch_repository(self) -> AsyncIterator[TriggerEvent]:
        failures = 0
        while True:
            reasons: list[str] = []
            try:
                reasons += await self._find_owed()
                reasons[:0] = await self._poll()
                failures, pause_s = 0, self._choose_interval_s()
            except Exception as error:  # noqa: BLE001 - a trigger that raises is restarted every 2 s, for ever
                failures += 1
                pause_s = choose_backoff_s(error, failures, FIRST_BACKOFF_S, PROBE_INTERVAL_S)
                self._close_hook()
                self._tell_failure(f"polling {self.repository}", error, pause_s)
            await self._leave_sight(GITHUB, pause_s)
            pause_s = pause_s if failures else align_pause_s(pause_s, self.repository, time.time())
            # The cursor goes with the event, and the task that it wakes stores it. Written here it would be saved
            # before the event is, and a triggerer that dies in between would lose the change.
            for reason in reasons:
                yield await self._make_event(reason)
            await asyncio.sleep(pause_s)

    async def _watch_astro(self) -> AsyncIterator[TriggerEvent]:
        """Look at the Deployments, apart from GitHub, so that neither's silence or pause hides the other's."""
        failures = 0
        while True:
            fleet, error = await self._look_at_fleet()
            # After a start one pass looks at everything anyhow, perhaps before a first look succeeds here.
            has_moved = bool(fleet) and (fleet != self._fleet if self._fleet else failures > 0)
            failures, pause_s = (0 if error is None else failures + 1), PROBE_INTERVAL_S
            if error is not None:
                pause_s = choose_backoff_s(error, failures, FIRST_BACKOFF_S, PROBE_INTERVAL_S)
                self._tell_failure("listing Deployments", error, pause_s)
            is_back = await self._see(ASTRO, error)
            await self._leave_sight(ASTRO, pause_s)
            pause_s = pause_s if failures else align_pause_s(pause_s, self.astro_conn_id, time.time())
            self._fleet = fleet or self._fleet
            if is_back or has_moved:
                yield await self._make_event("changed" if has_moved else "recovered")
            await asyncio.sleep(pause_s)

    async def _watch_checks(self) -> AsyncIterator[TriggerEvent]:
        """Look at the checks that control awaits, apart from the branches, so that neither holds up the other."""
        watch, failures = CheckWatch(self.check_patterns), 0
        while True:
            is_news, error = await self._look_at_checks(watch)
            failures = 0 if error is None else failures + 1
            bound_s = self.neighbours * watch.count_requests() * 60.0 / REQUESTS_PER_MINUTE_MAX
            pause_s = choose_interval_s(max(self._choose_usual_s(), bound_s), self._quota, datetime.now(UTC))
            if error is not None:
                pause_s = max(pause_s, choose_backoff_s(error, failures, FIRST_BACKOFF_S, PROBE_INTERVAL_S))
                self._tell_failure("looking at checks", error, pause_s)
            if is_news:
                yield await self._make_event("changed")
            await asyncio.sleep(pause_s)

    async def _look_at_checks(self, watch: CheckWatch) -> tuple[bool, Exception | None]:
        """Return whether a check stands otherwise than control knows, and what went wrong."""
        try:
            awaited = read_awaited(await self._read_state(AWAITED_KEY))
            return await asyncio.to_thread(self._look_at, watch, awaited) if awaited else (False, None)
        except Exception as error:  # noqa: BLE001 - as in the poll: a trigger that raises is restarted for ever
            return False, error

    def _look_at(self, watch: CheckWatch, awaited: dict[str, CommitChecks]) -> tuple[bool, Exception | None]:
        if self._checks_hook is None:
            self._checks_hook = _make_hook(self.github_conn_id, self.repository)
        found = watch.look(self._checks_hook, awaited)
        if found[1] is not None:  # the next look reads the Airflow connection again
            self._checks_hook.close()
            self._checks_hook = None
        return found

    async def _look_at_fleet(self) -> tuple[str, Exception | None]:
        """Return the fingerprint of the Deployments, or what was wrong with Astro's answer."""
        from include.deploy_ops.hooks.astro.api import AsyncAstroApi  # not where DAG files are parsed

        async def ask(_: str | None) -> str:
            # Opened anew, so that an edit of the Airflow connection counts: passes look at its workspace.
            async with AsyncAstroApi(self.astro_conn_id) as astro:
                return fingerprint_deployments(await astro.list_deployments())

        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await share("workspace").get(self.astro_conn_id, PROBE_INTERVAL_S / 2, ask), None
        except TimeoutError:
            return "", TimeoutError(f"no answer in {LOOK_TIMEOUT_S:.0f} s")
        except Exception as error:  # noqa: BLE001 - as in the poll: a trigger that raises is restarted for ever
            return "", error

    async def cleanup(self) -> None:
        """Close the connections to GitHub."""
        self._close_hook()
        if self._checks_hook is not None:
            self._checks_hook.close()

    async def _poll(self) -> list[str]:
        known = self._cursor or await self._load_cursor()
        look, error = await self._try_to_look(known)
        is_back = await self._see(GITHUB, error)
        if look is None:
            raise error or RuntimeError("a look without a result has an error")
        current, self._quota = look.cursor, look.quota
        # After a start nobody knows what went by: one pass looks at everything, so that no difference need be told
        # besides.
        reasons = [] if self._has_started else ["started"]
        if self._has_started and has_changed(known, current):
            reasons.append("changed")
        if is_back and not reasons:
            reasons.append("recovered")
        self._cursor, self._has_started = current, True
        return reasons

    async def _see(self, name: str, error: Exception | None) -> bool:
        """Note how the service was seen; return whether an outage of it is over."""
        if self._sights is None:
            loaded = await self._load_sights()
            self._sights = loaded if self._sights is None else self._sights  # the other watch may have been faster
        known, now = self._sights.get(name), datetime.now(UTC)
        seen = see_well(now) if error is None else see_failing(name, known, _describe(error), now)
        self._sights[name] = seen
        return has_recovered(known, seen)

    async def _load_sights(self) -> dict[str, Sight]:
        """Return how the services were seen before the trigger was restarted: an outage goes on."""
        try:
            return read_sights(await self._read_state(HEALTH_KEY))
        except Exception as error:  # noqa: BLE001 - it is for people alone, and nothing else waits for it
            self._tell_failure("reading how services were seen", error, 0)
            return {}

    async def _leave_sight(self, name: str, pause_s: float) -> None:
        """Write how the service was seen where that is news; what fails here is told, and keeps nothing else up."""
        seen = (self._sights or {}).get(name)
        if seen is None or self.asset_state_store is None or not is_news(self._written.get(name), seen):
            return
        self._sights = {**(self._sights or {}), name: expect_look(seen, pause_s)}
        try:
            await self.asset_state_store.aset(HEALTH_KEY, dump_sights(self._sights))
        except Exception as error:  # noqa: BLE001 - likewise
            self._tell_failure("writing how services were seen", error, pause_s)
        else:
            self._written[name] = seen

    async def _try_to_look(self, known: Cursor) -> tuple[Look | None, Exception | None]:
        # Apart, since only what fails here is GitHub's failure.
        async def ask(last: Look | None) -> Look:
            # The hook waits for its answers: in the triggerer's own loop it would hold up every other trigger.
            return await asyncio.to_thread(self._look, last.cursor if last else known)

        key = (self.github_conn_id, self.repository.casefold(), self.trunk, self.is_listening)
        try:
            return await share("repository").get(key, self._choose_usual_s() / 2, ask), None
        except Exception as error:  # noqa: BLE001 - it is raised again by the poll
            return None, error

    def _look(self, known: Cursor) -> Look:
        if self._hook is None:
            self._hook = _make_hook(self.github_conn_id, self.repository)
        cursor = read_cursor(self._hook, self.trunk, known, is_listening=self.is_listening)
        return Look(cursor, self._hook.quota)

    def _close_hook(self) -> None:
        # The next poll reads the Airflow connection again: it may have been repaired.
        if self._hook is not None:
            self._hook.close()
        self._hook = None

    async def _make_event(self, reason: str) -> TriggerEvent:
        self._called_at = datetime.now(UTC)
        try:
            self._begun_before = await self._read_begun()
        except Exception as error:  # noqa: BLE001 - the event is worth more; the last pass that is known stands
            self._tell_failure("reading when the last pass began", error, 0)
        # Without one the stored cursor stays: what is said again and again is short.
        cursor = self._cursor.model_dump(mode="json") if self._cursor and reason != "again" else None
        return TriggerEvent({"reason": reason, "cursor": cursor})

    async def _read_state(self, key: str) -> Any:
        return None if self.asset_state_store is None else await self.asset_state_store.aget(key)

    async def _load_cursor(self) -> Cursor:
        stored = await self._read_state(CURSOR_KEY)
        cursor = read_value(CURSOR_KEY, stored, _CURSOR, within=("pull_requests",))
        if cursor is None and stored is not None:
            self.log.warning("%s: the stored cursor cannot be used, reading everything again", self.project)
        return cursor or Cursor()

    async def _find_owed(self) -> list[str]:
        """Return why control is woken whatever GitHub says: something is due, or nobody heard the last event.

        Airflow drops the events of a paused DAG, and a pass may die before its first line, which writes "begun_at".
        """
        wake = await self._find_due_wake()
        if wake is not None:
            # The store keeps the time until a plan writes another, and it is announced once.
            self._announced_wake = wake
            return ["due"]
        called_at = self._called_at
        if self.asset_state_store is None or called_at is None or datetime.now(UTC) - called_at < OPEN_AGAIN:
            return []
        begun = await self._read_begun()
        if isinstance(begun, str) and begun != self._begun_before:
            self._called_at = None
            return []
        return ["again"]

    async def _read_begun(self) -> Any:
        """Return what the last pass wrote when it began: compared for being another, since it had another clock."""
        return unwrap_value(BEGUN_AT_KEY, await self._read_state(BEGUN_AT_KEY))

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
        quota, usual_s = self._quota, self._choose_usual_s()
        interval_s = choose_interval_s(usual_s, quota, datetime.now(UTC))
        is_slowed = interval_s > usual_s
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

    def _choose_usual_s(self) -> float:
        """Return the seconds between polls where the rate limit is no matter."""
        requests = 1 + self.is_listening + (len(self._cursor.branches) if self._cursor else 0)
        bound_s = self.neighbours * requests * 60.0 / REQUESTS_PER_MINUTE_MAX
        return max(min(self.poll_interval_s, PROBE_INTERVAL_S), bound_s)

    def _tell_failure(self, what: str, error: Exception, pause_s: float) -> None:
        said, text = "%s: %s failed, trying again in %.0f s: %s: %s", " ".join(str(error).split())
        self.log.warning(said, self.project, what, pause_s, type(error).__name__, text)


def _describe(error: Exception) -> str:
    """Return a failure for people: our own words carry no secret, others stay in the log."""
    if isinstance(error, DeployOpsError | TimeoutError):
        return mask_text(str(error))
    return f"{type(error).__name__}; see the triggerer's log"


def _make_hook(github_conn_id: str, repository: str) -> DeployOpsGithubHook:
    """Return a hook that tries once: the trigger backs off itself, without holding a thread."""
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook  # not where DAG files are parsed

    return DeployOpsGithubHook(github_conn_id, repository, tries=1)


def align_pause_s(interval_s: float, name: str, now_s: float) -> float:
    """Return the seconds until the next multiple of the interval, shifted by the name.

    Those who look at the same thing do so at one time, and look once; those who look at another thing, at another.
    """
    shift_s = int(hashlib.sha256(name.casefold().encode()).hexdigest()[:8], 16) / 16**8 * interval_s
    return interval_s - (now_s - shift_s) % interval_s


def choose_interval_s(poll_interval_s: float, quota: Quota | None, now: datetime) -> float:
    """Return the seconds until the next poll: longer while the rate limit is nearly used, never beyond its reset."""
    if quota is None or not quota.is_nearly_used:
        return poll_interval_s
    until_reset_s = (quota.resets_at - now).total_seconds()
    return max(poll_interval_s, min(PROBE_INTERVAL_S, until_reset_s))
