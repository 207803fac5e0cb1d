"""Writing a branch: who else moved it is told from what is refused, and each write is sent once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.change.change_type import hash_tree
from include.deploy_ops.core.errors import (
    BranchMovedError,
    CommitMissingError,
    ObservationError,
    RateLimitError,
    WriteRefusedError,
    WriteUnknownError,
)
from include.deploy_ops.core.model import TreeEntry
from include.deploy_ops.hooks.github.git import LISTINGS_MAX, GithubGitHook
from tests.worlds.doubles.github import (
    HTML,
    NOT_FOUND,
    REPO,
    TOKEN,
    GithubDouble,
    Reply,
    connect,
    make_pull,
    make_ref,
    make_sha,
)

ONE, OTHER, TREE = make_sha("one"), make_sha("other"), make_sha("tree")
COMPARED = f"{REPO}/compare/{ONE}...{OTHER}?page=2&per_page=1"
OPEN = f"{REPO}/pulls?base=staging&per_page=100&state=open"
NEXT = f"{REPO}/pulls?page=2"
REF, REFS = f"{REPO}/git/refs/heads/astro_deploy", f"{REPO}/git/refs"

FORBIDDEN = Reply({"message": "Resource not accessible by personal access token"}, 403)
WRITES: dict[str, tuple[str, Callable[[GithubGitHook], object]]] = {
    "write_tree": (f"{REPO}/git/trees", lambda git: git.write_tree(TREE, [])),
    "write_commit": (f"{REPO}/git/commits", lambda git: git.write_commit(TREE, [ONE], "m")),
    "move_branch": (REF, lambda git: git.move_branch("astro_deploy", ONE)),
    "create_branch": (REFS, lambda git: git.create_branch("astro_deploy", ONE)),
}


@pytest.fixture
def git(github: GithubDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubGitHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    hook = GithubGitHook("github_default", "acme/pipes", sleep=pauses.append)
    yield hook
    hook.close()


def refuse(message: str) -> Reply:
    return Reply({"message": message, "status": "422"}, 422)


def make_side(name: str) -> dict[str, Any]:
    return {"sha": make_sha(name), "commit": {"message": "m", "tree": {"sha": make_sha(f"tree of {name}")}}}


def test_the_merge_base_comes_with_its_tree_and_the_first_commits(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[COMPARED] = Reply({"base_commit": make_side("one"), "merge_base_commit": make_side("base")})
    found = git.compare(ONE, OTHER)
    assert found is not None
    assert (found.first.commit, found.first.tree) == (ONE, make_sha("tree of one"))
    assert (found.merge_base.commit, found.merge_base.tree) == (make_sha("base"), make_sha("tree of base"))


LEAF = make_sha("leaf")


def list_below(*, of: str, truncated: bool = False) -> dict[str, Any]:
    """Return a recursive listing of dags/ with two folders, one of them with a name that JSON cannot say."""
    inner, odd = hash_tree([TreeEntry("a.py", "100644", LEAF)]), make_sha("odd")
    paths = (("x", "040000", inner), ("x/a.py", "100644", LEAF), ("y", "040000", odd), ("y/caf\ufffd", "100644", LEAF))
    lines = [{"path": path, "mode": mode, "sha": sha} for path, mode, sha in paths]
    return {"sha": of, "tree": lines, "truncated": truncated}


def test_a_listing_gives_each_folder_that_is_there_as_a_whole(github: GithubDouble, git: GithubGitHook) -> None:
    inner = (TreeEntry("a.py", "100644", LEAF),)
    whole = (TreeEntry("x", "040000", hash_tree(inner)), TreeEntry("y", "040000", make_sha("odd")))
    sha = hash_tree(whole)
    path = f"{REPO}/git/trees/{sha}?recursive=1"
    github.answers[path] = Reply(list_below(of=sha))
    assert git.read_trees_below(sha) == {sha: whole, hash_tree(inner): inner}
    cut = list_below(of=sha, truncated=True)
    github.answers[path] = Reply(cut | {"tree": cut["tree"][:2]})
    assert git.read_trees_below(sha) == {hash_tree(inner): inner}, "of what is cut, only what proves to be whole"
    github.answers[path] = Reply(list_below(of=make_sha("other")))
    with pytest.raises(ObservationError, match="another object"):
        git.read_trees_below(sha)


def test_a_comparison_of_another_commit_is_refused(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[COMPARED] = Reply({"base_commit": make_side("other"), "merge_base_commit": make_side("base")})
    with pytest.raises(ObservationError, match="another object"):
        git.compare(ONE, OTHER)


def test_no_common_history_is_told_from_a_missing_commit(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[COMPARED] = Reply({"message": f"No common ancestor between {ONE} and {OTHER}."}, 404)
    assert git.compare(ONE, OTHER) is None
    github.answers[COMPARED] = Reply(NOT_FOUND, 404)
    with pytest.raises(CommitMissingError):
        git.compare(ONE, OTHER)


@pytest.mark.parametrize("body", [{}, {"base_commit": make_sha("one")}, {"merge_base_commit": {"sha": ONE}}, [], HTML])
def test_a_malformed_comparison_is_no_merge_base(body: Any, github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[COMPARED] = Reply(body)
    with pytest.raises(ObservationError):
        git.compare(ONE, OTHER)


def test_the_edits_are_sent_as_git_means_them(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[f"{REPO}/git/trees"] = Reply({"sha": TREE}, 201)
    edits = [
        ("dags/a.py", TreeEntry("a.py", "100755", ONE)),
        ("dags/b", TreeEntry("b", "040000", ONE)),
        ("dags/c", TreeEntry("c", "160000", ONE)),
        ("dags/d", None),
    ]
    assert git.write_tree(make_sha("base"), edits) == TREE
    (asked,) = github.asked
    assert asked.body == {
        "base_tree": make_sha("base"),
        "tree": [
            {"path": "dags/a.py", "mode": "100755", "type": "blob", "sha": ONE},
            {"path": "dags/b", "mode": "040000", "type": "tree", "sha": ONE},
            {"path": "dags/c", "mode": "160000", "type": "commit", "sha": ONE},
            {"path": "dags/d", "mode": "100644", "type": "blob", "sha": None},
        ],
    }


def test_a_branch_is_moved_forward_only(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[REF] = Reply(make_ref("astro_deploy", ONE))
    git.move_branch("astro_deploy", ONE)
    assert [(asked.method, asked.body) for asked in github.asked] == [("PATCH", {"sha": ONE, "force": False})]


@pytest.mark.parametrize(
    "message", ["Update is not a fast forward", "Reference already exists", "Reference does not exist"]
)
@pytest.mark.parametrize("name", ["move_branch", "create_branch"])
def test_a_branch_that_somebody_moved_is_told_apart(
    name: str, message: str, github: GithubDouble, git: GithubGitHook
) -> None:
    path, write = WRITES[name]
    github.answers[path] = refuse(message)
    with pytest.raises(BranchMovedError, match=message):
        write(git)


@pytest.mark.parametrize("name", ["move_branch", "create_branch"])
def test_what_to_grant_is_named(name: str, github: GithubDouble, git: GithubGitHook) -> None:
    path, write = WRITES[name]
    told = "refusing to allow a GitHub App to update workflow `.github/workflows/x.yml` without `workflows` permission"
    for reply, advice in (
        (refuse("Repository rule violations found"), "let the connection's app or user bypass it"),
        (refuse(told), "grant the connection's token Workflows: write"),
        (FORBIDDEN, "grant the connection's token Contents: write"),
        (replace(FORBIDDEN, headers={"X-Accepted-GitHub-Permissions": "contents=write"}), "token contents=write"),
    ):
        github.answers[path] = reply
        with pytest.raises(WriteRefusedError, match=advice):
            write(git)


@pytest.mark.parametrize("name", ["move_branch", "create_branch"])
@pytest.mark.parametrize(
    "reply",
    [
        refuse("Repository rule violations found"),
        FORBIDDEN,
        Reply({"message": "Git Repository is empty."}, 409),
        Reply(NOT_FOUND, 404),
    ],
)
def test_any_other_refusal_is_no_lost_race(name: str, reply: Reply, github: GithubDouble, git: GithubGitHook) -> None:
    path, write = WRITES[name]
    github.answers[path] = reply
    with pytest.raises(WriteRefusedError) as refused:
        write(git)
    assert not isinstance(refused.value, BranchMovedError)
    assert reply.body["message"] in str(refused.value)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("reply", [Reply({"message": "x"}, 502), Reply(is_dropped=True), Reply(HTML, 201)])
def test_a_write_without_a_whole_answer_is_sent_once(
    name: str, reply: Reply, github: GithubDouble, git: GithubGitHook, pauses: list[float]
) -> None:
    path, write = WRITES[name]
    github.answers[path] = reply
    with pytest.raises(WriteUnknownError):
        write(git)
    assert len(github.asked) == 1
    assert pauses == []


@pytest.mark.parametrize("name", WRITES)
def test_a_pause_that_github_asks_for_is_told(name: str, github: GithubDouble, git: GithubGitHook) -> None:
    path, write = WRITES[name]
    github.answers[path] = Reply({"message": "slow down"}, 403, {"Retry-After": "7"})
    with pytest.raises(RateLimitError):
        write(git)
    assert len(github.asked) == 1


@pytest.mark.parametrize("name", WRITES)
def test_an_answer_about_something_else_is_an_error(name: str, github: GithubDouble, git: GithubGitHook) -> None:
    path, write = WRITES[name]
    github.answers[path] = Reply(make_ref("other") if "branch" in name else {"sha": "main"}, 201)
    with pytest.raises(ObservationError):
        write(git)


def test_open_pull_requests_into_the_base_are_listed_by_number(github: GithubDouble, git: GithubGitHook) -> None:
    other = make_pull(4, base={"ref": "main", "sha": make_sha("main"), "repo": {"id": 7}})
    github.answers[OPEN] = Reply([make_pull(3), make_pull(2), other, make_pull(1, state="closed")])
    assert [pull.number for pull in git.list_open_pull_requests("staging")] == [2, 3]


def test_of_several_pages_two_readings_must_agree(github: GithubDouble, git: GithubGitHook) -> None:
    """While the first reading turned the page, #1 was closed and #2 slipped past its edge."""
    first = Reply([make_pull(1)], headers=github.link_to(NEXT))
    second = Reply([make_pull(2)], headers=github.link_to(NEXT))
    github.answers[OPEN] = [first, second]
    github.answers[NEXT] = Reply([make_pull(3)])
    assert [pull.number for pull in git.list_open_pull_requests("staging")] == [2, 3]
    assert github.statuses(OPEN) == [200, 200, 200]


def test_a_listing_that_never_rests_is_an_error(github: GithubDouble, git: GithubGitHook) -> None:
    github.answers[OPEN] = [Reply([make_pull(n)], headers=github.link_to(NEXT)) for n in range(1, LISTINGS_MAX + 1)]
    github.answers[NEXT] = Reply([make_pull(9)])
    with pytest.raises(ObservationError, match="changed with each of 4 readings"):
        git.list_open_pull_requests("staging")
