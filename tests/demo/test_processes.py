"""Ending a group ends every descendant, also those that ignore the request or made a session of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo import processes
from demo.processes import end_group, find_descendants, kill_families, start_group

FAMILY = """
import os, pathlib, signal, subprocess, sys, time
stubborn = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('up', flush=True); time.sleep(600)"
children = [
    subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE),
    subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True),
]
for child in children:
    child.stdout.readline()
pathlib.Path(sys.argv[1]).write_text(" ".join(str(child.pid) for child in children))
time.sleep(600)
"""


def await_text(path: Path) -> str:
    """Return the file's text once it is there; the test's own time limit is 20 s."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "the family did not come up"
        time.sleep(0.02)
    return path.read_text()


def test_the_whole_family_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    ready = tmp_path / "ready"
    argv = [sys.executable, "-c", FAMILY, str(ready)]
    leader = start_group(argv, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    children = [psutil.Process(int(pid)) for pid in await_text(ready).split()]
    end_group(leader)
    assert leader.returncode is not None
    _, alive = psutil.wait_procs(children, timeout=5)
    assert [each.pid for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_a_crash_takes_the_family_along_and_asks_nobody(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    argv = [sys.executable, "-c", FAMILY, str(ready)]
    leader = start_group(argv, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    children = [psutil.Process(int(pid)) for pid in await_text(ready).split()]
    kill_families(find_descendants(FAMILY, str(ready)))
    assert leader.wait(timeout=5) == -signal.SIGKILL
    alive = [each.pid for each in children if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert alive == []


@pytest.mark.parametrize(("words", "is_found"), [(["stay", "up"], True), (["up"], True), (["stay"], False)])
def test_a_process_is_found_by_the_end_of_its_command_line(tmp_path: Path, words: list[str], is_found: bool) -> None:
    script = tmp_path / "stay"
    script.write_text(f"#!{sys.executable}\nimport sys, time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    script.chmod(0o755)
    leader = start_group([str(script), "up"], env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    await_text(tmp_path / "log")
    assert [each.pid for each in find_descendants(*words)] == [leader.pid] * is_found
    end_group(leader)


def test_a_process_that_ended_already_is_no_error(tmp_path: Path) -> None:
    leader = start_group([sys.executable, "-c", ""], env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    leader.wait(timeout=10)
    end_group(leader)


def test_its_output_goes_to_the_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"]
    start_group(argv, env=os.environ, cwd=tmp_path, log=tmp_path / "log").wait(timeout=10)
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_a_taken_port_ends_the_demo_with_a_clear_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        env={**os.environ, "AIRFLOW_PORT": "nonsense"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "AIRFLOW_PORT is 'nonsense'" in done.stdout
