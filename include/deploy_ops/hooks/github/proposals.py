"""A branch of our own with one commit, and the pull request that proposes it: written, moved, edited, closed.

Reads through the hook it extends, sends each write once, and decides nothing about what is proposed. Never merges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from include.deploy_ops.core.errors import BranchMovedError
from include.deploy_ops.hooks.github.answers import parse_branch, parse_made
from include.deploy_ops.hooks.github.git import GithubGitHook
from include.deploy_ops.hooks.github.pull_answers import PullText, parse_pull_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.model import PullRequest

_FILE_MODE = "100644"


class GithubProposalsHook(GithubGitHook):
    """The hook for the Git database, and what it takes to propose what was written."""

    def list_own_pulls(self, branch: str) -> tuple[PullRequest, ...]:
        """List the pull requests from a branch of the repository itself, open or not, by number."""
        return tuple(pull for pull in self.list_pull_requests_from(branch) if not pull.is_from_fork)

    def read_pull_text(self, number: int) -> PullText:
        """Read a pull request's title and text, unconditionally.

        :raises ObservationError: anything else than the pull request.
        """
        return parse_pull_text(self.ask(f"/pulls/{number}", is_required=True))

    def write_files(self, base_tree: str, texts: Mapping[str, str]) -> str:
        """Write the tree that `base_tree` becomes with these files, by their paths; return its id.

        :raises WriteRefusedError: GitHub says no, for want of Contents: write among other reasons.
        """
        listed = [{"path": path, "mode": _FILE_MODE, "type": "blob", "content": text} for path, text in texts.items()]
        return parse_made(self._write("POST", "/git/trees", {"base_tree": base_tree, "tree": listed}))

    def move_aside(self, name: str, expected: str, commit: str) -> None:
        """Move a branch from where it is known to stand to a commit that need not contain that.

        GitHub's REST API has no lease: the branch is read right before, and who pushes within this moment is moved
        aside. The pull request's page names both commits then.

        :raises BranchMovedError: it does not stand there any more.
        :raises WriteRefusedError: a rule of the branch is against it, or the token.
        """
        if (found := self.find_branch(name)) is None or found.head != expected:
            now = found.head[:12] if found else "gone"
            raise BranchMovedError(f"{name} was at {expected[:12]} and is {now} now", 0)
        path = f"/git/refs/heads/{quote(name)}"
        parse_branch(self._write("PATCH", path, {"sha": commit, "force": True}), name)

    def open_pull(self, branch: str, base: str, text: PullText) -> PullText:
        """Open a pull request; return it as GitHub has it now.

        :raises WriteRefusedError: there is one already, or the token lacks Pull requests: write.
        """
        body = {"head": branch, "base": base, "title": text.title, "body": text.body}
        return parse_pull_text(self._write("POST", "/pulls", body))

    def edit_pull(self, number: int, text: PullText) -> None:
        """Replace a pull request's title and text."""
        parse_pull_text(self._write("PATCH", f"/pulls/{number}", {"title": text.title, "body": text.body}))

    def close_pull(self, number: int, body: str) -> None:
        """Close a pull request, with a text that says why."""
        parse_pull_text(self._write("PATCH", f"/pulls/{number}", {"state": "closed", "body": body}))
