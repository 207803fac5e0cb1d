"""A few hundred bytes of Git that name more than a disk holds: refused in seconds, with nothing written."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import worktree
from include.deploy_ops.checkout.worktree import Contents, checkout
from include.deploy_ops.core.errors import PermanentError
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 30.0


def make_tree(server: GitHost, entries: list[str]) -> str:
    return run_git("mktree", cwd=server.repository, given="\n".join([*sorted(entries), ""]).encode())


def commit_tree(server: GitHost, tree: str) -> str:
    commit = run_git("commit-tree", tree, "-m", "bomb", cwd=server.repository)
    run_git("update-ref", "refs/heads/dev-a", commit, cwd=server.repository)
    return commit


def nest_folders(server: GitHost, leaf: str, depth: int, width: int) -> str:
    """Return a tree whose folders are all alike, and hold `width` ** `depth` files."""
    tree = make_tree(server, [f"100644 blob {leaf}\tx.py"])
    for _ in range(depth):
        tree = make_tree(server, [f"040000 tree {tree}\t{number}" for number in range(width)])
    return tree


def hash_blob(server: GitHost, content: bytes) -> str:
    return run_git("hash-object", "-w", "--stdin", cwd=server.repository, given=content)


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("kind", ["folders", "bytes", "one file"])
def test_a_bomb_is_refused_before_it_is_written(
    server: GitHost, tmp_path: Path, contents: Contents, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "folders":
        dags = nest_folders(server, hash_blob(server, b"1\n"), depth=12, width=10)
        said = "more than 50000 files" if contents is Contents.PROJECT else "more than 500000 files"
    elif kind == "bytes":
        blob = hash_blob(server, bytes(4 << 20))
        dags = make_tree(server, [f"100644 blob {blob}\t{number}.py" for number in range(300)])
        said = "have 1258291200 bytes"
    else:
        monkeypatch.setattr(worktree, "BYTES_MAX", 1 << 20)
        blob = hash_blob(server, bytes(8 << 20))
        dags = make_tree(server, [f"100644 blob {blob}\tbig.py"])
        said = "have 8388608 bytes"
    commit = commit_tree(server, make_tree(server, [f"040000 tree {dags}\tdags"]))
    scratch, begun = tmp_path / "scratch", time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock
    with (
        pytest.raises(PermanentError, match=said),
        checkout(
            clone_url=server.clone_url,
            token=TOKEN,
            commit=commit,
            branch="dev-x",
            root=".",
            contents=contents,
            timeout_s=60,
            scratch=scratch,
        ),
    ):
        pass
    assert time.monotonic() - begun < SECONDS_MAX
    assert (resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock - before) * 512 < 64 << 20
    assert list(scratch.iterdir()) == []


def test_a_bomb_beside_dags_is_refused_too(server: GitHost, tmp_path: Path) -> None:
    blob = hash_blob(server, b"1\n")
    bomb = nest_folders(server, blob, depth=12, width=10)
    dags = make_tree(server, [f"100644 blob {blob}\ta.py"])
    commit = commit_tree(server, make_tree(server, [f"040000 tree {dags}\tdags", f"040000 tree {bomb}\tbomb"]))
    begun = time.monotonic()
    with (
        pytest.raises(PermanentError, match="more than 500000 files"),
        checkout(
            clone_url=server.clone_url,
            token=TOKEN,
            commit=commit,
            branch="dev-x",
            root=".",
            contents=Contents.DAGS,
            timeout_s=20,
            scratch=tmp_path / "scratch",
        ),
    ):
        pass
    assert time.monotonic() - begun < SECONDS_MAX
