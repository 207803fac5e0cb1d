"""One observation decided twice: by the policy in force, and by another one. Writes nowhere but to what it is given.

It reads what a pass reads to begin with, and asks nothing for the other policy's sake: of single branches, commits and
checks it knows what the passes found out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.expiry import Expiry, judge, read_limits
from include.deploy_ops.core.cleanup.use import NEVER_ASKED
from include.deploy_ops.core.cleanup.verdict import drop_doubted
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.passes.alternative import Altered, alter, digest_words
from include.deploy_ops.core.passes.decision import Decision, compare_all, decide, derive_desired, find_bars
from include.deploy_ops.core.passes.reading import PassFacts
from include.deploy_ops.core.preview.observed import TemplateState
from include.deploy_ops.observation.circumstances import CircumstancesReader
from include.deploy_ops.observation.concerns import ConcernCheck
from include.deploy_ops.observation.creates import CreateCheck
from include.deploy_ops.observation.difference import Comparer, Observation
from include.deploy_ops.observation.observe import compare_template
from include.deploy_ops.observation.preview_checks import PreviewChecks
from include.deploy_ops.observation.subjects import read_subjects
from include.deploy_ops.observation.template import TemplateReader, parse_template_text
from include.deploy_ops.run.airflow_runs import Runs

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from include.deploy_ops.core.passes.reading import Reading
    from include.deploy_ops.core.plan.work import Difference
    from include.deploy_ops.observation.commit_checks import CheckReader
    from include.deploy_ops.observation.observe import QuietObserver
    from include.deploy_ops.run.scope import Scope


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one policy says of the observation: control's decision, and what cleanup would decide beside it."""

    decision: Decision
    expiry: Expiry | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Looks once, and decides for as many policies as one likes.

    :param observer: over a store that keeps nothing, and under the policy in force.
    """

    scope: Scope
    task_instance: RuntimeTaskInstanceProtocol
    observer: QuietObserver
    checks: CheckReader
    now: datetime

    def look(self) -> Observation:
        """Read what a pass reads."""
        return Comparer(self.scope, self.observer, self.checks).look()

    def alter(self, observation: Observation, scope: Scope) -> Altered:
        """Return what was read as the other policy would see it."""
        template = self._read_template(observation, scope) if scope.project.previews is not None else None
        return alter(observation.reading, digest_words(self.scope.project), scope.project, template)

    def weigh(self, scope: Scope, observation: Observation, reading: Reading) -> Weighed:
        """Return what follows from the reading by the scope's policy."""
        compared = compare_all(scope.rules, reading, self.now)
        difference = self._hold_known(scope, compared, reading)
        given = CircumstancesReader(scope, self.task_instance, self.observer, self.observer.memory).read(
            difference, self.now
        )
        bars = find_bars(compared, difference)
        return Weighed(decide(scope.rules, PassFacts(reading, given, bars)), self._judge(scope, observation, reading))

    def _hold_known(self, scope: Scope, difference: Difference, reading: Reading) -> Difference:
        """Return the difference without what earlier passes found not to be due after all."""
        github, memory = self.observer.github, self.observer.memory
        creates = CreateCheck(scope, github, memory, reading.snapshot, difference, self.now)
        trunk = next((each.head for each in reading.snapshot.branches if each.name == scope.project.trunk), "")
        held = ConcernCheck(scope, github, memory, trunk, self.now).hold_known(creates.hold_rejected(difference))
        return PreviewChecks(scope.project, self.checks).hold_known(held)

    def _judge(self, scope: Scope, observation: Observation, reading: Reading) -> Expiry | None:
        """Return what cleanup would decide now; of previews' own Airflows it knows what was asked before."""
        previews, memory = scope.project.previews, self.observer.memory
        desired = derive_desired(scope.rules, reading)
        if previews is None or desired is None:
            return None
        seen = replace(observation, desired=desired, snapshot=reading.snapshot)
        subjects = read_subjects(scope, self.observer, seen, Runs(self.task_instance, scope.preview_dag))
        if previews.counts_runs:
            uses = memory.uses.read()
            subjects = tuple(replace(each, use=uses.get(each.deployment.id, NEVER_ASKED)) for each in subjects)
        standing = drop_doubted(memory.verdicts.read(), memory.read_continuity(self.now).since)
        asking = {each.run_id for each in standing.values()}
        return judge(subjects, standing, read_limits(previews), run_id="what-if", now=self.now, asking=asking)

    def _read_template(self, observation: Observation, scope: Scope) -> TemplateState | None:
        """Return the template's state by the other policy; None where its text is not among what was read."""
        today = observation.template
        if self.scope.project.previews is None or today is None or scope.project.trunk != self.scope.project.trunk:
            return None
        trunk = observation.snapshot.find_head(scope.project.trunk)
        reader = TemplateReader(scope, self.observer.github, self.observer.memory, self.observer.seals)
        if (text := reader.recall_text(trunk)) is None:
            return None
        try:
            template = parse_template_text(scope, text)
        except PermanentError as error:
            return TemplateState("", {}, {}, str(error))
        state = compare_template(scope, template, observation.observed.deployments)
        if state.fingerprint == today.fingerprint:
            state = replace(state, drift=today.drift)
        if scope.previews.environment != self.scope.previews.environment:
            return state  # what is mapped now is nobody's to read here
        return replace(state, rotated=today.rotated, unread=today.unread, reread_at=today.reread_at)
