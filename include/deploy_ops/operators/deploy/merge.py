"""The merge step: merges the pull request that the target runs, by merge commit and with exactly that head.

Planned as an action of its own, so that it also happens when the run that deployed died before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import CommitMissingError, RetryableError, SupersededError
from include.deploy_ops.core.model import MergeState
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.base import SOURCE_LINKS, DeployOpsOperator, tell_failures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.run.job import Job


class MergePullRequestOperator(DeployOpsOperator):
    """Merges, if that is still what is due; returns `{"commit", "is_as_deployed"}`.

    A merge by an earlier try, or by a person, is done. `is_as_deployed` is false when the base moved in the moment
    between the last look and GitHub's merge: then what runs is another merge than the one on the base.
    """

    verbs = (Verb.MERGE,)
    operator_extra_links = SOURCE_LINKS

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Look again, merge, and look at what GitHub made."""
        job = self.begin(context)
        if commit := self._find_merge(context, job):
            self.log.info("#%d is merged already, as %s", job.pull, commit[:12])
            return self._describe(job, commit)
        self.due_check(context).check_due(job)
        self.refuse_dry(job, f"merge pull request #{job.pull} at {job.head[:12]}")
        commit = self._merge(context, job)
        self.log.info("merged #%d at %s as %s", job.pull, job.head[:12], commit[:12])
        return self._describe(job, commit)

    def _find_merge(self, context: Context, job: Job) -> str:
        """Return the commit by which exactly this head was merged, empty while it is open."""
        result = self.github.read_merge(job.pull)
        require_same_repository(self.memory(context), self.github, result.pull.base_repo_id)
        if result.pull.head_sha != job.head:
            raise SupersededError(f"#{job.pull} moved from {job.head[:12]} to {result.pull.head_sha[:12]}")
        if result.state is MergeState.CLOSED:
            raise SupersededError(f"#{job.pull} was closed without a merge")
        return result.commit if result.state is MergeState.MERGED else ""

    def _merge(self, context: Context, job: Job) -> str:
        """Merge; after a refusal or an unknown ending, look whether it is merged all the same."""
        try:
            return self.github.merge(job.pull, job.head)
        except RetryableError as error:
            self.log.warning("%s", error)
            if commit := self._find_merge(context, job):
                return commit
            raise

    def _describe(self, job: Job, commit: str) -> dict[str, Any]:
        try:
            is_as_deployed = self.github.get_commit(commit).parents == (job.base, job.head)
        except CommitMissingError:  # merged a moment ago, and not on every server of GitHub's yet
            return {"commit": commit, "is_as_deployed": None}
        if not is_as_deployed:
            self.log.warning(
                "%s is not the merge of %s into %s that %s runs: it was squashed or rebased, or the base moved "
                "while it was merged; compare them, and force a deploy if they differ",
                *(commit[:12], job.head[:12], job.base[:12], job.target),
            )
        return {"commit": commit, "is_as_deployed": is_as_deployed}
