"""What one pass must know beside the difference, asked of Airflow and memory: claims, attempts, pauses, ages.

Reads only. Of hundreds of due pieces of work it asks only about those that may start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import name_run, read_attempt
from include.deploy_ops.core.plan.remembered import Ending, Remembered, Removal
from include.deploy_ops.core.plan.schedule import DRY, Circumstances
from include.deploy_ops.core.plan.work import Difference, Verb, Work
from include.deploy_ops.core.target.comparison import fingerprint_rules
from include.deploy_ops.run.airflow_runs import Runs, count_dispatches_max
from include.deploy_ops.run.claims import MANUAL, PLANNED, Claims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from include.deploy_ops.observation.observe import Observer
    from include.deploy_ops.run.memory import Claim, Memory
    from include.deploy_ops.run.scope import Scope

IDLE_AT_FIRST = "idle before the control plane's first pass"


@dataclass(frozen=True, slots=True)
class CircumstancesReader:
    """Reads the circumstances of one pass of a project.

    :param task_instance: the task that asks; Airflow answers about runs through it.
    """

    scope: Scope
    task_instance: RuntimeTaskInstanceProtocol
    observer: Observer
    memory: Memory

    def read(self, difference: Difference, now: datetime) -> Circumstances:
        """Return what `schedule` needs of this difference."""
        backlog = self._read_backlog(difference)
        near = list(self._list_near(difference, backlog, now))
        # Each piece of work costs requests to Airflow: what control's own run works on, and what is known to wait, is
        # not asked about any further.
        claims = self._read_claims(near, PLANNED)
        holders = self._find_holders(near, claims)
        free = [work for work in near if work.slug not in holders]
        known = {work.slug: self.memory.recall(work.slug) for work in free}
        works = [work for work in near if not _is_held_anyway(work, known.get(work.slug, Remembered()))]
        idle = [work for work in works if work.slug not in holders]
        claims |= {slug: claims[slug] + more for slug, more in self._read_claims(idle, MANUAL).items()}
        holders |= self._find_holders(idle, claims) | self._find_occupants(idle)
        idle = [work for work in works if work.slug not in holders]
        finished = self._find_attempts(idle, known, claims)
        in_flight = holders | self._find_flights(idle, finished)
        recovered = {
            work.slug: _add_lost_ending(known[work.slug], claims[work.slug], work, finished[work.name]) for work in idle
        }
        return Circumstances(
            now=now,
            policy=self.scope.policy,
            in_flight=in_flight,
            stuck=self._find_stuck(works, in_flight),
            updates_in_flight=_count_flights(works, in_flight, Verb.UPDATE),
            creates_in_flight=_count_flights(works, in_flight, Verb.CREATE),
            remembered=backlog | known | recovered,
            finished=finished,
            begun_deletes=self.memory.begun_deletes.read(),
            blocked=self._find_blocks(works),
            committed_at=self._read_ages(difference, backlog | known),
            released=frozenset(self.memory.released.read()),
            refused=self.memory.refused.read(),
            remembers_since=self.memory.read_continuity(now).since,
            dispatches_max=count_dispatches_max(),
            pending=self.memory.pending.read() if any(hold.awaits for hold in difference.holds) else {},
        )

    def _list_near(self, difference: Difference, backlog: Mapping[str, Remembered], now: datetime) -> Iterable[Work]:
        """Yield what may start in this pass: hundreds may wait for room, or for a time that people were told."""
        has_room = difference.live < self.scope.max_live
        for work in difference.works:
            is_roomless = work.verb is Verb.CREATE and not has_room
            is_early = work.due_at is not None and work.due_at > now
            if work.slug not in backlog and not is_roomless and not is_early:
                yield work

    def _read_backlog(self, difference: Difference) -> dict[str, Remembered]:
        """Return the old branches that still count as removed, of which nothing else need be read."""
        creates = [work for work in difference.works if work.verb is Verb.CREATE]
        heads = self.memory.backlog.read() if creates else {}
        removal = {
            work.slug: Removal(work.head, IDLE_AT_FIRST) for work in creates if heads.get(work.slug) == work.head
        }
        return {slug: Remembered(removal=each) for slug, each in removal.items()}

    def _read_claims(self, works: Iterable[Work], register: str) -> dict[str, tuple[Claim, ...]]:
        """Return what is claimed in the register of each environment."""
        return {
            work.slug: Claims(self.memory, self._runs_in(work.home_dag)).read(work.slug, register) for work in works
        }

    def _find_holders(self, works: Sequence[Work], claims: Mapping[str, Sequence[Claim]]) -> dict[str, str]:
        """Return the runs that are at work on what they claimed."""
        living = self._find_living((work.home_dag, claim.run_id) for work in works for claim in claims[work.slug])
        found = {
            work.slug: next(
                (claim.run_id for claim in claims[work.slug] if (work.home_dag, claim.run_id) in living), ""
            )
            for work in works
        }
        return {slug: run for slug, run in found.items() if run}

    def _find_occupants(self, works: Iterable[Work]) -> dict[str, str]:
        """Return the runs that work on the targets' Deployments by whatever name of the target."""
        found = {work.slug: self._find_occupant(work) for work in works if work.target}
        return {slug: run for slug, run in found.items() if run}

    def _find_occupant(self, work: Work) -> str | None:
        claims = Claims(self.memory, self._runs_in(work.home_dag))
        return claims.find_occupant(work.deployment_id, "", self.scope.target_dags)

    def _find_living(self, asked: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Return those of the runs, each after its DAG, that are at work."""
        by_dag: dict[str, list[str]] = {}
        for dag, run_id in asked:
            by_dag.setdefault(dag, []).append(run_id)
        living = {dag: self._runs_in(dag).find_living(run_ids) for dag, run_ids in by_dag.items()}
        return frozenset((dag, run_id) for dag, run_ids in living.items() for run_id in run_ids)

    def _find_attempts(
        self, works: Iterable[Work], known: Mapping[str, Remembered], claims: Mapping[str, Iterable[Claim]]
    ) -> dict[str, int]:
        """Return each work's last attempt by its name, counted on from what is remembered; a call per DAG.

        :param known: what is remembered by slug; `claims` likewise.
        """
        attempts: dict[str, dict[str, int]] = {}
        for work in works:
            ended = (each.attempt for each in known[work.slug].endings.values() if each.work == work.name)
            # A claim is no proof of its run: control may have died before it dispatched that. The one before it was.
            claimed = (read_attempt(work.name, each.run_id) - 1 for each in claims[work.slug])
            attempts.setdefault(work.dag, {})[work.name] = max((0, *ended, *claimed))
        return {
            name: last
            for dag, remembered in attempts.items()
            for name, last in self._runs_in(dag).find_last_attempts(remembered).items()
        }

    def _find_flights(self, works: Iterable[Work], finished: Mapping[str, int]) -> dict[str, str]:
        """Return the runs that are at work although nothing claims their environments: claims may be lost."""
        last = {work: name_run(work.name, finished[work.name]) for work in works if finished[work.name]}
        living = self._find_living((work.dag, run_id) for work, run_id in last.items())
        found = {
            work.slug: last[work] if (work.dag, last.get(work, "")) in living else self._find_question(work)
            for work in works
        }
        return {slug: run for slug, run in found.items() if run}

    def _find_question(self, work: Work) -> str | None:
        """Return the run that asks this already, by whatever name: an edit of the policy names the work anew."""
        asked = self.memory.question(work.slug).read() if work.verb is Verb.REQUEST else None
        if asked is None or asked.subject != work.subject:
            return None
        rules = fingerprint_rules(self.scope.target(work.target), self.scope.project.people)
        return next(filter(self._runs_in(work.dag).is_alive, asked.list_runs(rules)), None)

    def _find_stuck(self, works: Iterable[Work], in_flight: Mapping[str, str]) -> dict[str, str]:
        """Return what the runs in flight wait for that have no place for their next step."""
        by_dag: dict[str, dict[str, str]] = {}
        for work in works:
            if work.slug in in_flight:
                by_dag.setdefault(work.home_dag, {})[work.slug] = in_flight[work.slug]
        waits = {dag: self._runs_in(dag).describe_waits(tuple(flights.values())) for dag, flights in by_dag.items()}
        return {
            slug: waits[dag][run_id]
            for dag, flights in by_dag.items()
            for slug, run_id in flights.items()
            if run_id in waits[dag]
        }

    def _runs_in(self, dag: str) -> Runs:
        return Runs(self.task_instance, self.scope.name_dag(dag))

    def _find_blocks(self, works: Iterable[Work]) -> dict[str, str]:
        """Return why the DAGs of this work may start nothing; a frozen target is not asked about either."""
        homes = {work.dag: work.home_dag for work in works}
        if self.scope.is_dry:
            return dict.fromkeys(homes, DRY)
        found: dict[str, str] = {}
        continuity = self.memory.continuity.read()
        busy = continuity.busy if continuity else ()
        for dag, home in homes.items():
            if self.scope.name_dag(home) in busy:
                found[dag] = f"the memory was lost while runs of {home} were at work; it goes on when they have ended"
                continue
            blocks = [self._runs_in(each).find_block() for each in sorted({dag, home})]
            if told := next(filter(None, blocks), ""):
                found[dag] = told
        return found

    def _read_ages(self, difference: Difference, remembered: Mapping[str, Remembered]) -> dict[str, datetime]:
        """Return when heads were committed, only where not every create fits and the newest goes first."""
        creates = [
            work
            for work in difference.works
            if work.verb is Verb.CREATE and not _is_held_anyway(work, remembered.get(work.slug, Remembered()))
        ]
        if not 0 < self.scope.max_live - difference.live < len(creates):
            return {}
        return self.observer.read_commit_times(work.head for work in creates)


def _is_held_anyway(work: Work, known: Remembered) -> bool:
    """Whether Airflow need not be asked: an old repository has hundreds that were removed."""
    return work.verb is Verb.CREATE and known.removal is not None and known.removal.head == work.head


def _add_lost_ending(known: Remembered, claims: Iterable[Claim], work: Work, finished: int) -> Remembered:
    """Return what is remembered; a run that ended without its report counts as failed when it was dispatched."""
    run_id = name_run(work.name, finished)
    claim = next((each for each in claims if each.run_id == run_id), None)
    if claim is None:
        return known
    ending = Ending(work.name, claim.at, is_failure=True, cause="its run ended without a report", attempt=finished)
    return replace(known, endings={**known.endings, work.ending_key: ending})


def _count_flights(works: Iterable[Work], in_flight: Mapping[str, str], verb: Verb) -> int:
    return sum(1 for work in works if work.verb is verb and work.slug in in_flight)
