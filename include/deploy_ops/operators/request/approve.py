"""The approval step: shows a person what a deploy would change, and waits, holding no slot of anything.

Airflow gives the answer to this task alone. It parks with what it asked, and seals that together with who answered: no
XCom and no store is believed instead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk.execution_time.hitl import HITLUser

from include.deploy_ops.core.errors import PermanentError, RetryableError, SupersededError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.target.approvers import describe_nobody, refuse_answer
from include.deploy_ops.core.target.release import summarize, summarize_subject
from include.deploy_ops.observation.checks import check_asked
from include.deploy_ops.observation.release_facts import ReleaseReader
from include.deploy_ops.operators.answer import Answer, AskOperator, count_clearings
from include.deploy_ops.operators.base import IMAGE_TASK, SOURCE_LINKS, DeployOpsOperator
from include.deploy_ops.operators.deploy.image import name_by_digest
from include.deploy_ops.operators.notify import APPROVAL, describe_job, notify
from include.deploy_ops.run.approvals import seal_approval
from include.deploy_ops.run.decision import load_release_decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.deploy_ops.core.target.approvers import Panel
    from include.deploy_ops.core.target.release import Release
    from include.deploy_ops.run.scope import Scope

PREPARE_TASK, CHANGE_TYPE_TASK, APPROVE_TASK, RECHECK_TASK, DISPATCH_TASK = (
    "prepare",
    "change_type",
    "approve",
    "recheck",
    "dispatch",
)


WHO, FALLBACK = "who", "fallback"
"""Keys in what is asked: who may answer, and to which deploy record one that fails goes back now. They are no part of
the approval.
"""


def _describe_panel(panel: Panel) -> dict[str, Any]:
    """Return who may answer. Airflow keeps whom it let answer a run's first page: other people are another question."""
    if panel.users is None:
        return {"all_but": sorted(panel.excluded)}
    return {"users": sorted(panel.users)}


def _describe_rollback(release: Release) -> dict[str, Any]:
    """Return whether and to what a failure goes back; without the word nothing, so that a question stays the same."""
    if not release.rolls_back:
        return {}
    return {"rolls_back": True, FALLBACK: release.fallback.deploy_id if release.fallback else ""}


class ApproveReleaseOperator(DeployOpsOperator, AskOperator):
    """Asks for approval of a release; returns the answer as JSON, also a rejection."""

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)
    operator_extra_links = SOURCE_LINKS

    def __init__(self, *, scope: Scope, target: str, **kwargs: Any) -> None:
        super().__init__(
            scope=scope,
            subject=f"Deploy to {target}?",
            response_timeout=scope.target(target).approval_timeout,
            **kwargs,
        )

    def put_question(self, context: Context) -> NoReturn:
        """Make the page and park the task."""
        job = self.begin(context)
        self.refuse_dry(job, f"ask for approval to deploy {job.deployed_commit[:12]} to {job.target}")
        decision = load_release_decision(self.need(context, CHANGE_TYPE_TASK))
        found = self.need(context, IMAGE_TASK) if decision.change_type is ChangeType.IMAGE else {}
        image, source = name_by_digest(found), found.get("source", "")
        reader = ReleaseReader(self.scope, self.github, self.astro, self.memory(context))
        release = reader.read(job, decision, image, source, datetime.now(UTC), found.get("runtime_version", ""))
        if problem := release.mergeability.problem:
            raise SupersededError(f"pull request #{job.pull}: {problem}; it is asked about when that is mended")
        if release.panel.is_nobody:
            raise PermanentError(describe_nobody(release.panel, job.target))
        # The image may have been awaited for an hour: a question that is void already asks nobody.
        job = replace(job, observed=decision.observed)
        check_asked(self.scope, self.github, self.astro, job)
        due = self.due_check(context)
        release = replace(release, gates=due.check_gates(job))
        if not (job.is_forced or count_clearings(context)):  # who clears it wants it asked again
            due.check_unasked(job, self.runs(context), context["dag_run"].run_id)
        users = release.panel.users
        self.assigned_users = None if users is None else [HITLUser(id=user, name=user) for user in users]
        self.subject, self.body = summarize_subject(release), summarize(release, self.github.web_url)
        notify(self.scope, context, describe_job(APPROVAL, job, self.subject))
        self.ask(
            context,
            {
                "head": job.head,
                "base": job.base,
                "observed": decision.observed,
                "commit": job.deployed_commit,
                "kind": decision.change_type.value,
                "merges": release.is_merging,
                "image": image,
                "image_source": source,
                "image_origin": found.get("origin", ""),
                WHO: _describe_panel(release.panel),
            }
            | _describe_rollback(release),
        )

    def weigh(self, context: Context, answer: Answer, asked: Mapping[str, Any] | None) -> Answer:
        """Return the answer, with the sealed approval where it is a yes to what the page said."""
        if not answer.is_approved or asked is None:  # a release before 0.3 asked: its approval counts as none
            return answer
        self._check_approver(context, answer)
        run_id = context["dag_run"].run_id
        said = {key: value for key, value in asked.items() if key not in {WHO, FALLBACK}}
        approval = Approval(**said, person=answer.person, at=answer.at, user_id=answer.user_id, run_id=run_id)
        return replace(answer, approval=seal_approval(self.seals, self.dag_id, approval))

    def _check_approver(self, context: Context, answer: Answer) -> None:
        """Raise RetryableError unless who approved may, by the policy and the pull requests as they are now.

        Before anything is sealed: what is sealed once would count wherever somebody puts it.
        """
        job, memory = self.need_job(context), self.memory(context)
        panel = ReleaseReader(self.scope, self.github, self.astro, memory).read_panel(job)
        if said := refuse_answer(panel, answer.user_id, answer.person):
            self.forget_answer(context)
            raise RetryableError(f"the approval does not count: {said}; it is asked again")
