"""Submodules: refused by path and key, or fetched from the repositories that the policy lists."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.worktree import ContentRules, Contents
from include.deploy_ops.core.errors import PermanentError, RetryableError
from tests.unit.checkout.conftest import fetch
from tests.unit.checkout.test_placeholders import CONTENT, Fetched
from tests.worlds.doubles.git_host import GitHost

if TYPE_CHECKING:
    from pathlib import Path

LISTED = ContentRules(submodules=("acme/lib", "Acme/Deep"))


def name_modules(**urls: str) -> str:
    """Return a .gitmodules; `__` in a name stands for `/`."""
    return "".join(
        f'[submodule "{name}"]\n\tpath = {name.replace("__", "/")}\n\turl = {url}\n' for name, url in urls.items()
    )


def commit_module(server: GitHost, name: str, files: dict[str, str], links: dict[str, str] | None = None) -> str:
    with server.work_in(name):
        return server.commit(files, links=links)


@pytest.mark.parametrize("contents", list(Contents))
def test_a_submodule_is_refused_by_its_path_and_the_key(server: GitHost, tmp_path: Path, contents: Contents) -> None:
    lib = commit_module(server, "acme/lib", {"b.py": "2\n"})
    files = {"dags/a.py": "1\n", ".gitmodules": name_modules(dags__lib="../lib.git")}
    commit = server.commit(files, links={"dags/lib": lib})
    with (
        pytest.raises(PermanentError, match=r"^dags/lib is a submodule; .*`checkout.submodules`"),
        fetch(server, commit, tmp_path, contents=contents),
    ):
        pass
    assert not any("lib" in path for path, _ in server.asked)


def test_a_submodule_beside_what_is_deployed_is_left_alone(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit({"dags/a.py": "1\n"}, links={"theme": "1" * 40})
    with fetch(server, commit, tmp_path, contents=Contents.DAGS) as worktree:
        assert not (worktree.path / "theme").exists()


@pytest.mark.parametrize("contents", list(Contents))
def test_listed_submodules_are_fetched_with_those_in_them(server: GitHost, tmp_path: Path, contents: Contents) -> None:
    deep = commit_module(server, "Acme/Deep", {"x/c.py": "3\n", ".astro/config.yaml": "x\n"})
    modules = {".gitmodules": name_modules(deep="https://127.0.0.1/acme/deep")}
    lib = commit_module(server, "acme/lib", {"b.py": "2\n", **modules}, links={"deep": deep})
    files = {"etl/dags/a.py": "1\n", ".gitmodules": name_modules(etl__dags__lib="../LIB.git")}
    commit = server.commit(files, links={"etl/dags/lib": lib})
    with fetch(server, commit, tmp_path, contents=contents, root="etl", rules=LISTED) as worktree:
        found = {path.relative_to(worktree.project): path for path in worktree.project.rglob("*") if path.is_file()}
        assert {str(name): path.read_text() for name, path in found.items() if "/dags/" in f"/{name}"} == {
            "dags/a.py": "1\n",
            "dags/lib/.gitmodules": modules[".gitmodules"],
            "dags/lib/b.py": "2\n",
            "dags/lib/deep/.astro/config.yaml": "x\n",
            "dags/lib/deep/x/c.py": "3\n",
        }
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=worktree.path, env=os.environ, check=True, capture_output=True
        )
        assert status.stdout == b""
        assert len(list(worktree.path.parent.iterdir())) == 1  # no repository of a submodule's stays


def test_large_files_of_a_submodule_are_its_own_repositorys(server: GitHost, tmp_path: Path) -> None:
    lib = commit_module(server, "acme/lib", {"m.bin": server.keep(CONTENT)})
    files = {"dags/a.py": "1\n", ".gitmodules": name_modules(dags__lib="../lib")}
    commit, bring = server.commit(files, links={"dags/lib": lib}), Fetched(server)
    rules = ContentRules(submodules=("acme/lib",), fetch_large_files=bring)
    with fetch(server, commit, tmp_path, rules=rules) as worktree:
        assert (worktree.project / "dags/lib/m.bin").read_bytes() == CONTENT
    assert bring.urls == [f"{server.url}/acme/lib.git"]


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (
            name_modules(dags__lib="../secret"),
            "is a submodule of acme/secret, which `checkout.submodules` does not list",
        ),
        (name_modules(dags__lib="https://elsewhere.example/acme/lib"), "of no repository on the host"),
        (name_modules(dags__other="../lib"), r"that \.gitmodules at the repository's top does not name"),
        ("", r"that \.gitmodules at the repository's top does not name"),
    ],
)
def test_what_is_not_listed_is_said(server: GitHost, tmp_path: Path, modules: str, said: str) -> None:
    lib = commit_module(server, "acme/secret", {"b.py": "2\n"})
    commit = server.commit({"dags/a.py": "1\n", ".gitmodules": modules}, links={"dags/lib": lib})
    with pytest.raises(PermanentError, match=said), fetch(server, commit, tmp_path, rules=LISTED):
        pass
    assert not any("secret" in path for path, _ in server.asked)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_submodules_commit_that_was_never_pushed_comes_again(
    server: GitHost, tmp_path: Path, *, is_there: bool
) -> None:
    if is_there:
        commit_module(server, "acme/lib", {"b.py": "2\n"})
    files = {"dags/a.py": "1\n", ".gitmodules": name_modules(dags__lib="../lib")}
    commit = server.commit(files, links={"dags/lib": "1" * 40})
    with (
        pytest.raises(RetryableError, match="repository acme/lib does not give its commit: push it there"),
        fetch(server, commit, tmp_path, rules=LISTED),
    ):
        pass
