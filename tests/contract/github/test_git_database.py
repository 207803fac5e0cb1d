"""What the product asks and writes to make a branch without a checkout is as GitHub describes it, refusals included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import BranchMovedError, CommitMissingError, WriteRefusedError
from include.deploy_ops.core.model import TreeEntry
from include.deploy_ops.hooks.github.git import GithubGitHook
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.github.test_requests import assert_described
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect

if TYPE_CHECKING:
    from collections.abc import Callable

BRANCH = "dev/a#b%c+d&e=f"
NOBODY = "0" * 39 + "1"


@pytest.fixture
def git(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubGitHook]:
    """Give a hook on a repository with a branch that has one commit more than main."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file(BRANCH, "dags/a.py", "a = 1\n")
    hook = GithubGitHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def list_open(hub: Hub, git: GithubGitHook) -> None:
    hub.push_file("into/a#b&c", "x", "x\n")
    hub.open_pull(BRANCH, "into/a#b&c")
    hub.open_pull(BRANCH, "staging")
    (found,) = git.list_open_pull_requests("into/a#b&c")
    assert (found.number, found.head_sha, found.is_open) == (1, hub.read_heads()[BRANCH], True)


def compare(hub: Hub, git: GithubGitHook) -> None:
    main, head = hub.read_heads()["main"], hub.read_heads()[BRANCH]
    hub.push_file("other", "dags/b.py", "b = 1\n")
    other = hub.read_heads()["other"]
    for pair in ((main, head), (head, main), (head, other), (main, main)):
        found = git.compare(*pair)
        assert found is not None
        assert (found.merge_base.commit, found.merge_base.tree) == (main, git.get_commit(main).tree)
        assert (found.first.commit, found.first.tree) == (pair[0], git.get_commit(pair[0]).tree)
    island = hub.git("commit-tree", f"{main}^{{tree}}", "-m", "An island")
    hub.git("push", "--quiet", "origin", f"{island}:refs/heads/island")
    assert git.compare(main, island) is None
    with pytest.raises(CommitMissingError, match="one of the commits is gone"):
        git.compare(main, NOBODY)


def write_tree(hub: Hub, git: GithubGitHook) -> None:
    tree = git.get_commit(hub.read_heads()[BRANCH]).tree
    entries = {entry.name: entry for entry in git.read_tree(tree)}
    edits = [
        ("dags/new/run.sh", TreeEntry("run.sh", "100755", entries["Dockerfile"].sha)),
        ("dags/a.py", None),
        ("dags/copy", TreeEntry("copy", "040000", entries["include"].sha)),
        ("dags/link", TreeEntry("link", "120000", entries["Dockerfile"].sha)),
        ("dags/lib", TreeEntry("lib", "160000", NOBODY)),
    ]
    made = git.write_tree(tree, edits)
    (dags,) = [entry for entry in git.read_tree(made) if entry.name == "dags"]
    listed = {entry.name: entry for entry in git.read_tree(dags.sha)}
    assert {"new", "copy", "link", "lib"} <= listed.keys()
    assert "a.py" not in listed
    assert (listed["copy"].sha, listed["link"].mode, listed["lib"].sha) == (entries["include"].sha, "120000", NOBODY)
    with pytest.raises(WriteRefusedError, match="422: GitRPC::BadObjectState"):
        git.write_tree(tree, [("dags/none.py", None)])


def write_commit(hub: Hub, git: GithubGitHook) -> None:
    parent = hub.read_heads()[BRANCH]
    message = "Promote it\n\nDeploy-Ops-Project: shop"
    made = git.get_commit(git.write_commit(git.get_commit(parent).tree, [parent], message))
    assert (made.parents, made.message, made.tree) == ((parent,), message, git.get_commit(parent).tree)
    assert hub.read_heads()[BRANCH] == parent
    with pytest.raises(WriteRefusedError, match="422: Tree SHA does not exist"):
        git.write_commit(NOBODY, [parent], message)


def move_branch(hub: Hub, git: GithubGitHook) -> None:
    main, head = hub.read_heads()["main"], hub.read_heads()[BRANCH]
    ahead = git.write_commit(git.get_commit(head).tree, [head], "more")
    git.move_branch(BRANCH, ahead)
    assert hub.read_heads()[BRANCH] == ahead
    with pytest.raises(BranchMovedError, match="not a fast forward"):
        git.move_branch(BRANCH, git.write_commit(git.get_commit(main).tree, [head], "aside"))
    with pytest.raises(BranchMovedError, match="does not exist"):
        git.move_branch("none", main)
    with pytest.raises(WriteRefusedError, match="Object does not exist") as refused:
        git.move_branch(BRANCH, NOBODY)
    assert not isinstance(refused.value, BranchMovedError)


def create_branch(hub: Hub, git: GithubGitHook) -> None:
    main = hub.read_heads()["main"]
    git.create_branch("new/b#c%", main)
    assert hub.read_heads()["new/b#c%"] == main
    with pytest.raises(BranchMovedError, match="already exists"):
        git.create_branch(BRANCH, main)


def read_trees_below(hub: Hub, git: GithubGitHook) -> None:
    tree = git.get_commit(hub.read_heads()[BRANCH]).tree
    found = git.read_trees_below(tree)
    assert found[tree] == git.read_tree(tree)
    (dags,) = [entry for entry in found[tree] if entry.name == "dags"]
    assert "a.py" in {entry.name for entry in found[dags.sha]}


ROWS: dict[str, Callable[[Hub, GithubGitHook], None]] = {
    "list_open_pull_requests": list_open,
    "compare": compare,
    "read_trees_below": read_trees_below,
    "write_tree": write_tree,
    "write_commit": write_commit,
    "move_branch": move_branch,
    "create_branch": create_branch,
}


@pytest.mark.parametrize("method", ROWS)
def test_what_the_hook_asks_and_writes_is_described(
    method: str, hub: Hub, git: GithubGitHook, outgoing: Outgoing, judge: Judge
) -> None:
    ROWS[method](hub, git)
    assert_described(outgoing, judge)


def test_every_public_method_is_among_them() -> None:
    assert {name for name, value in vars(GithubGitHook).items() if callable(value) and name[0] != "_"} == ROWS.keys()


def test_a_merge_base_is_told_without_any_files(hub: Hub, git: GithubGitHook, outgoing: Outgoing) -> None:
    heads = hub.read_heads()
    git.compare(heads["main"], heads[BRANCH])
    (exchange,) = outgoing.exchanges
    assert exchange.path.startswith(f"/repos/{REPOSITORY}/compare/")
    assert b'"files": []' in exchange.received
    assert b'"commits": []' in exchange.received
