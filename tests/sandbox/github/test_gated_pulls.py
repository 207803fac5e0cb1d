"""What a gated target rests on: the test merge of a pull request from the deploy branch, fetched, moved and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.checkout.worktree import Contents, checkout
from include.deploy_ops.core.errors import SupersededError
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.sandbox.github.test_pulls import merge, read_parents, read_ref, show

if TYPE_CHECKING:
    from pathlib import Path


def push(hub: Hub, branch: str, path: str, content: str) -> str:
    """Commit one file on a branch of the seed's, and push it."""
    return hub.push_file(branch, path, content, start=f"origin/{branch}")


def read_worktree(hub: Hub, commit: str, tmp_path: Path) -> dict[str, str]:
    """Fetch a commit as the product does, and return the text of every file that is not in Git's own folder."""
    with checkout(
        clone_url=f"{hub.url}/github/{REPOSITORY}.git",
        token=GITHUB_TOKEN,
        commit=commit,
        branch="astro_deploy",
        root=".",
        contents=Contents.PROJECT,
        timeout_s=20,
        scratch=tmp_path / "scratch",
    ) as worktree:
        files = [path for path in worktree.path.rglob("*") if path.is_file() and ".git" not in path.parts]
        return {path.relative_to(worktree.path).as_posix(): path.read_text() for path in files}


def test_the_test_merge_is_fetched_by_its_id_and_holds_both_sides(hub: Hub, tmp_path: Path) -> None:
    push(hub, "astro_deploy", "dags/new.py", "n = 1\n")
    push(hub, "main", "packages.txt", "curl\n")
    pull = hub.open_pull("astro_deploy", "main")

    files = read_worktree(hub, pull["merge_commit_sha"], tmp_path)

    assert (files["dags/new.py"], files["packages.txt"]) == ("n = 1\n", "curl\n")
    listed = hub.git("ls-tree", "-r", "--name-only", "origin/main").splitlines()
    assert files.keys() == {name for name in listed if not name.startswith(".astro/")} | {"dags/new.py"}


@pytest.mark.parametrize("moving", ["astro_deploy", "main"])
def test_a_test_merge_whose_base_or_head_moved_is_another_and_the_old_one_stays(
    hub: Hub, tmp_path: Path, moving: str
) -> None:
    push(hub, "astro_deploy", "dags/new.py", "n = 1\n")
    old = hub.open_pull("astro_deploy", "main")["merge_commit_sha"]

    push(hub, moving, "dags/more.py", "m = 1\n")

    pull, heads = show(hub), hub.read_heads()
    assert pull["mergeable"] is True
    assert pull["merge_commit_sha"] == read_ref(hub, "refs/pull/1/merge") != old
    assert read_parents(hub, pull["merge_commit_sha"]) == [heads["main"], heads["astro_deploy"]]
    assert "dags/more.py" in read_worktree(hub, pull["merge_commit_sha"], tmp_path)
    assert "dags/more.py" not in read_worktree(hub, old, tmp_path), "a run that began with it can still end"


def test_merging_one_pull_request_moves_the_test_merge_of_the_next(hub: Hub) -> None:
    push(hub, "staging", "dags/a.py", "a = 1\n")
    push(hub, "astro_deploy", "dags/b.py", "b = 1\n")
    for branch in ("staging", "astro_deploy"):
        hub.open_pull(branch, "main")
    merged = merge(hub, number=1)["sha"]
    assert read_parents(hub, show(hub, 2)["merge_commit_sha"]) == [merged, hub.read_heads()["astro_deploy"]]


def test_a_conflict_with_the_base_ends_the_test_merge_and_an_answer_to_it_brings_it_back(hub: Hub) -> None:
    push(hub, "astro_deploy", "requirements.txt", "a\n")
    hub.open_pull("astro_deploy", "main")
    head, base = hub.read_heads()["astro_deploy"], push(hub, "main", "requirements.txt", "b\n")
    assert (show(hub)["mergeable"], read_ref(hub, "refs/pull/1/merge")) == (False, None)
    merge(hub, status=405, sha=head)
    assert hub.read_heads()["main"] == base

    push(hub, "main", "requirements.txt", "a\n")

    assert show(hub)["mergeable"] is True
    assert merge(hub, sha=head, merge_method="merge")["sha"] == hub.read_heads()["main"]


def test_a_draft_has_a_test_merge_and_is_not_merged(hub: Hub) -> None:
    head = push(hub, "astro_deploy", "dags/new.py", "n = 1\n")
    pull = hub.open_pull("astro_deploy", "main", draft=True)
    assert (pull["draft"], pull["mergeable"]) == (True, True)
    assert read_parents(hub, pull["merge_commit_sha"])[1] == head
    assert hub.send("GET", "/pulls", status=200)[0]["draft"] is True
    merge(hub, status=405, sha=head)


def test_a_merge_of_exactly_the_head_has_the_test_merges_parents_and_tree(hub: Hub) -> None:
    head = push(hub, "astro_deploy", "dags/new.py", "n = 1\n")
    tested = hub.open_pull("astro_deploy", "main")["merge_commit_sha"]
    merged = merge(hub, sha=head, merge_method="merge")["sha"]
    assert merged != tested
    assert read_parents(hub, merged) == read_parents(hub, tested)
    assert read_ref(hub, f"{merged}^{{tree}}") == read_ref(hub, f"{tested}^{{tree}}")
    assert hub.read_heads()["astro_deploy"] == head, "the deploy branch lives on"
    push(hub, "astro_deploy", "dags/new.py", "n = 2\n")
    assert hub.open_pull("astro_deploy", "main")["number"] == 2


def test_what_nobody_has_cannot_be_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(SupersededError, match="not in the repository any more"):
        read_worktree(hub, "1" * 40, tmp_path)


def test_tags_are_listed_resolved_and_fetched(hub: Hub, tmp_path: Path) -> None:
    old = hub.push_file("main", "dags/old.py", "o = 1\n")
    hub.git("tag", "v1", old)
    hub.git("tag", "--annotate", "--message", "Release", "releases/v2", old)
    hub.git("push", "--quiet", "origin", "v1", "releases/v2")
    push(hub, "main", "dags/old.py", "o = 2\n")

    listed: dict[str, Any] = {
        ref["ref"]: ref["object"] for ref in hub.send("GET", "/git/matching-refs/tags/", status=200)
    }
    assert {name: found["type"] for name, found in listed.items()} == {
        "refs/tags/releases/v2": "tag",
        "refs/tags/v1": "commit",
    }
    for name in ("v1", "releases/v2"):
        assert hub.send("GET", f"/commits/{name}", status=200)["sha"] == old
        assert hub.send("GET", f"/git/ref/tags/{name}", status=200)["object"] == listed[f"refs/tags/{name}"]
    assert read_worktree(hub, old, tmp_path)["dags/old.py"] == "o = 1\n"
    hub.send("GET", "/git/ref/tags/v", status=404)
    assert [push.branch for push in hub.pushes] == ["main", "main"], "a tag is no branch and builds nothing"
