"""An Astro CLI, a Git and a compiler that a branch has turned: they reach nothing of the worker but their own folder.

Each attack is played twice: confined, where it finds nothing, and on a worker that allows no confinement, where it does
and the log says so.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import dag_probe
from include.deploy_ops.checkout.dag_check import check_dags
from include.deploy_ops.checkout.worktree import Contents, checkout
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.process.command import Command, ProcessLimits
from include.deploy_ops.process.confinement import Sight
from tests.worlds.doubles.git_host import TOKEN, GitHost
from tests.worlds.doubles.worker import forbid_confinement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "of-the-worker-alone"  # noqa: S105 - opens nothing
ALONE = "the Astro CLI sees its own folder alone (bubblewrap)"
EXPOSED = "the Astro CLI sees this worker's files, as far as its user may read them: this worker forbids it"

# What it finds it leaves in its own folder, where the test looks.
TURNED = """#!{python} -I
import os, pathlib, socket, sys
outside, here = pathlib.Path({outside!r}), pathlib.Path({here!r})
loot = b""
try:
    {attack}
except (OSError, ValueError) as error:
    loot = loot or repr(error).encode()
pathlib.Path("loot").write_bytes(loot)
print("Successfully uploaded DAGs with version v1")
"""

READS = {
    "a file": "loot = (outside / 'secret').read_bytes()",
    "a file, through a link of its own": (
        "os.symlink(outside / 'secret', 'link'); loot = pathlib.Path('link').read_bytes()"
    ),
    "every file of the folders above": (
        "loot = b''.join(p.read_bytes() for up in pathlib.Path.cwd().parents[:2] for p in up.rglob('secret'))"
    ),
    "the environment of other processes": (
        "loot = b''.join(p.read_bytes() for p in pathlib.Path('/proc').glob(f'{pid}/environ'))"
    ),
    "a file, by another process's root": "loot = pathlib.Path(f'/proc/{pid}/root{outside}/secret').read_bytes()",
    "what another process works on": "loot = pathlib.Path(f'/proc/{pid}/cwd/secret').read_bytes()",
    "a socket": (
        "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(str(outside / 'socket')); loot = s.recv(99)"
    ),
}
WRITES = {
    "a file": "(outside / 'canary').write_text('x')",
    "a file, through a link of its own": (
        "os.symlink(outside / 'canary', 'link'); pathlib.Path('link').write_text('x')"
    ),
    "a link to a file": "os.link(outside / 'secret', outside / 'canary')",
    "its own executable": "os.chmod(sys.argv[0], 0o700); os.rename(sys.argv[0], outside / 'canary')",
    "a file, by another process's root": "pathlib.Path(f'/proc/{pid}/root{outside}/canary').write_text('x')",
}


@pytest.fixture(params=["confined", "exposed"])
def is_confined(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "exposed":
        forbid_confinement(monkeypatch)
    return bool(request.param == "confined")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    return folder


@pytest.fixture
def victim(outside: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the worker's user, with a secret in its environment."""
    with subprocess.Popen(["sleep", "60"], cwd=outside, env={"SECRET": SECRET}) as process:
        yield process
        process.kill()


class Turned:
    """An Astro CLI that attacks, run by the product's own hook."""

    def __init__(self, tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outside = outside
        self.project = tmp_path / "worktree" / "project"
        self.project.mkdir(parents=True)
        self.path = outside / "astro"
        extra = {"organization_id": "clorg", "workspace_id": "clws", "cli": str(self.path)}
        connection = {"conn_type": "http", "host": "http://127.0.0.1:1/astro", "password": TOKEN, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(connection))

    def attack(self, attack: str, pid: int = 0) -> bytes:
        """Deploy by it; return what it found."""
        attack = attack.replace("{pid}", str(pid))
        here = str(self.project)
        text = TURNED.format(python=sys.executable, outside=str(self.outside), here=here, attack=attack)
        self.path.write_text(text)
        self.path.chmod(0o755)
        cli = AstroCli("astro_default", timeout_s=20)
        cli.deploy("cldep1", cwd=self.project, kind=ChangeType.DAGS, description="d")
        return (self.project / "loot").read_bytes()


@pytest.fixture
def turned(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Turned:
    return Turned(tmp_path, outside, monkeypatch)


@pytest.fixture
def service(outside: Path) -> Iterator[None]:
    """Serve a socket of the worker's, as an engine has one, which tells its secret to whoever comes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(outside / "socket"))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener,))
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # shut down
            return
        with connection:
            connection.sendall(SECRET.encode())


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("attack", READS.values(), ids=READS)
def test_nothing_else_is_read(
    attack: str,
    turned: Turned,
    victim: subprocess.Popen[bytes],
    caplog: pytest.LogCaptureFixture,
    *,
    is_confined: bool,
) -> None:
    loot = turned.attack(attack, victim.pid)
    assert (SECRET.encode() in loot) is not is_confined, loot
    assert (ALONE if is_confined else EXPOSED) in caplog.text


@pytest.mark.parametrize("attack", WRITES.values(), ids=WRITES)
def test_nothing_else_is_written(
    attack: str, turned: Turned, victim: subprocess.Popen[bytes], *, is_confined: bool
) -> None:
    loot = turned.attack(attack, victim.pid)
    assert (turned.outside / "canary").exists() is not is_confined, loot
    if is_confined:
        assert {each.name for each in turned.outside.iterdir()} == {"secret", "astro"}


def test_no_other_process_is_ended(turned: Turned, victim: subprocess.Popen[bytes], *, is_confined: bool) -> None:
    loot = turned.attack("os.kill({pid}, 9)", victim.pid)
    if is_confined:
        assert b"ProcessLookupError" in loot
        assert victim.poll() is None
    else:
        assert victim.wait(5) == -signal.SIGKILL


def test_what_it_leaves_behind_ends_with_it(turned: Turned, *, is_confined: bool) -> None:
    """A daemon in a session of its own, which outlives the group that is ended."""
    daemon = (
        "if os.fork() == 0:\n"
        "        os.setsid(); os.close(1); os.close(2)\n"
        "        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', str(here)])\n"
        "    loot = b'left'"
    )
    assert turned.attack(daemon) == b"left"
    left = find_processes(str(turned.project))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert bool(left) is not is_confined


def find_processes(word: str) -> list[int]:
    """Return the processes with that word among their arguments, but for zombies, which have none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word.encode() in words:
            found.append(int(path.parent.name))
    return found


STUBBORN = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 60; :' {word} & setsid sleep 60 & echo up; sleep 60; :"


def start_stubborn(tmp_path: Path, timeout_s: float, on_line: Callable[[str], None] | None = None) -> Command:
    script = STUBBORN.replace("{word}", str(tmp_path))
    sight = Sight(writes=(tmp_path,))
    argv = ["sh", "-c", script, str(tmp_path)]
    return Command(argv, cwd=tmp_path, env={}, timeout_s=timeout_s, on_line=on_line, sight=sight)


def test_a_deadline_ends_everything_that_was_confined(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(RetryableError, match=r"did not end within 0\.5 s"):
        start_stubborn(tmp_path, 0.5).run()
    assert find_processes(str(tmp_path)) == []
    assert time.monotonic() - started < 5, "no grace is needed: the kernel ends them with the first"


def test_a_request_ends_everything_that_was_confined(tmp_path: Path) -> None:
    command = start_stubborn(tmp_path, 60, on_line=lambda _: command.end())
    with pytest.raises(RetryableError, match="stopped on request"):
        command.run()
    assert find_processes(str(tmp_path)) == []


def test_our_own_death_ends_everything_that_was_confined(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom tests.hostile.test_confinement import start_stubborn\n"
        "start_stubborn(pathlib.Path(sys.argv[1]), 60, on_line=lambda line: print(line, flush=True)).run()\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert len(find_processes(str(tmp_path))) > 2
        parent.kill()
    deadline = time.monotonic() + 10
    while find_processes(str(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_limits_and_redaction_hold_for_what_is_confined(tmp_path: Path) -> None:
    program = f"print('{TOKEN}', flush=True); bytearray(2 << 30)"
    result = Command(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={},
        timeout_s=20,
        redact=[TOKEN],
        limits=ProcessLimits(memory_bytes=1 << 30, file_bytes=1 << 20),
        sight=Sight(writes=(tmp_path,)),
    ).run()
    assert (result.exit_code, result.stdout) == (1, "***\n")
    assert "MemoryError" in result.stderr


def test_git_reads_nothing_of_the_worker(
    server: GitHost, tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, *, is_confined: bool
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\ncat '{outside}/secret' >&2; exit 1\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with (
        pytest.raises(RetryableError) as caught,
        checkout(
            clone_url=server.clone_url,
            token=TOKEN,
            commit="1" * 40,
            branch="dev-x",
            root=".",
            contents=Contents.DAGS,
            timeout_s=20,
            scratch=tmp_path / "scratch",
        ),
    ):
        pass
    assert (SECRET in str(caught.value)) is not is_confined


ASKS = {
    "a file": "open(OUTSIDE + '/secret').read()",
    "the network": "__import__('socket').create_connection(('127.0.0.1', PORT), 5).recv(99).decode()",
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_what_compiles_a_branchs_files_reaches_nothing(
    ask: str,
    tmp_path: Path,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    is_confined: bool,
) -> None:
    project = tmp_path / "project"
    (project / "dags").mkdir(parents=True)
    (project / "dags" / "a.py").write_text("n = 1\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener,))
        thread.start()
        probe = tmp_path / "probe.py"
        told = ask.replace("OUTSIDE", repr(str(outside))).replace("PORT", str(listener.getsockname()[1]))
        probe.write_text(f"import sys\nsys.exit({told})\n")
        monkeypatch.setattr(dag_probe, "__file__", str(probe))
        check_dags(project, None)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "not checked, the compiler gave up on it" in caplog.text
    assert (SECRET in caplog.text) is not is_confined
