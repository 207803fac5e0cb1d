"""`make demo` itself, ended in every way there is: one clear line, within seconds, and no process of it lives on."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
import pytest

from demo.ports import find_free_ports
from demo.stack import ROOT

pytestmark = pytest.mark.long
PARTS = ("Dockerfile", "Makefile", "airflow_settings.yaml", "dags", "demo", "include", "plugins", "sandbox")
MARK = "DEMO_UNDER_TEST"
START_MAX_S, END_MAX_S = 90.0, 45.0
FOREIGN = frozenset({"MAKEFLAGS", "MAKELEVEL", "ONCE", "EXECUTOR"})
WORKS = "Airflow's configuration is up"
"""What it says when sandbox and Airflow run, and go on starting."""
ON_TERMINAL = "import os, sys; os.login_tty(0); os.execvp('sh', ['sh', '-c', '\"$@\"; exit $?', *sys.argv])"
"""A shell that calls make, as in life: it is the shell that a terminal tells of its end."""


@dataclass
class Demo:
    """A running `make demo` with all that it starts.

    :param reading: the other end of what it writes to.
    """

    process: subprocess.Popen[bytes]
    reading: IO[bytes]
    mark: str
    said: list[str] = field(default_factory=list)

    def read(self) -> bool:
        """Read what it wrote next; whether there is more to come."""
        try:
            piece = os.read(self.reading.fileno(), 65_536)
        except OSError:  # Linux' word for a terminal on which nobody is left
            return False
        self.said.append(piece.decode(errors="replace"))
        return bool(piece)

    def await_words(self, words: str) -> None:
        """Return once it said them."""
        deadline = time.monotonic() + START_MAX_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.reading, selectors.EVENT_READ)
            while words not in self.text:
                assert selector.select(deadline - time.monotonic()), f"it did not say {words!r}, but: {self.text}"
                assert self.read(), f"it ended without saying {words!r}: {self.text}"

    @property
    def text(self) -> str:
        return "".join(self.said)

    def list_living(self) -> list[psutil.Process]:
        """Return every process that it or a child of its started, wherever that has gone."""
        return [each for each in psutil.process_iter() if is_alive(each) and read_mark(each) == self.mark]

    def end(self) -> list[str]:
        """Return the lines after it worked, but for make's own, once every process is gone."""
        begun = time.monotonic()
        self.process.wait(END_MAX_S)
        while self.list_living():
            assert time.monotonic() - begun < END_MAX_S, f"it left {self.list_living()}"
            time.sleep(0.05)
        while not self.reading.closed and self.read():
            pass
        lines = self.text.rpartition(WORKS)[2].replace("\r\x1b[2K", "\n").splitlines()[1:]
        return [line for line in lines if line.strip() and not line.startswith(("make: ", "…", "^C"))]


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read_mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the project of its own: the demo writes into its folder, where another one may be up."""
    for name in [*PARTS, *(path.name for path in ROOT.glob("requirements*.txt"))]:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    """Return ours, with free ports, and a mark by which every process is found."""
    airflow, sandbox = find_free_ports(2)
    given = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**given, "AIRFLOW_PORT": str(airflow), "SANDBOX_PORT": str(sandbox), MARK: uuid.uuid4().hex}


@pytest.fixture
def terminal() -> Iterator[tuple[IO[bytes], int]]:
    """Return the two ends of a terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as master:
        yield master, theirs


def call_make(folder: Path, *words: str) -> list[str]:
    make = shutil.which("make")
    assert make
    return [make, "--directory", str(folder), "--no-print-directory", *words]


def start(folder: Path, environment: Mapping[str, str], terminal: tuple[IO[bytes], int] | None = None) -> Demo:
    """Start it with this project's environment, on the terminal or else with a pipe; return once it works."""
    (folder / ".venv").symlink_to(sys.prefix)
    command = call_make(folder, "--old-file=.venv/.ready", "demo")
    if terminal:
        reading, writing = terminal
        command = [sys.executable, "-c", ON_TERMINAL, *command]
        process = subprocess.Popen(command, env=environment, stdin=writing, stdout=writing, stderr=writing)
        os.close(writing)
    else:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert process.stdout
        reading = process.stdout
    demo = Demo(process, reading, environment[MARK])
    try:
        demo.await_words(WORKS)
        assert len(demo.list_living()) >= 4, "make, the demo, the sandbox and Airflow"
    except BaseException:
        kill(demo)
        raise
    return demo


def kill(demo: Demo) -> None:
    for each in demo.list_living():
        each.kill()
    demo.process.wait(END_MAX_S)


def check_end(demo: Demo, lines: list[str]) -> None:
    """Assert that it ends with these lines; nothing of it outlives the test either way."""
    try:
        assert demo.end() == lines
    finally:
        kill(demo)


def test_ctrl_c_twice_on_a_terminal(folder: Path, environment: dict[str, str], terminal: tuple[IO[bytes], int]) -> None:
    demo = start(folder, environment, terminal)
    demo.reading.write(b"\x03")
    demo.await_words("… ending Airflow and the sandbox")
    demo.reading.write(b"\x03")
    check_end(demo, ["ended by Ctrl-C; no process is left"])


def test_a_terminal_that_closes(folder: Path, environment: dict[str, str], terminal: tuple[IO[bytes], int]) -> None:
    demo = start(folder, environment, terminal)
    demo.reading.close()
    check_end(demo, [])


def test_sigterm_to_make_alone(folder: Path, environment: dict[str, str]) -> None:
    demo = start(folder, environment)
    demo.process.send_signal(signal.SIGTERM)
    check_end(demo, ["ended by SIGTERM; no process is left"])


def test_sigterm_to_the_whole_group(folder: Path, environment: dict[str, str]) -> None:
    demo = start(folder, environment)
    os.killpg(demo.process.pid, signal.SIGTERM)
    check_end(demo, ["ended by SIGTERM; no process is left"])


def test_sigkill_of_the_demo_itself(folder: Path, environment: dict[str, str]) -> None:
    demo = start(folder, environment)
    (python,) = psutil.Process(demo.process.pid).children()
    python.kill()
    check_end(demo, [])


def test_with_once_an_end_before_the_tours_is_no_success(folder: Path, environment: dict[str, str]) -> None:
    demo = start(folder, environment | {"ONCE": "1"})
    (python,) = psutil.Process(demo.process.pid).children()
    python.send_signal(signal.SIGTERM)
    check_end(demo, ["ended by SIGTERM; no process is left"])
    assert f"Error {128 + signal.SIGTERM}" in demo.text
    assert demo.process.returncode == 2, "what make makes of any failure"


def test_a_reader_that_leaves(folder: Path, environment: dict[str, str]) -> None:
    demo = start(folder, environment)
    demo.reading.close()
    check_end(demo, [])
    assert demo.process.returncode != 0


def run(folder: Path, environment: Mapping[str, str], *words: str) -> list[str]:
    """Return what is said by a demo that cannot start, but for make's own lines; nothing is left of it."""
    done = subprocess.run(
        call_make(folder, *words, "demo"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=END_MAX_S,
    )
    assert done.returncode != 0
    assert [each for each in psutil.process_iter() if read_mark(each) == environment[MARK]] == []
    assert not (folder / ".airflow").exists()
    return [line for line in done.stdout.splitlines() if not line.startswith("make: ")]


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


MISSING = "error: Git is not on PATH, and 2.38 or newer is needed; on Debian: apt-get install git"


def test_no_git(folder: Path, environment: dict[str, str]) -> None:
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "bin").mkdir()
    assert run(folder, environment | {"PATH": str(folder / "bin")}, "--old-file=.venv/.ready") == [MISSING]


def test_no_git_before_anything_is_installed(folder: Path, environment: dict[str, str]) -> None:
    (folder / "bin").mkdir()
    python = f"PYTHON={sys.executable}"
    assert run(folder, environment | {"PATH": str(folder / "bin")}, python) == [MISSING]
    assert not (folder / ".venv").exists()


def test_an_old_git(folder: Path, environment: dict[str, str]) -> None:
    (folder / ".venv").symlink_to(sys.prefix)
    write_program(folder / "bin/git", "echo git version 2.30.2")
    path = os.pathsep.join([str(folder / "bin"), environment["PATH"]])
    (line,) = run(folder, environment | {"PATH": path}, "--old-file=.venv/.ready")
    assert line == "error: Git 2.38 or newer is needed, the one on PATH is 'git version 2.30.2': install a newer one"


def test_no_redis(folder: Path, environment: dict[str, str]) -> None:
    (folder / ".venv").symlink_to(sys.prefix)
    write_program(folder / "bin/git", "echo git version 2.47.0")
    given = environment | {"PATH": str(folder / "bin"), "EXECUTOR": "celery"}
    (line,) = run(folder, given, "--old-file=.venv/.ready")
    assert line.startswith("error: EXECUTOR=celery needs PostgreSQL and Redis; on Debian: apt-get install ")
    assert line.endswith("redis-server")


def test_an_unknown_executor(folder: Path, environment: dict[str, str]) -> None:
    (folder / ".venv").symlink_to(sys.prefix)
    said = run(folder, environment | {"EXECUTOR": "kubernetes"}, "--old-file=.venv/.ready")
    assert said == ["error: EXECUTOR is 'kubernetes'; it takes local or celery"]


OLDER = """
import runpy, sys
sys.version_info, sys.version = (3, 9, 2, "final", 0), "3.9.2 (default)"
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_an_old_python(folder: Path, environment: dict[str, str]) -> None:
    (folder / "older.py").write_text(OLDER)
    write_program(folder / "bin/python3", f'exec {sys.executable} {folder / "older.py"} "$@"')
    path = os.pathsep.join([str(folder / "bin"), environment["PATH"]])
    (line,) = run(folder, environment | {"PATH": path})
    assert line.startswith("error: Python 3.11 or newer is needed, ")
    assert line.endswith(" is 3.9.2: PYTHON=… make demo")
    assert not (folder / ".venv").exists()


def test_no_python(folder: Path, environment: dict[str, str]) -> None:
    said = run(folder, environment, "PYTHON=python3.99")
    assert said == ["error: Python 3.11 or newer is needed, and python3.99 is not on PATH"]
    assert not (folder / ".venv").exists()
