"""First step of a run: take the environment, or step back; it is the setup of the step that releases it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import DeployOpsError, PermanentError
from include.deploy_ops.core.naming import slug_branch, slug_target
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.text.plain import write_plain
from include.deploy_ops.core.view.pages import render_decision, render_rules
from include.deploy_ops.observation.decisions import ChangeReader
from include.deploy_ops.observation.form_jobs import FormJobs
from include.deploy_ops.operators.base import VERIFY_TASK, DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.decision import CHANGE_TASK, DECISION_KEY, dump_decision
from include.deploy_ops.run.forms import PreviewForm, TargetForm, name_person, read_form
from include.deploy_ops.run.job import PLANNED_RUN_TYPE, Job, dump_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context


WAIT = "wait for its end, then clear this run"


class ClaimOperator(DeployOpsOperator):
    """Claims the run's environment and returns the job as JSON.

    A planned run that finds a person's run at work is skipped, as is the rest of it; a person's run, also an
    approved one, fails with the name of the run that it has to wait for.

    Where control wants a preview made, there is nothing to compare its commit with: then the decision on the change
    type is made here, under the key `decision` and as the rendered field of that name, and the step for it is skipped.
    Of every other run that field says what is done, why, and by which key of the policy.

    :param target: the target of the DAG; empty in a preview DAG.
    """

    decision = RenderedField()

    def __init__(self, *, target: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the job for the tasks that follow."""
        run = context["dag_run"]
        claims = Claims(self.memory(context), self.runs(context), is_one_at_a_time=bool(self.target))
        if run.run_type == PLANNED_RUN_TYPE:
            job = self.read_conf(context)
            if holder := claims.confirm(job.slug, run.run_id) or self._occupy(claims, job, run.run_id):
                claims.release(job.slug, run.run_id)  # here: the report step is skipped along with its setup
                if job.is_forced:  # approved by a person, and planned by nobody
                    raise PermanentError(f"{job.environment} is held by run {holder}; {WAIT}")
                raise AirflowSkipException(f"{job.environment} is held by {holder}; the next pass plans again")
        else:
            job = self._take_by_form(context, claims)
            if holder := self._occupy(claims, job, run.run_id):
                raise PermanentError(f"the Deployment of {job.environment} is held by run {holder}; {WAIT}")
        self.log.info("claimed %s for %s: %s", job.environment, run.run_id, job.reason)
        why = f"{job.verb.value} {job.environment}: {write_plain(job.reason)}"
        self.decision = f"{why}{render_rules(self.list_rules(job))}"
        tasks = self.dag.tasks if self.has_dag() else ()
        idle = [task.task_id for task in tasks if job.verb not in getattr(task, "verbs", (job.verb,))]
        if self.scope.project.find_verify(job.target) is None and not job.problem:
            idle += [task.task_id for task in tasks if task.task_id == VERIFY_TASK and task.task_id not in idle]
        if job.verb is Verb.CREATE and not job.is_forced and self._decide(context, job):
            idle.append(CHANGE_TASK)
        return dict(self.finish(dump_job(job), idle=idle))

    def _decide(self, context: Context, job: Job) -> bool:
        """Hand the decision on a first deploy on; return False where that is left to its own step.

        A claim that fails leaves the environment held by a run that reports nothing: so nothing here fails it.
        """
        try:
            self.github.remember(job.answers)
            found, decided = ChangeReader(self.scope.project, self.github).decide_first(job)
        except (DeployOpsError, OSError) as error:  # also of a worker without room, or without certificates
            self.log.info("'%s' decides on the change type: %s", CHANGE_TASK, error)
            return False
        self.decision = render_decision(found, self.list_rules(job, found))
        self.write(context, DECISION_KEY, dump_decision(decided))
        self.log.info("%s at %s: %s", decided.change_type.value, decided.commit[:12], decided.reason)
        return True

    def _occupy(self, claims: Claims, job: Job, run_id: str) -> str | None:
        """Note the run at a target's Deployment; return the run that is in the way, by another name of the target."""
        if not (job.target and job.deployment_id):
            return None
        return claims.occupy(job.deployment_id, run_id, self.scope.target_dags)

    def _take_by_form(self, context: Context, claims: Claims) -> Job:
        # Claimed before GitHub and Astro are asked: another run at work would change what the job says of them.
        run, jobs = context["dag_run"], FormJobs(self.scope, self.github, self.astro)
        if self.target:
            form = self._read_target_form(context["params"])
            self.take(claims, run.run_id, slug_target(self.target), self.target)
            return self.due_check(context).pass_gates(jobs.make_target_job(self.target, form, name_person(run)))
        wanted = read_form(PreviewForm, context["params"])
        self.take(claims, run.run_id, slug_branch(wanted.branch), wanted.branch)
        return jobs.make_preview_job(wanted, name_person(run))

    def take(self, claims: Claims, run_id: str, slug: str, name: str) -> None:
        """Claim the environment for a person's run. Raises PermanentError where another run holds it."""
        if holder := claims.take(slug, run_id):
            raise PermanentError(f"{name} is held by run {holder}; {WAIT}")

    def _read_target_form(self, params: Mapping[str, Any]) -> TargetForm:
        form = read_form(TargetForm, params)
        if self.scope.target(self.target).asks_when_forced and form.action == Verb.DEPLOY.value:
            dag_id = self.scope.request_dag(self.target)
            raise PermanentError(f"{self.target} is deployed to only after approval: trigger {dag_id} instead")
        return form
