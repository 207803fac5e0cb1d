"""Reads what an approver has to know: the pull request and its commits, what runs, staging, what else comes along.

Reads only; how it is told is `core/target/release.py`'s job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import DeployHistory, read_history
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.promotion.message import parse_trailers
from include.deploy_ops.core.target.approvers import form_panel
from include.deploy_ops.core.target.mergeability import Mergeability, judge_mergeability, name_own_checks
from include.deploy_ops.core.target.release import Release, ReleaseDecision, SourceState
from include.deploy_ops.core.target.settling import is_calm
from include.deploy_ops.core.verification.fallback import find_fallback
from include.deploy_ops.observation.mergeability import MergeReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.deploy_ops.core.model import PullCommit, PullRequest
    from include.deploy_ops.core.target.approvers import Panel
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope


@dataclass(frozen=True, slots=True)
class ReleaseReader:
    """Reads one release of one project."""

    scope: Scope
    github: GithubPullsHook
    astro: AstroApiHook
    memory: Memory

    def read(
        self, job: Job, decision: ReleaseDecision, image: str, image_source: str, now: datetime, runtime: str = ""
    ) -> Release:
        """Return the release that the job asks for, with the image that was found for it, of this runtime."""
        is_release = bool(job.pull) and not job.is_override
        commits = self.github.list_commits_of(job.pull) if is_release else ()
        pull = self.github.get_pull_request(job.pull) if is_release else None
        promoted = self._read_promoted(job, commits) if is_release else ()
        target = self.scope.target(job.target)
        is_merging = target.merge and is_release and not job.is_forced
        rolls_back = self._rolls_back(job, decision)
        runtime = (runtime or self._read_runtime(job)) if rolls_back else ""
        known = self.memory.verified(slug_target(job.target)).read() if rolls_back else ()
        row = self.memory.read_row(slug_target(job.target)) if target.template else None
        return Release(
            target=job.target,
            deployment=job.deployment_name,
            ref=job.ref or f"refs/heads/{job.branch}",
            head=job.head,
            base=job.base if is_release else "",
            commit=job.deployed_commit,
            change_type=decision.change_type,
            reason=decision.reason,
            running=decision.running,
            asked_at=now,
            deadline=now + target.approval_timeout,
            pull=pull,
            commits=commits,
            files=decision.files,
            source=self._read_source(job),
            carried=tuple(each for each in promoted if each.is_open),
            panel=self._form_panel(job, (*promoted, *filter(None, (pull,))), commits),
            is_merging=is_merging,
            mergeability=self._judge_merge(job) if is_merging else Mergeability(),
            is_override=job.is_override,
            person=job.person,
            person_reason=job.reason if job.is_forced else "",
            image=image,
            image_source=image_source,
            rolls_back=rolls_back,
            fallback=find_fallback(known, runtime),
            runtime=runtime,
            skips=job.skips,
            drift=row.drift if row is not None else (),
        )

    def _rolls_back(self, job: Job, decision: ReleaseDecision) -> bool:
        """Whether what was verified is deployed again where this is deployed and does not work."""
        rules = self.scope.project.find_verify(job.target)
        is_plain = not job.is_override and decision.change_type is not ChangeType.NONE
        return rules is not None and rules.rolls_back and is_plain

    def _read_runtime(self, job: Job) -> str:
        deployment = self.astro.get_deployment(job.deployment_id)
        return deployment.runtime_version if deployment else ""

    def _judge_merge(self, job: Job) -> Mergeability:
        own_checks = name_own_checks(self.scope.project.name, job.target)
        return judge_mergeability(MergeReader(self.github).read(self.github.read_merge(job.pull), own_checks))

    def _read_source(self, job: Job) -> SourceState | None:
        """Return the state of the target that follows the branch; None if the policy has none, or Astro has not."""
        following = [
            (name, target.deployment)
            for name, target in self.scope.project.targets.items()
            if name != job.target and target.followed_branch == job.branch
        ]
        if not following:
            return None
        name, wanted = following[0]
        deployment = next((each for each in self.astro.list_deployments() if each.name == wanted), None)
        if deployment is None:
            return None
        history = read_history(self.astro.list_deploys(deployment.id), self.scope.owner)
        return SourceState(
            target=name,
            deployment=deployment.name,
            url=deployment.astro_url,
            head=self._find_shown_head(name, job.head, history),
            status=deployment.status.value,
            is_healthy=is_calm(deployment.status),
            overridden_by=history.overridden_by,
        )

    def _find_shown_head(self, target: str, head: str, history: DeployHistory) -> str | None:
        """Return the head that the target shows: a head that needed no deploy counts as deployed."""
        known = self.memory.recall(slug_target(target))
        return head if known.is_judged(head, history.newest_id, self.scope.policy) else history.head

    def read_panel(self, job: Job) -> Panel:
        """Return who may approve what the job asks for, by the policy and the pull requests as they are now."""
        if job.pull and not job.is_override and self.scope.target(job.target).approvers:
            commits = self.github.list_commits_of(job.pull)
            pulls = (*self._read_promoted(job, commits), self.github.get_pull_request(job.pull))
            return self._form_panel(job, pulls, commits)
        return self._form_panel(job, (), ())

    def _form_panel(self, job: Job, pulls: Iterable[PullRequest], commits: Iterable[PullCommit]) -> Panel:
        return form_panel(
            self.scope.target(job.target).approvers,
            self.scope.project.people,
            requester=job.person,
            authors=[each.author for each in pulls],
            pushers=[each.login for each in commits],
        )

    def _read_promoted(self, job: Job, commits: Iterable[PullCommit]) -> tuple[PullRequest, ...]:
        """Return the pull requests in the branch's newest promotion, as they are now, by number.

        Below people's commits the promotion is looked for among those that GitHub lists; the tip is never too many.
        """
        newest_first = [self.github.get_commit(job.head).message, *reversed([each.message for each in commits])]
        promoted = next(filter(None, map(parse_trailers, newest_first)), None)
        if promoted is None or promoted.project != self.scope.project.name:
            return ()
        numbers = sorted({number for number, _ in promoted.pulls})
        return tuple(self.github.get_pull_request(number) for number in numbers)
