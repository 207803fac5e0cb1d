"""Create, update, hibernate, delete a Deployment through the Astro CLI; each looks at Astro again before it writes."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import yaml

from include.deploy_ops.core.environment.mapping import fill_texts, find_size_problems, write_mapped
from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.environment.rotation import Laid
from include.deploy_ops.core.errors import RetryableError, SupersededError
from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.plan.remembered import Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.preview.ownership import describe_taken, find_nameless, find_previews
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.hooks.astro.cli_endings import DeploymentGoneError
from include.deploy_ops.hooks.secrets import read_secrets
from include.deploy_ops.observation.checks import check_alive, check_ended, check_expired, check_mark
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.base import (
    DEPLOYMENT_LINKS,
    MAPPED_KEY,
    RENDER_TASK,
    RENDERED_KEY,
    REPAIRS_KEY,
    STEP_TIME_MAX,
    AstroLink,
    DeployOpsOperator,
    PullRequestLink,
    tell_failures,
)
from include.deploy_ops.operators.deploy.render import BASIS_KEY, fingerprint_basis, recall_rendered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow.sdk import Context
    from airflow.sdk.bases.operatorlink import BaseOperatorLink

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.hooks.secrets import Secrets
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.scope import Scope


class AstroCliOperator(DeployOpsOperator):
    """Base of the operators that run the Astro CLI; ending the task ends the CLI and its children."""

    operator_extra_links: Collection[BaseOperatorLink] = DEPLOYMENT_LINKS

    long_calls: ClassVar[int] = 1
    """How often it does at the most what has the policy's `cli_timeout_s`."""

    def find_time_max(self, scope: Scope) -> timedelta:
        """Return more than the time limits of its calls together: they end first, and say what did not end."""
        return STEP_TIME_MAX + self.long_calls * timedelta(seconds=scope.project.cli_timeout_s)

    @functools.cached_property
    def cli(self) -> AstroCli:
        """The CLI with the project's Astro connection, logging line by line."""
        astro = self.astro  # another workspace's is refused there
        return AstroCli(
            astro.astro_conn_id,
            timeout_s=self.scope.project.cli_timeout_s,
            on_line=self.log.info,
            connection=astro.connection,
        )

    def on_kill(self) -> None:
        """End the running CLI call."""
        self.cli.end()

    def need_rendered(self, context: Context) -> str:
        """Return the Deployment file's text.

        :raises SupersededError: its mark names the repository otherwise than the policy does by now.
        """
        text: str = self.need(context, RENDER_TASK)
        mark = parse_mark(yaml.safe_load(text)["deployment"]["configuration"]["description"])
        if mark is None or mark.repository.casefold() != self.scope.project.repository.casefold():
            raise SupersededError(
                f"the Deployment file was rendered for {mark.repository if mark else 'nobody'}, and the policy names "
                f"{self.scope.project.repository} by now"
            )
        return text

    def remember_rendered(self, context: Context, job: Job, before: Iterable[str] | None = ()) -> None:
        """Write what the template gives the Deployment before it is given: a call that fails may have done it.

        Which values it has nobody knows until the call has ended well.

        :param before: what it got from the template until now, which a failed call may leave there.
        """
        memory = self.memory(context).environment(job.slug)
        parts = (*(before or ()), *(self.read(context, RENDER_TASK, RENDERED_KEY) or ()))
        memory.write(replace(memory.read(), rendered=tuple(dict.fromkeys(parts)), laid=None))

    def read_secrets(self, context: Context, job: Job) -> Secrets:
        """Return the values that the rendered file lacks, all of them read before the first call to Astro.

        :raises SupersededError: the policy maps something else by now.
        """
        mapped = self.scope.previews.environment.mapped
        if write_mapped(mapped) != (self.read(context, RENDER_TASK, MAPPED_KEY) or {}):
            raise SupersededError("previews.environment changed since the Deployment file was rendered")
        secrets = read_secrets(mapped)
        texts = fill_texts(mapped, make_fields(self.scope.project.name, job.branch))
        if problems := list(find_size_problems({**texts, **secrets.values})):
            raise RetryableError(f"{'; '.join(problems)}; make it smaller where it comes from")
        return secrets

    def remember_laid(self, context: Context, job: Job, deployment_id: str, secrets: Secrets) -> None:
        """Write seals of what it was given, by which control sees that a value changed."""
        if secrets.values:
            memory = self.memory(context).environment(job.slug)
            seals = self.seals.seal_values(deployment_id, secrets.values)
            memory.write(replace(memory.read(), laid=Laid(deployment_id, seals, secrets.at)))

    def check_alive(self, job: Job) -> None:
        """Go on only while the branch's preview lives, and link the task to its pull request."""
        pull = check_alive(self.scope, self.github, job)
        if pull is not None:
            self.link(PullRequestLink, self.github.web_url("pull", pull.number))


class CreateDeploymentOperator(AstroCliOperator):
    """Creates the preview's Deployment and returns its id; one that is already there with our mark is taken."""

    verbs = (Verb.CREATE,)
    operator_extra_links = ()  # the deploy after it has them

    @tell_failures
    def execute(self, context: Context) -> str:
        """Return the Deployment's id."""
        job = self.begin(context)
        text = self.need_rendered(context)
        self.check_alive(job)
        # A create is two calls to Astro, the second for the variables: a try that failed may have left a Deployment
        # behind.
        existing = self._find(job)
        if existing is None:
            self.refuse_new_name()
            self.refuse_dry(job, f"create {job.deployment_name}")
            secrets = self.read_secrets(context, job)
            self.remember_rendered(context, job)
            with secrets.hide_in_errors(text):
                deployment_id = self.cli.create(text, secrets)
                # The CLI exits 0 in many cases in which it did nothing, so each of these operators looks at Astro
                # afterwards.
                existing = self.astro.get_deployment(deployment_id)
            self.remember_laid(context, job, deployment_id, secrets)
        if existing is None:
            raise RetryableError(
                f"the CLI created {job.deployment_name}, but Astro does not show it; the next pass looks again"
            )
        self.link_deployment(existing)
        self.log.info("%s is there as %s for %s", existing.name, existing.id, job.branch)
        return existing.id

    def _find(self, job: Job) -> Deployment | None:
        deployments = self.astro.list_deployments()
        own = find_previews(deployments, self.scope.control_plane, self.scope.project).get(job.branch)
        if own and not own[0][0].problem:
            return own[0][0]
        if unreadable := own[0][0] if own else find_nameless(deployments):
            raise RetryableError(unreadable.doubt)
        if taken := next((each for each in deployments if each.name == job.deployment_name), None):
            raise RetryableError(describe_taken(taken, self.scope.control_plane, self.scope.project))
        return None


class UpdateDeploymentOperator(AstroCliOperator):
    """Brings a Deployment's configuration to the rendered template."""

    verbs = (Verb.UPDATE,)

    @tell_failures
    def execute(self, context: Context) -> str:
        """Return the Deployment's id."""
        job = self.begin(context)
        text = self.need_rendered(context)
        require_same_repository(self.memory(context), self.github)  # as when it was rendered
        deployment = check_mark(self.know_targets(context), self.astro, job, job.deployment_id)
        self.link_deployment(deployment)
        if fingerprint_basis(deployment) != self.read(context, "render_template", BASIS_KEY):
            raise SupersededError(
                f"name, variables or alert addresses of {deployment.name} changed since it was rendered"
            )
        self.refuse_dry(job, f"update {deployment.name}")
        secrets = self.read_secrets(context, job)
        self.remember_rendered(context, job, recall_rendered(self.memory(context), job, deployment))
        self.cli.update(deployment.id, text, secrets)
        self.remember_laid(context, job, deployment.id, secrets)
        self._remember_repaired(context, job)
        self.log.info("updated %s: %s", deployment.name, job.reason)
        return deployment.id

    def _remember_repaired(self, context: Context, job: Job) -> None:
        """Write what was repaired, after the call: one that failed is tried again, one that was done is not."""
        if repairs := self.read(context, RENDER_TASK, REPAIRS_KEY):
            memory = self.memory(context).environment(job.slug)
            memory.write(memory.read().add_repaired(repairs, datetime.now(UTC)))


class HibernateDeploymentOperator(AstroCliOperator):
    """Lets a preview hibernate that nobody uses, until a push or a person wakes it."""

    verbs = (Verb.HIBERNATE,)

    @tell_failures
    def execute(self, context: Context) -> None:
        """Let it hibernate, and see that Astro knows."""
        job = self.begin(context)
        deployment = check_mark(self.know_targets(context), self.astro, job, job.deployment_id)
        self.link_deployment(deployment)
        reason = check_expired(self.scope, self.github, self.astro, self.memory(context), job, deployment).reason
        if is_asleep(deployment):
            self.log.info("%s hibernates already", deployment.name)
            return
        if not deployment.is_development_mode:
            raise SupersededError(f"{deployment.name} is in development mode no more; only there it can hibernate")
        self.refuse_dry(job, f"let {deployment.name} hibernate: {reason}")
        self.cli.hibernate(deployment.id)
        seen = self.astro.get_deployment(deployment.id)
        if seen is None or not is_asleep(seen):
            raise RetryableError(
                f"the CLI let {deployment.name} hibernate, but Astro shows no override; the next attempt looks again"
            )
        self.log.info("%s (%s) hibernates: %s", deployment.name, deployment.id, reason)


class DeleteDeploymentOperator(AstroCliOperator):
    """Deletes a preview after checking mark and reason once more."""

    verbs = (Verb.DELETE,)
    operator_extra_links = (AstroLink(),)  # its Airflow is gone afterwards

    @tell_failures
    def execute(self, context: Context) -> None:
        """Delete, and see that it is gone."""
        job = self.begin(context)
        require_same_repository(self.memory(context), self.github)
        reason = "" if job.is_expiry else check_ended(self.scope, self.github, job)
        deployment = check_mark(self.know_targets(context), self.astro, job, job.deployment_id)
        self.link_deployment(deployment)
        if job.is_expiry:
            reason = check_expired(self.scope, self.github, self.astro, self.memory(context), job, deployment).reason
        self.refuse_dry(job, f"delete {deployment.name}: {reason}")
        if job.is_forced or job.is_expiry:
            self._remember_removal(context, job, reason)
        try:
            self.cli.delete(deployment.id)
        except DeploymentGoneError:
            self.log.info("%s was gone already", deployment.name)
        if self.astro.get_deployment(deployment.id) is not None:
            raise RetryableError(
                f"the CLI deleted {deployment.name}, but Astro still shows it; the next pass looks again"
            )
        self.log.info("deleted %s (%s): %s", deployment.name, deployment.id, reason)

    def _remember_removal(self, context: Context, job: Job, reason: str) -> None:
        """Write it before the delete: a preview that comes back is a lesser harm than one nobody asked to keep away."""
        memory = self.memory(context)
        known = memory.environment(job.slug).read()
        who = f"by {job.person}" if job.person else "on request"
        removal = Removal(job.head, reason if job.is_expiry else f"{who}: {reason}")
        memory.environment(job.slug).write(replace(known, removal=removal))
