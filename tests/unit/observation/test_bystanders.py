"""Open pull requests by which nothing is decided are read for GitHub's sake alone, forks' among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.model import Branch, PullRequest
from include.deploy_ops.core.preview.desired import derive_previews
from include.deploy_ops.hooks.github.repository import PullListing
from include.deploy_ops.observation.observe import Observer
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_project, make_pull, merged, sha

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.preview.desired import RepositorySnapshot

PROJECT = make_project()
OWN = make_pull(1, "dev-x", sha("a"), title="Load orders")
FORK = replace(make_pull(2, "dev-x", sha("b"), title="Of a stranger"), head_repo_id=99)
OTHER = make_pull(3, "feature", sha("c"))


@dataclass
class Github:
    """A GitHub of three branches, whose pull requests fit on one page."""

    pulls: tuple[PullRequest, ...]
    repository: str = PROJECT.repository

    def read_pull_pages(self, first: int = 1) -> Iterator[PullListing]:
        yield PullListing(self.pulls if first == 1 else (), has_more=False)

    def list_pull_requests(self, since: str) -> PullListing:
        return PullListing(tuple(pull for pull in self.pulls if pull.updated_at > since), has_more=False)

    def read_name(self) -> Any:
        return SimpleNamespace(id=1, name=self.repository)

    def list_branches(self, trunk: str) -> tuple[Branch, ...]:
        return (Branch(trunk, sha("d")), Branch("dev-x", sha("a")), Branch("feature", sha("c")))


def read(github: Any, memory: Memory) -> RepositorySnapshot:
    scope: Any = SimpleNamespace(project=PROJECT)
    unused: Any = None
    reading = Observer(scope, github, unused, memory, unused).read_repository()
    reading.keep(lambda _: False)
    return reading.snapshot


def test_bystanders_are_kept_apart_from_what_decides_and_outlast_the_pass() -> None:
    github, memory = Github((OWN, FORK, OTHER, merged(make_pull(4, "feature", sha("c"))))), Memory(DictStore())
    first = read(github, memory)
    assert [pull.number for pull in first.pull_requests] == [1]
    assert [(pull.number, pull.title) for pull in first.bystanders] == [(2, ""), (3, "")]
    assert read(github, memory) == first


def test_a_forks_merge_or_pull_request_ends_and_keeps_no_preview() -> None:
    snapshot = read(Github((replace(FORK, head_sha=sha("a")),)), Memory(DictStore()))
    assert snapshot.pull_requests == ()
    assert "dev-x" in derive_previews(PROJECT, snapshot).wanted
