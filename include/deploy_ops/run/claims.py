"""Two registers per environment, so that never two runs work on one: control's `planned`, and people's `manual`.

The state store has no compare-and-set. Each side writes its own register, then reads the other's, and steps back if
that one's run is alive; of two that write at once, at least one sees the other. A claim lives only while Airflow says
that its run is queued or running, so a crash leaves none behind.

A target's run also notes itself at the Deployment: when the policy renames a target, or gives its Deployment to another
one, the registers have other names, and the Deployment is the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.run.airflow_runs import ALIVE, RUNNING, Runs
from include.deploy_ops.run.memory import Claim, Memory, Occupant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable


PLANNED = "planned"
MANUAL = "manual"
READ_BACK_S = 2.0
"""Seconds after which a person's run reads its own claim back: longer than another writer needs for write and read."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The registers of one project's environments.

    `is_one_at_a_time`: the DAG has one active run, so a planned run that is only queued comes after a person's that
    works now, and is in no way; it looks again at what it was planned on.
    """

    memory: Memory
    runs: Runs
    is_one_at_a_time: bool = False
    sleep: Callable[[float], None] = time.sleep

    def find_holder(self, slug: str, *, besides: str = "") -> str | None:
        """Return the living run that holds the environment in either register, other than `besides`."""
        return self.find_living(self.read(slug), besides=besides)

    def read(self, slug: str, *registers: str) -> tuple[Claim, ...]:
        """Return what is claimed in these registers, or in either, whether its run lives or not, the planned first."""
        found = (self.memory.claim(slug, register).read() for register in registers or (PLANNED, MANUAL))
        return tuple(claim for claim in found if claim is not None)

    def find_living(self, claims: Iterable[Claim], *, besides: str = "", states: Collection[str] = ALIVE) -> str | None:
        """Return the first of the claims' runs that lives, other than `besides`."""
        runs = (claim.run_id for claim in claims if claim.run_id != besides)
        return next((run for run in runs if self.runs.is_alive(run, states)), None)

    def plan(self, slug: str, run_id: str) -> str | None:
        """Claim for a run that control is about to dispatch; return the person's run that is in the way, if any."""
        # First the write, then the look, as in `take`: the other way round two that begin at once see nobody.
        self.memory.claim(slug, PLANNED).write(Claim(run_id, datetime.now(UTC)))
        holder = self._find(slug, MANUAL, run_id)
        if holder is not None:
            self.memory.claim(slug, PLANNED).forget()
        return holder

    def confirm(self, slug: str, run_id: str) -> str | None:
        """Claim from inside a run that control dispatched; return the run that is in the way, if any.

        A run whose planned claim is gone (it was cleared later) claims as a person's run.
        """
        # Looked at again inside the run: from control's claim until the run exists, Airflow calls it dead, and a
        # person's run that claimed in that time saw nobody. Its own claim is written by now, so the planned run steps
        # back.
        claim = self.memory.claim(slug, PLANNED).read()
        if claim is None or claim.run_id != run_id:
            return self.take(slug, run_id)
        return self._find(slug, MANUAL, run_id)

    def take(self, slug: str, run_id: str) -> str | None:
        """Claim for a run that a person started; return the run that is in the way, if any."""
        if holder := self._find_planned(slug, run_id) or self._find(slug, MANUAL, run_id):
            return holder
        # Of two people's runs the later write stays; which one that was, only reading back tells.
        self.memory.claim(slug, MANUAL).write(Claim(run_id, datetime.now(UTC)))
        self.sleep(READ_BACK_S)
        claim = self.memory.claim(slug, MANUAL).read()
        if claim is None or claim.run_id != run_id:
            return claim.run_id if claim else "a run that ended just now"
        # Once more: control may have claimed since the first look.
        if holder := self._find_planned(slug, run_id):
            self.memory.claim(slug, MANUAL).forget()
        return holder

    def find_occupant(self, deployment_id: str, besides: str, dags: Collection[str]) -> str | None:
        """Return the run that works on a target's Deployment, other than `besides`, by whatever name of the target.

        :param dags: the DAGs of the policy's targets; a run of another one goes no further than its present task.
        """
        found = self.memory.occupant(deployment_id).read()
        if found is None or found.run_id == besides:
            return None
        runs = self.runs.of(found.dag)
        is_at_work = runs.is_alive(found.run_id, RUNNING) and (found.dag in dags or runs.is_executing(found.run_id))
        return found.run_id if is_at_work else None

    def occupy(self, deployment_id: str, run_id: str, dags: Collection[str]) -> str | None:
        """Note the run at the Deployment; return the run that is in the way, if any."""
        if holder := self.find_occupant(deployment_id, run_id, dags):
            return holder
        self.memory.occupant(deployment_id).write(Occupant(run_id, self.runs.dag_id))
        return self.find_occupant(deployment_id, run_id, dags)  # who wrote since works, and this run does not

    def leave(self, deployment_id: str, run_id: str) -> None:
        """Take the run's note away; another run's is left alone."""
        found = self.memory.occupant(deployment_id).read()
        if found is not None and found.run_id == run_id:
            self.memory.occupant(deployment_id).forget()

    def release(self, slug: str, run_id: str) -> None:
        """Give up the run's claim; another run's is left alone."""
        # A planned run that was cleared after its claim had gone holds the other register.
        for register in (PLANNED, MANUAL):
            claim = self.memory.claim(slug, register).read()
            if claim is not None and claim.run_id == run_id:
                self.memory.claim(slug, register).forget()

    def _find_planned(self, slug: str, besides: str) -> str | None:
        """Return the planned run that a person's run has to wait for."""
        return self._find(slug, PLANNED, besides, RUNNING if self.is_one_at_a_time else ALIVE)

    def _find(self, slug: str, register: str, besides: str, states: Collection[str] = ALIVE) -> str | None:
        claim = self.memory.claim(slug, register).read()
        return self.find_living([claim] if claim else (), besides=besides, states=states)
