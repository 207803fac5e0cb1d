"""The trees of commits by Git, from a real Git host: which there are, what was asked, and what is left to the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.checkout import trees
from include.deploy_ops.checkout.trees import fetch_trees, parse_tree
from include.deploy_ops.core.change.change_type import hash_tree
from include.deploy_ops.core.errors import ObservationError, RetryableError, SupersededError
from include.deploy_ops.core.model import TreeEntry
from include.deploy_ops.hooks.github import answers
from include.deploy_ops.hooks.github.http import GithubAnswer
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Find = Callable[[str], tuple[TreeEntry, ...] | None]

BLOB = "1" * 40


def fetch(server: GitHost, scratch: Path, *commits: str, timeout_s: float = 20.0) -> Find:
    return fetch_trees(server.clone_url, TOKEN, commits, timeout_s, scratch)


def root_of(server: GitHost, commit: str) -> str:
    return run_git("rev-parse", f"{commit}^{{tree}}", cwd=server.repository)


def write_raw(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(mode + b" " + name + b"\0" + bytes.fromhex(BLOB) for mode, name in entries)


def test_two_requests_bring_all_trees_of_all_commits_and_no_file(server: GitHost, tmp_path: Path) -> None:
    one = server.commit({"a/b/c.py": "c\n", "d.py": "x" * 100_000}, links={"link": "d.py", "module": "2" * 40})
    other = server.commit({"a/b/c.py": "c\n", "e/f.py": "f\n"}, branch="dev-b")
    find = fetch(server, tmp_path / "scratch", one, other)
    assert [path.partition("?")[0] for path, _ in server.asked] == [
        "/acme/data.git/info/refs",
        "/acme/data.git/git-upload-pack",
    ]
    for commit, names in ((one, ["a", "d.py", "link", "module"]), (other, ["a", "e"])):
        root = find(root_of(server, commit))
        assert root is not None
        assert [entry.name for entry in root] == names
        assert hash_tree(root) == root_of(server, commit)
    inner = find(run_git("rev-parse", f"{one}:a/b", cwd=server.repository))
    assert inner is not None
    assert [(entry.name, entry.mode) for entry in inner] == [("c.py", "100644")]
    assert find(inner[0].sha) is None, "a file is no tree"
    assert find("f" * 40) is None
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_tree_that_the_api_would_not_tell_just_so_is_left_to_it() -> None:
    plain = [(b"100644", "caf\u00e9 \n.py".encode()), (b"40000", b"dags"), (b"160000", b"module"), (b"120000", b"Z")]
    entries = parse_tree(write_raw(plain))
    assert entries is not None
    assert [(entry.name, entry.mode) for entry in entries] == [
        ("Z", "120000"),
        ("caf\u00e9 \n.py", "100644"),
        ("dags", "040000"),
        ("module", "160000"),
    ]
    assert parse_tree(b"") == ()
    assert parse_tree(write_raw([(b"100644", b"caf\xe9.py")])) is None
    assert parse_tree(write_raw([(b"100644", b"a"), (b"40000", b"a")])) is None
    assert parse_tree(write_raw([(b"1006440", b"a")])) is None
    assert parse_tree(write_raw(plain)[:-1]) is None, "cut"


NAMES = st.sampled_from(
    [b"a", b"A", b"a ", b" a", b"a\nb", b"\xff", b"\xfe", "\u00e9".encode(), b"e\xcc\x81", b"\xef\xbf\xbd"]
)
MODES = st.sampled_from([b"100644", b"100755", b"100664", b"120000", b"160000", b"40000"])


@given(entries=st.lists(st.tuples(MODES, NAMES | st.binary(min_size=1, max_size=4).filter(lambda name: 0 not in name))))
def test_what_is_found_by_git_is_what_the_api_tells(entries: list[tuple[bytes, bytes]]) -> None:
    told = [
        {"path": name.decode(errors="replace"), "mode": mode.decode().zfill(6), "sha": BLOB} for mode, name in entries
    ]
    answer = GithubAnswer("GET /tree", 200, {"sha": BLOB, "tree": told, "truncated": False})
    found = parse_tree(write_raw(entries))
    is_plain = not any("\ufffd" in entry["path"] for entry in told)
    if found is not None:
        assert found == answers.parse_tree(answer, BLOB)
    elif is_plain:
        with pytest.raises(ObservationError, match="twice"):
            answers.parse_tree(answer, BLOB)


def test_a_tree_that_the_api_would_cut_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "ENTRIES_MAX", 2)
    assert parse_tree(write_raw([(b"100644", b"a"), (b"100644", b"b")])) is not None
    assert parse_tree(write_raw([(b"100644", b"a"), (b"100644", b"b"), (b"100644", b"c")])) is None


def test_a_commit_that_is_gone_is_told_as_such(server: GitHost, tmp_path: Path) -> None:
    there = server.commit({"a.py": "a\n"})
    with pytest.raises(SupersededError, match="not in the repository any more"):
        fetch(server, tmp_path / "scratch", there, "d" * 40)


@pytest.mark.parametrize("fault", [401, 403, 404, 302, 500])
def test_a_refusal_is_an_error_that_leaves_nothing(server: GitHost, tmp_path: Path, fault: int) -> None:
    commit = server.commit({"a.py": "a\n"})
    server.fault = fault
    with pytest.raises(RetryableError) as caught:
        fetch(server, tmp_path / "scratch", commit)
    assert TOKEN not in str(caught.value)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(("name", "most", "said"), [("BYTES_MAX", 200, "200 bytes"), ("TREES_MAX", 2, "2 trees")])
def test_more_than_is_held_in_memory_is_refused(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int, said: str
) -> None:
    monkeypatch.setattr(trees, name, most)
    fits = server.commit({"a/b.py": "b\n"})
    if name == "TREES_MAX":
        assert fetch(server, tmp_path / "scratch", fits)(root_of(server, fits)) is not None
    with pytest.raises(RetryableError, match=f"have more than {said}"):
        fetch(server, tmp_path / "scratch", server.commit({f"{n}/{n}/{n}.py": f"{n}\n" for n in range(9)}))
    assert list((tmp_path / "scratch").iterdir()) == []
