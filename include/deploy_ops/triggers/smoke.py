"""Run DAGs of what was deployed in the Deployment's own Airflow, and wait, outside any worker slot, until they ended.

Whether a DAG may be started, and what its run came to, `smoke` says. Made again in another process, it finds its runs
by their id. Whoever defers for it has stored which DAGs it may unpause; it pauses them again, whatever else happens.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent
from pydantic import TypeAdapter

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, ReadRefusedError, WriteRefusedError
from include.deploy_ops.core.verification.smoke import (
    RunFacts,
    Start,
    StartFacts,
    conclude_run,
    doubt_run,
    mask_run,
    refuse_start,
    skip,
    take_lines,
)
from include.deploy_ops.core.verification.verdict import SmokeOutcome, SmokeRun
from include.deploy_ops.hooks.airflow.access import AsyncAirflowAccess
from include.deploy_ops.hooks.astro.api import AsyncAstroApi
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.triggers.base import StoredTrigger, UnshownPayload
from include.deploy_ops.triggers.deferral import FIRST_EVENT_S, LONGEST_BACKOFF_S
from include.deploy_ops.triggers.heads import Heads, find_newer
from include.deploy_ops.triggers.masks import Mask, read_mask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner

LOOK_TIMEOUT_S = 240.0
ENDING_TIME_MAX_S = 60.0
"""For ending runs and pausing DAGs again: who moved the branch waits for it."""
LONGEST_PAUSE_S, PAUSE_GROWS = 20.0, 1.3
REFUSALS_MAX = 3
"""After which a token that may not do this is given up: a minted one may not be known everywhere at once."""
ENDING_TRIES = 3
"""How often it is tried to end runs and to pause DAGs again; what is left is the next pass's affair."""

_STARTS = TypeAdapter(list[Start])
_RUNS = TypeAdapter(list[SmokeRun])


@dataclass(kw_only=True, eq=False, repr=False)
class SmokeRunsTrigger(StoredTrigger):
    """Starts runs in a Deployment's Airflow, and sends one event when all of them ended, or the time is over.

    The event is `{"detail", "overtaken", "runs", "unpaused", "seconds"}`: `detail` says why it ended early, empty where
    it did not; overtaken which deploy came after this one, whose code may be what ran, empty where none did; runs are
    `SmokeRun`s as JSON, one for each start; unpaused are DAGs that may not be paused again yet; seconds counts from
    `started_at`. A run that is not over at the deadline, or when the deploy is not wanted any more, is set failed.

    :param astro_conn_id: the Airflow connection to Astro.
    :param deployment_id: where the DAGs are.
    :param airflow_conn_id: the connection whose token reads and writes there; None mints one for this Deployment.
    :param starts: `Start`s as JSON.
    :param unpaused: DAGs that are to be paused afterwards: those that may be unpaused, and what is owed from before.
    :param started_at: when the wait began, ISO 8601 with an offset.
    :param deadline: when to end what runs, likewise.
    :param has_logs: whether the last lines of a failed task's log are told.
    :param heads: the commits of the branches for whose sake it waits: who moves one wants the next deploy.
    :param github_conn_id: the Airflow connection by which they are looked at, in `repository`.
    :param deploy_id: Astro's record of the deploy; `owner`: whose deploys are ours, as `naming.name_owner` says.
    :param given: a `Given` as JSON, by which the values are read that nothing may tell; None where there are none.
    :param poll_interval_s: seconds until the second look.
    """

    astro_conn_id: str
    deployment_id: str
    airflow_conn_id: str | None
    starts: list[dict[str, Any]]
    unpaused: list[str]
    started_at: str
    deadline: str
    has_logs: bool
    heads: dict[str, str]
    github_conn_id: str
    repository: str
    deploy_id: str = ""
    owner: str = ""
    given: dict[str, Any] | None = None
    poll_interval_s: float = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._starts = {start.dag_id: start for start in _STARTS.validate_python(self.starts)}
        self._ended: dict[str, SmokeRun] = {}
        self._begun: set[str] = set()
        self._seen: set[str] = set()
        self._mask = Mask()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the one event."""
        start_stats()
        await asyncio.sleep(FIRST_EVENT_S)
        self._mask = await asyncio.to_thread(read_mask, self.given)
        async with (
            AsyncAstroApi(self.astro_conn_id) as astro,
            AsyncAirflowAccess(astro, self.deployment_id, self.airflow_conn_id) as airflow,
        ):
            heads = Heads(self.heads, self.github_conn_id, self.repository)
            detail = self._give_up(await heads.end_early(self._watch(airflow), str))
            left = await self._clean_up(airflow)
            # One that a release before 0.3 parked does not tell its record.
            newer = self.deploy_id and await find_newer(astro, self.deployment_id, self.deploy_id, self.owner)
        self.log.info("%s", detail or "each run ended")
        seconds = (datetime.now(UTC) - datetime.fromisoformat(self.started_at)).total_seconds()
        masked = await asyncio.to_thread(lambda: [mask_run(run, self._mask) for run in self._ended.values()])
        runs = _RUNS.dump_python(masked, mode="json")
        told = {"detail": detail, "overtaken": newer, "runs": runs, "unpaused": left, "seconds": round(seconds, 1)}
        yield TriggerEvent(UnshownPayload(told))

    async def _watch(self, airflow: AsyncAirflowAccess) -> str:
        """Look until each run ended; return why that was ended early, empty where it was not."""
        deadline = datetime.fromisoformat(self.deadline)
        failures, refusals, pause_s = 0, 0, self.poll_interval_s
        while True:
            is_late = datetime.now(UTC) >= deadline
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    await self._look(airflow, is_late=is_late)
                problem, failures, refusals = "", 0, 0
                wait_s = pause_s = min(pause_s * PAUSE_GROWS, LONGEST_PAUSE_S)
            except PermanentError as error:
                return self._quote(error)
            except (DeployOpsError, TimeoutError) as error:
                problem = self._quote(error)
                failures, refusals = failures + 1, refusals + isinstance(error, ReadRefusedError)
                wait_s = choose_backoff_s(error, failures, self.poll_interval_s, LONGEST_BACKOFF_S)
                self.log.warning("its Airflow did not tell, asking again in %.0f s: %s", wait_s, problem)
            if len(self._ended) == len(self._starts):
                return ""
            if problem and (is_late or refusals >= REFUSALS_MAX):
                return problem
            await asyncio.sleep(min(wait_s, max((deadline - datetime.now(UTC)).total_seconds(), 0)))

    def _give_up(self, why: str) -> str:
        for dag_id in self._starts.keys() - self._ended.keys():
            self._ended[dag_id] = doubt_run(dag_id, why)
        return why

    async def _look(self, airflow: AsyncAirflowAccess, *, is_late: bool) -> None:
        """Start what was not started, and see what became of the others."""
        async with await airflow.open_runner() as runner:
            for start in self._starts.values():
                if start.dag_id not in self._ended and (found := await self._step(runner, start, is_late=is_late)):
                    self._ended[start.dag_id] = found
                    self.log.info("%s: %s", found.dag_id, found.outcome.value)

    async def _step(self, runner: AsyncAirflowRunner, start: Start, *, is_late: bool) -> SmokeRun | None:
        """Return what became of one run; None while it goes on."""
        found = await runner.read_run(start.dag_id, start.run_id)
        if found is None and start.dag_id not in self._seen:
            if is_late:
                return doubt_run(start.dag_id, "the time was over before it could be started")
            if refused := refuse_start(start, facts := await runner.read_start(start.dag_id)):
                return skip(start.dag_id, refused)
            self._begun.add(start.dag_id)  # before: an answer that is lost leaves a run that nobody saw
            await self._unpause(runner, start, facts)
            try:
                found = await runner.start(start.dag_id, start.run_id, start.conf)
            except WriteRefusedError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    raise  # it answered just now
                return skip(start.dag_id, f"Airflow starts none: {self._mask.quote(' '.join(error.said.split()))}")
        elif found is not None and not found.is_over and start.dag_id not in self._seen:
            # Another process began it, and the DAG may have been paused again since.
            await self._unpause(runner, start, await runner.read_start(start.dag_id))
        self._begun.add(start.dag_id)
        self._seen.add(start.dag_id)
        late_s = (datetime.now(UTC) - datetime.fromisoformat(self.started_at)).total_seconds() if is_late else None
        ended = conclude_run(start, found, late_s=late_s)
        if ended is not None and ended.outcome is SmokeOutcome.FAILED:
            return await self._explain(runner, start, ended, found)
        return ended

    async def _unpause(self, runner: AsyncAirflowRunner, start: Start, facts: StartFacts | None) -> None:
        """Let the run begin, where the DAG is paused; never where its schedule would start, too."""
        if start.may_unpause and facts is not None and facts.is_paused and not facts.is_scheduled:
            await runner.set_paused(start.dag_id, is_paused=False)

    async def _explain(
        self, runner: AsyncAirflowRunner, start: Start, ended: SmokeRun, found: RunFacts | None
    ) -> SmokeRun:
        """Return the failed run with its first failed task and what that logged last, as far as Airflow tells."""
        if found is None or not found.is_over or self._mask.untold:
            return ended
        try:
            tasks = await runner.list_failed_tasks(start.dag_id, start.run_id)
            if not tasks:
                return ended
            ended = replace(ended, task=tasks[0].task_id)
            if not self.has_logs:
                return ended
            return replace(ended, lines=take_lines(await runner.read_log(start.dag_id, start.run_id, tasks[0])))
        except DeployOpsError as error:
            self.log.warning("why %s failed is not told: %s", start.dag_id, self._quote(error))
            return ended

    async def _clean_up(self, airflow: AsyncAirflowAccess) -> list[str]:
        """End what still runs, and pause what was unpaused; return what may not be paused yet."""
        left = list(self.unpaused)
        try:
            async with asyncio.timeout(ENDING_TIME_MAX_S):
                await self._end_and_pause(airflow, left)
        except TimeoutError:
            self.log.warning("not ended or paused in %.0f s", ENDING_TIME_MAX_S)
        return left

    async def _end_and_pause(self, airflow: AsyncAirflowAccess, left: list[str]) -> None:
        """Try so some times; `left` loses what is paused."""
        running = {dag_id for dag_id in self._begun if self._is_open(dag_id)}
        for failures in range(1, ENDING_TRIES + 1):
            try:
                async with await airflow.open_runner() as runner:
                    for dag_id in sorted(running):
                        await runner.end(dag_id, self._starts[dag_id].run_id)
                        running.discard(dag_id)
                    for dag_id in tuple(left):
                        await runner.set_paused(dag_id, is_paused=True)
                        left.remove(dag_id)
            except DeployOpsError as error:
                self.log.warning("not ended or paused yet: %s", self._quote(error))
                await asyncio.sleep(choose_backoff_s(error, failures, self.poll_interval_s, LONGEST_BACKOFF_S))
            else:
                break

    def _quote(self, error: Exception) -> str:
        """Return what went wrong, which may repeat what its Airflow said."""
        return self._mask.quote(str(error)) if str(error) else f"no answer in {LOOK_TIMEOUT_S:.0f} s"

    def _is_open(self, dag_id: str) -> bool:
        """Whether the run may go on: nobody saw it end."""
        ended = self._ended.get(dag_id)
        return ended is None or bool(ended.how)
