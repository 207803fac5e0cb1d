"""Pointers of Git LFS and filtered files: refused by name and key, or brought where the policy says so."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.worktree import ContentRules, Contents
from include.deploy_ops.core.errors import PermanentError
from tests.unit.checkout.conftest import fetch
from tests.worlds.doubles.git_host import GitHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.deploy_ops.core.change.large_files import LargeFile

LFS = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
CONTENT = b"large \0 content\n" * 100


class Fetched:
    """Brings large files out of the server, and remembers for which clone URL."""

    def __init__(self, server: GitHost) -> None:
        self.server = server
        self.urls: list[str] = []

    def __call__(self, clone_url: str, wanted: Mapping[LargeFile, Path], timeout_s: float) -> None:
        assert 0 < timeout_s <= 20
        self.urls.append(clone_url)
        for file, path in wanted.items():
            path.write_bytes(self.server.large_files[file.oid])


@pytest.mark.parametrize("contents", list(Contents))
def test_a_pointer_is_refused_by_its_path_and_the_key(server: GitHost, tmp_path: Path, contents: Contents) -> None:
    files = {"etl/dags/a.py": "1\n", "etl/dags/model.bin": server.keep(CONTENT), ".gitattributes": LFS}
    commit = server.commit(files)
    with (
        pytest.raises(PermanentError, match=r"^etl/dags/model.bin is a pointer of Git LFS.*`checkout.lfs: true`"),
        fetch(server, commit, tmp_path, contents=contents, root="etl"),
    ):
        pass


@pytest.mark.parametrize("contents", list(Contents))
def test_large_files_are_brought_where_they_are_wanted(server: GitHost, tmp_path: Path, contents: Contents) -> None:
    pointer, bring = server.keep(CONTENT), Fetched(server)
    files = {"dags/a.py": "1\n", "dags/x/model.bin": pointer, "dags/twin.bin": pointer, ".gitattributes": LFS}
    rules = ContentRules(fetch_large_files=bring)
    with fetch(server, server.commit(files), tmp_path, contents=contents, rules=rules) as worktree:
        for name in ("dags/x/model.bin", "dags/twin.bin"):
            assert (worktree.project / name).read_bytes() == CONTENT
        status = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=worktree.path, env=os.environ, check=False)
        assert status.returncode == 0
    assert bring.urls == [server.clone_url]


def test_what_is_not_deployed_need_not_be_there(server: GitHost, tmp_path: Path) -> None:
    pointer = server.keep(CONTENT)
    files = {
        "dags/a.py": "1\n",
        "model.bin": pointer,
        "secret": "x",
        ".gitattributes": f"{LFS}secret filter=git-crypt\n",
    }
    with fetch(server, server.commit(files), tmp_path, contents=Contents.DAGS) as worktree:
        assert [path.name for path in worktree.path.iterdir() if path.name != ".git"] == ["dags"]


FILTERED = {
    "at the top": {".gitattributes": "secret.yaml filter=git-crypt diff=git-crypt\n"},
    "above the root": {"services/.gitattributes": "etl/dags/secret.yaml filter=git-crypt\n"},
    "beside": {"services/etl/dags/.gitattributes": "* filter=git-crypt\n.gitattributes !filter\n"},
    "by a macro": {".gitattributes": "[attr]crypt filter=git-crypt\nsecret.yaml crypt\n"},
}


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("attributes", FILTERED.values(), ids=FILTERED)
def test_a_filtered_file_is_refused_by_its_path_and_the_key(
    server: GitHost, tmp_path: Path, contents: Contents, attributes: dict[str, str]
) -> None:
    commit = server.commit({"services/etl/dags/a.py": "1\n", "services/etl/dags/secret.yaml": "cipher\n", **attributes})
    with (
        pytest.raises(PermanentError, match=r"goes through the Git filter 'git-crypt'.*`checkout.filters`"),
        fetch(server, commit, tmp_path, contents=contents, root="services/etl"),
    ):
        pass


def test_a_filter_that_the_policy_names_leaves_the_file_as_committed(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit(
        {"dags/a.py": "1\n", "dags/n.ipynb": "{}\n", ".gitattributes": "*.ipynb filter=nbstripout\n"}
    )
    with fetch(server, commit, tmp_path, rules=ContentRules(filters=("nbstripout",))) as worktree:
        assert (worktree.project / "dags/n.ipynb").read_text() == "{}\n"


@pytest.mark.parametrize("text", ["* -filter\n", "* !filter\n", "*.txt filter=x\n", "* diff=x merge=x text eol=crlf\n"])
def test_attributes_without_a_filter_refuse_nothing(server: GitHost, tmp_path: Path, text: str) -> None:
    names = ["dags/a.py", "dags/with: filter: x.py", "dags/\u00e4 b\t.py"]
    commit = server.commit({**dict.fromkeys(names, "1\n"), ".gitattributes": text})
    with fetch(server, commit, tmp_path, contents=Contents.DAGS) as worktree:
        assert all((worktree.project / name).read_text() == "1\n" for name in names)
