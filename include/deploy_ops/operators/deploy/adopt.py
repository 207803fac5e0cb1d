"""Adopt a Deployment that bears a preview's name without our mark: after approval, it gets template and mark."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import RetryableError, SupersededError
from include.deploy_ops.core.naming import has_later_mark, parse_mark
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX, flatten, quote_text
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.answer import AskOperator, load_answer
from include.deploy_ops.operators.base import CommitLink, DeployOpsOperator, tell_failures
from include.deploy_ops.operators.deploy.deployment import AstroCliOperator
from include.deploy_ops.operators.deploy.render import BASIS_KEY, fingerprint_basis
from include.deploy_ops.operators.notify import APPROVAL, describe_job, notify

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.run.job import Job

ANSWER_TIMEOUT = timedelta(hours=8)
"""How long an adoption may wait for its yes: it holds the branch's environment meanwhile."""


class ApproveAdoptionOperator(DeployOpsOperator, AskOperator):
    """Asks whether the Deployment may become ours; returns the answer, also a no."""

    verbs = (Verb.ADOPT,)
    operator_extra_links = (CommitLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Adopt the Deployment?", response_timeout=ANSWER_TIMEOUT, **kwargs)

    def put_question(self, context: Context) -> NoReturn:
        """Say what becomes of it, and park the task."""
        job = self.begin(context)
        self.refuse_dry(job, f"ask whether {job.deployment_name} may be adopted")
        self.subject = flatten(f"Adopt {job.deployment_name} as the preview of {job.branch}?")
        self.body = (
            f"Deployment {quote_text(job.deployment_id)} gets the preview template's configuration and our mark. From "
            "then on it follows the branch: it is deployed to, and deleted when the branch ends. "
            f"{quote_text(job.person) if job.person else 'A person'} asks: {quote_text(job.reason, REASON_LENGTH_MAX)}"
        )
        notify(self.scope, context, describe_job(APPROVAL, job, self.subject))
        self.ask(context, _name_asked(job))


def _name_asked(job: Job) -> dict[str, str]:
    return {"deployment": job.deployment_id, "branch": job.branch}


class AdoptDeploymentOperator(AstroCliOperator):
    """Gives a Deployment our template and mark, if it is still without one."""

    verbs = (Verb.ADOPT,)

    @tell_failures
    def execute(self, context: Context) -> str:
        """Return the Deployment's id."""
        job = self.begin(context)
        answer = load_answer(self.need(context, "approve_adoption"))
        if not answer.is_approved:
            raise AirflowSkipException(answer.describe_rejection())
        answer.require(_name_asked(job))
        text = self.need_rendered(context)
        require_same_repository(self.memory(context), self.github)  # as when it was rendered, days ago perhaps
        deployment = self._check(job)
        self.link_deployment(deployment)
        if fingerprint_basis(deployment) != self.read(context, "render_template", BASIS_KEY):
            raise SupersededError(f"{deployment.name} changed since it was rendered; clear 'render_template'")
        self.refuse_dry(job, f"adopt {deployment.name}")
        secrets = self.read_secrets(context, job)
        self.remember_rendered(context, job)
        self.cli.update(deployment.id, text, secrets)
        self.remember_laid(context, job, deployment.id, secrets)
        self.log.info("adopted %s for %s: %s", deployment.name, job.branch, job.reason)
        return deployment.id

    def _check(self, job: Job) -> Deployment:
        deployment = self.astro.get_deployment(job.deployment_id)
        if deployment is None:
            raise SupersededError(f"Deployment {job.deployment_id} is gone")
        self.refuse_new_name()
        is_marked = parse_mark(deployment.description) is not None or has_later_mark(deployment.description)
        if is_marked or deployment.name in self.scope.targets:
            raise RetryableError(f"'{deployment.name}' ({deployment.id}) bears a mark by now, or is a target")
        return deployment
