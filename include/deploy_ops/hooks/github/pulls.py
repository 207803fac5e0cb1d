"""One pull request: what merging it would give, its commits, and the two writes that we make: comment and merge.

Reads through the hook it extends. A write is sent once; what may have been done already is looked for before it.
"""

from __future__ import annotations

from include.deploy_ops.core.errors import CommitMissingError, ObservationError
from include.deploy_ops.core.model import MergeResult, MergeState, PullCommit, PullRequest
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.pull_answers import (
    SinglePull,
    parse_comment,
    parse_comment_texts,
    parse_merged,
    parse_pull_commits,
    parse_pull_request,
)
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.hooks.github.write import GithubWriter

_LATER = "GitHub has not computed the merge of this base and head yet"


class GithubPullsHook(DeployOpsGithubHook):
    """The repository hook, and what it takes to ask about, comment on and merge single pull requests."""

    def get_pull_request(self, number: int) -> PullRequest:
        """Read one pull request, unconditionally.

        :raises ObservationError: anything else than the pull request.
        """
        return self._show_pull(number).pull

    def read_merge(self, number: int) -> MergeResult:
        """Read what merging the pull request into its base's present tip would give, or has given.

        GitHub computes it in the background, and what it shows may be of an older base or head: its test merge counts
        only if its parents are exactly (base, head). The base's tip is read of the branch, since GitHub keeps in the
        pull request the one of the head's last move. A pull request may stay open although its base is gone.

        :raises ObservationError: GitHub's answers cannot be used.
        """
        shown = self._show_pull(number)
        pull = shown.pull
        base = self._find_base(pull.base_ref)
        if pull.is_merged:
            return MergeResult(pull, base, MergeState.MERGED, shown.merge_commit or "", "it is merged")
        if not pull.is_open:
            return MergeResult(pull, base, MergeState.CLOSED, "", "it was closed without a merge")
        if not base:
            said = f"its base {pull.base_ref} is gone; make the branch again, or choose another base"
            return MergeResult(pull, base, MergeState.BASELESS, "", said)
        if shown.is_mergeable is False:
            said = f"{pull.head_ref} conflicts with {pull.base_ref}: merge {pull.base_ref} into it"
            return MergeResult(pull, base, MergeState.CONFLICT, "", said)
        commit = shown.merge_commit or ""
        if not shown.is_mergeable or not self._is_merge_of(commit, base, pull.head_sha):
            return MergeResult(pull, base, MergeState.PENDING, "", _LATER)
        told = (shown.standing, shown.allows_merge_commits)
        return MergeResult(pull, base, MergeState.READY, commit, "", *told)

    def list_commits_of(self, number: int) -> tuple[PullCommit, ...]:
        """List the pull request's commits, oldest first; of very many, GitHub names the first 250.

        :raises ObservationError: the listing is malformed or repeats itself.
        """
        path = self._path(f"/pulls/{number}/commits?per_page={PAGE_SIZE}")
        return tuple(commit for answer in self._list(path) for commit in parse_pull_commits(answer))

    def comment_once(self, number: int, body: str, marker: str) -> str:
        """Comment on the pull request, unless a comment that holds the marker is there; return the comment's page.

        :param marker: a text in `body` that no other comment has, such as an HTML comment with the run's id.
        :raises RetryableError: refused, or nobody knows whether it was made.
        """
        path = self._path(f"/issues/{number}/comments")
        for answer in self._list(f"{path}?per_page={PAGE_SIZE}"):
            for url, text in parse_comment_texts(answer):
                if marker in text:
                    return url
        return parse_comment(self._open_writer().send("POST", path, {"body": body}))

    def merge(self, number: int, head: str) -> str:
        """Merge the pull request by merge commit if its head is still `head`; return the merge's commit.

        :raises WriteRefusedError: GitHub says no: 405 not mergeable or a rule of the branch, 409 head or base moved.
        :raises WriteUnknownError: it may be merged; read it again.
        """
        path = self._path(f"/pulls/{number}/merge")
        return parse_merged(self._open_writer().send("PUT", path, {"sha": head, "merge_method": "merge"}))

    def _show_pull(self, number: int) -> SinglePull:
        answer = self._open_reader().read(self._path(f"/pulls/{number}"))
        if answer.is_absent:
            raise ObservationError(f"{answer.request} answered HTTP 404: there is no such pull request any more")
        return parse_pull_request(answer, number)

    def _find_base(self, name: str) -> str:
        """Return the branch's tip; empty where the repository is there and the branch is not."""
        branch = self.find_branch(name)
        if branch is None:
            self.ask("", is_required=True)
        return branch.head if branch else ""

    def _is_merge_of(self, commit: str, base: str, head: str) -> bool:
        if not commit:
            return False
        try:
            return self.get_commit(commit).parents == (base, head)
        except CommitMissingError:  # announced, and not on every server of GitHub's yet
            return False

    def _open_writer(self) -> GithubWriter:
        return GithubWriter(self.get_conn().requester, self.token)
