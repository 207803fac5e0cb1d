"""Pull requests: what they hold, how they follow their branches, and how they are merged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.github.conftest import REPOSITORY, Hub


def read_ref(hub: Hub, name: str) -> str | None:
    """Ask git for a ref of the bare repository."""
    output = hub.git(
        "-C", str(hub.github.git_dir(REPOSITORY)), "rev-parse", "--verify", "--quiet", name, is_checked=False
    )
    return output or None


def read_parents(hub: Hub, rev: str) -> list[str]:
    """Ask git for a commit's parents."""
    return hub.git("-C", str(hub.github.git_dir(REPOSITORY)), "rev-parse", f"{rev}^@").split()


def show(hub: Hub, number: int = 1) -> Any:
    """Read one pull request."""
    return hub.send("GET", f"/pulls/{number}", status=200)


def merge(hub: Hub, *, status: int = 200, number: int = 1, **body: str) -> Any:
    """Merge one pull request."""
    return hub.send("PUT", f"/pulls/{number}/merge", status=status, json=body)


def test_a_new_pull_request_is_open_with_a_test_merge(hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev-a", "staging", body="Please")
    assert (pull["number"], pull["state"], pull["merged"], pull["mergeable"]) == (1, "open", False, True)
    assert (pull["head"]["sha"], pull["head"]["ref"], pull["head"]["label"]) == (head, "dev-a", "acme:dev-a")
    assert (pull["commits"], pull["changed_files"], pull["additions"]) == (1, 1, 1)
    assert read_ref(hub, "refs/pull/1/head") == head
    assert read_ref(hub, "refs/pull/1/merge") == pull["merge_commit_sha"]
    assert read_parents(hub, pull["merge_commit_sha"]) == [hub.read_heads()["staging"], head]
    assert [commit["sha"] for commit in hub.send("GET", "/pulls/1/commits", status=200)] == [head]
    assert [file["filename"] for file in hub.send("GET", "/pulls/1/files", status=200)] == ["dags/a.py"]


def test_a_push_moves_the_head_and_the_test_merge(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    before = hub.open_pull("dev-a")
    head = hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    after = show(hub)
    assert after["head"]["sha"] == head
    assert after["updated_at"] >= before["updated_at"]
    assert read_parents(hub, "refs/pull/1/merge") == [hub.read_heads()["main"], head]


def test_a_moved_base_makes_a_new_test_merge_but_leaves_base_sha(hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    before = hub.open_pull("dev-a", "staging")
    base = hub.push_file("staging", "dags/s.py", "s = 1\n", start="origin/staging")
    assert read_parents(hub, "refs/pull/1/merge") == [base, head]
    after = show(hub)
    assert after["merge_commit_sha"] == read_ref(hub, "refs/pull/1/merge")
    assert after["base"]["sha"] == before["base"]["sha"]


def test_a_conflict_has_no_test_merge_and_cannot_be_merged(hub: Hub) -> None:
    hub.push_file("dev-a", "requirements.txt", "a\n")
    hub.open_pull("dev-a", "staging")
    hub.push_file("staging", "requirements.txt", "b\n", start="origin/staging")
    pull = show(hub)
    assert (pull["mergeable"], pull["mergeable_state"], pull["merge_commit_sha"]) == (False, "dirty", None)
    assert read_ref(hub, "refs/pull/1/merge") is None
    for method in ("merge", "squash", "rebase"):
        assert merge(hub, status=405, merge_method=method)["message"] == "Pull Request is not mergeable"
    hub.push_file("dev-a", "requirements.txt", "b\n")
    assert show(hub)["mergeable"] is True


def test_whether_it_can_be_merged_is_known_a_moment_after_a_push(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    before = hub.open_pull("dev-a", "staging")
    hub.settings.mergeability_s = 60
    head = hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    pull = show(hub)
    assert (pull["mergeable"], pull["mergeable_state"], pull["head"]["sha"]) == (None, "unknown", head)
    assert pull["merge_commit_sha"] == before["merge_commit_sha"]
    hub.settings.mergeability_s = 0
    pull = show(hub)
    assert pull["mergeable"] is True
    base = hub.read_heads()["staging"]
    assert read_parents(hub, pull["merge_commit_sha"]) == read_parents(hub, "refs/pull/1/merge") == [base, head]
    hub.settings.mergeability_s = 60
    hub.push_file("staging", "dags/s.py", "s = 1\n", start="origin/staging")
    assert show(hub)["mergeable"] is None


def test_merging_by_commit_moves_the_base_and_freezes_the_head(hub: Hub) -> None:
    base = hub.read_heads()["staging"]
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a", "staging")
    result = merge(hub, sha=head)
    assert result["merged"] is True
    assert hub.read_heads()["staging"] == result["sha"]
    assert read_parents(hub, result["sha"]) == [base, head]
    assert (hub.pushes[-1].branch, hub.pushes[-1].before, hub.pushes[-1].after) == ("staging", base, result["sha"])
    hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    pull = show(hub)
    assert (pull["state"], pull["merged"], pull["head"]["sha"]) == ("closed", True, head)
    assert pull["merge_commit_sha"] == result["sha"]
    assert pull["merged_at"] == pull["closed_at"] is not None
    assert read_ref(hub, "refs/pull/1/merge") is None
    assert (pull["commits"], pull["changed_files"]) == (1, 1)
    hub.send("GET", "/pulls/1/merge", status=204)
    assert merge(hub, status=405)["message"] == "Pull Request is not mergeable"


def test_squashing_makes_one_commit_outside_the_branch(hub: Hub) -> None:
    base = hub.read_heads()["main"]
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.push_file("dev-a", "dags/b.py", "b = 1\n")
    hub.open_pull("dev-a")
    sha = merge(hub, merge_method="squash")["sha"]
    assert read_parents(hub, sha) == [base]
    message = hub.send("GET", f"/commits/{sha}", status=200)["commit"]["message"]
    assert message == "Merge dev-a (#1)\n\n* Write dags/a.py\n\n* Write dags/b.py"


def test_rebasing_writes_the_commits_again_on_the_base(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    hub.open_pull("dev-a", "staging")
    base = hub.push_file("staging", "dags/s.py", "s = 1\n", start="origin/staging")
    sha = merge(hub, merge_method="rebase")["sha"]
    (parent,) = read_parents(hub, sha)
    assert read_parents(hub, parent) == [base]
    hub.git("fetch", "--quiet", "origin")
    assert hub.git("show", "origin/staging:dags/a.py", "origin/staging:dags/s.py").splitlines() == ["a = 2", "s = 1"]
    assert hub.git("show", f"{parent}:dags/a.py") == "a = 1"
    assert hub.git("log", "-1", "--format=%an <%ae>|%s", sha) == "mira@acme.example <mira@acme.example>|Write dags/a.py"


def test_merging_refuses_a_head_that_moved(hub: Hub) -> None:
    old = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    before = hub.read_heads()
    assert merge(hub, status=409, sha=old)["message"].startswith("Head branch was modified")
    assert hub.read_heads() == before
    merge(hub, status=422, merge_method="octopus")


def test_a_draft_is_not_merged(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    assert hub.open_pull("dev-a", draft=True)["mergeable_state"] == "draft"
    assert merge(hub, status=405)["message"] == "Pull Request is still a draft"


def test_closing_without_merging_and_reopening(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    closed = hub.send("PATCH", "/pulls/1", status=200, json={"state": "closed"})
    assert (closed["state"], closed["merged"], closed["merged_at"]) == ("closed", False, None)
    head = hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    assert show(hub)["head"]["sha"] == closed["head"]["sha"]
    opened = hub.send("PATCH", "/pulls/1", status=200, json={"state": "open"})
    assert (opened["state"], opened["closed_at"], opened["head"]["sha"]) == ("open", None, head)
    assert read_parents(hub, "refs/pull/1/merge")[1] == head


@pytest.mark.parametrize("gone", ["dev-a", "release"])
def test_deleting_head_or_base_closes_the_pull_request(hub: Hub, gone: str) -> None:
    hub.send("POST", "/git/refs", status=201, json={"ref": "refs/heads/release", "sha": hub.read_heads()["main"]})
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a", "release")
    hub.send("DELETE", f"/git/refs/heads/{gone}", status=204)
    pull = show(hub)
    assert (pull["state"], pull["merged"], pull["head"]["sha"]) == ("closed", False, head)
    hub.send("PATCH", "/pulls/1", status=422, json={"state": "open"})


def test_title_body_and_base_can_be_changed(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    base = hub.push_file("staging", "dags/s.py", "s = 1\n", start="origin/staging")
    pull = hub.send("PATCH", "/pulls/1", status=200, json={"title": "New", "body": "", "base": "staging"})
    assert (pull["title"], pull["body"], pull["base"]["ref"], pull["base"]["sha"]) == ("New", "", "staging", base)
    assert read_parents(hub, "refs/pull/1/merge")[0] == base
    hub.send("PATCH", "/pulls/1", status=422, json={"base": "nope"})
    hub.send("PATCH", "/pulls/1", status=422, json={"state": "merged"})
    hub.send("PATCH", "/pulls/9", status=404, json={})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "nope"}, "Validation Failed"),
        ({"base": "nope"}, "Validation Failed"),
        ({"title": ""}, "Validation Failed"),
        ({"head": "staging"}, "No commits between main and staging"),
        ({}, "A pull request already exists for acme:dev-a."),
    ],
)
def test_a_pull_request_that_cannot_be_is_refused(hub: Hub, fields: dict[str, str], message: str) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    body = {"title": "T", "head": "dev-a", "base": "main"} | fields
    answer = hub.send("POST", "/pulls", status=422, json=body)
    assert message in str(answer)


def test_lists_filter_and_sort(hub: Hub) -> None:
    for name in ("dev-a", "dev-b", "dev-c"):
        hub.push_file(name, f"dags/{name}.py", "x = 1\n")
        hub.open_pull(name, "main" if name == "dev-b" else "staging")
    hub.send("PATCH", "/pulls/3", status=200, json={"state": "closed"})
    hub.send("PATCH", "/pulls/1", status=200, json={"title": "Touched"})

    def numbers(query: str) -> list[int]:
        return [pull["number"] for pull in hub.send("GET", f"/pulls?{query}", status=200)]

    assert numbers("") == [2, 1]
    assert numbers("state=all") == [3, 2, 1]
    assert numbers("state=closed") == [3]
    assert numbers("state=all&sort=updated&direction=desc") == [1, 3, 2]
    assert numbers("state=all&sort=updated") == [2, 3, 1]
    assert numbers("base=main") == [2]
    assert numbers("head=acme:dev-a&state=all") == [1]
    assert numbers("head=other:dev-a&state=all") == []
    assert numbers("state=all&direction=asc&per_page=2") == [1, 2]
    assert numbers("state=all&direction=asc&per_page=2&page=2") == [3]


def test_a_fork_is_another_repository_and_follows_no_push_of_ours(hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    own, fork = hub.open_pull("dev-a"), hub.open_pull("other:dev-a")
    assert fork["head"]["label"] == "other:dev-a"
    assert fork["head"]["repo"]["full_name"] == "other/data-platform"
    assert fork["head"]["repo"]["fork"] is True
    assert fork["head"]["repo"]["id"] != own["head"]["repo"]["id"] == own["base"]["repo"]["id"]
    hub.push_file("dev-a", "dags/a.py", "a = 2\n")
    assert show(hub, fork["number"])["head"]["sha"] == head
    hub.send("DELETE", "/git/refs/heads/dev-a", status=204)
    assert (show(hub)["state"], show(hub, fork["number"])["state"]) == ("closed", "open")
