"""What we read of one GitHub repository, in our own values: branches, pull requests, commits, trees and files.

Changes nothing on GitHub and decides nothing. How a request is sent and checked is `http`'s job, what an answer
means is `answers`'.
"""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, CommitMissingError, ObservationError, PermanentError
from include.deploy_ops.core.model import COMMIT_ID, Branch, KnownAnswer, PullRequest, TreeEntry
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.hooks.github.answers import (
    PAGE_SIZE,
    Commit,
    RepositoryName,
    is_end_certain,
    parse_blob,
    parse_branch,
    parse_branches,
    parse_commit,
    parse_repository,
    parse_tree,
    shorten_branch,
    shorten_repository,
    write_commit,
)
from include.deploy_ops.hooks.github.connection import GithubConnectionHook
from include.deploy_ops.hooks.github.http import TRIES, GithubAnswer, GithubReader, Quota
from include.deploy_ops.hooks.github.pull_answers import parse_pull_requests, shorten_pull_requests
from include.deploy_ops.hooks.github.trees import BulkTrees
from include.deploy_ops.process.redaction import redact_shapes, redact_urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence

    from include.deploy_ops.hooks.github.trees import FindTree

KEPT_COMMITS = 1024
HANDED_LENGTH_MAX = 4096
"""Characters of an answer, as JSON, that is handed on: a run's conf and the XCom of its first step hold it."""
KEPT_TREES = 4096  # a large repository's folders, some ten entries each
PAGES_MAX = 500
"""Of one listing: 50,000 branches or pull requests. A longer one would use up the hour's requests."""

BRANCHES_QUERY = f"/git/matching-refs/heads/?per_page={PAGE_SIZE}"
PULLS_QUERY = f"/pulls?state=all&sort=updated&direction=desc&per_page={PAGE_SIZE}"
COMMENTS_QUERY = f"/issues/comments?sort=updated&direction=desc&per_page={PAGE_SIZE}"

_SHORTENED: tuple[tuple[str, Callable[[GithubAnswer], Any]], ...] = (
    ("/git/ref/", shorten_branch),
    ("/pulls?", shorten_pull_requests),
    ("", shorten_repository),
)
"""What is handed on, by what its path below the repository begins with."""

_ESCAPE = re.compile(r"\\[a-z]")  # how JSON writes a line's end, which would hide where a word begins
_FILE_MODES = {"100644", "100755", "100664"}  # the last one only in very old commits
_LOST = "the repository is gone or renamed, or the token lost access to it"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullListing:
    """Some of the repository's pull requests; `has_more`: older ones follow on further pages."""

    pulls: tuple[PullRequest, ...]
    has_more: bool


class DeployOpsGithubHook(GithubConnectionHook):
    """Reads one repository through an Airflow connection of the GitHub provider.

    :param github_conn_id: the Airflow connection's id.
    :param repository: owner/name.
    :param tries: how often one read asks before it raises.
    :param cache: answers of what may change by URL, for conditional requests; by default kept as long as the hook.
    :param sleep: called with the seconds to wait before a request is repeated.
    :param fetch_trees: clone URL, token and commits → all their trees, by Git; None where only the API is asked.
    """

    def __init__(
        self,
        github_conn_id: str,
        repository: str,
        *,
        tries: int = TRIES,
        cache: MutableMapping[str, GithubAnswer] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        fetch_trees: Callable[[str, str, Sequence[str]], FindTree] | None = None,
    ) -> None:
        super().__init__(github_conn_id, repository)
        self._tries = tries
        self._cache: MutableMapping[str, GithubAnswer] = {} if cache is None else cache
        self._sleep = sleep
        self._reader: GithubReader | None = None
        self._commits: dict[str, Commit] = {}
        self._trees = lru_cache(KEPT_TREES)(self._read_tree)
        self._bulk = BulkTrees(fetch_trees and (lambda commits: fetch_trees(self.clone_url(), self.token(), commits)))

    def close(self) -> None:
        """Close the connections; a later read opens new ones and reads the Airflow connection again."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None
        super().close()

    @property
    def quota(self) -> Quota | None:
        """GitHub's rate limit as of the newest answer; None before the first, or where none is stated."""
        return self._reader.quota if self._reader else None

    @property
    def skew_s(self) -> float | None:
        """By how many seconds our clock is ahead of GitHub's as of the newest answer; None where that said no time."""
        return self._reader.skew_s if self._reader else None

    def read(self, url: str, *, etag: str | None = None) -> GithubAnswer:
        """Read a listing's page conditionally, for a caller that keeps ETags itself.

        :param url: `branches_url`, `pull_requests_url`, `comments_url`, or an answer's `next_url`.
        :raises RateLimitError: GitHub wants a longer pause than is waited for in place.
        :raises ObservationError: no answer, one that cannot be trusted, or no such repository.
        """
        return self._require(self._open_reader().read(url, etag=etag))

    def ask(self, path: str, *, is_required: bool = False) -> GithubAnswer:
        """Read what `path` names below the repository, unconditionally; the answer may be that it is absent.

        :raises ObservationError: as `read`; where it `is_required`, also when it is absent.
        """
        answer = self._open_reader().read(self._path(path))
        return self._require(answer) if is_required else answer

    def read_name(self) -> RepositoryName:
        """Read which repository answers to the name.

        :raises ObservationError: none does, or it was renamed; then the text says its present name.
        """
        return parse_repository(self._require(self._ask_again("")))

    def remember(self, answers: Iterable[KnownAnswer]) -> None:
        """Take over what another step has read: a commit is not asked for again, the rest conditionally."""
        for known in answers:
            if not f"{known.path}/".startswith(self._path("/")):
                continue  # of the repository that the policy named before
            try:
                self._take_over(known)
            except ObservationError as error:  # of a release that read less of GitHub than this one
                log.info("asked for anew: %s", error)

    def _take_over(self, known: KnownAnswer) -> None:
        answer = GithubAnswer(f"GET {known.path}", HTTPStatus.OK, known.data, known.etag)
        if known.etag is None:
            self._keep(parse_commit(answer, known.path.rpartition("/")[2]))
        else:
            self._shorten(known.path, answer)  # only what can be read: a 304 to anything else would be an error
            self._cache[known.path] = answer

    def hand_on_name(self) -> tuple[KnownAnswer, ...]:
        """Return which repository was found to answer to the name, for `remember`; nothing where nobody asked."""
        return self._hand_on("")

    def hand_on(self, branch: str, commit: str) -> tuple[KnownAnswer, ...]:
        """Return what was read here of a branch, its pull requests and a commit, for `remember`."""
        found = self._hand_on(_name_ref(branch), self._name_pulls(branch))
        if (read := self._commits.get(commit)) is not None:
            found += (KnownAnswer(self._path(f"/git/commits/{commit}"), write_commit(read)),)
        return tuple(known for known in found if _may_be_handed_on(json.dumps(known.data)))

    def _hand_on(self, *asked: str) -> tuple[KnownAnswer, ...]:
        kept = ((path, self._cache.get(path)) for path in map(self._path, asked))
        return tuple(
            KnownAnswer(path, self._shorten(path, answer), answer.etag)
            for path, answer in kept
            if answer is not None and answer.next_url is None
        )

    def _shorten(self, path: str, answer: GithubAnswer) -> Any:
        rest = path.removeprefix(self._path(""))
        return next(shorten for start, shorten in _SHORTENED if rest.startswith(start))(answer)

    @property
    def branches_url(self) -> str:
        """The first page of all branches, below the API's base URL."""
        return self._path(BRANCHES_QUERY)

    @property
    def pull_requests_url(self) -> str:
        """The first page of all pull requests, newest change first, below the API's base URL."""
        return self._path(PULLS_QUERY)

    @property
    def comments_url(self) -> str:
        """The first page of all comments, newest change first, below the API's base URL; the same one each time."""
        return self._path(COMMENTS_QUERY)

    def list_branches(self, trunk: str) -> tuple[Branch, ...]:
        """List all branches, sorted by name.

        :raises ObservationError: the listing is malformed, repeats itself, moved while it was read, or lacks `trunk`.
        """
        found: dict[str, Branch] = {}
        for answer in self._read_pages(self.branches_url):
            for branch in parse_branches(answer):
                if branch.name in found:
                    said = f"{answer.request} repeats a branch of an earlier page, {branch.name!r}: the listing moved"
                    raise ObservationError(f"{said}; {NOTHING_FOLLOWS}")
                found[branch.name] = branch
        if trunk not in found:
            raise ObservationError(
                f"GET {self.branches_url}: the listing of {len(found)} branches lacks trunk {trunk!r}; "
                f"check the policy's `trunk`; {NOTHING_FOLLOWS}"
            )
        return tuple(sorted(found.values()))

    def find_branch(self, name: str) -> Branch | None:
        """Read one branch as it is now. None is no proof of deletion; that of `find_branch_beside` is.

        :raises ObservationError: anything else than the branch or GitHub's own 404.
        """
        answer = self._read_ref(name)
        return None if answer.is_absent else parse_branch(answer, name)

    def get_branch(self, name: str) -> Branch:
        """Read a branch that has to be there, such as trunk.

        :raises ObservationError: also when it is not.
        """
        answer = self._read_ref(name)
        if answer.is_absent:
            raise ObservationError(f"{answer.request} answered HTTP 404: the policy names no such branch, or {_LOST}")
        return parse_branch(answer, name)

    def find_branch_beside(self, name: str, trunk: str) -> Branch | None:
        """Read one branch; None only if it is gone while trunk, read after it with the same token, is there.

        :raises ObservationError: also when trunk is not there, since then nothing is known about the branch.
        """
        answer = self._read_ref(name)
        if not answer.is_absent:
            return parse_branch(answer, name)
        beside = self.ask(_name_ref(trunk))  # unconditionally: deletes follow from it
        if beside.is_absent:
            raise ObservationError(f"{answer.request} answered HTTP 404, and so does trunk {trunk!r}: {_LOST}")
        parse_branch(beside, trunk)
        return None

    def list_pull_requests(self, since: str = "") -> PullListing:
        """List all pull requests, or those updated at `since` (as GitHub writes times) or later, by number.

        What stands beside them on their pages is listed, too: GitHub may show one late, below newer ones.

        :raises ObservationError: the listing is malformed or repeats itself.
        """
        found: dict[int, PullRequest] = {}
        bound = since
        while True:
            pages = self._read_pulls_since(bound)
            fresh = [pull for page in pages for pull in page.pulls if found.get(pull.number) != pull]
            found |= {pull.number: pull for pull in fresh}
            if len(pages) == 1 or not fresh:
                return PullListing(tuple(found[number] for number in sorted(found)), has_more=pages[-1].has_more)
            # What is updated while we page jumps to the top, past us: look there again, until one page says it all.
            bound = max((pull.updated_at for pull in pages[0].pulls), default=bound)

    def read_pull_pages(self, first: int = 1) -> Iterator[PullListing]:
        """Yield the pages of all pull requests from page `first` on, the newest change first.

        One that is updated meanwhile jumps to the top; the others only ever sink, so that none is passed over.

        :raises ObservationError: the listing is malformed or repeats itself.
        """
        url = self.pull_requests_url + (f"&page={first}" if first > 1 else "")
        for answer in self._read_pages(url):
            yield PullListing(parse_pull_requests(answer), has_more=answer.next_url is not None)

    def list_pull_requests_from(self, branch: str) -> tuple[PullRequest, ...]:
        """List the pull requests whose head is called `branch`, open or not, by number, as they are now.

        :raises ObservationError: the listing is malformed or repeats itself.
        """
        pulls = {
            pull.number: pull
            for answer in self._read_pages(self._path(self._name_pulls(branch)))
            for pull in parse_pull_requests(answer)
            if pull.head_ref == branch  # GitHub lists all pull requests when it does not understand `head`
        }
        return tuple(pulls[number] for number in sorted(pulls))

    def get_commit(self, sha: str) -> Commit:
        """Read a commit; kept for the life of the hook.

        :raises CommitMissingError: the repository is there, the commit is not, or `sha` is no commit id.
        :raises ObservationError: anything else than the commit.
        """
        return self._commits.get(sha) or self._keep(self._read_commit(sha))

    def read_tree(self, sha: str) -> tuple[TreeEntry, ...]:
        """Read one level of the tree with id `sha`, sorted by name; kept for the life of the hook.

        :raises ObservationError: anything else than the whole tree.
        """
        return self._trees(sha)

    def prefer_git(self) -> None:
        """Have trees read by Git from now on, which costs no quota, where it gives them."""
        self._bulk.prefer_git()

    def read_file(self, path: str, ref: str) -> str | None:
        """Read a text file of any size that GitHub stores (100 MB); None if there is none at `path`.

        :param path: from the repository's root.
        :param ref: a commit's id or a branch's name.
        :raises PermanentError: it is a folder, a link, a submodule or behind one, or not UTF-8.
        :raises CommitMissingError: there is no such commit.
        :raises ObservationError: GitHub's answers cannot be used, or there is no such branch.
        """
        entry = self._find_file(path, ref)
        if entry is None:
            return None
        answer = self.ask(f"/git/blobs/{entry.sha}", is_required=True)
        try:
            return parse_blob(answer, entry.sha).decode("utf-8")
        except UnicodeDecodeError as error:
            raise PermanentError(f"{self.repository}: {path} at {ref} is not UTF-8 text: {error.reason}") from error

    def _find_file(self, path: str, ref: str) -> TreeEntry | None:
        *folders, name = _split_path(path)
        tree = self._find_commit(ref).tree
        for folder in folders:
            entry = self._find_entry(tree, folder)
            if entry is None or entry.mode in _FILE_MODES:
                return None
            if not entry.is_tree:
                raise PermanentError(f"{self.repository}: {path} at {ref} lies behind a link or submodule, {folder!r}")
            tree = entry.sha
        entry = self._find_entry(tree, name)
        if entry is not None and entry.mode not in _FILE_MODES:
            raise PermanentError(f"{self.repository}: {path} at {ref} is a folder, link or submodule, not a file")
        return entry

    def _find_entry(self, tree: str, name: str) -> TreeEntry | None:
        return next((entry for entry in self.read_tree(tree) if entry.name == name), None)

    def _find_commit(self, ref: str) -> Commit:
        return self.get_commit(ref if COMMIT_ID.fullmatch(ref) else self.get_branch(ref).head)

    def _read_ref(self, name: str) -> GithubAnswer:
        return self._ask_again(_name_ref(name))

    def _ask_again(self, rest: str) -> GithubAnswer:
        """Read what may have changed since it was read last; while it is the same, that costs no quota."""
        return self._open_reader().read_cached(self._path(rest))

    def _keep(self, commit: Commit) -> Commit:
        if len(self._commits) == KEPT_COMMITS:
            del self._commits[next(iter(self._commits))]
        self._commits[commit.sha] = commit
        self._bulk.note(commit.sha)
        return commit

    def _read_commit(self, sha: str) -> Commit:
        if not COMMIT_ID.fullmatch(sha):
            raise CommitMissingError(f"{self.repository}: {sha!r} is no commit id (40 hexadecimal digits)")
        answer = self.ask(f"/git/commits/{sha}")
        if answer.is_absent:
            self.ask("", is_required=True)
            raise CommitMissingError(f"{answer.request} answered HTTP 404: never pushed, gone since, or not there yet")
        return parse_commit(answer, sha)

    def _read_tree(self, sha: str) -> tuple[TreeEntry, ...]:
        found = self._bulk.find(sha)
        return found if found is not None else parse_tree(self.ask(f"/git/trees/{sha}", is_required=True), sha)

    def _read_pulls_since(self, bound: str) -> list[PullListing]:
        pages = []
        for page in self.read_pull_pages():
            pages.append(page)
            if any(pull.updated_at < bound for pull in page.pulls):
                break
        return pages

    def _read_pages(self, url: str) -> Iterator[GithubAnswer]:
        reader = self._open_reader()
        return self._follow_pages(url, lambda page: reader.read_cached(page, is_complete=is_end_certain))

    def _list(self, path: str) -> Iterator[GithubAnswer]:
        return self._follow_pages(path, self._open_reader().read)

    def _follow_pages(self, first_url: str, read: Callable[[str], GithubAnswer]) -> Iterator[GithubAnswer]:
        url: str | None = first_url
        seen: set[str] = set()
        while url is not None:
            answer = self._require(read(url))
            digest = hash_text(json.dumps(answer.data), 32)
            if digest in seen:
                raise ObservationError(f"{answer.request} repeats an earlier page of the listing; {NOTHING_FOLLOWS}")
            if len(seen) == PAGES_MAX:
                raise ObservationError(f"{answer.request}: the listing has more than {PAGES_MAX} pages")
            seen.add(digest)
            yield answer
            url = answer.next_url

    def _require(self, answer: GithubAnswer) -> GithubAnswer:
        if answer.is_absent:
            raise ObservationError(f"{answer.request} answered HTTP 404: {_LOST}")
        return answer

    def _open_reader(self) -> GithubReader:
        if self._reader is None:
            requester, conn_id = self.get_conn().requester, self.github_conn_id
            self._reader = GithubReader(
                requester, self.token, tries=self._tries, cache=self._cache, sleep=self._sleep, conn_id=conn_id
            )
        return self._reader

    def _name_pulls(self, branch: str) -> str:
        head = quote(f"{self.repository.partition('/')[0]}:{branch}", safe="")
        return f"/pulls?state=all&per_page={PAGE_SIZE}&head={head}"

    def _path(self, rest: str) -> str:
        return f"/repos/{quote(self.repository)}{rest}"


def _may_be_handed_on(text: str) -> bool:
    # A token that somebody wrote into a message by mistake comes into no conf, where others read it.
    words = _ESCAPE.sub(" ", text)
    return len(text) <= HANDED_LENGTH_MAX and redact_shapes(redact_urls(words)) == words


def _name_ref(branch: str) -> str:
    return f"/git/ref/heads/{quote(branch)}"


def _split_path(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise PermanentError(f"{path!r} is no path of a file below the repository's root")
    return parts
