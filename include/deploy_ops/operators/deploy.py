"""The deploy step: a clean worktree of one commit, and `astro deploy` in it; images are copied or built on the way."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.change_type import Snapshot, list_changed_dags
from include.deploy_ops.errors import CommitMissingError, DeployOpsError, RetryableError, SupersededError
from include.deploy_ops.history import read_history
from include.deploy_ops.hooks.dag_check import check_dags
from include.deploy_ops.hooks.project_check import refuse_empty_dags, refuse_project_settings
from include.deploy_ops.hooks.worktree import checkout
from include.deploy_ops.model import ChangeType, DeployStatus
from include.deploy_ops.naming import DeployNote, format_note, parse_note
from include.deploy_ops.operators.base import IMAGE_TASK, tell_failures
from include.deploy_ops.operators.checks import check_head, check_mark
from include.deploy_ops.operators.classify import rules_of
from include.deploy_ops.operators.deployment import AstroCliOperator
from include.deploy_ops.planner import Verb
from include.deploy_ops.policy_values import BUILD
from include.deploy_ops.scratch import hold_folder
from include.deploy_ops.template_rules import is_airflow_3_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow.sdk import Context

    from include.deploy_ops.engine import CopyingEngine, PushTarget
    from include.deploy_ops.model import Deployment
    from include.deploy_ops.operators.job import Job


class DeployCodeOperator(AstroCliOperator):
    """Deploys the job's commit and returns what the settle step waits for.

    Returns `{"deployment_id", "needle", "kind", "started_at", "said"}`; `needle` is the part of the
    deploy's description by which this call's record is found, `said` the CLI's last line.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY)

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Check head and mark once more, then deploy."""
        job = self.read_job(context)
        decision = self.need(context, "change_type")
        kind = ChangeType(decision["change_type"])
        if kind is ChangeType.NONE:
            raise AirflowSkipException(f"nothing to deploy: {decision['reason']}")
        deployment_id = job.deployment_id or self.need(context, "create")
        check_head(self.scope, self.github, job)
        self.check_alive(job)
        deployment = check_mark(self.scope, self.astro, job, deployment_id)
        self.show(deployment)
        self.refuse_dry(f"deploy {job.head[:12]} ({kind.value}) to {deployment.name}")
        note = self._write_note(context, job)
        ask = {
            "deployment_id": deployment.id,
            "kind": kind.value,
            "started_at": datetime.now(UTC).isoformat(),
        }
        if done := self._find_done(deployment, job, note):
            self.log.info("an earlier try of this run has deployed %s already", job.head[:12])
            return {**ask, "needle": done.needle, "said": "deployed by an earlier try of this run"}
        image = self.need(context, IMAGE_TASK) if kind is ChangeType.IMAGE else None
        self._check_decision(job, deployment, decision, image)
        said = self._deploy(job, deployment, decision, note, image)
        self.log.info(
            "deployed %s of %s to %s (%s): %s", job.head[:12], job.branch, deployment.name, kind.value, job.reason
        )
        return {**ask, "needle": note.needle, "said": said}

    def _check_decision(
        self, job: Job, deployment: Deployment, decision: Mapping[str, Any], image: Mapping[str, Any] | None
    ) -> None:
        """Raise SupersededError when the decision was made for another commit, or on top of another deploy."""
        observed = read_history(self.astro.list_deploys(deployment.id)).newest_id
        commits = {decision["commit"], image["commit"] if image else job.head}
        if commits != {job.head} or observed != decision["observed"]:
            raise SupersededError(
                f"decided for {decision['commit'][:12]} on top of deploy {decision['observed'] or 'none'}, now it is "
                f"{job.head[:12]} on top of {observed or 'none'}; the next pass decides anew, or clear 'change_type'"
            )

    def _write_note(self, context: Context, job: Job) -> DeployNote:
        return DeployNote(
            ref=job.branch,
            commit=job.head,
            head=job.head,
            run_id=context["dag_run"].run_id,
            attempt=context["ti"].try_number,
            is_forced=job.is_forced,
            person=job.person,
            reason=job.reason,
        )

    def _find_done(self, deployment: Deployment, job: Job, note: DeployNote) -> DeployNote | None:
        """Return the note of this run's earlier try, if Astro's newest record says that it deployed this commit."""
        newest = next(iter(self.astro.list_deploys(deployment.id)), None)
        done = parse_note(newest.description) if newest and newest.status is DeployStatus.DEPLOYED else None
        if done is None or (done.run_id, done.commit) != (note.run_id, job.head):
            return None
        return done

    def _deploy(
        self,
        job: Job,
        deployment: Deployment,
        decision: Mapping[str, Any],
        note: DeployNote,
        image: Mapping[str, Any] | None,
    ) -> str:
        project, kind = self.scope.project, ChangeType(decision["change_type"])
        with checkout(
            clone_url=self.github.clone_url(),
            token=self.github.token(),
            commit=job.head,
            branch=job.branch,
            root=project.root,
            timeout_s=project.cli_timeout_s,
        ) as worktree:
            refuse_project_settings(worktree.project)
            refuse_empty_dags(worktree.project)
            self._check_dags(worktree.project, job, deployment, decision)
            with self._offer_engine(image) as (image_name, environment, engine):
                try:
                    outcome = self.cli.deploy(
                        deployment.id,
                        cwd=worktree.project,
                        kind=kind,
                        description=format_note(note),
                        image_name=image_name,
                        engine_environment=environment,
                    )
                except DeployOpsError as error:
                    if engine is not None and engine.failure is not None:
                        raise engine.failure from error  # the CLI swallows what its engine said
                    raise
                return outcome.last_line

    def _check_dags(self, project: Path, job: Job, deployment: Deployment, decision: Mapping[str, Any]) -> None:
        """Refuse broken DAGs; a first image deploy only warns of them, for it replaces nothing that is good."""
        base = decision.get("dags_base")
        check_dags(
            project,
            self._list_changed(base, job.head) if base else None,
            ignore_syntax=find_ignore_syntax(deployment),
            refuses=bool(base) or decision["change_type"] == ChangeType.DAGS.value,
        )

    def _list_changed(self, base: str, commit: str) -> frozenset[str] | None:
        github = self.github
        try:
            before, after = (Snapshot(each, github.get_commit(each).tree) for each in (base, commit))
        except CommitMissingError:
            return None
        return list_changed_dags(before, after, rules_of(self.scope.project), github.read_tree)

    @contextlib.contextmanager
    def _offer_engine(
        self, image: Mapping[str, Any] | None
    ) -> Iterator[tuple[str | None, Mapping[str, str] | None, CopyingEngine | None]]:
        """Yield image name, environment and engine for the CLI: all None where it needs none, or builds by its own."""
        if image is None or image["source"] == BUILD:
            yield None, None, None
            return
        from include.deploy_ops.engine import CopyingEngine

        registry = self.registry
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

        with (
            hold_folder("engine") as directory,
            CopyingEngine(
                directory, image["image"], image["runtime_version"], copy, on_push_failed=self.cli.end
            ) as engine,
        ):
            yield image["image"], engine.environment(os.environ.get("PATH", os.defpath)), engine


def find_ignore_syntax(deployment: Deployment) -> str:
    """Return how the Deployment's Airflow reads `.airflowignore`: its setting, or its version's default."""
    name = "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX"
    set_there = next((each.value for each in deployment.variables if each.key == name), None)
    default = "glob" if is_airflow_3_runtime(deployment.runtime_version) else "regexp"
    return set_there if set_there in {"glob", "regexp"} else default
