"""A preview lives while its branch exists and is not merged: every way to end it, and none else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.model import Branch, PullRequest
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from tests.worlds.values.examples import make_project, make_pull, merged, sha

A, B = sha("a"), sha("b")
MAIN = Branch("main", A)


def derive(*pulls: PullRequest, head: str = A) -> tuple[bool, str]:
    desired = derive_previews(make_project(), RepositorySnapshot((MAIN, Branch("dev-x", head)), pulls))
    return "dev-x" in desired.wanted, desired.ended.get("dev-x", "")


def test_a_branch_without_a_pull_request_lives() -> None:
    assert derive() == (True, "")


def test_a_new_branch_at_mains_head_lives() -> None:
    assert derive(head=MAIN.head) == (True, "")


@pytest.mark.parametrize("base", ["main", "staging"])
def test_a_merge_ends_it(base: str) -> None:
    is_wanted, reason = derive(merged(make_pull(3, "dev-x", A, base_ref=base)))
    assert not is_wanted
    assert reason == f"pull request #3 was merged into {base}"


def test_a_push_after_the_merge_starts_a_new_life() -> None:
    assert derive(merged(make_pull(3, "dev-x", A)), head=B)[0]


def test_closing_without_merging_ends_nothing() -> None:
    assert derive(make_pull(3, "dev-x", A, is_open=False))[0]


def test_a_merge_into_another_branch_ends_nothing() -> None:
    assert derive(merged(make_pull(3, "dev-x", A, base_ref="feature")))[0]


def test_an_open_pull_request_into_staging_keeps_it_alive_after_the_merge_into_main() -> None:
    assert derive(merged(make_pull(3, "dev-x", A)), make_pull(4, "dev-x", A, base_ref="staging"))[0]


def test_an_open_pull_request_elsewhere_does_not_keep_it() -> None:
    assert not derive(merged(make_pull(3, "dev-x", A)), make_pull(4, "dev-x", A, base_ref="feature"))[0]


@pytest.mark.parametrize("repo", [8, None])
def test_a_forks_branch_of_the_same_name_counts_for_nothing(repo: int | None) -> None:
    assert derive(merged(make_pull(3, "dev-x", A, head_repo_id=repo)))[0]


def test_only_matching_branches_are_wanted() -> None:
    branches = (MAIN, Branch("develop", A), Branch("feature", A), Branch("dev/x", A))
    desired = derive_previews(make_project(), RepositorySnapshot(branches, ()))
    assert set(desired.wanted) == {"dev/x"}
    assert desired.existing == {"main", "develop", "feature", "dev/x"}


@pytest.mark.parametrize("branches", [(), (Branch("dev-x", A),)])
def test_a_listing_without_trunk_is_an_error(branches: tuple[Branch, ...]) -> None:
    with pytest.raises(ObservationError, match="lacks trunk 'main'"):
        derive_previews(make_project(), RepositorySnapshot(branches, ()))


def test_where_a_label_is_required_only_an_open_pull_request_with_it_asks_for_a_preview() -> None:
    project = make_project(previews={"require_label": "preview"})
    labelled = make_pull(3, "dev-x", A, labels=("preview",))
    found = [
        derive_previews(project, RepositorySnapshot((MAIN, Branch("dev-x", A)), pulls)).unlabelled
        for pulls in (
            (),
            (make_pull(3, "dev-x", A, labels=("Preview", "keep-preview")),),
            (replace(labelled, is_open=False),),
            (replace(labelled, head_repo_id=8),),
            (replace(labelled, base_ref="feature"),),
        )
    ]
    assert found == [{"dev-x"}, {"dev-x"}, {"dev-x"}, {"dev-x"}, frozenset()]
    assert not derive_previews(make_project(), RepositorySnapshot((MAIN, Branch("dev-x", A)), ())).unlabelled


@pytest.mark.parametrize("name", ["gh-readonly-queue/main/pr-7-a", "deploy-ops/merge-into-staging"])
def test_neither_merge_groups_nor_branches_of_our_own_get_a_preview(name: str) -> None:
    project = make_project(previews={"branches": ("*",)})
    assert not derive_previews(project, RepositorySnapshot((MAIN, Branch(name, A)), ())).wanted.keys() & {name}
    assert project.wants_preview(name.replace("/", "-"))
