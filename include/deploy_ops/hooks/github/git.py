"""The Git database of one GitHub repository: a branch is written without a checkout, by tree, commit and ref.

Reads through the hook it extends, sends each write once, and decides nothing about what is written.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.deploy_ops.core.errors import BranchMovedError, CommitMissingError, ObservationError, WriteRefusedError
from include.deploy_ops.hooks.github.answers import (
    BRANCH_PREFIX,
    PAGE_SIZE,
    Comparison,
    parse_branch,
    parse_comparison,
    parse_made,
    parse_trees,
)
from include.deploy_ops.hooks.github.pull_answers import parse_pull_requests
from include.deploy_ops.hooks.github.pulls import GithubPullsHook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import PullRequest, TreeEntry

LISTINGS_MAX = 4
_KINDS = {"040000": "tree", "160000": "commit"}
_NO_COMMON_HISTORY = "No common ancestor between"
_MOVED = ("Update is not a fast forward", "Reference already exists", "Reference does not exist")


class GithubGitHook(GithubPullsHook):
    """The repository hook, and what it takes to write a branch."""

    def list_open_pull_requests(self, base: str) -> tuple[PullRequest, ...]:
        """List the open pull requests into `base`, by number, unconditionally.

        One that is closed while we page pushes another over the edge of a page: of several pages, two readings in a row
        must agree.

        :raises ObservationError: the listing is malformed, repeats itself, or does not come to rest.
        """
        path = self._path(f"/pulls?state=open&base={quote(base, safe='')}&per_page={PAGE_SIZE}")
        before: dict[int, PullRequest] | None = None
        for _ in range(LISTINGS_MAX):
            pages = [parse_pull_requests(each) for each in self._list(path)]
            found = {pull.number: pull for page in pages for pull in page if pull.is_open and pull.base_ref == base}
            if len(pages) == 1 or found == before:
                return tuple(found[number] for number in sorted(found))
            before = found
        raise ObservationError(f"GET {path} changed with each of {LISTINGS_MAX} readings; the next attempt asks again")

    def compare(self, first: str, second: str) -> Comparison | None:
        """Return the first of two commits and their best common ancestor; None if they share no history.

        GitHub lists a comparison's files on its first page alone, and commits page by page: the second page of one
        commit each is the smallest answer that names the merge base.

        :raises CommitMissingError: one of the commits is not there.
        :raises ObservationError: anything else than a comparison.
        """
        answer = self._open_reader().read(self._path(f"/compare/{first}...{second}?per_page=1&page=2"))
        if not answer.is_absent:
            found = parse_comparison(answer, first)
            for each in (found.first, found.merge_base):
                self._bulk.note(each.commit)
            return found
        if answer.data["message"].startswith(_NO_COMMON_HISTORY):
            return None
        raise CommitMissingError(f"{answer.request} answered HTTP 404: one of the commits is gone, or not there yet")

    def read_trees_below(self, sha: str) -> dict[str, tuple[TreeEntry, ...]]:
        """Read the tree with id `sha` and those below it in one request, by id; of very many, some.

        :raises ObservationError: anything else than trees.
        """
        return parse_trees(self.ask(f"/git/trees/{sha}?recursive=1", is_required=True), sha)

    def write_tree(self, base_tree: str, edits: Iterable[tuple[str, TreeEntry | None]]) -> str:
        """Write the tree that `base_tree` becomes by the edits (path → entry, None removes it); return its id.

        :raises WriteRefusedError: GitHub says no; a path that is removed must be there.
        """
        listed = [_to_json(path, entry) for path, entry in edits]
        return parse_made(self._write("POST", "/git/trees", {"base_tree": base_tree, "tree": listed}))

    def write_commit(self, tree: str, parents: Iterable[str], message: str) -> str:
        """Write a commit by the connection's user, and return its id; no branch moves."""
        body = {"message": message, "tree": tree, "parents": list(parents)}
        return parse_made(self._write("POST", "/git/commits", body))

    def move_branch(self, name: str, commit: str) -> None:
        """Move a branch forward to the commit.

        :raises BranchMovedError: it is gone, or stands on something that the commit does not contain.
        :raises WriteRefusedError: a rule of the branch is against it, or the token.
        :raises WriteUnknownError: it may have been moved; read it again.
        """
        path = f"/git/refs/heads/{quote(name)}"
        parse_branch(self._write("PATCH", path, {"sha": commit, "force": False}), name)

    def create_branch(self, name: str, commit: str) -> None:
        """Make a branch at the commit; raises as `move_branch`, BranchMovedError where there is one already."""
        parse_branch(self._write("POST", "/git/refs", {"ref": f"{BRANCH_PREFIX}{name}", "sha": commit}), name)

    def _write(self, method: str, rest: str, body: dict[str, Any]) -> Any:
        try:
            return self._open_writer().send(method, self._path(rest), body)
        except WriteRefusedError as error:
            if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and any(said in str(error) for said in _MOVED):
                raise BranchMovedError(str(error), error.status) from error
            raise


def _to_json(path: str, entry: TreeEntry | None) -> dict[str, str | None]:
    if entry is None:
        return {"path": path, "mode": "100644", "type": "blob", "sha": None}
    return {"path": path, "mode": entry.mode, "type": _KINDS.get(entry.mode, "blob"), "sha": entry.sha}
