"""Submodules of a branch that attack: only what the policy lists is fetched, nothing is written or run elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import worktree as worktree_module
from include.deploy_ops.checkout.worktree import ContentRules, Contents, Worktree, checkout
from include.deploy_ops.core.errors import DeployOpsError, PermanentError
from tests.hostile.conftest import within
from tests.hostile.test_git_features import write_object, write_tree
from tests.hostile.test_working_folder import ask_git
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

SECONDS_MAX = 20.0


def fetch(
    server: GitHost, commit: str, tmp_path: Path, contents: Contents = Contents.PROJECT
) -> AbstractContextManager[Worktree]:
    return checkout(
        clone_url=server.clone_url,
        token=TOKEN,
        commit=commit,
        branch="dev-x",
        root=".",
        contents=contents,
        timeout_s=SECONDS_MAX,
        rules=ContentRules(submodules=("acme/lib",)),
        scratch=tmp_path / "scratch",
    )


def list_asked(server: GitHost) -> set[str]:
    """Return the repositories that were asked for."""
    return {"/".join(path.split("/")[1:3]) for path, _ in server.asked}


URLS = [
    "ext::sh -c 'touch {canary}'",
    "file:///etc",
    "ssh://-oProxyCommand=touch {canary}/x",
    "--upload-pack=touch {canary}",
    "{url}/acme/secret.git",
    "../secret.git",
    "../lib.git/../secret.git",
    "../../acme/lib/../secret",
    "{url}/acme/lib.git/../secret",
    "{url}/acme/lib%2F..%2Fsecret",
    "{url}@evil.example/acme/lib",
    "http://evil.example/acme/lib.git",
    "evil.example:acme/lib",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_of_the_branch_names_no_repository_by_itself(
    server: GitHost, tmp_path: Path, canary: Path, url: str
) -> None:
    with server.work_in("acme/secret"):
        secret = server.commit({"secret": "1\n"})
    url = url.format(canary=canary, url=server.url)
    modules = f'[submodule "m"]\n\tpath = dags/m\n\turl = "{url}"\n\tupdate = !touch {canary}\n'
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules}, links={"dags/m": secret})
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="dags/m is a submodule"),
        fetch(server, commit, tmp_path, Contents.DAGS),
    ):
        pass
    assert list_asked(server) == {"acme/data.git"}
    assert list((tmp_path / "scratch").iterdir()) == []


INCLUDES = [
    "[include]\n\tpath = {config}\n",
    '[includeIf "gitdir:/"]\n\tpath = {config}\n',
    '[submodule "m"]\n\tpath = dags/m\n[include]\n\tpath = {config}\n',
]


@pytest.mark.parametrize("text", INCLUDES)
def test_gitmodules_read_no_file_of_this_machine(server: GitHost, tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    config.write_text('[submodule "m"]\n\tpath = dags/m\n\turl = ../lib.git\n')
    with server.work_in("acme/lib"):
        lib = server.commit({"b.py": "1\n"})
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": text.format(config=config)}, links={"dags/m": lib})
    with within(SECONDS_MAX), pytest.raises(DeployOpsError), fetch(server, commit, tmp_path):
        pass
    assert list_asked(server) == {"acme/data.git"}


ODD_FILES = [
    b"",
    b"\0",
    b"[",
    b"[submodule",
    b"\xff" * 100,
    b"[core]\n\trepositoryformatversion = 99\n",
    b"x" * 5_000_000,
]


@pytest.mark.parametrize(
    ("mode", "content"),
    [("120000", b"/etc/passwd"), *(("100644", content) for content in ODD_FILES)],
    ids=lambda each: str(each[:20]),
)
def test_gitmodules_that_are_none_end_in_an_error(server: GitHost, tmp_path: Path, content: bytes, mode: str) -> None:
    dags = write_tree(server, [("100644", b"a.py", write_object(server, "blob", b"1\n")), ("160000", b"m", "1" * 40)])
    tree = write_tree(server, [(mode, b".gitmodules", write_object(server, "blob", content)), ("40000", b"dags", dags)])
    commit = run_git("commit-tree", tree, "-m", "x", cwd=server.repository)
    run_git("update-ref", "refs/heads/dev-a", commit, cwd=server.repository)
    with within(SECONDS_MAX), pytest.raises(DeployOpsError), fetch(server, commit, tmp_path):
        pass
    assert list_asked(server) == {"acme/data.git"}


@pytest.mark.parametrize("contents", list(Contents))
def test_a_listed_submodule_runs_nothing_and_leads_nowhere(
    server: GitHost, tmp_path: Path, canary: Path, contents: Contents
) -> None:
    config = f"[core]\n\tfsmonitor = touch {canary}\n\thooksPath = hooks\n"
    files = {"b.py": "2\n", "config": config, "HEAD": "ref: x\n", "objects/keep": "", "refs/keep": "", "hooks/x": "x"}
    with server.work_in("acme/lib"):
        lib = server.commit({**files, ".gitattributes": "* ident text eol=crlf\n"})
    modules = f'[submodule "../../../../canary"]\n\tpath = dags/m\n\turl = ../lib.git\n\tupdate = !touch {canary}\n'
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules}, links={"dags/m": lib})
    with within(SECONDS_MAX), fetch(server, commit, tmp_path, contents) as worktree:
        assert (worktree.project / "dags/m/b.py").read_bytes() == b"2\n"
        assert not (worktree.project / "dags/m/.git").exists()
        for folder in ("", "dags", "dags/m"):
            ask_git(worktree.project / folder)


@pytest.mark.parametrize("to", ["/etc/passwd", "../../Dockerfile", "../../../../canary"])
def test_links_of_a_submodule_out_of_dags_are_refused(server: GitHost, tmp_path: Path, to: str) -> None:
    with server.work_in("acme/lib"):
        lib = server.commit({"b.py": "2\n"}, links={"x": to})
    modules = '[submodule "m"]\n\tpath = dags/m\n\turl = ../lib.git\n'
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules, "Dockerfile": "x"}, links={"dags/m": lib})
    with pytest.raises(PermanentError, match="not below dags/"), fetch(server, commit, tmp_path):
        pass


def nest_modules(server: GitHost, width: int, depth: int) -> str:
    """Return a commit of acme/lib with submodules of itself in one another."""
    with server.work_in("acme/lib"):
        commit = server.commit({"b.py": "1\n"}, branch="d0")
        names = [f"m{number}" for number in range(width)]
        modules = "".join(f'[submodule "{name}"]\n\tpath = {name}\n\turl = ../lib.git\n' for name in names)
        for level in range(1, depth):
            commit = server.commit({".gitmodules": modules}, branch=f"d{level}", links=dict.fromkeys(names, commit))
    return commit


@pytest.mark.parametrize(("width", "depth"), [(1, 30), (25, 2), (3, 5)])
def test_submodules_in_submodules_end(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, depth: int
) -> None:
    monkeypatch.setattr(worktree_module, "SUBMODULES_MAX", 6)
    lib = nest_modules(server, width, depth)
    modules = '[submodule "m"]\n\tpath = dags/m\n\turl = ../lib.git\n'
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules}, links={"dags/m": lib})
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="more than 6 submodules"),
        fetch(server, commit, tmp_path),
    ):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_bomb_in_submodules_is_weighed_as_one(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worktree_module, "BYTES_MAX", 2 << 20)
    with server.work_in("acme/lib"):
        lib = server.commit({"big.txt": "x" * (1 << 20)})
    names = [f"dags/m{number}" for number in range(3)]
    modules = "".join(f'[submodule "{name}"]\n\tpath = {name}\n\turl = ../lib.git\n' for name in names)
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules}, links=dict.fromkeys(names, lib))
    with (
        within(SECONDS_MAX),
        pytest.raises(PermanentError, match="keep large data elsewhere"),
        fetch(server, commit, tmp_path),
    ):
        pass
