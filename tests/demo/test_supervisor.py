"""What a supervisor keeps is started again when it exits, and gone, with its folders, when whoever asked is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from demo.processes import start_group
from demo.stack import ROOT
from demo.supervisor import PAUSE_MAX_S, PAUSE_MIN_S, Charge, Job, Keeper, end, parse_charge

NOTE = "import os, sys; print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True);"
ONCE = f"{NOTE} sys.exit(3)"
ALWAYS = f"{NOTE} import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ALWAYS}"
POLITE = f"import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(print('bye', flush=True))); {ALWAYS}"
ASKING = """
import os, pathlib, subprocess, sys, time
from demo.processes import start_group
log = pathlib.Path(sys.argv[1])
process = start_group(sys.argv[3:], env=os.environ, cwd=pathlib.Path.cwd(), log=log, told=sys.argv[2].encode())
print(process.pid, flush=True)
time.sleep(600)
"""
PATIENCE_S = 20.0


def await_true(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def make_job(script: str, noted: Path, **settings: object) -> Job:
    return Job(noted.name, [sys.executable, "-c", script, str(noted)], **settings)  # type: ignore[arg-type]


def read_pids(noted: Path) -> list[int]:
    return [int(pid) for pid in noted.read_text().split()] if noted.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start supervisors, and let none outlive the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*jobs: Job, litter: Path | None = None) -> subprocess.Popen[bytes]:
        told = Charge(jobs, str(tmp_path), [str(litter)] if litter else []).dump()
        argv = [sys.executable, "-m", "demo.supervisor"]
        started.append(start_group(argv, env=os.environ, cwd=ROOT, log=tmp_path / "supervisor.log", told=told))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def test_what_was_asked_arrives() -> None:
    charge = Charge([Job("postgres", ["a", "b"], {"HOME": "x"}, "postgres", signal.SIGINT)], "logs", ["litter"])
    assert parse_charge(charge.dump()) == charge


def test_what_exits_is_started_again_and_what_runs_is_left_alone(
    tmp_path: Path, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    exiting, steady = tmp_path / "exiting", tmp_path / "steady"
    supervise(make_job(ONCE, exiting), make_job(ALWAYS, steady))
    await_true(lambda: len(read_pids(exiting)) > 1)
    (pid,) = read_pids(steady)
    assert is_alive(pid)
    assert "exiting exited with 3; again in " in (tmp_path / "supervisor.log").read_text()


def test_the_pause_grows_to_its_bound_and_shrinks_after_a_good_start(tmp_path: Path) -> None:
    keeper, now, pauses = Keeper(Job("false", ["false"]), tmp_path), time.monotonic(), []
    for lived_s in (*[0.0] * 6, 60.0):
        keeper.tend(now)
        assert keeper.process is not None
        keeper.process.wait()
        now += lived_s
        keeper.tend(now)
        pauses.append(keeper.due - now)
        now = keeper.due
    assert pauses == pytest.approx([1.0, 2.0, 4.0, PAUSE_MAX_S, PAUSE_MAX_S, PAUSE_MAX_S, PAUSE_MIN_S])


def test_all_ends_when_whoever_asked_is_killed(tmp_path: Path) -> None:
    noted, litter = tmp_path / "job", tmp_path / "litter"
    litter.mkdir()
    told = Charge([make_job(ALWAYS, noted)], str(tmp_path), [str(litter)]).dump().decode()
    argv = [sys.executable, "-c", ASKING, str(tmp_path / "log"), told, sys.executable, "-m", "demo.supervisor"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        keeping = int(asking.stdout.readline())
        await_true(lambda: bool(read_pids(noted)))
        asking.kill()
    await_true(lambda: not any(map(is_alive, [keeping, *read_pids(noted)])))
    assert not litter.exists()


def test_each_is_asked_by_its_own_signal(tmp_path: Path, supervise: Callable[..., subprocess.Popen[bytes]]) -> None:
    noted = tmp_path / "polite"
    keeping = supervise(make_job(POLITE, noted, end_signal=signal.SIGINT))
    await_true(lambda: bool(read_pids(noted)))
    keeping.terminate()
    assert keeping.wait(PATIENCE_S) == 0
    assert (tmp_path / "polite.log").read_text() == "bye\n"


def test_who_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    noted = tmp_path / "stubborn"
    keeper = Keeper(make_job(STUBBORN, noted), tmp_path)
    keeper.tend(keeper.due)
    await_true(lambda: bool(read_pids(noted)))
    end([keeper], grace_s=0.2)
    assert not any(map(is_alive, read_pids(noted)))


def test_the_end_of_what_is_vital_ends_all(tmp_path: Path, supervise: Callable[..., subprocess.Popen[bytes]]) -> None:
    beside, vital = tmp_path / "beside", tmp_path / "vital"
    keeping = supervise(make_job(ALWAYS, beside), make_job(ONCE, vital, is_vital=True))
    assert keeping.wait(PATIENCE_S) == 3
    assert not any(map(is_alive, read_pids(beside)))
