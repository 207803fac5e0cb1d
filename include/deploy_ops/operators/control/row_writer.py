"""What a pass leaves for people to look at: one row per environment, and a summary of the project.

The only writer of both. The Deploys page and the feedback on GitHub read them, and ask nobody else of ours.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import read_labels
from include.deploy_ops.core.cleanup.expiry import Subject, foresee, read_limits
from include.deploy_ops.core.cleanup.use import NEVER_ASKED
from include.deploy_ops.core.cleanup.verdict import drop_doubted
from include.deploy_ops.core.errors import CommitMissingError, DeployOpsError
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import DeploymentStatus
from include.deploy_ops.core.naming import slug_branch, slug_target
from include.deploy_ops.core.plan.pulse import RESYNC
from include.deploy_ops.core.plan.work import Plan, Verb
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.target.comparison import name_due
from include.deploy_ops.core.target.gates import find_unmet
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.awaited import list_awaited
from include.deploy_ops.core.view.cost import Meter, add_costs, count_hours, is_due, tell_total
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.past_deploys import add_deploys, find_stranger
from include.deploy_ops.core.view.row import Row, RowKind, Summary
from include.deploy_ops.core.view.rows import make_rows
from include.deploy_ops.observation.histories import drop_contradicted
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.endings import read_endings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from include.deploy_ops.core.cleanup.verdict import Verdict
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.plan.outcome import Ended, Outcome
    from include.deploy_ops.core.plan.schedule import Circumstances
    from include.deploy_ops.core.target.comparison import TargetState
    from include.deploy_ops.core.template.drift import Drifted
    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.observation.difference import Observation
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

log = logging.getLogger(__name__)
LEARNED_MAX = 10
"""Commits that a pass asks GitHub for; one that starts something asks for one: nobody waits for an author's name."""


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """What a pass left: all rows by slug, and the digests of all that GitHub is told of.

    `dropped` are the slugs of previews that are shown no more, `verifications` what is remembered, by slug. `is_busy`:
    runs are at work, or something is left for the next pass to learn.
    """

    rows: Mapping[str, Row]
    digests: Mapping[str, str]
    dropped: frozenset[str]
    verifications: Mapping[str, Verification]
    is_busy: bool


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes one project's rows.

    `unfilled` are the secret variables of the previews' template that nothing fills, `drift` what differs in Astro.
    """

    scope: Scope
    github: GithubPullsHook
    memory: Memory
    unfilled: tuple[str, ...] = ()
    drift: tuple[Drifted, ...] = ()

    def write(self, context: Context, observation: Observation, plan: Plan, given: Circumstances) -> WrittenRows:
        """Write what changed, and return everything that is shown now."""
        now = given.now
        last = self.memory.summary.read()
        before = self.memory.read_rows()
        ended, until = read_endings(context, self.scope.fleet, last.events_until if last else "")
        drop_contradicted(self.memory, ended)
        news = [each for each in ended if not _is_shown(each, before.get(each.slug))]
        slugs = {each.slug for each in news} - given.remembered.keys()
        remembered = {**given.remembered, **{slug: self.memory.recall(slug) for slug in slugs}}
        authors, times, is_learning = self._learn_commits(observation, is_quiet=not plan.actions)
        verdicts = drop_doubted(self.memory.verdicts.read(), self.memory.read_continuity(now).since)
        moving = {each.slug for each in ended} | given.in_flight.keys()
        verifications = self._read_verifications(observation, before, moving)
        rest = {slug: row for slug, row in before.items() if slug not in given.in_flight}
        over = {each.outcome.run_id for each in ended}
        running = self._find_running(context, observation, rest, verifications, over)
        record = PassRecord(
            project=self.scope.project,
            control_plane=self.scope.control_plane,
            now=now,
            snapshot=observation.snapshot,
            observed=observation.observed,
            wanted={name: branch.head for name, branch in observation.wanted.items()},
            targets=observation.targets,
            plan=plan,
            in_flight={**running, **given.in_flight},
            remembered=remembered,
            before=before,
            ended=ended,
            verdicts=verdicts,
            authors=authors,
            unfilled=self.unfilled,
            verifications=verifications,
            drift={each.slug: each.found for each in self.drift},
        )
        prices, meters = self.scope.project.prices, self._count_hours(observation, now)
        rows = self._foresee(make_rows(record), observation, verdicts, times, now)
        rows = add_costs(rows, before, meters, prices, now)
        # Rows and deploys first: who reads the summary and then the rows finds them at least as new as it says.
        past = observation.desired.ended if observation.desired else {}
        awaited = list_awaited(self.scope.project, observation.snapshot, past, plan.holds)
        self._keep_deploys(rows, record, news)
        digests = self.memory.write_rows(before, rows) | self.memory.write_awaited(awaited)
        summary = self._summarize(plan, now, digests, until)
        targets = _find_targets(observation)
        self.memory.summary.write(replace(summary, cost=tell_total(meters, prices, now, targets)))
        previews = {slug for slug, row in before.items() if row.kind is RowKind.PREVIEW}
        is_busy = bool(record.in_flight) or is_learning
        return WrittenRows(rows, digests, frozenset(previews - rows.keys()), record.verifications, is_busy)

    def _count_hours(self, observation: Observation, now: datetime) -> Mapping[str, Meter]:
        """Return the hours of previews and targets, counted anew where something changed or some time passed."""
        if self.scope.project.prices is None:
            return {}
        own = find_previews(observation.observed.deployments, self.scope.control_plane, self.scope.project)
        deployments = {each.id: each for pairs in own.values() for each, _ in pairs} | _find_targets(observation)
        known = self.memory.meters.read()
        if not is_due(known, deployments, now):
            return known
        counted = count_hours(known, deployments, now)
        self.memory.meters.write(counted)
        return counted

    def _read_verifications(
        self, observation: Observation, before: Mapping[str, Row], moving: Collection[str]
    ) -> dict[str, Verification]:
        """Return the verifications by slug; those that cannot have changed as the rows have them.

        What has an answer gets another one by a run alone, of whose end control is told.

        :param moving: the slugs of environments at which a run is at work, or ended.
        """
        slugs = {slug_target(each.name): each.name for each in observation.targets}
        own = find_previews(observation.observed.deployments, self.scope.control_plane, self.scope.project)
        slugs |= {slug_branch(branch): "" for branch in observation.wanted.keys() & own.keys()}
        slugs |= {slug: "" for slug, row in before.items() if row.kind is RowKind.PREVIEW}
        find = self.scope.project.find_verify
        is_owed = find("") is None and self.memory.unpausing.read() is not None
        asked = [slug for slug, target in slugs.items() if find(target) is not None or (is_owed and not target)]
        found = {slug: None if slug in moving else _find_final(before.get(slug), observation) for slug in asked}
        read = {slug: each or self.memory.verification(slug).read() for slug, each in found.items()}
        return {slug: each for slug, each in read.items() if each is not None}

    def _keep_deploys(self, rows: Mapping[str, Row], record: PassRecord, news: Iterable[Ended]) -> None:
        """Add to each environment's deploys what was deployed there since the last pass, by us or by somebody else."""
        told: dict[str, list[Outcome]] = {}
        for each in news:
            told.setdefault(each.slug, []).append(each.outcome)
        for slug, row in rows.items():
            ended = told.get(slug, ())
            stranger = find_stranger(record.observed.histories.get(row.deployment_id))
            if not ended and stranger is None:
                continue  # most environments, in most passes
            slot = self.memory.deploys(slug)
            before = slot.read()
            after = add_deploys(before, row.outcomes, (*ended, *([stranger] if stranger else [])))
            if after != before:
                slot.write(after)

    def _find_running(
        self,
        context: Context,
        observation: Observation,
        before: Mapping[str, Row],
        verifications: Mapping[str, Verification],
        over: Collection[str],
    ) -> dict[str, str]:
        """Return the runs that go on where nothing is due any more.

        They wait until what they deployed has settled, or ask whether it works, which a person may have begun. A
        request that goes on there is void: whatever is answered, nothing follows from it. Only where a gate has closed
        since it asked, what follows is delayed.

        :param over: the runs that told their ends: Airflow is asked about the others, and says of most that they live.
        """
        delayed = {slug_target(each.name) for each in observation.targets if self._is_asked_all_the_same(each)}
        busy = {each.id for each in observation.observed.deployments if each.status is DeploymentStatus.DEPLOYING}
        asked = {slug: row for slug, row in before.items() if row.verb != Verb.REQUEST.value or slug in delayed}
        runs: dict[str, list[str]] = {}
        for row in asked.values():
            if row.run_id and row.run_id not in over:
                runs.setdefault(row.run_dag, []).append(row.run_id)
        living = {dag: Runs(context["ti"], dag).find_living(run_ids) for dag, run_ids in runs.items()}
        verifying = {slug for slug, each in verifications.items() if each.proof is Proof.PENDING or each.again}
        found: dict[str, str] = {}
        for slug, row in asked.items():
            if row.run_id in living.get(row.run_dag, ()):
                found[slug] = row.run_id
            elif (row.deployment_id in busy or slug in verifying) and (
                run := Claims(self.memory, Runs(context["ti"], row.dag)).find_holder(slug)
            ):
                found[slug] = run
        return found

    def _is_asked_all_the_same(self, state: TargetState) -> bool:
        """Whether the last question is about what is due, though a gate holds that by now."""
        if state.source is None or not find_unmet(state.gates)[0]:
            return False
        question = self.memory.question(slug_target(state.name)).read()
        return question is not None and question.subject == name_due(state, state.source)

    def _foresee(
        self,
        rows: Mapping[str, Row],
        observation: Observation,
        verdicts: Mapping[str, Verdict],
        times: Mapping[str, datetime],
        now: datetime,
    ) -> dict[str, Row]:
        """Return the rows with what cleanup does next, if nobody uses the preview."""
        previews = self.scope.project.previews
        if previews is None:
            return dict(rows)
        deployments = {each.id: each for each in observation.observed.deployments}
        labels = read_labels(observation.snapshot.pull_requests)
        limits = read_limits(previews)
        uses = self.memory.uses.read() if previews.counts_runs else {}
        shown = dict(rows)
        for slug, row in rows.items():
            if (
                row.kind is not RowKind.PREVIEW
                or row.deployment_id not in deployments
                or row.branch not in observation.wanted
            ):
                continue
            subject = Subject(
                deployment=deployments[row.deployment_id],
                branch=row.branch,
                head=row.head,
                author=row.author,
                committed_at=times.get(row.head),
                history=observation.observed.histories.get(row.deployment_id, DeployHistory()),
                woken_at=row.woken_at,
                kept=row.kept,
                labels=tuple(labels.get(row.branch, ())),
                in_flight=row.run_id,
                use=uses.get(row.deployment_id, NEVER_ASKED) if previews.counts_runs else None,
            )
            step = foresee(subject, verdicts.get(row.deployment_id), limits, previews.cleanup_cron, now)
            shown[slug] = replace(row, next_step=step)
        return shown

    def _summarize(self, plan: Plan, now: datetime, digests: dict[str, str], until: str) -> Summary:
        project = self.scope.project
        return Summary(
            project=project.name,
            repository=project.repository,
            repository_url=self.github.repository_url,
            at=now,
            mode="plan" if self.scope.is_dry else "apply",
            live=plan.live,
            max_live=project.previews.max_live if project.previews else 0,
            actions=len(plan.actions),
            holds=len(plan.holds),
            resync_s=RESYNC.total_seconds(),
            digests=digests,
            events_until=until,
            dags=tuple(sorted(self.scope.dags)),
        )

    def _learn_commits(
        self, observation: Observation, *, is_quiet: bool
    ) -> tuple[dict[str, str], dict[str, datetime], bool]:
        """Return who wrote the previews' heads, and when, as far as it is known, and whether the next pass learns more.

        A quiet pass learns a few at once.
        """
        heads = {branch.head for branch in observation.wanted.values()}
        known, times = self.memory.authors.read(), self.memory.commit_times.read()
        authors = {head: name for head, name in known.items() if head in heads}
        dates = {head: at for head, at in times.items() if head in heads}
        unknown = sorted(heads - (authors.keys() & dates.keys()))
        asked = unknown[: LEARNED_MAX if is_quiet else 1]
        is_learning = len(asked) < len(unknown)
        for head in asked:
            try:
                commit = self.github.get_commit(head)
            except CommitMissingError:
                continue
            except DeployOpsError as error:  # a name is worth no failed pass; the next one asks again
                log.info("who wrote %s is not known yet: %s", head[:12], error)
                is_learning = True
                break
            authors[head], dates[head] = commit.author, commit.committed_at
        self.memory.authors.write(known, authors)
        self.memory.commit_times.write(times, dates)
        return authors, dates, is_learning


def _find_targets(observation: Observation) -> dict[str, Deployment]:
    """Return the targets' Deployments by their ids; of a name that several have, none."""
    found = [state.deployments for state in observation.targets]
    return {each.id: each for deployments in found if len(deployments) == 1 for each in deployments}


def _is_shown(ended: Ended, row: Row | None) -> bool:
    """Whether the row, which is written last, knows the ending: those of the last minute are read in each pass."""
    return row is not None and (ended.outcome.run_id, ended.outcome.at) in {
        (each.run_id, each.at) for each in row.outcomes
    }


def _find_final(row: Row | None, observation: Observation) -> Verification | None:
    """Return the verdict that the row has of its newest deploy record, unless another may have come since."""
    known = row.verification if row is not None and not row.run_id else None
    if row is None or known is None or known.proof not in {Proof.VERIFIED, Proof.FAILED}:
        return None
    newest = observation.observed.histories.get(row.deployment_id, DeployHistory()).newest_id
    return known if known.deploy_id == newest else None
