"""What a branch commits beside and in `dags/`: it runs no command, is written through by nobody, and shows no file."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.project_check import prepare_build
from include.deploy_ops.checkout.worktree import Contents, Worktree, checkout
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.process.git_settings import make_git_environment
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

CLI_ASKS = (
    ("rev-parse", "--git-dir"),
    ("diff", "--quiet", "HEAD"),
    ("status", "--porcelain"),
    ("remote", "get-url", "origin"),
    ("log", "-1", "--pretty=%B", "HEAD"),
    ("rev-parse", "--show-prefix"),
)
"""What the Astro CLI 1.45.0 asks Git about its folder, and what it might."""


def fetch(
    server: GitHost, commit: str, tmp_path: Path, contents: Contents, root: str = "."
) -> AbstractContextManager[Worktree]:
    return checkout(
        clone_url=server.clone_url,
        token=TOKEN,
        commit=commit,
        branch="dev-x",
        root=root,
        contents=contents,
        timeout_s=20,
        scratch=tmp_path / "scratch",
    )


def ask_git(folder: Path) -> list[int]:
    """Ask Git as the CLI does, under the settings that it is given; return the exit codes."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), **make_git_environment()}
    calls = [subprocess.run(["git", *words], cwd=folder, env=environment, check=False) for words in CLI_ASKS]
    return [call.returncode for call in calls]


def embed_repository(where: str, command: str) -> dict[str, str]:
    """Return the files of a repository without `.git`, whose configuration names a command for each occasion."""
    config = f"""[core]
\trepositoryformatversion = 0
\tbare = false
\tworktree = dags
\tfsmonitor = {command}
\thooksPath = hooks
\tsshCommand = {command}
\tpager = {command}
[diff]
\texternal = {command}
[filter "x"]
\tclean = {command}
\tsmudge = {command}
\tprocess = {command}
"""
    hook = f"#!/bin/sh\n{command}\n"
    return {
        f"{where}HEAD": "ref: refs/heads/main\n",
        f"{where}config": config,
        f"{where}objects/info/keep": "",
        f"{where}refs/heads/keep": "",
        f"{where}hooks/post-checkout": hook,
        f"{where}hooks/fsmonitor-watchman": hook,
    }


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize(
    ("root", "where"),
    [(".", ""), ("etl", ""), ("etl", "etl/"), ("etl", "etl/dags/"), (".", "dags/"), ("a/b", "a/"), ("a/b", "a/b/")],
)
def test_a_repository_in_the_branch_is_none_to_git(
    server: GitHost, tmp_path: Path, canary: Path, contents: Contents, root: str, where: str
) -> None:
    at = "" if root == "." else f"{root}/"
    files = {f"{at}dags/a.py": "1\n", **embed_repository(where, f"touch {canary}")}
    with fetch(server, server.commit(files), tmp_path, contents, root) as worktree:
        ask_git(worktree.project)
        ask_git(worktree.project / "dags")


@pytest.mark.parametrize("contents", list(Contents))
def test_what_git_says_of_an_honest_project_stays(server: GitHost, tmp_path: Path, contents: Contents) -> None:
    files = {"etl/dags/a.py": "1\n", "etl/.astro/config.yaml": "project: {name: x}\n", "etl/Dockerfile": "FROM x\n"}
    with fetch(server, server.commit(files), tmp_path, contents, "etl") as worktree:
        if contents is Contents.PROJECT:
            prepare_build(worktree.project)
        assert ask_git(worktree.project) == [0] * len(CLI_ASKS)


NAMES = ("bundle.tar", "bundle.tar.gz", ".dockerignore", ".astro", ".astro/config.yaml", ".git-blame-ignore-revs")


@pytest.mark.parametrize("root", [".", "etl"])
@pytest.mark.parametrize("name", NAMES)
def test_links_of_names_that_the_cli_writes_are_not_there(
    server: GitHost, tmp_path: Path, canary: Path, name: str, root: str
) -> None:
    at = "" if root == "." else f"{root}/"
    commit = server.commit({f"{at}dags/a.py": "1\n"}, links={f"{at}{name}": str(canary)})
    with fetch(server, commit, tmp_path, Contents.DAGS, root) as worktree:
        assert {each.name for each in worktree.project.iterdir()} - {".git"} == {"dags"}
        write_as_the_cli_does(worktree.project)


@pytest.mark.parametrize("root", [".", "etl"])
@pytest.mark.parametrize("name", NAMES[:3])
def test_a_build_refuses_links_of_names_that_the_cli_writes(
    server: GitHost, tmp_path: Path, canary: Path, name: str, root: str
) -> None:
    at = "" if root == "." else f"{root}/"
    commit = server.commit({f"{at}dags/a.py": "1\n"}, links={f"{at}{name}": str(canary)})
    with (
        fetch(server, commit, tmp_path, Contents.PROJECT, root) as worktree,
        pytest.raises(PermanentError, match=f"{name} is a link"),
    ):
        prepare_build(worktree.project)


@pytest.mark.parametrize(
    "given",
    [
        {"links": {".astro": "/canary"}},
        {"links": {".astro/config.yaml": "/canary"}},
        {"links": {".astro/config.yaml": "config.yaml"}},
        {"files": {".astro/config.yaml": "container: {binary: ./evil}\n"}},
        {"files": {".astro/config.yaml": "x: &a [1]\n" + "y: *a\n" * 99}},
        {"files": {".astro/config.yaml/x": "1"}},
        {"files": {".astro": "1"}},
    ],
)
def test_a_build_has_settings_of_ours_alone(
    server: GitHost, tmp_path: Path, canary: Path, given: dict[str, dict[str, str]]
) -> None:
    links = {name: to.replace("/canary", str(canary)) for name, to in given.get("links", {}).items()}
    commit = server.commit({"dags/a.py": "1\n", **given.get("files", {})}, links=links)
    with fetch(server, commit, tmp_path, Contents.PROJECT) as worktree:
        prepare_build(worktree.project)
        assert [each.name for each in (worktree.project / ".astro").iterdir()] == ["config.yaml"]
        assert (worktree.project / ".astro" / "config.yaml").read_text() == "project:\n  name: deploy-ops\n"
        assert ask_git(worktree.project) == [0] * len(CLI_ASKS)


LEAVING = {
    "absolute": {"dags/x": "/etc/passwd"},
    "up": {"dags/x": "../Dockerfile"},
    "up and in again": {"dags/x": "../../repository/dags/a.py/../../.git/config"},
    "deep": {"dags/a/b/x": "../../../include/secret"},
    "by a neighbour of the name": {"dags/x": "../dags-old/y"},
    "by another link": {"dags/x": "y/../../.git/config", "dags/y": "sub"},
    "a folder": {"dags/x": "../.git"},
    "itself": {"dags/x": "x"},
    "a circle": {"dags/x": "y", "dags/y": "x"},
    "our environment": {"dags/x": "/proc/self/environ"},
    "named like an option": {"dags/--checkpoint-action=exec": "/etc/passwd"},
    "with a line end": {"dags/a\nb": "/etc/passwd"},
}


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("links", LEAVING.values(), ids=LEAVING)
def test_links_out_of_dags_are_refused(
    server: GitHost, tmp_path: Path, links: dict[str, str], contents: Contents
) -> None:
    commit = server.commit({"dags/a.py": "1\n", "dags/sub/b.py": "1\n"}, links=links)
    with pytest.raises(PermanentError, match="not below dags/"), fetch(server, commit, tmp_path, contents):
        pass


def test_links_within_dags_stay(server: GitHost, tmp_path: Path) -> None:
    links = {"dags/x.py": "a.py", "dags/sub/y.py": "../a.py", "dags/later": "not-yet.py", "dags/folder": "sub"}
    commit = server.commit({"dags/a.py": "1\n", "dags/sub/b.py": "1\n"}, links=links)
    with fetch(server, commit, tmp_path, Contents.DAGS) as worktree:
        assert (worktree.project / "dags/sub/y.py").read_text() == "1\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"links": {"dags": "/etc"}}, "dags/ is a symbolic link"),
        ({"links": {"dags": "src"}}, "dags/ is a symbolic link"),
        ({"links": {"dags": "1" * 40}}, "dags/ is a submodule"),
        ({"files": {"dags": "1"}}, "dags/ is a file"),
    ],
)
@pytest.mark.parametrize("contents", list(Contents))
def test_dags_that_are_no_folder_are_refused(
    server: GitHost, tmp_path: Path, given: dict[str, dict[str, str]], said: str, contents: Contents
) -> None:
    commit = server.commit({"src/a.py": "1\n", **given.get("files", {})}, links=given.get("links"))
    with pytest.raises(PermanentError, match=said), fetch(server, commit, tmp_path, contents):
        pass


def test_missing_dags_are_refused(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit({"src/a.py": "1\n"})
    with pytest.raises(PermanentError, match="dags/ is missing"), fetch(server, commit, tmp_path, Contents.DAGS):
        pass


def rename_in_commit(server: GitHost, commit: str, where: str, before: str, after: str) -> str:
    """Return a commit like another in which a folder has a name that no index of Git's would take."""
    tree = rename_in_tree(server, f"{commit}:{where.rstrip('/')}", f"\t{before}", f"\t{after}")
    if where:
        dags = run_git("rev-parse", f"{commit}:dags", cwd=server.repository)
        tree = rename_in_tree(server, f"{commit}:", dags, tree)
    renamed = run_git("commit-tree", tree, "-m", "odd", cwd=server.repository)
    run_git("update-ref", "refs/heads/dev-a", renamed, cwd=server.repository)
    return renamed


def rename_in_tree(server: GitHost, tree: str, before: str, after: str) -> str:
    listed = run_git("ls-tree", tree, cwd=server.repository)
    lines = sorted(listed.replace(before, after).splitlines(), key=lambda line: line.partition("\t")[2])
    return run_git("mktree", cwd=server.repository, given="\n".join([*lines, ""]).encode())


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("where", ["", "dags/"])
@pytest.mark.parametrize("name", [".GIT", ".git ", ".git.", "git~1", ".Git"])
def test_twins_of_gits_own_folder_are_refused(
    server: GitHost, tmp_path: Path, canary: Path, name: str, where: str, contents: Contents
) -> None:
    honest = server.commit({"dags/a.py": "1\n", **embed_repository(f"{where}odd/", f"touch {canary}")})
    commit = rename_in_commit(server, honest, where, "odd", name)
    with pytest.raises(PermanentError, match="invalid path"), fetch(server, commit, tmp_path, contents):
        pass


@pytest.mark.parametrize("name", [".gi\u200ct", ".g\u0131t", "\u2024git"])
def test_lookalikes_of_gits_own_folder_configure_nothing(
    server: GitHost, tmp_path: Path, canary: Path, name: str
) -> None:
    files = {"dags/a.py": "1\n"} | embed_repository(f"{name}/", f"touch {canary}")
    files |= embed_repository(f"dags/{name}/", f"touch {canary}")
    with fetch(server, server.commit(files), tmp_path, Contents.PROJECT) as worktree:
        ask_git(worktree.project)
        ask_git(worktree.project / "dags")


ATTRIBUTES = {
    "working tree encoding": "* working-tree-encoding=UTF-16\n",
    "ident": "* ident\n",
    "line ends": "* text eol=crlf\n",
    "external diff": "* diff=x\n",
    "merge driver": "* merge=x\n",
    "export": "* export-subst\n",
    "macro": "[attr]binary ident\n* binary\n",
}


@pytest.mark.parametrize("where", [".gitattributes", "dags/.gitattributes"])
@pytest.mark.parametrize("text", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attributes_of_the_branch_run_nothing_and_change_no_byte(
    server: GitHost, tmp_path: Path, text: str, where: str
) -> None:
    content = "n = '$Id$ $Format:%H$'\n"
    with fetch(server, server.commit({"dags/a.py": content, where: text}), tmp_path, Contents.PROJECT) as worktree:
        assert (worktree.project / "dags/a.py").read_bytes() == content.encode()
        assert ask_git(worktree.project) == [0] * len(CLI_ASKS)


def write_as_the_cli_does(folder: Path) -> None:
    """Write the CLI's files in the folder, through whatever stands there."""
    for name in NAMES[:3]:
        (folder / name).write_text("written by the CLI")
    subprocess.run([sys.executable, "-c", "open('bundle.tar', 'w').write('x')"], cwd=folder, check=True)
