"""The deploy branch as it stands: its tip, whether we may build upon it, and what a person must know who takes it over.

Reads GitHub only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import CommitMissingError, PermanentError
from include.deploy_ops.core.promotion.comparison import ADOPTING
from include.deploy_ops.core.promotion.message import is_own_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.model import Branch
    from include.deploy_ops.core.policy.keys import Promotion
    from include.deploy_ops.hooks.github.answers import Commit
    from include.deploy_ops.hooks.github.git import GithubGitHook
    from include.deploy_ops.run.scope import Scope

STRANGERS_MAX = 50
"""Commits by others that an adoption looks at, two requests each."""

RELEASES_MAX = 5
"""Merged pull requests from the deploy branch in which its last tip is looked for."""


@dataclass(frozen=True, slots=True)
class DeployBranch:
    """The deploy branch beside the branch `into`, whose tip was read before."""

    scope: Scope
    github: GithubGitHook
    promotion: Promotion
    into: Branch

    def read_tip(self) -> tuple[Commit, bool]:
        """Return the commit that the next one is built upon, and whether the branch is missing.

        A missing branch is made again on its last tip, as far as trunk has merged that, else on `into`.
        """
        branch = self.github.find_branch_beside(self.promotion.deploy_branch, self.scope.project.trunk)
        if branch is not None:
            return self.github.get_commit(branch.head), False
        return self._find_last_tip() or self.github.get_commit(self.into.head), True

    def is_ours(self, commit: Commit) -> bool:
        """Whether we made the commit, or `into` has it."""
        return self._is_made_by_us(commit) or self._has(self.into.head, commit.sha)

    def describe_hold(self, tip: Commit) -> str:
        """Return why nothing is built upon the tip, and what to do."""
        name, into = self.promotion.deploy_branch, self.promotion.into
        return (
            f"{name} is held at {tip.sha[:12]} ('{tip.subject}'), which is neither a commit of {into} nor one of ours:"
            f" reset {name} to a commit of {into} or of ours, or start {self.scope.promotion_dag} "
            f"{ADOPTING}; the next commit is then made on top of it, and takes back what no pull request has"
        )

    def check_adoption(self, tip: Commit, wanted: str) -> None:
        """Raise PermanentError where a person may not take the tip over: it moved, is ours, or holds trunk's commits.

        The next commit has the tree of `into`, so that it would revert what the tip has of trunk and `into` lacks.
        """
        name, into, trunk = self.promotion.deploy_branch, self.promotion.into, self.scope.project.trunk
        if tip.sha != wanted:
            raise PermanentError(f"{name} moved from {wanted[:12]} to {tip.sha[:12]} since; look at it and adopt again")
        found = next(self._list_commits_of_trunk(tip), None)
        if found is not None:
            raise PermanentError(
                f"{name} at {tip.sha[:12]} has commit {found.sha[:12]} ('{found.subject}') of {trunk}, which {into}"
                f" lacks, so that the next commit would revert it: merge {trunk} into {into} first"
            )

    def _list_commits_of_trunk(self, tip: Commit) -> Iterator[Commit]:
        """Walk the tip's commits that are neither ours nor of `into`; yield those of trunk.

        What lies behind a commit of ours was looked at before that one was made.
        """
        trunk = self.github.get_branch(self.scope.project.trunk).head
        pending, seen = [tip.sha], {tip.sha}
        while pending:
            commit = self.github.get_commit(pending.pop())
            if self.is_ours(commit):
                continue
            if self._has(trunk, commit.sha):
                yield commit
            fresh = [parent for parent in commit.parents if parent not in seen]
            pending += fresh
            seen.update(fresh)
            if len(seen) > STRANGERS_MAX:
                raise PermanentError(
                    f"{self.promotion.deploy_branch} has more than {STRANGERS_MAX} commits that are neither ours nor of"
                    f" {self.promotion.into}: reset it to a commit of {self.promotion.into}"
                )

    def _find_last_tip(self) -> Commit | None:
        """Return the second parent of trunk's last merge of the branch, by the pull request; None if none is ours."""
        trunk = self.github.get_branch(self.scope.project.trunk)
        pulls = self.github.list_pull_requests_from(self.promotion.deploy_branch)
        merged = [pull for pull in pulls if pull.is_merged and not pull.is_from_fork and pull.base_ref == trunk.name]
        for pull in sorted(merged, reverse=True)[:RELEASES_MAX]:
            try:
                commit = self.github.get_commit(pull.head_sha)
                if self._has(trunk.head, commit.sha) and self.is_ours(commit):  # a squash leaves it outside of trunk
                    return commit
            except CommitMissingError:
                continue
        return None

    def _is_made_by_us(self, commit: Commit) -> bool:
        return is_own_commit(commit.message, commit.tree, self.scope.control_plane, self.scope.project.name)

    def _has(self, head: str, commit: str) -> bool:
        if head == commit:
            return True
        compared = self.github.compare(head, commit)
        return compared is not None and compared.merge_base.commit == commit
