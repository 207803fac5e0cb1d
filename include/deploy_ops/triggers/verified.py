"""Wait, outside any worker slot, until a Deployment's own Airflow has parsed what was deployed, or it is too late.

Judges nothing: what parsed means is `parsing`'s affair, and what was found is judged by whoever resumes. An event lies
in Airflow's database: what of it the Deployment's code may have written is masked here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.triggers.base import TriggerEvent
from pydantic import TypeAdapter

from include.deploy_ops.core.environment.pools import Pool
from include.deploy_ops.core.errors import DeployOpsError, PermanentError, ReadRefusedError, RetryableError
from include.deploy_ops.core.verification.judging import Findings, find, mask_findings
from include.deploy_ops.core.verification.parsing import Deployed, ParseWatch, choose_current
from include.deploy_ops.core.verification.smoke import Candidate, find_candidates
from include.deploy_ops.hooks.airflow.access import AsyncAirflowAccess
from include.deploy_ops.hooks.astro.api import AsyncAstroApi
from include.deploy_ops.hooks.metrics import start_stats
from include.deploy_ops.hooks.patience import choose_backoff_s
from include.deploy_ops.triggers.base import StoredTrigger, UnshownPayload
from include.deploy_ops.triggers.deferral import FIRST_EVENT_S, LONGEST_BACKOFF_S
from include.deploy_ops.triggers.heads import Heads, find_newer
from include.deploy_ops.triggers.masks import Mask, read_mask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from include.deploy_ops.core.verification.facts import AirflowFacts

LOOK_TIMEOUT_S = 240.0
LONGEST_PAUSE_S, PAUSE_GROWS = 30.0, 1.3
"""Between two looks that only wait: a timeout of 20 minutes is some fifty looks."""
REFUSALS_MAX = 3
"""After which a token that may not read is given up: a minted one may not be known everywhere at once."""
FILES_NAMED = 3

_Told: TypeAlias = "tuple[str, Findings, tuple[Candidate, ...], list[str]]"
"""The event's state, what was found, what may be run, and what else is to be said."""

_FINDINGS = TypeAdapter(Findings)
_POOLS = TypeAdapter(tuple[Pool, ...])
_CANDIDATES = TypeAdapter(tuple[Candidate, ...])


@dataclass(kw_only=True, eq=False, repr=False)
class DeployVerifiedTrigger(StoredTrigger):
    """Watches a Deployment's Airflow, and sends one event.

    The event is `{"state", "detail", "findings", "candidates", "notes", "seconds"}`. State is "seen" when all is
    parsed, "unknown" when that was not to be seen (`detail` says why), or "overtaken" by a newer deploy; findings is a
    `Findings` as JSON, of what was seen until then; candidates are `Candidate`s as JSON; notes say what is not right
    with its pools, and what is not told; seconds counts from `started_at`. An unreachable Airflow is asked again, ever
    more slowly, until the deadline; a look that only waits comes ever later, too.

    :param astro_conn_id: the Airflow connection to Astro.
    :param deployment_id: where the deploy went.
    :param deploy_id: Astro's record of it.
    :param owner: whose deploys are ours, as `naming.name_owner` says.
    :param airflow_conn_id: the connection whose token reads there; None mints one for this Deployment.
    :param files: below the DAG folder, the files of the commit that Airflow may parse.
    :param changed: those of them that differ from what is to be compared with.
    :param touched: what differs, files that are gone, too.
    :param started_at: when the wait began, ISO 8601 with an offset.
    :param deadline: when to give up, likewise.
    :param compared_id: the Deployment whose errors fail nothing, empty for none; `compared_conn_id` as above.
    :param compared_lack: why there is none although there should be, empty otherwise.
    :param is_public: whether strangers read what is found: then errors are told by their type alone.
    :param heads: the commits of the branches for whose sake it waits: who moves one wants the next deploy.
    :param github_conn_id: the Airflow connection by which they are looked at, in `repository`.
    :param smoke: patterns for ids of DAGs that shall be run afterwards: the candidates.
    :param pools: what its pools shall be, `Pool`s as JSON; None where they are nobody's affair.
    :param given: a `Given` as JSON, by which the values are read that nothing may tell; None where there are none.
    :param poll_interval_s: seconds until the second look.
    """

    astro_conn_id: str
    deployment_id: str
    deploy_id: str
    owner: str
    airflow_conn_id: str | None
    files: list[str]
    changed: list[str]
    touched: list[str]
    started_at: str
    deadline: str
    compared_id: str
    compared_conn_id: str | None
    is_public: bool
    heads: dict[str, str]
    github_conn_id: str
    repository: str
    smoke: list[str] = field(default_factory=list)
    pools: list[dict[str, Any]] | None = None
    compared_lack: str = ""
    given: dict[str, Any] | None = None
    poll_interval_s: float = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._mask = Mask()
        self._seen: tuple[ParseWatch | None, AirflowFacts | None] = None, None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the one event."""
        start_stats()
        await asyncio.sleep(FIRST_EVENT_S)
        self._mask = await asyncio.to_thread(read_mask, self.given, " ".join(self.smoke))
        async with AsyncAstroApi(self.astro_conn_id) as astro:
            heads = Heads(self.heads, self.github_conn_id, self.repository)
            state, findings, candidates, notes = await heads.end_early(self._watch(astro), self._leave)
        # Not in the loop: a value has many spellings, and there may be many errors.
        findings = await asyncio.to_thread(mask_findings, findings, self._mask)
        detail = findings.problem
        self.log.info("%s: %s", state, detail or "all of it is parsed")
        seconds = (datetime.now(UTC) - datetime.fromisoformat(self.started_at)).total_seconds()
        found = {
            "findings": _FINDINGS.dump_python(findings, mode="json"),
            "candidates": _CANDIDATES.dump_python(candidates, mode="json"),
            "notes": notes,
        }
        told = {"state": state, "detail": detail, **found, "seconds": round(seconds, 1)}
        yield TriggerEvent(UnshownPayload(told))

    def _leave(self, why: str) -> _Told:
        """Return what was found until somebody stopped waiting."""
        lack = "nothing was compared" if self.compared_id else self.compared_lack
        return "unknown", self._find(None, why, lack), (), []

    def _find(self, theirs: AirflowFacts | None, problem: str, lack: str) -> Findings:
        is_public = self.is_public or bool(self._mask.untold)
        touched = frozenset(self.touched)
        return find(*self._seen, theirs, touched=touched, problem=problem, lack=lack, is_public=is_public)

    async def _watch(self, astro: AsyncAstroApi) -> _Told:
        """Return the event's state, what was found, what may be run, and what else is to be said."""
        async with AsyncAirflowAccess(astro, self.deployment_id, self.airflow_conn_id) as airflow:
            problem = self._mask.problem or await self._await_parse(airflow)
            watch, facts = self._seen
            pools = await self._lay_pools(airflow, "" if facts is not None else problem)
        notes = [note for note in (pools, not self._mask.problem and self._mask.untold) if note]
        if newer := await find_newer(astro, self.deployment_id, self.deploy_id, self.owner):
            return "overtaken", Findings(problem=newer), (), notes
        theirs, lack = await self._read_compared(astro)
        findings = self._find(theirs, problem, lack)
        if findings.problem or watch is None or facts is None:
            return "unknown", findings, (), notes
        found = find_candidates(self.smoke, choose_current(watch, facts).dags)
        return "seen", findings, tuple(replace(each, dag_id=self._mask.mask_name(each.dag_id)) for each in found), notes

    async def _lay_pools(self, airflow: AsyncAirflowAccess, problem: str) -> str:
        """Make the pools what is wanted, before anything is run; return what is not as wanted, which fails nothing.

        :param problem: why its Airflow is not reached, empty where it is.
        """
        if self.pools is None or (problem and not self.pools):
            return ""
        wanted = _POOLS.validate_python(self.pools)
        kept: tuple[str, ...] = ()
        try:
            if not problem:
                async with asyncio.timeout(LOOK_TIMEOUT_S), await airflow.open_runner() as runner:
                    kept = await runner.lay_pools(wanted)
        except (DeployOpsError, TimeoutError) as error:
            problem = self._quote(error)
        if problem:
            self.log.warning("the pools are not as wanted: %s", problem)
            return f"its pools may be missing: {problem}" if wanted else ""
        return f"the pool of a person stays: {self._mask.quote(_name_some(kept))}" if kept else ""

    async def _await_parse(self, airflow: AsyncAirflowAccess) -> str:
        """Look until all is parsed; return why the wait ended, empty where it is."""
        deadline = datetime.fromisoformat(self.deadline)
        failures, refusals, pause_s = 0, 0, self.poll_interval_s
        while True:
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    facts = await airflow.look()
                watch = (self._seen[0] or self._begin(facts)).look(facts)
                self._seen = watch, facts
                if watch.is_done:
                    return ""
                problem = f"not parsed yet: {_name_some(watch.waiting)}"
                failures, refusals, pause_s = 0, 0, min(pause_s * PAUSE_GROWS, LONGEST_PAUSE_S)
                wait_s = pause_s
            except PermanentError as error:
                return self._quote(error)
            except (RetryableError, TimeoutError) as error:
                problem = self._quote(error)
                failures, refusals = failures + 1, refusals + isinstance(error, ReadRefusedError)
                wait_s = choose_backoff_s(error, failures, self.poll_interval_s, LONGEST_BACKOFF_S)
                self.log.warning("its Airflow did not tell, asking again in %.0f s: %s", wait_s, problem)
            if refusals >= REFUSALS_MAX:
                return problem
            left_s = (deadline - datetime.now(UTC)).total_seconds()
            if left_s <= 0:
                return problem
            await asyncio.sleep(min(wait_s, left_s))

    def _begin(self, facts: AirflowFacts) -> ParseWatch:
        """Return a watch that has heard nothing: what was deployed is current since the first look, at the latest."""
        return ParseWatch(Deployed(facts.at, frozenset(self.files), frozenset(self.changed)))

    async def _read_compared(self, astro: AsyncAstroApi) -> tuple[AirflowFacts | None, str]:
        """Return what the Deployment that is compared with tells, or why it does not."""
        if not self.compared_id:
            return None, self.compared_lack and f"nothing was compared: {self.compared_lack}"
        try:
            async with AsyncAirflowAccess(astro, self.compared_id, self.compared_conn_id) as airflow:
                return await airflow.look(), ""
        except (RetryableError, PermanentError, TimeoutError) as error:
            problem = self._quote(error)
            self.log.warning("nothing is compared: %s", problem)
            return None, f"nothing was compared: {problem}"

    def _quote(self, error: Exception) -> str:
        """Return what went wrong, which may repeat what its Airflow said."""
        return self._mask.quote(str(error)) if str(error) else f"no answer in {LOOK_TIMEOUT_S:.0f} s"


def _name_some(files: Sequence[str]) -> str:
    more = len(files) - FILES_NAMED
    return ", ".join(files[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")
