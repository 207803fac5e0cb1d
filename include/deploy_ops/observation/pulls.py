"""The repository's pull requests as a pass needs them: kept between passes, and read again where that may be wrong.

GitHub lists by the last change and answers from several servers, so that one may show up late, below newer ones. Each
pass reads what changed since the last one with some overlap, and one more page of all, in turn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.run.memory import SECOND_PAGE, PullCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.hooks.github.repository import PullListing
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

OVERLAP = timedelta(minutes=10)
"""How far before the newest change that was seen the next pass reads again."""

MERGED_MAX = 50
"""Merged pull requests that are kept for what people are told of them: the newest."""

FIRST_PAGES_MAX = 200
"""Pages that one try of the first listing reads: 20,000 pull requests, of the hour's 5,000 requests a small part."""


@dataclass(frozen=True, slots=True)
class RepositoryReading:
    """What was read of a repository, and how the next pass finds its pull requests."""

    snapshot: RepositorySnapshot
    memory: Memory
    before: PullCache | None
    after: PullCache

    def keep(self, is_over: Callable[[str], bool]) -> None:
        """Remember the pull requests, without merged ones of branches that are over, unless people are told of them."""
        told = {pull.number for pull in self.snapshot.merged}
        kept = tuple(
            pull for pull in self.after.pulls if pull.is_open or pull.number in told or not is_over(pull.head_ref)
        )
        after = replace(self.after, pulls=kept)
        if after != self.before:
            self.memory.pulls.write(after)


@dataclass(frozen=True, slots=True)
class PullReader:
    """Reads one repository's pull requests and branches."""

    scope: Scope
    github: GithubPullsHook
    memory: Memory

    def read(self) -> RepositoryReading:
        """Return every branch, and the pull requests of those that exist; pull requests are read first.

        Then a branch that is deleted while we read is seen as gone, never as merged by a later pull request.

        :raises ObservationError: also where the first listing is too long for one try; the next one goes on.
        """
        before = self.memory.pulls.read()
        cache = self._read_rest(self._check_rules(before))
        news = self.github.list_pull_requests(go_back(cache.since))
        self._require_same_repository(news)
        older = self._read_again(news)
        branches = self.github.list_branches(self.scope.project.trunk)
        names = {branch.name for branch in branches}
        # A branch that comes back under an old name has lost its old merges here: control asks for those by name before
        # it creates a preview.
        known = merge_pulls(cache.pulls, older, news.pulls)
        pulls, bystanders = self._select(known, names), self._select_bystanders(known)
        merged = self._select_merged(known)
        # Where nothing is new the old bound stays, or the next pass would read all of them.
        since = max((pull.updated_at for pull in news.pulls), default=cache.since)
        kept = {pull.number: pull for pull in (*pulls, *bystanders, *merged)}
        ordered = tuple(pull for _, pull in sorted(kept.items()))
        after = replace(cache, since=max(since, cache.since), pulls=ordered)
        return RepositoryReading(RepositorySnapshot(branches, pulls, bystanders, merged), self.memory, before, after)

    def _check_rules(self, cache: PullCache | None) -> PullCache:
        """Return the cache, or an empty one: under other rules than those of then, an old pull request may count."""
        rules = self._fingerprint_rules()
        return cache if cache is not None and cache.rules == rules else PullCache("", (), rules, next_page=1)

    def _read_rest(self, cache: PullCache) -> PullCache:
        """Return the cache with all that the first listing has to give; what a try has read serves the next one."""
        if not cache.next_page:
            return cache
        # Only what counts is kept on the way, or the progress of a large repository would be larger than the cache.
        names = {branch.name for branch in self.github.list_branches(self.scope.project.trunk)}
        before, pages = cache, self.github.read_pull_pages(cache.next_page)
        try:
            for page in itertools.islice(pages, FIRST_PAGES_MAX):
                self._require_same_repository(page)  # before it is kept: another repository's merges would end ours
                # The first page bears the newest change: what changes while we page is newer, and read after this.
                since = cache.since or max((pull.updated_at for pull in page.pulls), default="")
                known = merge_pulls(page.pulls, cache.pulls)
                pulls = (*self._select(known, names), *self._select_bystanders(known))
                cache = replace(cache, since=since, pulls=pulls, next_page=cache.next_page + 1)
                if not page.has_more:
                    return replace(cache, next_page=0)
        finally:
            if cache != before:
                self.memory.pulls.write(cache)
        raise ObservationError(
            f"{self.scope.project.repository} has more pull requests than one pass reads; the next one goes on at page "
            f"{cache.next_page} of them"
        )

    def _require_same_repository(self, listing: PullListing) -> None:
        seen = listing.pulls[0].base_repo_id if listing.pulls else None
        require_same_repository(self.memory, self.github, seen)

    def _read_again(self, news: PullListing) -> tuple[PullRequest, ...]:
        """Return a page that was read long ago, as it is now; another one in each pass, the first with the news."""
        if not news.has_more:
            return ()
        number = self.memory.pull_page.read()
        page = next(self.github.read_pull_pages(max(number, SECOND_PAGE)))
        self.memory.pull_page.write(number + 1 if page.has_more else SECOND_PAGE)
        return page.pulls

    def _select(self, pulls: Iterable[PullRequest], names: set[str]) -> tuple[PullRequest, ...]:
        return tuple(pull for pull in pulls if pull.head_ref in names and self._counts(pull))

    def _select_bystanders(self, pulls: Iterable[PullRequest]) -> tuple[PullRequest, ...]:
        """Return those by which nothing is decided, and in which somebody may wait all the same for our word."""
        bases = self.scope.project.awaited_bases
        found = (pull for pull in pulls if pull.is_open and pull.base_ref in bases and not self._counts(pull))
        return tuple(replace(pull, title="", author="", url="", labels=()) for pull in found)

    def _select_merged(self, pulls: Iterable[PullRequest]) -> tuple[PullRequest, ...]:
        """Return the newest that were merged into what targets get: where their change goes, people are told."""
        bases = self.scope.project.bases
        found = [pull for pull in pulls if pull.is_merged and not pull.is_from_fork and pull.base_ref in bases]
        return tuple(sorted(found, key=lambda pull: (pull.updated_at, pull.number))[-MERGED_MAX:])

    def _fingerprint_rules(self) -> str:
        """Return what tells that other pull requests count than before."""
        project = self.scope.project
        names = ("branches", "exclude", "merged_into")
        previews = [getattr(project.previews, name) for name in names] if project.previews else []
        releases = [target.pull_request for target in project.targets.values()]
        # The last word names what caches of an older version lack: they are read anew.
        words = (sorted(project.awaited_bases), project.repository.casefold(), "bystanders", "drafts", "apart")
        return hash_text(repr((previews, project.promotion, releases, *words)), 16)

    def _counts(self, pull: PullRequest) -> bool:
        """Whether anything is decided by the pull request: a preview's end, a release, the deploy branch, a label."""
        if pull.is_from_fork or not (pull.is_open or pull.is_merged):
            return False
        project = self.scope.project
        speaks_while_open = project.feeds(pull) or project.wants_preview(pull.head_ref)
        return project.can_end_preview(pull) or (pull.is_open and speaks_while_open)


def go_back(since: str) -> str:
    """Return the time from which on changes are read again (ISO 8601, as GitHub writes it); empty: from the first."""
    return f"{datetime.fromisoformat(since) - OVERLAP:%Y-%m-%dT%H:%M:%SZ}" if since else ""


def merge_pulls(*readings: Iterable[PullRequest]) -> tuple[PullRequest, ...]:
    """Return the newest word on each pull request, in order of number, without what nobody decides by or is shown.

    Of two words of one second the later reading's counts.
    """
    known: dict[int, PullRequest] = {}
    for pull in itertools.chain(*readings):
        if pull.number not in known or pull.updated_at >= known[pull.number].updated_at:
            known[pull.number] = pull
    return tuple(_strip(pull) for _, pull in sorted(known.items()))


def _strip(pull: PullRequest) -> PullRequest:
    """Of an open one, title, author and labels count; a repository has many more that are merged."""
    return replace(pull, url="") if pull.is_open else replace(pull, title="", author="", url="", labels=())
