"""First step of a promotion run: take the deploy branch, or step back, and make the job of a person's form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.naming import PROMOTION_SLUG
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.claim import ClaimOperator
from include.deploy_ops.run.forms import PromotionForm, name_person, read_form
from include.deploy_ops.run.job import Job

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.run.claims import Claims


class ClaimPromotionOperator(ClaimOperator):
    """Claims the project's deploy branch and returns the job; a job to adopt names the tip as its `commit`."""

    def _take_by_form(self, context: Context, claims: Claims) -> Job:
        run, promotion = context["dag_run"], self.scope.project.promotion
        if promotion is None:
            raise PermanentError(f"project {self.scope.project.name} has no promotion any more; look at the policy")
        form, name = read_form(PromotionForm, context["params"]), promotion.deploy_branch
        self.take(claims, run.run_id, PROMOTION_SLUG, name)
        return Job(
            verb=Verb.PROMOTE,
            branch=name,
            head=self.github.get_branch(promotion.into).head,
            deployment_name="",
            deployment_id="",
            reason=form.reason,
            person=name_person(run),
            commit=self._read_tip(name) if form.action == Verb.ADOPT.value else "",
            is_dry=form.dry_run,
        )

    def _read_tip(self, name: str) -> str:
        branch = self.github.find_branch_beside(name, self.scope.project.trunk)
        if branch is None:
            raise PermanentError(f"action: there is no branch '{name}' to adopt; the action 'promote' makes it")
        return branch.head
