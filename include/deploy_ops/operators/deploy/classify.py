"""The change type step: compares the commit with what is deployed, and shows the decision record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.history import DeployHistory, forget_unseen, read_history
from include.deploy_ops.core.model import ChangeDecision, ChangeType, DeployDecision
from include.deploy_ops.core.plan.remembered import Judgement
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.pages import render_decision
from include.deploy_ops.observation.changed_dags import read_changed_dags
from include.deploy_ops.observation.decisions import ChangeReader
from include.deploy_ops.operators.base import (
    IMAGE_TASK,
    DeployOpsOperator,
    RenderedField,
    tell_failures,
)
from include.deploy_ops.run.decision import dump_decision
from include.deploy_ops.run.job import INFER, Job

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.run.memory import Memory


CHANGED_LENGTH_MAX = 4096
"""Characters of the changed DAGs' paths that are handed on; where they are more, the deploy step reads them itself."""

IDLE_TASKS = {
    ChangeType.NONE: (IMAGE_TASK, "deploy", "settle"),
    ChangeType.DAGS: (IMAGE_TASK,),
    ChangeType.IMAGE: (),
}
"""The tasks that have nothing to do after each decision."""


class ClassifyChangeOperator(DeployOpsOperator):
    """Decides which deploy the commit needs; "none" is remembered for planned work, and skips the rest.

    Returns the `DeployDecision` as JSON. What the files ask for is the rendered field `decision`, with its paths.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY)
    decision = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the decision."""
        job = self.begin(context)
        history, has_dag_deploys = self._observe(job)
        decision = self._decide(job, history, has_dag_deploys=has_dag_deploys)
        self.decision = render_decision(decision, self.list_rules(job, decision))
        change_type = decision.change_type
        what = f"{change_type.value} for {job.environment} at {job.deployed_commit[:12]}"
        self.log.info("%s: %s", what, decision.reason)
        if job.deploy_type != INFER:
            change_type = ChangeType(job.deploy_type)
            who = (job.person or "a person") if job.is_forced else "the policy"
            self.log.info("set to %s by %s", change_type.value, who)
        self.refuse_idle_override(job, change_type)
        if change_type is ChangeType.NONE and not job.is_forced:
            self._remember_nothing_to_do(context, job, history, decision)
        subject, author = self._reader.read_texts(job)
        decided = DeployDecision(
            change_type=change_type,
            commit=decision.commit,
            reason=decision.reason,
            observed=history.newest_id,
            image_base=decision.image_base,
            dags_base=decision.dags_base,
            is_partial=job.is_forced and change_type.rank < decision.change_type.rank,
            subject=subject,
            author=author,
            changed_dags=self._list_changed_dags(decision),
        )
        return dict(self.finish(dump_decision(decided), idle=IDLE_TASKS[change_type]))

    def _list_changed_dags(self, decision: ChangeDecision) -> tuple[str, ...] | None:
        """Return the DAGs that differ, for the deploy step: the trees that say so were read for the decision."""
        if decision.change_type is ChangeType.NONE or decision.dags_base is None:
            return None
        changed = read_changed_dags(self.scope.project, self.github, decision.dags_base, decision.commit)
        is_small = changed is not None and sum(map(len, changed)) <= CHANGED_LENGTH_MAX
        return tuple(sorted(changed)) if changed is not None and is_small else None

    def refuse_idle_override(self, job: Job, change_type: ChangeType) -> None:
        """Raise PermanentError where a person's override deploys nothing: who asks believes that it is held."""
        if change_type is ChangeType.NONE and job.is_override and not job.is_dry:
            raise PermanentError(
                f"{job.environment} runs the files of {job.deployed_commit[:12]} already, so nothing is deployed, and "
                "nothing would hold them: choose a deploy type to deploy them again, or pause the DAG"
            )

    def _observe(self, job: Job) -> tuple[DeployHistory, bool]:
        if not job.deployment_id:
            return DeployHistory(), True
        deployment = self.astro.get_deployment(job.deployment_id)
        if deployment is None:
            raise RetryableError(
                f"Deployment {job.deployment_id} of {job.environment} is gone; the next pass looks again"
            )
        self.link_deployment(deployment)
        history = read_history(self.astro.list_deploys(deployment.id), self.scope.owner)
        return forget_unseen(history, deployment), deployment.is_dag_deploy_enabled

    def _decide(self, job: Job, history: DeployHistory, *, has_dag_deploys: bool) -> ChangeDecision:
        return self._reader.decide(job.deployed_commit, history, has_dag_deploys=has_dag_deploys)

    @property
    def _reader(self) -> ChangeReader:
        return ChangeReader(self.scope.project, self.github)

    def _remember_nothing_to_do(
        self, context: Context, job: Job, history: DeployHistory, decision: ChangeDecision
    ) -> None:
        judgement = Judgement(job.deployed_commit, history.newest_id, self.scope.policy, decision.reason)
        self.remember_judgement(self.memory(context), job, judgement)

    def remember_judgement(self, memory: Memory, job: Job, judgement: Judgement) -> None:
        """Write it into the record of the environment, whose claim the run holds."""
        known = memory.environment(job.slug).read()
        memory.environment(job.slug).write(replace(known, judgement=judgement))
