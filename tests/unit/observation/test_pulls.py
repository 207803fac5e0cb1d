"""Pull requests between passes: none that shows up late is missed for ever, and what a try has read is not lost."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.policy.keys import PullRequestSource, Target
from include.deploy_ops.hooks.github.answers import RepositoryName
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.hooks.github.repository import PullListing
from include.deploy_ops.observation import pulls as product
from include.deploy_ops.observation.pulls import MERGED_MAX, PullReader, merge_pulls
from include.deploy_ops.run.memory import KnownRepository, Memory, PullCache
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_project, make_pull, merged, sha

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.model import PullRequest

PAGE = 3
RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
PRODUCTION = Target(deployment="Production", pull_request=RELEASE)


class Repository(GithubPullsHook):
    """GitHub's listing of some pull requests, in pages of three; `hidden` are not in it yet, `limit` ends a try."""

    def __init__(self, *pulls: PullRequest) -> None:
        super().__init__("github", "acme/shop")
        self.pulls = {pull.number: pull for pull in pulls}
        self.hidden: set[int] = set()
        self.limit = 99
        self.read_pages: list[int] = []

    def read_name(self) -> RepositoryName:
        """Return which repository it is, by its number of the pull requests; 7 where there are none."""
        return RepositoryName(next((pull.base_repo_id for pull in self.pulls.values()), 7), "acme/shop")

    def list_branches(self, trunk: str) -> tuple[Branch, ...]:
        """Return a branch for each pull request, and trunk."""
        names = {trunk, *(pull.head_ref for pull in self.pulls.values())}
        return tuple(Branch(name, sha("a")) for name in sorted(names))

    def read_pull_pages(self, first: int = 1) -> Iterator[PullListing]:
        """Yield the pages, the newest change first."""
        shown = [pull for pull in self.pulls.values() if pull.number not in self.hidden]
        shown.sort(key=lambda pull: pull.updated_at, reverse=True)
        pages = range(first, max(-(-len(shown) // PAGE), 1) + 1)
        for page in pages:
            if page > self.limit:
                raise RateLimitError("wait", 3600)
            self.read_pages.append(page)
            yield PullListing(tuple(shown[(page - 1) * PAGE : page * PAGE]), has_more=page != pages[-1])


def at(minute: int) -> str:
    return f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z"


def make_pulls(count: int) -> list[PullRequest]:
    return [make_pull(number, f"dev-{number}", sha("b"), updated_at=at(number)) for number in range(1, count + 1)]


def look(github: Repository, memory: Memory) -> dict[int, PullRequest]:
    scope: Any = SimpleNamespace(project=make_project())
    github.read_pages.clear()
    reading = PullReader(scope, github, memory).read()
    reading.keep(lambda _: False)
    return {pull.number: pull for pull in reading.snapshot.pull_requests}


@pytest.fixture
def memory() -> Memory:
    return Memory(DictStore())


def test_a_merge_that_shows_up_after_a_newer_change_is_seen_in_the_next_pass(memory: Memory) -> None:
    github = Repository(*make_pulls(2))
    look(github, memory)
    late = merged(replace(github.pulls[1], updated_at=at(4)))
    github.pulls |= {1: late, 2: replace(github.pulls[2], updated_at=at(5))}
    github.hidden = {1}
    assert look(github, memory)[1].is_open
    github.hidden = set()
    assert look(github, memory)[1].is_merged


def test_a_merge_that_shows_up_hours_late_among_many_is_seen_when_its_page_has_its_turn(memory: Memory) -> None:
    github = Repository(*make_pulls(15))
    look(github, memory)
    github.pulls[1] = merged(replace(github.pulls[1], updated_at=at(20)))
    github.hidden = {1}
    github.pulls |= {number: replace(github.pulls[number], updated_at=at(400 + number)) for number in range(2, 12)}
    assert look(github, memory)[1].is_open
    github.hidden = set()
    passes = next(number for number in range(1, 6) if look(github, memory)[1].is_merged)
    assert passes <= 4


def test_a_quiet_pass_over_many_reads_one_more_page_in_turn_and_writes_none_of_them_again(memory: Memory) -> None:
    github = Repository(*(replace(pull, updated_at=at(100 * pull.number)) for pull in make_pulls(11)))
    look(github, memory)
    before = memory.pulls.read()
    pages = []
    for _ in range(5):
        look(github, memory)
        pages.append(github.read_pages[-1])
        assert github.read_pages[:-1] == [1]
    assert sorted(pages[:3]) == [2, 3, 4]
    assert pages[3:] == pages[:2]
    assert memory.pulls.read() == before


def test_a_quiet_pass_over_few_reads_one_page(memory: Memory) -> None:
    github = Repository(*make_pulls(3))
    look(github, memory)
    look(github, memory)
    assert github.read_pages == [1]


def test_the_first_listing_goes_on_where_the_last_try_ended(memory: Memory) -> None:
    github = Repository(*make_pulls(14))
    github.limit = 3
    with pytest.raises(RateLimitError):
        look(github, memory)
    github.limit = 99
    github.pulls[14] = merged(replace(github.pulls[14], updated_at=at(30)))  # on a page that was read already
    assert look(github, memory) == {number: merge_pulls([pull])[0] for number, pull in github.pulls.items()}
    assert github.read_pages[:2] == [4, 5]
    cache = memory.pulls.read()
    assert cache is not None
    assert (cache.next_page, cache.since) == (0, at(30))


def test_a_listing_too_long_for_one_try_is_done_in_several(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "FIRST_PAGES_MAX", 2)
    github = Repository(*make_pulls(14))
    for _ in range(2):
        with pytest.raises(ObservationError, match="the next one goes on at page"):
            look(github, memory)
    assert len(look(github, memory)) == 14


def test_a_cache_that_lost_an_entry_is_read_anew_from_the_first_page(memory: Memory) -> None:
    github = Repository(*make_pulls(8))
    look(github, memory)
    cache = memory.pulls.read()
    assert cache is not None
    memory.pulls.write(PullCache("", cache.pulls[1:], cache.rules, next_page=1))
    assert len(look(github, memory)) == 8


def test_an_older_word_on_a_pull_request_does_not_replace_a_newer_one() -> None:
    (known,) = make_pulls(1)
    newer = merged(replace(known, updated_at=at(5)))
    assert merge_pulls([newer], [known]) == merge_pulls([newer])
    assert merge_pulls([known], [newer]) == merge_pulls([newer])


@pytest.mark.parametrize(("limit", "is_later"), [(99, False), (1, False), (99, True)])
def test_nothing_is_kept_of_another_repository_that_has_the_name(limit: int, memory: Memory, *, is_later: bool) -> None:
    memory.repository.write(KnownRepository(7, "acme/shop"))
    if is_later:
        look(Repository(*make_pulls(2)), memory)
    before = memory.pulls.read()
    other = Repository(*(replace(pull, base_repo_id=8, head_repo_id=8, updated_at=at(99)) for pull in make_pulls(7)))
    other.limit = limit
    with pytest.raises(ObservationError, match="another repository than before, number 8 at GitHub and not 7"):
        look(other, memory)
    assert memory.pulls.read() == before
    assert memory.repository.read() == KnownRepository(7, "acme/shop")


def test_the_newest_merged_pull_requests_are_kept_for_what_people_are_told(memory: Memory) -> None:
    older = [merged(pull) for pull in make_pulls(MERGED_MAX + 4)]
    odd = [merged(make_pull(99, "x", sha("b"), base_ref="else")), merged(make_pull(98, "y", sha("b"), head_repo_id=1))]
    scope: Any = SimpleNamespace(project=make_project(targets={"production": PRODUCTION}))
    github = Repository(*older, *odd)
    for _ in range(2):  # the next pass knows them from the cache
        reading = PullReader(scope, github, memory).read()
        assert [pull.number for pull in reading.snapshot.merged] == list(range(5, MERGED_MAX + 5))
        reading.keep(lambda _: True)
        github.pulls = {pull.number: pull for pull in odd}
    known = memory.pulls.read()
    assert known is not None
    assert len(known.pulls) == MERGED_MAX
