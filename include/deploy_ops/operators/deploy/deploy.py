"""The deploy step: a clean worktree of one commit, and `astro deploy` in it; images are copied or built on the way."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.checkout.dag_check import check_dags
from include.deploy_ops.checkout.project_check import prepare_build, refuse_empty_dags
from include.deploy_ops.checkout.worktree import ContentRules, Contents, checkout
from include.deploy_ops.core.errors import (
    DeployOpsError,
    PermanentError,
    RetryableError,
    SupersededError,
)
from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import ChangeType, DeployDecision, Deployment, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note, parse_note
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import BUILD, REUSE
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.target.settling import find_blank, find_missing_part
from include.deploy_ops.core.template.rules import is_airflow_3_runtime
from include.deploy_ops.hooks.astro.cli import ShownEngine
from include.deploy_ops.observation.changed_dags import read_changed_dags
from include.deploy_ops.observation.checks import check_head, check_mark, check_source, check_target
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.observation.images import open_astro_registry
from include.deploy_ops.operators.base import (
    ANSWERS_KEY,
    DEPLOYMENT_LINKS,
    IMAGE_TASK,
    RENDER_TASK,
    SOURCE_LINKS,
    tell_failures,
)
from include.deploy_ops.operators.deploy.deployment import AstroCliOperator
from include.deploy_ops.process.scratch import hold_folder
from include.deploy_ops.run.decision import load_decision
from include.deploy_ops.run.job import load_answers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from include.deploy_ops.core.model import Deploy
    from include.deploy_ops.core.plan.remembered import Approval
    from include.deploy_ops.engine.push import PushTarget
    from include.deploy_ops.engine.served_engine import ServedEngine
    from include.deploy_ops.run.job import Job


WAKE_FOR = timedelta(hours=8)
"""How long a Deployment stays awake that a person had woken: a working day."""


class DeployCodeOperator(AstroCliOperator):
    """Deploys the job's commit and returns what the settle step waits for.

    Returns `{"deployment_id", "needle", "kind", "started_at", "said", "woke"}`; `needle` is the part of the deploy's
    description by which this call's record is found, `said` the CLI's last line and how many files were not
    checked, `woke` whether it is to be awake in the end: all but what a person deploys to a sleeping one as it is.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY)
    operator_extra_links = (*SOURCE_LINKS, *DEPLOYMENT_LINKS)
    long_calls = 3  # it wakes the Deployment, checks the commit out, and deploys it

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Check head and mark once more, then deploy."""
        job = self.begin(context)
        decision = load_decision(self.need_decision(context))
        kind = decision.change_type
        if kind is ChangeType.NONE:
            raise AirflowSkipException(f"nothing to deploy: {decision.reason}")
        if answers := self.read(context, RENDER_TASK, ANSWERS_KEY):
            self.github.remember(load_answers(answers))
        require_same_repository(self.memory(context), self.github)
        deployment = self._check(context, job)
        self.link_deployment(deployment)
        self.refuse_dry(job, f"deploy {job.deployed_commit[:12]} ({kind.value}) to {deployment.name}")
        note = self._write_note(context, job, is_partial=decision.is_partial)
        ask = {
            "deployment_id": deployment.id,
            "kind": kind.value,
            "started_at": datetime.now(UTC).isoformat(),
            "woke": job.wake or not is_asleep(deployment),
        }
        # Before all that may say no: a worker that died after the CLI's call has made the newest deploy another one.
        records = self._list_whole(deployment, kind, note)
        if done := self._find_done(records, job, note):
            self.log.info("an earlier try of this run has deployed %s already", job.deployed_commit[:12])
            return {**ask, "needle": done.needle, "said": "deployed by an earlier try of this run"}
        image = self.need(context, IMAGE_TASK) if kind is ChangeType.IMAGE else None
        self._check_decision(job, deployment, records, decision, image)
        if image and image["source"] == BUILD and (why := self.find_build_ban(job)):
            raise PermanentError(why)  # the policy moved, or somebody wrote the image step's answer
        due = self.due_check(context)
        approval = due.find_approval(job)
        if approval is not None and (why := _find_difference(approval, decision, image)):
            self.void_approval(context, job, approval, why)
        if job.target and not job.is_forced:
            due.check_due(job, records)
        elif job.target:
            due.check_passed(job)
        note = replace(
            note,
            image=image.get("origin", "") if image else "",
            approver=approval.person if approval else "",
            names_rollback=self._names_rollback(job, note, approval),
        )
        # Before the deploy: a hibernating Deployment fetches no DAGs until it wakes.
        self._rouse(job, deployment)
        said = self._deploy(context, job, deployment, decision, note, image)
        self.log.info(
            "deployed %s of %s to %s (%s): %s",
            job.deployed_commit[:12],
            job.branch,
            deployment.name,
            kind.value,
            job.reason,
        )
        return {**ask, "needle": note.needle, "said": said}

    def _check(self, context: Context, job: Job) -> Deployment:
        """Read source and Deployment again, and return the latter."""
        if job.target:
            check_source(self.scope, self.github, job)
            return check_target(self.scope, self.astro, job)
        check_head(self.scope, self.github, job)
        self.check_alive(job)
        # A preview that this run created has no id in the job: the job was made before it.
        return check_mark(
            self.know_targets(context), self.astro, job, job.deployment_id or self.need(context, "create")
        )

    def _rouse(self, job: Job, deployment: Deployment) -> None:
        """Wake a hibernating Deployment for a while; without an end, its own schedule would be off for good."""
        if not is_asleep(deployment):  # also one that was told to and has not got there yet
            return
        if not job.wake:
            self.log.warning("%s hibernates, and was not to be woken: it takes this when it wakes", deployment.name)
            return
        self.cli.wake_up(deployment.id, WAKE_FOR)
        self.log.info("woke %s for %s", deployment.name, WAKE_FOR)

    def _check_decision(
        self,
        job: Job,
        deployment: Deployment,
        records: Sequence[Deploy],
        decision: DeployDecision,
        image: Mapping[str, Any] | None,
    ) -> None:
        """Raise SupersededError when the decision was made for another commit, or on top of another deploy."""
        # Without this a rollback that on-call made since the pass would be undone, and a DAG deploy would meet an image
        # that it was not compared with.
        observed = read_history(records, self.scope.owner).newest_id
        if job.observed is not None and observed != job.observed:
            said = (
                f"it was {'approved' if job.is_forced else 'planned'} on top of deploy {job.observed or 'none'} of "
                f"{deployment.name}, now the newest is {observed or 'none'}"
            )
            raise PermanentError(f"{said}; ask anew") if job.is_forced else SupersededError(said, observed)
        commits = {decision.commit, image["commit"] if image else job.deployed_commit}
        if commits != {job.deployed_commit} or observed != decision.observed:
            raise SupersededError(
                f"decided for {decision.commit[:12]} on top of deploy {decision.observed or 'none'}, "
                f"now it is {job.deployed_commit[:12]} on top of {observed or 'none'}; "
                "the next pass decides anew, or clear 'change_type'",
                observed,
            )

    def _write_note(self, context: Context, job: Job, *, is_partial: bool) -> DeployNote:
        return DeployNote(
            ref=job.ref or job.branch,
            commit=job.deployed_commit,
            head=job.head,
            run_id=context["dag_run"].run_id,
            attempt=context["ti"].try_number,
            is_forced=job.is_forced,
            person=job.person,
            reason=job.reason,
            is_override=job.is_override or is_partial,
            owner=self.scope.owner,
            undoes=job.undoes,
        )

    def _names_rollback(self, job: Job, note: DeployNote, approval: Approval | None) -> bool:
        """Whether what was verified is deployed again where this does not work: policy and approval have to say so.

        What a person deploys in place of the source is that person's word, and stays.
        """
        rules = self.scope.project.find_verify(job.target) if job.target else None
        is_named = approval is None or approval.rolls_back
        return rules is not None and rules.rolls_back and is_named and not note.is_override

    def _list_whole(self, deployment: Deployment, kind: ChangeType, note: DeployNote) -> tuple[Deploy, ...]:
        """Return Astro's records, the newest first, without what an earlier try of this run brought in part only.

        An image without its DAGs is no deploy that is done, and none that somebody made meanwhile.
        """
        has_dag_deploys = deployment.is_dag_deploy_enabled
        records = self.astro.list_deploys(deployment.id)
        return tuple(
            each
            for each in records
            if self._find_own_note(each, note) is None
            or not (find_missing_part(each, kind) or find_blank(each, has_dag_deploys=has_dag_deploys))
        )

    def _find_done(self, records: Sequence[Deploy], job: Job, note: DeployNote) -> DeployNote | None:
        """Return the note of this run's earlier try, if Astro's newest record says that it deployed this commit."""
        # Only the newest: what came after it may have replaced what it brought.
        done = self._find_own_note(records[0], note) if records else None
        return done if done is not None and done.commit == job.deployed_commit else None

    def _find_own_note(self, record: Deploy, note: DeployNote) -> DeployNote | None:
        """Return the note of a deploy that this run made; None for all others, and for what did not succeed."""
        found = parse_note(record.description) if record.status is DeployStatus.DEPLOYED else None
        is_own = found is not None and found.run_id == note.run_id and found.is_of(self.scope.owner)
        return found if is_own and record.rollback_from_id is None else None

    def _deploy(
        self,
        context: Context,
        job: Job,
        deployment: Deployment,
        decision: DeployDecision,
        note: DeployNote,
        image: Mapping[str, Any] | None,
    ) -> str:
        project, kind = self.scope.project, decision.change_type
        is_built = image is not None and image["source"] == BUILD
        # One worktree a call: the CLI rewrites `.dockerignore` and writes its tarballs into it. There it also reads
        # branch and commit for Astro's record.
        with checkout(
            clone_url=self.github.clone_url(),
            token=self.github.token(),
            commit=job.deployed_commit,
            branch=job.branch,
            root=project.root,
            contents=Contents.PROJECT if is_built else Contents.DAGS,
            timeout_s=project.cli_timeout_s,
            rules=self._make_rules(),
        ) as worktree:
            if is_built:
                prepare_build(worktree.project)
            # Our `-f` silences the question that the CLI asks about an empty DAG folder.
            sends_dags = deployment.is_dag_deploy_enabled
            refuse_empty_dags(worktree.project, is_beside_image=image is not None and sends_dags)
            unchecked = self._check_dags(context, worktree.project, job, deployment, decision)
            with self._offer_engine(image) as (image_name, engine):
                try:
                    outcome = self.cli.deploy(
                        deployment.id,
                        cwd=worktree.project,
                        checkout=worktree.path,
                        kind=kind,
                        # The CLI prints no id of the deploy: by this text the settle step finds its record.
                        description=format_note(note),
                        image_name=image_name,
                        engine=_show(engine) if engine else None,
                        sends_dags=sends_dags,
                    )
                except DeployOpsError as error:
                    if engine is not None and engine.failure is not None:
                        raise engine.failure from error  # the CLI swallows what its engine said
                    raise
                told = f"; {unchecked} changed Python files were not checked, the log says why" if unchecked else ""
                return f"{outcome.last_line}{told}"

    def _make_rules(self) -> ContentRules:
        wanted = self.scope.project.checkout
        fetch = None
        if wanted.lfs:
            from include.deploy_ops.hooks.github.large_files import LargeFileFetcher

            fetch = LargeFileFetcher(self.github.token)
        return ContentRules(wanted.submodules, wanted.filters, fetch)

    def _check_dags(
        self, context: Context, project: Path, job: Job, deployment: Deployment, decision: DeployDecision
    ) -> int:
        """Refuse broken DAGs, or return how many were not checked.

        A first deploy is held against trunk: what the branch brings is refused, and what trunk has is everybody's.
        """
        base = decision.dags_base or self._find_trunk(context, job)
        return check_dags(
            project,
            self._find_changed(job, decision, base),
            ignore_syntax=find_ignore_syntax(deployment),
            # An override is on-call's own word, often a rollback in a hurry to what ran before: it is warned, not
            # stopped.
            refuses=not job.is_override and (bool(base) or decision.change_type is ChangeType.DAGS),
        )

    def _find_changed(self, job: Job, decision: DeployDecision, base: str) -> Collection[str] | None:
        if decision.changed_dags is not None:
            return decision.changed_dags
        return read_changed_dags(self.scope.project, self.github, base, job.deployed_commit) if base else None

    def _find_trunk(self, context: Context, job: Job) -> str:
        """Return trunk's head; empty where that is what is deployed, so that there is nothing to hold it against."""
        head = self.template_reader(context).find_trunk()
        # The commit has just come by Git, which brings trunk's trees as well.
        self.github.prefer_git()
        return head if head != job.deployed_commit else ""

    @contextlib.contextmanager
    def _offer_engine(self, image: Mapping[str, Any] | None) -> Iterator[tuple[str | None, ServedEngine | None]]:
        """Yield the image's name, None for one that is built, and the engine for the CLI, None where it needs none."""
        if image is None:
            yield None, None
            return
        with hold_folder("engine") as directory:
            if image["source"] == BUILD:
                with self._make_building_engine(directory) as engine:
                    yield None, engine
            else:
                with self._make_copying_engine(directory, image) as engine:
                    yield image["image"], engine

    def _make_building_engine(self, directory: Path) -> ServedEngine:
        from include.deploy_ops.engine.building_engine import BuildingEngine
        from include.deploy_ops.engine.installed_engine import find_engine

        engine = find_engine()  # again: this may be another worker than the one that looked
        self.log.info("building by %s", engine)
        return BuildingEngine(directory, engine, self.scope.project.cli_timeout_s, on_push_failed=self.cli.end)

    def _make_copying_engine(self, directory: Path, image: Mapping[str, Any]) -> ServedEngine:
        from include.deploy_ops.engine.copying_engine import CopyingEngine

        registry = open_astro_registry(self.scope) if image["source"] == REUSE else self.registry
        registry.find_image(image["image"])  # reads the connection here: the copy runs in a thread of the engine's

        def copy(target: PushTarget) -> str:
            report = registry.copy_image(
                image["image"],
                f"{target.repository}:{target.tag}",
                target.username,
                target.password,
                on_progress=target.report,
            )
            if report.digest != image["digest"]:  # raised here, the push fails and nothing is deployed
                raise RetryableError(f"{image['image']} moved since it was found; the next attempt takes what is there")
            self.log.info("copied %s: %s", image["image"], report)
            return report.digest

        return CopyingEngine(directory, image["image"], image["runtime_version"], copy, on_push_failed=self.cli.end)


def _show(engine: ServedEngine) -> ShownEngine:
    # Our folder comes first in PATH, so that the CLI finds our engine and none of the machine's.
    return ShownEngine(engine.binary, engine.environment(os.environ.get("PATH", os.defpath)), engine.sees())


def _find_difference(approval: Approval, decision: DeployDecision, image: Mapping[str, Any] | None) -> str:
    """Return how what would be deployed differs from what was approved, empty if it does not."""
    found = (decision.change_type.value, image.get("digest", "") if image else "")
    asked = (approval.kind, approval.image.partition("@")[2])
    if found == asked:
        return ""
    approved, would_be = (" with image ".join(filter(None, each)) for each in (asked, found))
    return f"{approval.person} approved {approved}, this would be {would_be}"


def find_ignore_syntax(deployment: Deployment) -> str:
    """Return how the Deployment's Airflow reads `.airflowignore`: its setting, or its version's default."""
    name = "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX"
    set_there = next((each.value for each in deployment.variables if each.key == name), None)
    default = "glob" if is_airflow_3_runtime(deployment.runtime_version) else "regexp"
    return set_there if set_there in {"glob", "regexp"} else default
