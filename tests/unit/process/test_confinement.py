"""Which protection a worker allows, and what a confined child sees; attacks on it are in `tests/hostile/`."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.process.command import Command, CommandResult
from include.deploy_ops.process.confinement import Protection, Sight, find_protection

if TYPE_CHECKING:
    from collections.abc import Iterator

WHO = "the Astro CLI"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the worker's PATH be one empty folder, and its protection be looked for anew."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    find_protection.cache_clear()
    yield folder
    find_protection.cache_clear()


def put_bubblewrap(folder: Path, script: str) -> None:
    (folder / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bwrap").chmod(0o755)


def run(folder: Path, script: str, sight: Sight, **environment: str) -> CommandResult:
    return Command(["sh", "-c", script], cwd=folder, env=environment, timeout_s=20, sight=sight).run()


def test_this_worker_has_bubblewrap() -> None:
    """Without it the tests of confinement would prove nothing: Debian's package bubblewrap has to be installed."""
    assert find_protection() == Protection(shutil.which("bwrap") or "", "")
    assert find_protection().tell(WHO) == "the Astro CLI sees its own folder alone (bubblewrap)"


def test_a_worker_without_bubblewrap_says_so(path: Path) -> None:
    told = "the Astro CLI sees this worker's files, as far as its user may read them: bubblewrap is not installed"
    assert find_protection().tell(WHO) == told
    assert find_protection().confine(Sight(), "/bin/sh", path, {}) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "No permissions to"),
        ("exit 3", "exit code 3"),
        ("kill -KILL $$", "exit code -9"),
    ],
)
def test_a_worker_where_bubblewrap_fails_says_why(script: str, said: str, path: Path) -> None:
    put_bubblewrap(path, script)
    assert find_protection().executable == ""
    assert f"bubblewrap does not work here ({said}" in find_protection().tell(WHO)


def test_a_bubblewrap_that_cannot_be_executed_is_none(path: Path) -> None:
    (path / "bwrap").write_bytes(b"\x7fELF of another machine")
    (path / "bwrap").chmod(0o755)
    assert "Exec format error" in find_protection().reason


def test_it_is_tried_once(path: Path, tmp_path: Path) -> None:
    put_bubblewrap(path, f"echo >> {tmp_path}/tried; exit 1")
    assert find_protection() == find_protection()
    assert (tmp_path / "tried").read_text() == "\n"


def test_a_child_reads_what_it_is_shown_and_writes_where_it_may(tmp_path: Path) -> None:
    for name in ("mine", "shown", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    sight = Sight(writes=(tmp_path / "mine",), reads=(tmp_path / "shown", tmp_path / "missing"))
    result = run(
        tmp_path / "mine", "cat file ../shown/file; ls ..; echo more > new; touch ../shown/new ../new /new", sight
    )
    assert result.stdout == "mineshownmine\nshown\n"
    assert result.stderr.count("Read-only file system") == 2, "of ../shown and /"
    assert (tmp_path / "mine/new").read_text() == "more\n"
    assert {each.name for each in tmp_path.iterdir()} == {"mine", "shown", "hidden"}


def test_exit_code_streams_and_signals_are_told(tmp_path: Path) -> None:
    sight = Sight(writes=(tmp_path,))
    result = run(tmp_path, "echo out; echo err >&2; exit 7", sight)
    assert (result.exit_code, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert run(tmp_path, "kill -TERM $$", sight).exit_code == -signal.SIGTERM
    fed = Command(["cat"], cwd=tmp_path, env={}, timeout_s=20, stdin=b"given", sight=sight).run()
    assert fed.stdout == "given"


def test_an_executable_is_seen_wherever_it_lies(tmp_path: Path) -> None:
    work, place = tmp_path / "work", tmp_path / "opt"
    for folder in (work, place):
        folder.mkdir()
    (place / "tool-1.0").write_text("#!/bin/sh\nls $(dirname $0)\n")
    (place / "tool-1.0").chmod(0o755)
    (place / "tool").symlink_to("tool-1.0")
    sight = Sight(writes=(work,))
    result = Command([str(place / "tool")], cwd=work, env={}, timeout_s=20, sight=sight).run()
    assert result.stdout == "tool\n"


def test_python_certificates_and_a_temporary_folder_are_there(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "own.pem").write_text("of the company")
    program = (
        "import os, pathlib, ssl, tempfile, yaml\n"
        "print(len(ssl.create_default_context().get_ca_certs()) > 9)\n"
        "print(pathlib.Path(os.environ['CURL_CA_BUNDLE']).read_text(), tempfile.mkdtemp().startswith('/tmp/'))\n"
    )
    result = Command(
        [sys.executable, "-c", program],
        cwd=tmp_path / "work",
        env={"CURL_CA_BUNDLE": str(tmp_path / "own.pem"), "TMPDIR": str(tmp_path)},
        timeout_s=20,
        sight=Sight(writes=(tmp_path / "work",)),
    ).run()
    assert result.stdout == "True\nof the company True\n", result.stderr


def test_a_folder_that_is_not_shown_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "true", Sight())
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr


def ask_another_worker(prepare: str) -> str:
    """Return what a worker in namespaces of its own, prepared by a shell line, says of its protection."""
    program = "from include.deploy_ops.process.confinement import find_protection as f; print(f().tell('a child'))"
    script = f'{prepare} && exec "$0" -c "$1"'
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, program]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def test_a_kernel_without_user_namespaces_is_told() -> None:
    told = ask_another_worker("echo 0 > /proc/sys/user/max_user_namespaces")
    assert told.startswith(
        "a child sees this worker's files, as far as its user may read them: bubblewrap does not work"
    )


def test_a_container_whose_proc_is_masked_confines_too() -> None:
    """Docker and Kubernetes lay folders over parts of /proc: no new one may be mounted there then."""
    mask = "mount -t tmpfs none /proc/acpi"
    assert ask_another_worker(mask) == "a child sees its own folder alone (bubblewrap)"
    assert "mount proc" in ask_another_worker(
        f"{mask} && bwrap --ro-bind / / --unshare-user --unshare-pid --proc /proc true"
    )
