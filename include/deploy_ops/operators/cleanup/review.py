"""One cleanup run's review: every preview observed and judged, and what a person has to be asked about.

Writes nothing but the observer's caches; what was decided is handed back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.expiry import DELETE, TOLD, IdleFinding, apply_brake, judge, read_limits
from include.deploy_ops.core.cleanup.oddities import report_oddities
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict, drop_doubted
from include.deploy_ops.core.plan.schedule import Circumstances, count_allowed_deletes, schedule
from include.deploy_ops.core.plan.work import Difference, Verb, Work
from include.deploy_ops.core.policy.keys import is_matched
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.observation.difference import Comparer, Observation
from include.deploy_ops.observation.subjects import read_authors, read_subjects
from include.deploy_ops.observation.uses import UseObserver
from include.deploy_ops.run.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from include.deploy_ops.core.cleanup.expiry import AgeLimits, Expiry, Question, Subject
    from include.deploy_ops.observation.observe import Observer
    from include.deploy_ops.operators.cleanup.form import CleanupForm
    from include.deploy_ops.run.airflow_runs import Runs
    from include.deploy_ops.run.questions import Questions
    from include.deploy_ops.run.scope import Scope


@dataclass(frozen=True, slots=True)
class ReviewResult:
    """What a review comes to.

    `before` and `verdicts` are all that stood before and stand now, by Deployment id. `deletes` are all deletes that
    are due by now, by subject and by name, `allowed` is how many may be decided without asking. `reopened` are the
    subjects of refused deletes whose no has ended.
    """

    before: Mapping[str, Verdict]
    verdicts: Mapping[str, Verdict]
    findings: tuple[IdleFinding, ...]
    question: Question
    deletes: frozenset[str]
    allowed: int
    reopened: frozenset[str]


@dataclass(frozen=True, slots=True)
class Review:
    """Reviews one project.

    :param form: limits and branches of this run.
    :param runs: answers about the cleanup DAG's runs, `preview_runs` about the preview DAG's.
    :param is_dry: nothing is written, also no token minted.
    """

    scope: Scope
    observer: Observer
    form: CleanupForm
    questions: Questions
    runs: Runs
    preview_runs: Runs
    run_id: str
    now: datetime
    is_dry: bool

    def decide(self) -> ReviewResult:
        """Observe, judge, and part what may be done from what must be asked."""
        comparer = Comparer(self.scope, self.observer)
        observation = comparer.look()
        difference = comparer.compare(observation, self.now)
        before = self.observer.memory.verdicts.read()
        refused = self.observer.memory.refused.read()
        reopened = self._find_reopened(refused, observation, difference)
        braked = self._find_braked(difference, {each: by for each, by in refused.items() if each not in reopened})
        since = self.observer.memory.read_continuity(self.now).since
        expiry, question = self._ask(self._judge(observation, drop_doubted(before, since)), difference, braked, since)
        # A run that was meant for some branches leaves the verdicts about the others as they stand.
        others = {key: verdict for key, verdict in before.items() if not self._is_meant(verdict.branch)}
        return ReviewResult(
            before=before,
            verdicts={**others, **expiry.verdicts},
            findings=self._add_costs([*_mark_asked(expiry.findings, question), *self._report(observation, braked)]),
            question=question,
            deletes=frozenset(
                key for work in difference.works if work.verb is Verb.DELETE for key in (work.subject, work.name)
            ),
            allowed=self._count_allowed(difference),
            reopened=reopened,
        )

    def _is_meant(self, branch: str) -> bool:
        return not self.form.branches or is_matched(branch, self.form.branches)

    def _limits(self) -> AgeLimits:
        limits = read_limits(self.scope.previews)
        return replace(
            limits,
            hibernate_after=self.form.hibernate_after or limits.hibernate_after,
            delete_after=self.form.delete_after or limits.delete_after,
        )

    def _read_subjects(self, observation: Observation) -> tuple[Subject, ...]:
        """Return the previews that this run is about, with what their own Airflows tell of those that are due."""
        found = read_subjects(self.scope, self.observer, observation, self.preview_runs)
        uses = UseObserver(self.scope, self.observer.astro, self.observer.memory, self.now, is_dry=self.is_dry)
        live = {each.id for each in observation.observed.deployments}
        return uses.learn((each for each in found if self._is_meant(each.branch)), self._limits(), live)

    def _judge(self, observation: Observation, before: Mapping[str, Verdict]) -> Expiry:
        """Judge; what this run asked before it was cleared is open again, also if the answer was no."""
        subjects = self._read_subjects(observation)
        asking = {each.run_id for each in before.values() if each.standing is Standing.ASKED} - {self.run_id}
        reopened = {
            key: replace(verdict, standing=Standing.ASKED, person="")
            for key, verdict in before.items()
            if verdict.standing is Standing.REFUSED and verdict.run_id == self.run_id
        }
        return judge(
            subjects,
            {**before, **reopened},
            self._limits(),
            run_id=self.run_id,
            now=self.now,
            asking={run_id for run_id in asking if self.runs.is_alive(run_id)},
        )

    def _ask(
        self, expiry: Expiry, difference: Difference, braked: Iterable[Work], since: datetime
    ) -> tuple[Expiry, Question]:
        """Part what must be asked; nobody is asked twice about a delete that is asked about."""
        asking = self.questions.find_asking(but=self.run_id)
        askable = [work for work in braked if not work.is_noted(asking)]
        return apply_brake(expiry, askable, self._count_allowed(difference), since)

    def _count_allowed(self, difference: Difference) -> int:
        if self.form.max_deletes is not None:
            return self.form.max_deletes
        return count_allowed_deletes(difference.live, self.scope.project.limits)

    def _find_reopened(
        self, refused: Iterable[str], observation: Observation, difference: Difference
    ) -> frozenset[str]:
        """Return what is refused no more: what this run asked before it was cleared, and what is gone."""
        ids = {deployment.id for deployment in observation.observed.deployments}
        asked = self.questions.list_names(self.run_id)
        mine = {work.subject for work in difference.works if work.subject in asked}
        return frozenset(each for each in refused if each in mine or each.partition(" ")[0] not in ids)

    def _find_braked(self, difference: Difference, refused: Mapping[str, str]) -> tuple[Work, ...]:
        """Return the deletes that control's brake holds now, by the same plan that control makes."""
        memory = self.observer.memory
        claims = Claims(memory, self.preview_runs)
        deletes = [work for work in difference.works if work.verb is Verb.DELETE]
        holders = {work.slug: claims.find_holder(work.slug) for work in deletes}
        given = Circumstances(
            now=self.now,
            policy=self.scope.policy,
            in_flight={slug: run for slug, run in holders.items() if run},
            remembered={work.slug: memory.environment(work.slug).read() for work in deletes},
            begun_deletes=memory.begun_deletes.read(),
            released=frozenset(memory.released.read()),
            refused=refused,
            remembers_since=memory.read_continuity(self.now).since,
        )
        only = replace(difference, works=tuple(deletes), holds=())
        plan = schedule(only, given, self.scope.project.limits, self.scope.previews.max_live)
        return tuple(work for work in plan.braked if self._is_meant(work.branch))

    def _add_costs(self, findings: Iterable[IdleFinding]) -> tuple[IdleFinding, ...]:
        """Return the findings with what each preview's row says of its cost."""
        if self.scope.project.prices is None:
            return tuple(findings)
        rows = self.observer.memory.read_rows().values()
        costs = {row.deployment_id: row.cost.said for row in rows if row.cost is not None}
        return tuple(replace(each, cost=costs.get(each.deployment_id, "")) for each in findings)

    def _report(self, observation: Observation, braked: tuple[Work, ...]) -> tuple[IdleFinding, ...]:
        previews = find_previews(observation.observed.deployments, self.scope.control_plane, self.scope.project)
        meant = {branch: own for branch, own in previews.items() if self._is_meant(branch)}
        authors = read_authors(self.observer, observation)
        return report_oddities(meant, observation.observed.histories, braked, self.now, authors)


def _mark_asked(findings: Iterable[IdleFinding], question: Question) -> tuple[IdleFinding, ...]:
    asked = {verdict.deployment_id for verdict in question.verdicts}
    return tuple(
        replace(each, reason=f"{each.reason}; a person is asked before")
        if each.deployment_id in asked and each.verdict in {TOLD, DELETE}
        else each
        for each in findings
    )


def merge_verdicts(
    before: Mapping[str, Verdict], after: Mapping[str, Verdict], current: Mapping[str, Verdict]
) -> dict[str, Verdict]:
    """Return what stands now, with this run's changes; what another run wrote meanwhile is left as it is."""
    merged = dict(current)
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key) or current.get(key) != before.get(key):
            continue
        if key in after:
            merged[key] = after[key]
        else:
            merged.pop(key, None)
    return merged
