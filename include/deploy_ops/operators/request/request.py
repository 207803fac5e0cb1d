"""The steps around an approval: what is asked for, what it would deploy, is that still so, and what became of it.

The run claims nothing and deploys nothing. An approved planned request is remembered, and control plans the deploy; an
approved person's request dispatches the target's run. A rejection is remembered as a permanent ending, and is told to
the pull request.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, SealError, SupersededError
from include.deploy_ops.core.model import ChangeDecision, ChangeType
from include.deploy_ops.core.naming import hash_text, name_run, name_subject, name_work, read_attempt
from include.deploy_ops.core.plan.remembered import Approval, Ending, Judgement, Requests
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.target.release import ReleaseDecision, group_files
from include.deploy_ops.core.text.markdown import write_code, write_quotation, write_words
from include.deploy_ops.core.view.pages import render_decision
from include.deploy_ops.observation.checks import check_asked, check_source
from include.deploy_ops.observation.form_jobs import FormJobs
from include.deploy_ops.operators.answer import Answer, load_answer
from include.deploy_ops.operators.base import CAUSE_LENGTH_MAX, IMAGE_TASK, DeployOpsOperator, tell_failures
from include.deploy_ops.operators.deploy.classify import ClassifyChangeOperator
from include.deploy_ops.operators.deploy.image import FindImageOperator
from include.deploy_ops.operators.notify import FAILURE, describe_job, is_news, notify
from include.deploy_ops.operators.report import find_cause, list_failed
from include.deploy_ops.operators.request.approve import (
    APPROVE_TASK,
    CHANGE_TYPE_TASK,
    DISPATCH_TASK,
    PREPARE_TASK,
    RECHECK_TASK,
)
from include.deploy_ops.run.approvals import check_approval
from include.deploy_ops.run.decision import dump_decision, load_decision
from include.deploy_ops.run.endings import hand_over, make_ended, mask_text
from include.deploy_ops.run.forms import RequestForm, name_person, read_form
from include.deploy_ops.run.job import INFER, PLANNED_RUN_TYPE, Job, dump_job, make_dispatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.deploy_ops.run.memory import Memory


MAIN_TASKS = (CHANGE_TYPE_TASK, IMAGE_TASK, APPROVE_TASK, RECHECK_TASK)
"""The tasks of a request that may find that it is about nothing any more."""

REJECTIONS_MAX = 20
"""Rejections that are remembered of a target: of releases that may still come back."""


class PrepareRequestOperator(DeployOpsOperator):
    """Returns the job to ask for, as JSON: control's, or what a person's form says.

    :param target: the target of the DAG.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the job for the tasks that follow."""
        run = context["dag_run"]
        if run.run_type == PLANNED_RUN_TYPE:
            job = self.read_conf(context)
        else:
            form = read_form(RequestForm, context["params"])
            jobs = FormJobs(self.scope, self.github, self.astro)
            job = self.due_check(context).pass_gates(jobs.make_target_job(self.target, form, name_person(run)))
        self.log.info("asking for %s at %s: %s", job.target, job.deployed_commit[:12], job.reason)
        return dump_job(job)


class ClassifyReleaseOperator(ClassifyChangeOperator):
    """Decides what the release needs, as the target's own run will; nobody is asked about nothing, or what is void.

    Returns the `ReleaseDecision` as JSON.
    """

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the decision, with the files that an approver is shown."""
        job = self.begin(context)
        check_source(self.scope, self.github, job)  # a cleared request that is void would ask in vain
        history, has_dag_deploys = self._observe(job)
        decision = self._decide(job, history, has_dag_deploys=has_dag_deploys)
        self.decision = render_decision(decision, self.list_rules(job, decision))
        change_type = decision.change_type if job.deploy_type == INFER else ChangeType(job.deploy_type)
        self.log.info("%s for %s: %s", change_type.value, job.target, decision.reason)
        self.refuse_idle_override(job, change_type)
        is_asked = change_type is not ChangeType.NONE or (self.scope.target(job.target).merge and not job.is_forced)
        if not is_asked and not job.is_forced:
            self._remember_nothing_to_do(context, job, history, decision)
        decided = ReleaseDecision(
            change_type=change_type,
            commit=decision.commit,
            reason=_explain(job, decision),
            observed=history.newest_id,
            running=history.dags_commit,
            files=group_files(decision.paths),
        )
        idle = [] if is_asked else [APPROVE_TASK, RECHECK_TASK, DISPATCH_TASK]
        if not is_asked or change_type is not ChangeType.IMAGE:
            idle.append(IMAGE_TASK)
        return dict(self.finish(dump_decision(decided), idle=idle))

    def remember_judgement(self, memory: Memory, job: Job, judgement: Judgement) -> None:
        """Write it beside the target's record: a request claims nothing."""
        memory.request_judgement(job.slug).write(judgement)


def _explain(job: Job, decision: ChangeDecision) -> str:
    """Return why it is that deploy; a type that was set is told apart from what the files ask for."""
    if job.deploy_type == INFER:
        return decision.reason
    who = (job.person or "a person") if job.is_forced else "the policy"
    return f"set by {who}; by itself it is {decision.change_type.value}, {decision.reason}"


class FindReleaseImageOperator(FindImageOperator):
    """Finds the image of the release before anybody is asked, so that the question names its digest."""

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)

    def find_approval(self, context: Context, job: Job) -> Approval | None:  # noqa: ARG002 - it is asked for only now
        """Return none."""
        return None


class RecheckReleaseOperator(DeployOpsOperator):
    """Reads head, base and the target's newest deploy once more; if one moved, the approval is void.

    A planned request's approval is remembered for control. Returns the keyword arguments of the dispatches that follow:
    none, or the target's run for a person's request.
    """

    job_task: ClassVar[str] = PREPARE_TASK
    verbs = (Verb.REQUEST, Verb.DEPLOY)

    @tell_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Check, and act on the approval."""
        job = self.begin(context)
        answer = load_answer(self.need(context, APPROVE_TASK))
        if not answer.is_approved:
            raise AirflowSkipException(answer.describe_rejection())
        observed = load_decision(self.need(context, CHANGE_TYPE_TASK)).observed
        job = replace(job, observed=observed)
        check_asked(self.scope, self.github, self.astro, job)
        self.refuse_dry(job, f"deploy {job.deployed_commit[:12]} to {job.target}, approved by {answer.person}")
        approval = self._verify(job, answer)
        if job.is_forced:
            return [self._dispatch(context, replace(job, approval=approval), answer)]
        self.memory(context).approval(job.slug).write(approval)
        self.log.info("approved by %s; control plans the deploy", answer.person)
        return []

    def _verify(self, job: Job, answer: Answer) -> Approval:
        """Return the approval, if the task that asked gave it out and was asked for exactly this."""
        approval = answer.approval
        if approval is None:
            raise SealError(
                f"{answer.person} answered a question that a release before 0.3 asked, which bears no seal; a new "
                "request asks again"
            )
        check_approval(self.seals, self.dag_id, approval)
        if not approval.covers(job.head, job.base, job.observed or "", job.deployed_commit):
            raise PermanentError(
                f"{answer.person} was asked about {approval.commit[:12]}, not about {job.deployed_commit[:12]}; "
                "trigger a new request"
            )
        return approval

    def _dispatch(self, context: Context, job: Job, answer: Answer) -> dict[str, Any]:
        """Return the target's run; its name is the same for each try, and another one for each answer."""
        digest = hash_text(f"{context['dag_run'].run_id} {answer.at.isoformat()}", 8)
        run_id = name_run(name_work(job.slug, job.verb.value, job.deployed_commit, digest), 1)
        return make_dispatch(self.seals, self.scope.target_dag(job.target), run_id, job)


class ReportRequestOperator(DeployOpsOperator):
    """Teardown: remembers how a planned request ended, tells the pull request of a rejection, and wakes control."""

    job_task: ClassVar[str] = PREPARE_TASK

    def execute(self, context: Context) -> str:
        """Return how the request ended, in a line."""
        job = self.need_job(context)
        run_id = context["dag_run"].run_id
        states = self.runs(context).read_states(run_id)
        failed = list_failed(states)
        value = None if failed else self.read(context, APPROVE_TASK)
        answer = None if value is None else _mask(load_answer(value))
        cause = find_cause(context, failed)
        has_news = is_news(context, self.memory(context), job, cause)
        if answer is not None and not answer.is_approved and self._is_void(job):
            if answer.person and not (job.is_forced or job.is_dry):
                self._remember_void(context, job, answer, read_attempt(job.work, run_id))
            self.log.info("nobody asks this any more: nothing is told")
            return f"request for {job.target} at {job.head[:12]}: void"
        if answer is not None and not answer.is_approved:
            cause = _tell_rejection(answer)
            self._tell(job, answer, run_id)
        if not job.is_forced and not job.is_dry:
            is_refused = answer is not None and not answer.is_approved and bool(answer.person)
            refused_at = answer.at if answer is not None and is_refused else None
            self._remember(context, job, cause, read_attempt(job.work, run_id), refused_at)
        if not job.is_dry:
            said = f"approved by {answer.person}" if answer is not None and answer.is_approved else job.reason
            asked = replace(job, verb=Verb.REQUEST, reason=said)
            ended = make_ended(
                context, partial(self.read, context), self.memory(context), asked, states, cause, MAIN_TASKS
            )
            hand_over(context, self.scope.fleet, ended)
        line = f"request for {job.target} at {job.head[:12]}: {cause['cause'] if cause else 'done'}"
        self.log.info("%s", line)
        if has_news:
            notify(self.scope, context, describe_job(FAILURE, job, str(cause["cause"])))
        return line

    def _is_void(self, job: Job) -> bool:
        """Whether head or base moved since it was asked: then a no, or a timeout, is about nothing any more."""
        try:
            check_source(self.scope, self.github, job)
        except SupersededError as error:
            self.log.info("%s", error)
            return True
        except DeployOpsError as error:
            self.log.warning("whether it still matters cannot be seen: %s", error)
        return False

    def _remember(
        self, context: Context, job: Job, cause: Mapping[str, Any], attempt: int, refused_at: datetime | None
    ) -> None:
        """Write how the request ended: a person's no by what was asked, which no edit of the policy asks again.

        That nobody answered is nobody's answer: who is asked, and how long, may be what the edit mends. A no takes an
        earlier yes back: to this, or to what came before it.
        """
        memory = self.memory(context)
        subject = self._name_question(context, job)
        known = _recall(memory, job)
        ending = _make_ending(job, cause, attempt)
        others = {key: each for key, each in known.endings.items() if key not in {job.work, subject}}
        endings = others | {job.verb.value: ending}
        if ending.is_permanent:
            endings = _drop_oldest(endings) | {subject if refused_at else job.work: ending}
        memory.requests(job.slug).write(Requests(endings, refused_at or known.refused_at))

    def _remember_void(self, context: Context, job: Job, answer: Answer, attempt: int) -> None:
        """Remember a person's no to what is not asked any more, since that may come back: a draft, what was closed.

        It takes no earlier yes back, which may be to something newer.
        """
        memory, cause = self.memory(context), _tell_rejection(answer)
        known, ending = _recall(memory, job), _make_ending(job, cause, attempt)
        endings = _drop_oldest({**known.endings, self._name_question(context, job): ending})
        memory.requests(job.slug).write(replace(known, endings=endings))

    def _name_question(self, context: Context, job: Job) -> str:
        """Return what was asked, as `Work.subject`: on top of the deploy that the page was made for."""
        decided = self.read(context, CHANGE_TYPE_TASK)
        observed = load_decision(decided).observed if decided else job.observed or ""
        return name_subject(job.deployment_id, job.head, observed, job.base)

    def _tell(self, job: Job, answer: Answer, run_id: str) -> None:
        """Comment on the pull request; that it could not be done changes nothing about the rejection."""
        if not job.pull or job.is_override:
            return
        if self.scope.is_dry:
            self.log.info("mode: plan; would comment on pull request #%d", job.pull)
            return
        marker = f"<!-- deploy-ops request {hash_text(f'{self.dag_id} {run_id} {answer.at.isoformat()}', 16)} -->"
        try:
            url = self.github.comment_once(job.pull, write_comment(job, answer, self.dag_id, run_id, marker), marker)
        except DeployOpsError as error:
            self.log.warning("the rejection did not reach pull request #%d: %s", job.pull, error)
        else:
            self.log.info("the rejection stands on pull request #%d: %s", job.pull, url)


def _tell_rejection(answer: Answer) -> dict[str, Any]:
    """Return what a no is as the cause of a request's end."""
    return {"is_permanent": True, "is_rejection": True, "cause": answer.describe_rejection()[:CAUSE_LENGTH_MAX]}


def _recall(memory: Memory, job: Job) -> Requests:
    return memory.requests(job.slug).read() or memory.environment(job.slug).read().list_requests()


def _make_ending(job: Job, cause: Mapping[str, Any], attempt: int) -> Ending:
    return Ending(
        job.work,
        datetime.now(UTC),
        is_failure=bool(cause),
        is_permanent=bool(cause.get("is_permanent")),
        cause=str(cause.get("cause", "")),
        attempt=attempt,
    )


def _mask(answer: Answer) -> Answer:
    """Return the answer without what looks like a secret in its words, which rows and the pull request show."""
    return replace(answer, comment="\n".join(map(mask_text, answer.comment.splitlines())))


def _drop_oldest(endings: Mapping[str, Ending]) -> dict[str, Ending]:
    """Return the endings without the oldest of questions, about releases that are long gone."""
    asked = sorted(endings.keys() - {verb.value for verb in Verb}, key=lambda key: endings[key].ended_at)
    return {key: each for key, each in endings.items() if key not in asked[:-REJECTIONS_MAX]}


def write_comment(job: Job, answer: Answer, dag_id: str, run_id: str, marker: str) -> str:
    """Return the pull request's comment: what was rejected, by whom, and their words as a quotation."""
    who = f"by **{write_words(answer.person)}**" if answer.person else "since nobody answered in time"
    lines = [f"Not approved for **{job.target}** {who}: {job.head} onto {job.base}.", ""]
    lines += [write_quotation(answer.comment)] if answer.comment else []
    run = f"Run {write_code(run_id)} of {write_code(dag_id)}"
    lines += ["", f"<sub>{run}. A new head asks again; so does clearing the run.</sub>", marker]
    return "\n".join(lines)
