"""The worktree, against a real Git server over HTTP that demands a token."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.deploy_ops.core.errors import PermanentError, RetryableError, SupersededError
from tests.unit.checkout.conftest import fetch
from tests.worlds.doubles.git_host import TOKEN, GitHost, run_git
from tests.worlds.doubles.worker import forbid_confinement

PROJECT_ROOT = Path(__file__).parents[3]
FILES = {"dags/a.py": "import airflow\n", "Dockerfile": "FROM x\n"}


def test_worktree_is_clean_shallow_and_on_its_branch(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit(FILES)
    with fetch(server, commit, tmp_path) as worktree:
        top = worktree.path
        assert (worktree.project, worktree.commit, worktree.branch) == (top, commit, "dev-a")
        assert (top / "dags/a.py").read_text() == FILES["dags/a.py"]
        assert sorted(path.name for path in top.iterdir()) == [".git", "Dockerfile", "dags"]
        # What the Astro CLI asks of it, in an environment that is not ours.
        assert run_git("rev-parse", "--abbrev-ref", "HEAD", cwd=top) == "dev-a"
        assert run_git("rev-parse", "HEAD", cwd=top) == commit
        assert run_git("config", "--get", "remote.origin.url", cwd=top) == server.clone_url
        assert run_git("status", "--porcelain", cwd=top) == ""
        run_git("diff", "--quiet", "HEAD", cwd=top)
        assert run_git("rev-list", "--count", "--all", cwd=top) == "1"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_older_commit_of_a_branch_is_fetched(server: GitHost, tmp_path: Path) -> None:
    first = server.commit(FILES)
    run_git("update-ref", "refs/heads/keep", first, cwd=server.repository)
    server.commit({**FILES, "new": "1"})
    with fetch(server, first, tmp_path) as worktree:
        assert not (worktree.path / "new").exists()


@pytest.mark.parametrize(
    "branch", ["-x", "--upload-pack=touch hacked", "dev/$(touch hacked);`id`&|'\"", "HEAD2", "dev-é", "v1.0/@x"]
)
def test_branch_is_only_a_name(server: GitHost, tmp_path: Path, branch: str) -> None:
    name = branch.replace(" ", "_")  # Git refuses a space in a branch
    commit = server.commit(FILES, name)
    with fetch(server, commit, tmp_path, branch=name) as worktree:
        assert run_git("rev-parse", "--abbrev-ref", "HEAD", cwd=worktree.path) == name
        assert run_git("status", "--porcelain", cwd=worktree.path) == ""
    assert not list(tmp_path.rglob("hacked"))


def test_token_reaches_no_argument_file_or_log(
    server: GitHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    commit = server.commit({**FILES, "etl/x": "1"})
    spy = _put_spy_before_git(tmp_path, monkeypatch)
    with fetch(server, commit, tmp_path, root="etl") as worktree:
        held = b"".join(path.read_bytes() for path in worktree.path.parent.rglob("*") if path.is_file())
    secrets = [TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()]
    argv = spy.read_text()
    assert '"fetch"' in argv
    assert "remote-http" in argv
    for secret in secrets:
        assert secret.encode() not in held
        assert secret not in argv
        assert secret not in caplog.text
    assert {authorization for _, authorization in server.asked} == {server.authorization}


def _put_spy_before_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `git` first in PATH that has Git record the command line of every process that it starts."""
    forbid_confinement(monkeypatch)  # the record lies outside the worktree
    spied = tmp_path / "spied"
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nGIT_TRACE2_EVENT="{spied}" exec "{shutil.which("git")}" "$@"\n')
    spy.chmod(0o700)
    monkeypatch.setenv("PATH", f"{spy.parent}{os.pathsep}{os.environ['PATH']}")
    return spied


def test_settings_hooks_and_credentials_of_the_user_do_not_count(
    server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
        hook.chmod(0o700)
    (home / ".gitconfig").write_text(
        f'[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n[init]\n\ttemplateDir = {home}\n[url "http://127.0.0.1:1/"]\n'
        f"\tinsteadOf = {server.url}/\n"
    )
    (home / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "hooked"))
    commit = server.commit(FILES)
    with fetch(server, commit, tmp_path) as worktree:
        assert (worktree.path / "Dockerfile").read_bytes() == b"FROM x\n"
    assert not (tmp_path / "hooked").exists()
    with pytest.raises(RetryableError, match="Contents: read"), fetch(server, commit, tmp_path, token=None):
        pass
    assert server.asked[-1][1] is None


def test_attributes_of_the_commit_change_no_bytes(server: GitHost, tmp_path: Path) -> None:
    attributes = "*.txt text eol=crlf ident filter=lfs\n*.sql working-tree-encoding=UTF-16\n"
    files = {".gitattributes": attributes, "a.txt": "one\n$Id$\n", "b.sql": "select 1\n", "c.txt": "crlf\r\n"}
    commit = server.commit(files)
    with fetch(server, commit, tmp_path) as worktree:
        assert {name: (worktree.path / name).read_bytes().decode() for name in files} == files
        assert run_git("status", "--porcelain", cwd=worktree.path) == ""


@pytest.mark.parametrize("root", ["etl", 'my/odd *[r]oot"', "-etl/x"])
def test_only_the_root_is_checked_out(server: GitHost, tmp_path: Path, root: str) -> None:
    commit = server.commit({f"{root}/dags/a.py": "1", "README": "1", "large/x": "1" * 1000, "my/oddity/y": "2"})
    with fetch(server, commit, tmp_path, root=root) as worktree:
        top = worktree.path
        assert worktree.project == top / root
        assert (worktree.project / "dags/a.py").read_text() == "1"
        assert not (top / "large").exists()
        assert not (top / "my/oddity").exists()
        assert run_git("status", "--porcelain", cwd=top) == ""
        run_git("diff", "--quiet", "HEAD", cwd=top)
        assert run_git("rev-list", "--objects", "--missing=print", "HEAD", cwd=top).count("\n?") >= 1


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("gone", "root 'gone' is missing"),
        ("file", "root 'file' is a file"),
        ("link", "root 'link' is a symbolic link"),
        ("module", "root 'module' is a submodule"),
        ("link/dags", "root 'link/dags' is missing"),
    ],
)
def test_root_that_is_no_folder_is_refused(server: GitHost, tmp_path: Path, root: str, said: str) -> None:
    commit = server.commit({**FILES, "file": "1"}, links={"link": ".", "module": "1" * 40})
    with pytest.raises(PermanentError, match=said), fetch(server, commit, tmp_path, root=root):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


def test_replaced_commit_is_superseded(server: GitHost, tmp_path: Path) -> None:
    server.commit(FILES)
    with pytest.raises(SupersededError, match="not in the repository any more"):
        fetch(server, "1" * 40, tmp_path).__enter__()


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (403, RetryableError, "Contents: read"),
        (404, RetryableError, "does not exist or refuses"),
        (301, RetryableError, "write its present name in the policy"),
        (307, RetryableError, "write its present name in the policy"),
        (500, RetryableError, "error: 500"),
        (429, RetryableError, "error: 429"),
    ],
)
def test_answers_of_the_host(server: GitHost, tmp_path: Path, fault: int, error: type[Exception], said: str) -> None:
    commit = server.commit(FILES)
    server.fault = fault
    with pytest.raises(error, match=said) as raised, fetch(server, commit, tmp_path):
        pass
    assert TOKEN not in str(raised.value)
    assert not any("elsewhere" in path for path, _ in server.asked)  # a redirect is not followed
    assert list((tmp_path / "scratch").iterdir()) == []


def test_refused_token_names_the_permission(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit(FILES)
    with pytest.raises(RetryableError, match=r"permission Contents: read"):
        fetch(server, commit, tmp_path, token="wrong").__enter__()  # noqa: S106 - it is wrong


def test_public_repository_needs_no_token(server: GitHost, tmp_path: Path) -> None:
    server.authorization = None
    with fetch(server, server.commit(FILES), tmp_path, token=None) as worktree:
        assert (worktree.path / "Dockerfile").exists()


def test_host_that_does_not_answer_is_tried_again_later(tmp_path: Path, server: GitHost) -> None:
    commit = server.commit(FILES)
    with pytest.raises(RetryableError, match="git fetch"):
        fetch(server, commit, tmp_path, clone_url="http://127.0.0.1:1/acme/data.git").__enter__()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clone_url": "ssh://git@host/x"}, "must begin with https"),
        ({"clone_url": "file:///etc"}, "must begin with https"),
        ({"clone_url": "https://me:pass@host/x"}, "holds credentials"),
        ({"commit": "main"}, "is no commit id"),
        ({"commit": "--upload-pack=x"}, "is no commit id"),
    ],
)
def test_bad_input_is_refused_before_git(server: GitHost, tmp_path: Path, changes: dict[str, str], said: str) -> None:
    error = PermanentError if "commit" in changes else RetryableError  # a connection is mended, a commit is not
    with pytest.raises(error, match=said) as raised:
        fetch(server, changes.pop("commit", "1" * 40), tmp_path, **changes).__enter__()
    assert "pass" not in str(raised.value)
    assert not (tmp_path / "scratch").exists()


def test_worktree_is_removed_when_its_user_fails(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit(FILES)
    with pytest.raises(RuntimeError, match="mine"), fetch(server, commit, tmp_path):
        raise RuntimeError("mine")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_leftover_of_a_killed_process_is_swept_and_a_living_one_is_kept(server: GitHost, tmp_path: Path) -> None:
    commit = server.commit(FILES)
    scratch = tmp_path / "scratch"
    with fetch(server, commit, tmp_path) as living:
        child = _start_holder(server, commit, scratch)
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        assert left.is_dir()
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert left.is_dir()
        with fetch(server, commit, tmp_path) as other:
            assert not left.parent.exists()
            assert living.path.is_dir()
            assert {path.name for path in scratch.iterdir()} == {living.path.parent.name, other.path.parent.name}
    assert list(scratch.iterdir()) == []


def _start_holder(server: GitHost, commit: str, scratch: Path) -> subprocess.Popen[str]:
    program = (
        "import sys; from pathlib import Path\n"
        "from include.deploy_ops.checkout.worktree import Contents, checkout\n"
        "url, token, commit, scratch = sys.argv[1:]\n"
        "with checkout(clone_url=url, token=token, commit=commit, branch='b', root='.', contents=Contents.DAGS,"
        " timeout_s=20, scratch=Path(scratch)) as made:\n"
        "    print(made.path, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", program, server.clone_url, TOKEN, commit, str(scratch)]
    return subprocess.Popen(argv, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_default_scratch_must_be_private(server: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = server.commit(FILES)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with fetch(server, commit, tmp_path, scratch=None) as worktree:
        scratch = worktree.path.parent.parent
        assert scratch == tmp_path / f"deploy-ops-{os.getuid()}"
        assert scratch.stat().st_mode & 0o777 == 0o700
    scratch.chmod(0o777)
    with pytest.raises(PermanentError, match="private folder"):
        fetch(server, commit, tmp_path, scratch=None).__enter__()
