"""What is read again immediately before a write: is the head still it, the mark still ours, the reason still true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import lets_rest, read_labels
from include.deploy_ops.core.cleanup.use import find_use
from include.deploy_ops.core.cleanup.verdict import ACTED_ON, Verdict, describe_exemption, drop_doubted, find_end
from include.deploy_ops.core.errors import PermanentError, RetryableError, SupersededError
from include.deploy_ops.core.history import ROLLBACK, find_former, read_history
from include.deploy_ops.core.model import Branch, Deployment, PullRequest
from include.deploy_ops.core.naming import name_subject, parse_mark
from include.deploy_ops.core.plan.work import Verb, Work
from include.deploy_ops.core.preview.desired import RepositorySnapshot, describe_merge, find_merge
from include.deploy_ops.core.preview.hibernation import find_wake
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.preview.ownership import is_own
from include.deploy_ops.core.target.approvers import is_listed
from include.deploy_ops.core.target.comparison import compare_target
from include.deploy_ops.core.target.gates import find_unmet, list_closed
from include.deploy_ops.observation.gates import GateReader
from include.deploy_ops.observation.targets import TargetObserver
from include.deploy_ops.observation.uses import UseObserver
from include.deploy_ops.run.approvals import check_approval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deploy
    from include.deploy_ops.core.plan.remembered import Approval
    from include.deploy_ops.core.policy.keys import Target
    from include.deploy_ops.core.target.gates import Gate
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.airflow_runs import Runs
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals


def find_branch(scope: Scope, github: DeployOpsGithubHook, job: Job) -> Branch:
    """Return the job's branch; raise SupersededError when it is gone, and nothing else is."""
    branch = github.find_branch_beside(job.branch, scope.project.trunk)
    if branch is None:
        raise SupersededError(f"branch {job.branch} is gone")
    return branch


def check_head(scope: Scope, github: DeployOpsGithubHook, job: Job) -> None:
    """Raise SupersededError unless the branch's tip is still the job's head, or a person forced the job."""
    if not job.is_forced:
        _check_tip(scope, github, job)


def _check_tip(scope: Scope, github: DeployOpsGithubHook, job: Job) -> None:
    branch = find_branch(scope, github, job)
    if branch.head != job.head:
        raise SupersededError(f"{job.branch} moved from {job.head[:12]} to {branch.head[:12]}; the next pass takes it")


def check_source(scope: Scope, github: DeployOpsGithubHook, job: Job) -> None:
    """Raise SupersededError unless a target's source is still what the job was planned or approved for.

    Of a pull request the base counts as well: what was tested, and perhaps approved, is head onto base. What a person
    forces there and then, or instead of what the source has, goes on.
    """
    if job.is_override or (job.is_forced and not job.is_approved):
        return
    if not job.pull:
        _check_tip(scope, github, job)
        return
    release = scope.target(job.target).pull_request
    takes_drafts = release is None or release.drafts
    pulls = [pull for pull in github.list_pull_requests_from(job.branch) if _is_release(pull, job)]
    if [pull.head_sha for pull in pulls] != [job.head]:
        raise SupersededError(f"pull request #{job.pull} is closed or moved from {job.head[:12]}; the next pass looks")
    if pulls[0].is_draft and not takes_drafts:
        raise SupersededError(f"pull request #{job.pull} is a draft by now; the next pass looks")
    base = github.find_branch_beside(release.into, scope.project.trunk) if release else None
    if (now := base.head if base else "") != job.base:
        found = f"moved from {job.base[:12]} to {now[:12]}" if now else "is gone"
        raise SupersededError(f"#{job.pull}'s base {found}; the next pass looks")


def check_wanted(scope: Scope, github: DeployOpsGithubHook, job: Job) -> None:
    """Raise SupersededError where what the job is about moved or ended; what a person forces goes on."""
    if job.target:
        check_source(scope, github, job)
    else:
        check_head(scope, github, job)
        check_alive(scope, github, job)


def read_heads(scope: Scope, github: DeployOpsGithubHook, job: Job) -> dict[str, str]:
    """Return the heads on which it depends whether the job is wanted, by branch; none where a person forced it.

    Of a preview also those of the branches whose merges end it: GitHub does not tell of one in its own head.
    """
    if job.is_override or (job.is_forced and not job.is_approved):
        return {}
    if job.target:
        release = scope.target(job.target).pull_request
        return {job.branch: job.head} | ({release.into: job.base} if job.pull and release else {})
    bases = (github.find_branch(name) for name in scope.previews.merged_into)
    return {job.branch: job.head} | {base.name: base.head for base in bases if base is not None}


def _is_release(pull: PullRequest, job: Job) -> bool:
    return pull.number == job.pull and pull.is_open and not pull.is_from_fork


def check_target(scope: Scope, astro: AstroApiHook, job: Job) -> Deployment:
    """Return the target's Deployment, if it still bears the name by which the policy knows it."""
    deployment = astro.get_deployment(job.deployment_id)
    name = scope.target(job.target).deployment
    if deployment is None or deployment.name != name:
        found = "is gone" if deployment is None else f"is called '{deployment.name}' now"
        raise RetryableError(  # put right in Astro, of which nobody tells us
            f"Deployment {job.deployment_id} of target {job.target} {found}; the policy wants '{name}'"
        )
    return deployment


def check_asked(scope: Scope, github: DeployOpsGithubHook, astro: AstroApiHook, job: Job) -> None:
    """Raise unless source and newest deploy are still what a request is about: control asks anew, a person has to.

    :raises SupersededError: one moved, and control asked.
    :raises PermanentError: one moved, and a person did.
    """
    try:
        check_source(scope, github, job)
        _check_newest(scope, astro, job)
    except SupersededError as error:
        if not job.is_forced:
            raise
        raise PermanentError(f"{error}; look at what is there now, and trigger a new request") from None


def _check_newest(scope: Scope, astro: AstroApiHook, job: Job) -> None:
    deployment = check_target(scope, astro, job)
    newest = read_history(astro.list_deploys(deployment.id), scope.owner).newest_id
    if newest != job.observed:
        raise SupersededError(
            f"the request is void: it is about a deploy on top of {job.observed or 'none'} of {deployment.name}, "
            f"now the newest is {newest or 'none'}",
            newest,
        )


def check_alive(scope: Scope, github: DeployOpsGithubHook, job: Job) -> PullRequest | None:
    """Return the branch's newest pull request, an open one first.

    Raises SupersededError when a merged one has ended the branch's preview; a forced job goes on.
    """
    pulls = [pull for pull in github.list_pull_requests_from(job.branch) if not pull.is_from_fork]
    if not job.is_forced:
        merge = find_merge(scope.project, find_branch(scope, github, job), tuple(pulls))
        if merge is not None:
            raise SupersededError(describe_merge(merge))
    return max(pulls, key=lambda pull: (pull.is_open, pull.number), default=None)


def check_mark(scope: Scope, astro: AstroApiHook, job: Job, deployment_id: str) -> Deployment:
    """Return the Deployment, if it still carries our mark for the job's branch and is no target.

    Raises SupersededError when it is gone, another error when it is not ours (any more).
    """
    deployment = astro.get_deployment(deployment_id)
    if deployment is None:
        raise SupersededError(f"Deployment {deployment_id} of {job.branch} is gone")
    mark = parse_mark(deployment.description)
    if mark is None or not is_own(mark, scope.control_plane, scope.project) or mark.branch != job.branch:
        raise RetryableError(  # put right in Astro, of which nobody tells us
            f"Deployment '{deployment.name}' ({deployment.id}) lacks our mark for {job.branch}; it is never touched"
        )
    if deployment.name in scope.targets:
        raise PermanentError(f"Deployment '{deployment.name}' is a target of the policy; it is never a preview")
    return deployment


def check_ended(scope: Scope, github: DeployOpsGithubHook, job: Job) -> str:
    """Return why the branch's preview ends, read afresh; raise SupersededError when it lives (again)."""
    if job.is_forced:
        return job.reason
    branch = github.find_branch_beside(job.branch, scope.project.trunk)
    if branch is None:
        return "the branch is gone"
    merge = find_merge(scope.project, branch, github.list_pull_requests_from(job.branch))
    if merge is None:
        raise SupersededError(
            f"{job.branch} lives: it is at {branch.head[:12]}, and no merged pull request ended that head"
        )
    return describe_merge(merge)


@dataclass(frozen=True, slots=True)
class DueCheck:
    """The planner's own rule for targets, and a person's yes to it, asked again right before a write."""

    scope: Scope
    github: GithubPullsHook
    astro: AstroApiHook
    memory: Memory
    seals: Seals

    def check_due(self, job: Job, deploys: Iterable[Deploy] | None = None) -> None:
        """Raise SupersededError unless the planner still asks for what the job is to do at its target.

        Over what is read now: also policy and approval may have changed since it was planned.

        :param deploys: the deploy records, where they were read already.
        """
        target = self.scope.target(job.target)
        deployment = check_target(self.scope, self.astro, job)
        records = self.astro.list_deploys(deployment.id) if deploys is None else tuple(deploys)
        history = read_history(records, self.scope.owner)
        elsewhere = self._observe_elsewhere(target)
        observed = Observed((deployment, *elsewhere.deployments), {deployment.id: history, **elsewhere.histories})
        followed = target.followed_branch
        found = self.github.find_branch_beside(followed, self.scope.project.trunk) if followed else None
        pulls = () if followed else self.github.list_pull_requests_from(job.branch)
        snapshot = RepositorySnapshot((found,) if found else (), pulls)
        observer = TargetObserver(self.scope, self.github, self.memory, self.seals)
        state = observer.read_state(job.target, target, snapshot, observed)
        if job.undoes:  # that it failed before keeps control from it, and nobody who clears its run
            state = replace(state, remembered=replace(state.remembered, endings={}))
        _refuse_closed(job, state.gates, state.history.newest_id)
        due = compare_target(state, self.scope.project.name, self.scope.policy)
        wanted = (job.verb, job.pull, job.head, job.base, job.undoes)
        if not isinstance(due, Work) or (due.verb, due.pull, due.head, due.base, due.undoes) != wanted:
            said = f"to {job.verb.value} {job.head[:12]} is not due any more: {due or 'nothing is'}"
            raise SupersededError(said, state.history.newest_id)
        # What was verified is remembered where others may write; what was deployed there before, Astro tells.
        if job.undoes and find_former(records, job.head, self.scope.owner) is None:
            raise PermanentError(
                f"Astro has no record that {job.head[:12]} was deployed to {job.target} as what its source had; "
                "nothing goes back to it"
            )

    def check_unasked(self, job: Job, runs: Runs, run_id: str) -> None:
        """Raise SupersededError unless the planner would have a person asked this now, and by this run.

        Until a run comes to its question an image may be awaited for an hour: meanwhile another run's question may be
        answered, or an edit of the policy have had control plan a newer run that asks the same.
        """
        self.check_due(job)
        subject = name_subject(job.deployment_id, job.head, job.observed or "", job.base)
        answer = self.memory.recall(job.slug).endings.get(subject)
        if answer is not None and answer.is_rejection:
            raise SupersededError(f"another run asked this already: {answer.cause}")
        asked = self.memory.question(job.slug).read()
        if asked is not None and asked.subject == subject and run_id != asked.run_id and runs.is_alive(asked.run_id):
            raise SupersededError(f"run {asked.run_id} asks this, by what the policy says now")

    def check_gates(self, job: Job) -> tuple[Gate, ...]:
        """Return how the gates stand for what a person is to be asked about.

        :raises SupersededError: one is closed, and nobody forces the deploy.
        """
        gates = self.read_gates(job)
        if not job.is_forced:
            _refuse_closed(job, gates)
        return gates

    def pass_gates(self, job: Job) -> Job:
        """Return a person's deploy to a target with the gates that it skips, in its reason too; or why it may not."""
        gates = self.read_gates(job) if job.verb is Verb.DEPLOY and not job.problem else ()
        if not (closed := list_closed(gates)):
            return job
        if self.scope.target(job.target).forced == "gates":
            return replace(job, problem=f"{find_unmet(gates)[0]}; `forced: gates` lets nobody skip that")
        back = ROLLBACK if job.reason.startswith(ROLLBACK) else ""
        return replace(job, skips=closed, reason=f"{back}(skips {', '.join(closed)}) {job.reason.removeprefix(back)}")

    def check_passed(self, job: Job) -> None:
        """Raise PermanentError where a gate is closed that a person's deploy does not name, or may skip no more."""
        allowed = () if self.scope.target(job.target).forced == "gates" else job.skips
        if unmet := find_unmet(each for each in self.read_gates(job) if each.name not in allowed)[0]:
            raise PermanentError(f"{unmet}; clear this run once that is over, or ask anew")

    def read_gates(self, job: Job) -> tuple[Gate, ...]:
        """Return how each gate of the job's target stands for what the job deploys; none where it has none."""
        target = self.scope.target(job.target)
        if target.requires is None:
            return ()
        deployment = check_target(self.scope, self.astro, job)
        elsewhere = self._observe_elsewhere(target)
        observed = replace(elsewhere, deployments=(deployment, *elsewhere.deployments))
        return GateReader(self.scope, self.github, self.memory, observed).read_for(job)

    def _observe_elsewhere(self, target: Target) -> Observed:
        """Return the Deployment of the target for whose proof this one waits, and what it runs; nothing without one."""
        wanted = target.requires.verified if target.requires is not None else None
        if wanted is None:
            return Observed((), {})
        name = self.scope.project.targets[wanted].deployment
        found = Observed(self.astro.list_deployments(), {}).find(name)
        return Observed(
            found, {each.id: read_history(self.astro.list_deploys(each.id), self.scope.owner) for each in found}
        )

    def find_approval(self, job: Job) -> Approval | None:
        """Return the yes by which the job deploys to its target; None where none is needed.

        A rollback needs none of its own: the record of the deploy that failed tells that its approval named it.

        :raises SealError: no run of the request DAG gave it out.
        :raises SupersededError: it is missing, or about something else.
        """
        target = self.scope.target(job.target) if job.target else None
        if (
            target is None
            or job.undoes
            or not (target.asks_when_forced if job.is_forced else target.approval == "required")
        ):
            return None
        approval = job.approval if job.is_forced else self.memory.recall(job.slug).approval
        if approval is None:
            raise SupersededError(f"nobody approved {job.deployed_commit[:12]} for {job.target}, or it was voided")
        check_approval(self.seals, self.scope.request_dag(job.target), approval)
        if not approval.covers(job.head, job.base, job.observed or "", job.deployed_commit):
            raise SupersededError(
                f"{approval.person} approved {approval.commit[:12]} on top of deploy {approval.observed or 'none'}, "
                f"not {job.deployed_commit[:12]} on top of {job.observed or 'none'}"
            )
        if not is_listed(target.approvers, approval.user_id):
            raise SupersededError(
                f"{approval.person}, who approved, is not among the approvers of {job.target} any more"
            )
        return approval


def _refuse_closed(job: Job, gates: Iterable[Gate], newest: str | None = None) -> None:
    """Raise SupersededError where a gate is closed: that delays the work, and voids nobody's approval of it."""
    if unmet := find_unmet(gates)[0]:
        raise SupersededError(f"to {job.verb.value} {job.head[:12]} is delayed: {unmet}", newest)


def check_expired(
    scope: Scope, github: GithubPullsHook, astro: AstroApiHook, memory: Memory, job: Job, deployment: Deployment
) -> Verdict:
    """Return the verdict by which the preview ends; raise SupersededError unless it still stands and is due.

    Read afresh: the verdict, the branch's head, the deploy records, who keeps the preview, its labels, its override;
    and last, so that a run which began meanwhile is seen, what the preview's own Airflow tells.
    """
    now = datetime.now(UTC)
    verdict = drop_doubted(memory.verdicts.read(), memory.read_continuity(now).since).get(deployment.id)
    previews = scope.previews
    rests = verdict is not None and job.verb is Verb.HIBERNATE and lets_rest(verdict, previews, now)
    is_meant = verdict is not None and verdict.verb == job.verb.value and verdict.standing in ACTED_ON
    if verdict is None or not (rests or is_meant):
        raise SupersededError(f"cleanup wants {job.branch} to {job.verb.value} no more")
    if verdict.due_at > now and not rests:
        raise SupersededError(f"{job.branch} was told that it has until {verdict.due_at:%Y-%m-%d %H:%M} UTC")
    if verdict.is_overdue(now, previews.delete_notice):
        raise SupersededError(f"{job.branch} was told of {verdict.due_at:%Y-%m-%d %H:%M} UTC, too long ago")
    history = read_history(astro.list_deploys(deployment.id), scope.owner)
    ended = find_end(
        verdict,
        deployment_id=deployment.id,
        head=find_branch(scope, github, job).head,
        history=history,
        woken_at=find_wake(memory.read_row(job.slug), deployment, now),
    )
    labels = read_labels(github.list_pull_requests_from(job.branch)).get(job.branch, ())
    kept = memory.recall(job.slug).find_keep(deployment.id)
    reason = ended or describe_exemption(kept, labels, previews.keep_label)
    if not reason and not (verdict.is_final and job.verb is Verb.DELETE):
        use = UseObserver(scope, astro, memory, now, is_dry=scope.is_dry).ask_last(deployment, verdict.idle_since)
        reason = find_use(verdict, job.verb.value, use, deployment)
    if reason:
        raise SupersededError(f"{job.branch} stays: {reason}", history.newest_id)
    return verdict
