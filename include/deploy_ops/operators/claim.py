"""First step of a preview run: take the environment, or step back; it is the setup of the step that releases it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.desired import describe_merge, find_merge
from include.deploy_ops.errors import PermanentError
from include.deploy_ops.naming import name_deployment, slug_branch
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.claims import Claims
from include.deploy_ops.operators.job import PLANNED_RUN_TYPE, Form, Job, dump_job, read_form, read_planned
from include.deploy_ops.planner import Verb, find_previews

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.model import Branch


class ClaimOperator(DeployOpsOperator):
    """Claims the run's environment and returns the job as JSON.

    A planned run that finds a person's run at work is skipped, as is the rest of it; a person's run fails with the name
    of the run that it has to wait for.
    """

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the job for the tasks that follow."""
        run = context["dag_run"]
        claims = Claims(self.memory(context), self.runs(context))
        if run.run_type == PLANNED_RUN_TYPE:
            job = read_planned(run.conf or {})
            if holder := claims.confirm(job.slug, run.run_id):
                claims.release(job.slug, run.run_id)
                raise AirflowSkipException(f"{job.branch} is held by {holder}; the next pass plans again")
        else:
            person = getattr(run, "triggering_user_name", None) or ""
            form = read_form(context["params"], person)
            if holder := claims.take(slug_branch(form.branch), run.run_id):
                raise PermanentError(f"{form.branch} is held by run {holder}; wait for its end, then clear this run")
            job = self._make_job(form, person)
        self.log.info("claimed %s for %s: %s", job.branch, run.run_id, job.reason)
        tasks = self.dag.tasks if self.has_dag() else ()
        idle = [task.task_id for task in tasks if job.verb not in getattr(task, "verbs", (job.verb,))]
        return dict(self.finish(dump_job(job), idle=idle))

    def _make_job(self, form: Form, person: str) -> Job:
        project = self.scope.project
        if not project.wants_preview(form.branch):
            raise PermanentError(
                f"branch: '{form.branch}' matches no pattern of previews.branches "
                f"({', '.join(self.scope.previews.branches)})"
            )
        own = find_previews(self.astro.list_deployments(), self.scope.control_plane, project).get(form.branch, [])
        if len(own) > 1:
            raise PermanentError(
                f"two Deployments carry the mark of '{form.branch}'; delete the wrong one in Astro first"
            )
        deployment = own[0][0] if own else None
        branch = self.github.find_branch_beside(form.branch, project.trunk)
        if form.action == Verb.DELETE.value and deployment is None:
            raise PermanentError(f"'{form.branch}' has no Deployment; there is nothing to delete")
        if form.action != Verb.DELETE.value and branch is None:
            raise PermanentError(f"branch: there is no branch '{form.branch}' in {project.repository}")
        if branch is not None and form.action != Verb.DELETE.value:
            self._refuse_merged(branch)
        verb = Verb(form.action) if deployment else Verb.CREATE
        return Job(
            verb=verb,
            branch=form.branch,
            head=branch.head if branch else "0" * 40,
            deployment_name=deployment.name if deployment else name_deployment(project.name, form.branch),
            deployment_id=deployment.id if deployment else "",
            reason=form.reason,
            deploy_type=form.deploy_type,
            person=person,
        )

    def _refuse_merged(self, branch: Branch) -> None:
        """Refuse a preview that the next pass would delete: its pull request was merged at this head."""
        pulls = self.github.list_pull_requests_from(branch.name)
        if merge := find_merge(self.scope.project, branch, pulls):
            raise PermanentError(f"branch: {describe_merge(merge)} at this head; push to '{branch.name}' to begin anew")
