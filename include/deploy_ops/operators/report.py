"""Last step of a run: release the environment, remember how the run ended, and tell control (the fleet asset)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import SealError
from include.deploy_ops.core.naming import read_attempt
from include.deploy_ops.core.plan.remembered import Ending, Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.verification.judging import tell_errors
from include.deploy_ops.core.verification.standing import OVERTAKEN, UNANSWERED, advise, tell_standing
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.operators.base import FAILURE_KEY, RENDER_TASK, RENDERED_KEY, VERIFY_TASK, DeployOpsOperator
from include.deploy_ops.operators.metrics import count_run
from include.deploy_ops.operators.notify import (
    FAILURE,
    GATES,
    VERIFICATION,
    describe_job,
    is_news,
    is_proof_news,
    notify,
)
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.endings import VERDICT_KEY, hand_over, make_ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory


ASKED_FOR = frozenset({Verb.VERIFY, Verb.MUTE})
"""The verbs whose runs only verify; those that deploy do besides."""
SUCCESS = "success"
UPDATE_TASK = "update"
"""The task after which a Deployment has of the template what was rendered, and nothing from before."""


class ReportOperator(DeployOpsOperator):
    """Teardown of the claim; never turns a failed run green, and always wakes control."""

    def execute(self, context: Context) -> str:
        """Return how the run ended, in a line."""
        job = self.need_job(context)
        run_id = context["dag_run"].run_id
        memory, runs = self.memory(context), self.runs(context)
        states = runs.read_states(run_id)
        verdict, is_asked = self._read_verdict(context, memory, job, states), job.verb in ASKED_FOR
        # What was deployed and does not work is no failed deploy: nobody deploys it again, and the next push does.
        failed = [task for task in list_failed(states) if task != VERIFY_TASK or (verdict is None and is_asked)]
        cause = find_cause(context, failed)
        # Before the ending is remembered: news is what differs from what was known.
        has_news, has_proof_news = is_news(context, memory, job, cause), is_proof_news(memory, job, verdict)
        if job.is_dry:
            self.log.info("a dry run: nothing was written, and nothing is remembered")
        elif not (job.is_forced or job.is_expiry) and states.get("delete") == SUCCESS:
            # It is gone with its branch.
            for slot in (memory.environment(job.slug), memory.verification(job.slug), memory.mutes(job.slug)):
                slot.forget()
        else:
            is_gone = states.get("delete") == SUCCESS
            is_skipped = not failed and states.get(job.verb.value) == "skipped"
            ending = self._make_ending(job, run_id, cause, has_failed=bool(failed), is_skipped=is_skipped)
            rendered = self._read_rendered(context, states)
            self._remember(memory, job, ending, is_gone=is_gone, rendered=rendered)
            if is_gone:  # what was left unpaused went with it, and is paused in no later Deployment
                memory.verification(job.slug).forget()
        # Before control hears of the end: its pass must find the environment free.
        claims = Claims(memory, runs)
        claims.release(job.slug, run_id)
        if job.target and job.deployment_id:
            claims.leave(job.deployment_id, run_id)
        if not job.is_dry:
            main = [
                task.task_id for task in self.dag.tasks if job.verb in getattr(task, "verbs", ()) and task is not self
            ]
            ended = make_ended(context, partial(self.read, context), memory, job, states, cause, main, verdict)
            hand_over(context, self.scope.fleet, ended)
            count_run(self.scope, job, ended.outcome)
        said = f"failed in {failed[0]}: {cause['cause']}" if failed else "done"
        said += f", {tell_standing(verdict)}" if verdict else ""
        line = f"{job.verb.value} {job.environment}: {said}"
        self.log.info(line)
        # Last: a notifier that fails keeps neither claim nor ending.
        if has_news:
            said = f"{job.reason}; that failed: {cause['cause']}" if job.undoes else str(cause["cause"])
            notify(self.scope, context, describe_job(FAILURE, job, said))
        for what, said in _list_deploy_news(job, states, verdict, has_proof_news=has_proof_news):
            notify(self.scope, context, describe_job(what, job, said))
        return line

    def _read_verdict(
        self, context: Context, memory: Memory, job: Job, states: Mapping[str, str]
    ) -> Verification | None:
        """Return what the run's verification came to; None where it made none, or a form's could not begin.

        Of a deploy that settled, and that the policy wants verified, it is not known where there is no verdict: the
        verification died, or a newer deploy overtook it. What is remembered may be of an older record then.
        """
        state, known = states.get(VERIFY_TASK), memory.verification(job.slug).read()
        if state not in {"success", "failed", "skipped"}:
            return None
        told = self._read_told(context)
        if told is not None and known is not None and told.get("deploy_id") == known.deploy_id:
            return known
        is_wanted = self.scope.project.find_verify(job.target) is not None or state == "failed"
        if job.verb in ASKED_FOR or states.get("settle") != SUCCESS or not is_wanted:
            return None
        said = UNANSWERED if state == "failed" else OVERTAKEN
        return Verification("", job.deployed_commit, Proof.UNKNOWN, datetime.now(UTC), said)

    def _read_told(self, context: Context) -> Mapping[str, Any] | None:
        try:
            told: Mapping[str, Any] | None = self.read(context, VERIFY_TASK, VERDICT_KEY)
        except SealError as error:
            self.log.warning("the verdict does not count: %s", error)
            return None
        return told

    def _make_ending(
        self, job: Job, run_id: str, cause: Mapping[str, Any], *, has_failed: bool, is_skipped: bool
    ) -> Ending:
        return Ending(
            job.work,
            datetime.now(UTC),
            has_failed,
            bool(cause.get("is_permanent")),
            str(cause.get("cause", "")),
            read_attempt(job.work, run_id),
            is_skipped,
        )

    def _read_rendered(self, context: Context, states: Mapping[str, str]) -> Sequence[str] | None:
        """Return what the Deployment has of the template after a whole update; None where what was noted stays.

        Whoever writes notes before it does what it brings (`AstroCliOperator.remember_rendered`).
        """
        if states.get(UPDATE_TASK) != SUCCESS:
            return None
        try:
            found: Sequence[str] | None = self.read(context, RENDER_TASK, RENDERED_KEY)
        except SealError as error:
            self.log.warning("what the template gave is not remembered: %s", error)
            return None
        return found

    def _remember(
        self, memory: Memory, job: Job, ending: Ending, *, is_gone: bool, rendered: Sequence[str] | None
    ) -> None:
        """Write how planned work ended, and drop what a person ended: a removal, or that the preview is kept."""
        known = memory.environment(job.slug).read()
        endings = dict(known.endings)
        if not job.is_forced:
            endings[job.ending_key] = ending
        known = replace(known, endings=endings, removal=_keep_removal(known.removal, job))
        if rendered is not None:
            known = replace(known, rendered=tuple(rendered))
        if is_gone:
            known = replace(known, rendered=None, laid=None)
        if is_gone or (job.ends_keep and not ending.is_failure):
            known = replace(known, kept="", kept_id="")
        memory.environment(job.slug).write(known)


def _list_deploy_news(
    job: Job, states: Mapping[str, str], verdict: Verification | None, *, has_proof_news: bool
) -> Iterator[tuple[str, str]]:
    """Yield what is told of a deploy that was made: the occasion, and what is said of it."""
    if job.skips and states.get("deploy") == SUCCESS:
        yield GATES, f"deployed past closed gates: {job.reason}"
    if job.undoes and states.get("settle") == SUCCESS:
        yield VERIFICATION, _tell_rollback(job, verdict)
    elif verdict is not None and has_proof_news:
        yield VERIFICATION, f"{tell_errors(verdict)}\n{advise(verdict)}"


def find_cause(context: Context, failed: list[str]) -> dict[str, Any]:
    """Return what the failed tasks told of their failure, empty if none failed.

    :param failed: their names as Airflow lists states: a mapped task's `dispatch` with its index, `dispatch_0`.
    """
    for name in failed:
        cause = context["ti"].xcom_pull(task_ids=name, key=FAILURE_KEY)
        task, _, index = name.rpartition("_")
        if not cause and task and index.isdecimal():
            cause = context["ti"].xcom_pull(task_ids=task, key=FAILURE_KEY, map_indexes=int(index))
        if cause:
            return dict(cause)
    return {"cause": f"its step {failed[0]} ended without saying why; see its log"} if failed else {}


def list_failed(states: Mapping[str, str]) -> list[str]:
    """Return the tasks that failed themselves; those that only failed with them have nothing to say."""
    return sorted(task for task, state in states.items() if state == "failed")


def _tell_rollback(job: Job, verdict: Verification | None) -> str:
    """Return what control went back to, whether that works, and until when it stays."""
    proof = ""
    if verdict is not None and verdict.proof is Proof.FAILED:
        proof = f"; that is not verified either:\n{tell_errors(verdict)}"
    elif verdict is not None and verdict.proof is not Proof.VERIFIED:
        proof = f"; that is {verdict.said}"
    if verdict is not None and verdict.said == OVERTAKEN:
        return f"{job.reason}{proof}"
    return f"{job.reason}{proof}\nit stays so until somebody mends the source and resumes"


def _keep_removal(removal: Removal | None, job: Job) -> Removal | None:
    """Return the removal while it holds: until the head moves, or a person wants the preview again."""
    is_wanted = job.is_forced and job.verb not in {Verb.DELETE, Verb.KEEP}
    if removal is None or removal.head != job.head or is_wanted:
        return None
    return removal
