"""The change type step: compares the commit with what is deployed, and shows the decision record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change
from include.deploy_ops.core.errors import CommitMissingError, DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.core.history import DeployHistory, forget_unseen, read_history
from include.deploy_ops.core.model import ChangeDecision, ChangeType, DeployDecision
from include.deploy_ops.core.plan.remembered import Judgement
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.pages import render_decision
from include.deploy_ops.observation.changed_dags import read_changed_dags
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


SUBJECT_LENGTH_MAX = 200
"""Characters of a commit's first line and of its author's name that are handed on, for people to read."""

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
        self.decision = render_decision(decision)
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
        subject, author = self._read_texts(job)
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

    def _read_texts(self, job: Job) -> tuple[str, str]:
        """Return the commit's first line and its author, for people: of a test merge, of the head that it merges."""
        told = job.head if job.base and not job.is_override else job.deployed_commit
        try:
            commit = self.github.get_commit(told)
        except DeployOpsError as error:  # they are worth no failed deploy
            self.log.info("what %s says is not known: %s", told[:12], error)
            return "", ""
        return commit.subject[:SUBJECT_LENGTH_MAX], commit.author[:SUBJECT_LENGTH_MAX]

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
        image, why_image = self._find_snapshot(history.image_commit)
        # What the newest record was to bring and did not, nothing is compared with: it is brought now.
        is_lacking = history.lacks_dags and has_dag_deploys
        dags, why_dags = self._find_snapshot(None if is_lacking else history.dags_commit)
        return classify_change(
            target=Snapshot(job.deployed_commit, self.github.get_commit(job.deployed_commit).tree),
            image_base=image,
            dags_base=dags,
            rules=ChangeRules.of(self.scope.project),
            read_tree=self.github.read_tree,
            is_dag_deploy_enabled=has_dag_deploys,
            missing_base=why_image or why_dags,
        )

    def _find_snapshot(self, commit: str | None) -> tuple[Snapshot | None, str]:
        if commit is None:
            return None, "no successful deploy with a known commit"
        try:
            return Snapshot(commit, self.github.get_commit(commit).tree), ""
        except CommitMissingError:
            return None, f"commit {commit[:12]} of the last deploy is not in the repository any more"

    def _remember_nothing_to_do(
        self, context: Context, job: Job, history: DeployHistory, decision: ChangeDecision
    ) -> None:
        judgement = Judgement(job.deployed_commit, history.newest_id, self.scope.policy, decision.reason)
        self.remember_judgement(self.memory(context), job, judgement)

    def remember_judgement(self, memory: Memory, job: Job, judgement: Judgement) -> None:
        """Write it into the record of the environment, whose claim the run holds."""
        known = memory.environment(job.slug).read()
        memory.environment(job.slug).write(replace(known, judgement=judgement))
