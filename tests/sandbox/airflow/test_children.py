"""Children are bounded and end: by the limit, by whoever started them, and with the sandbox however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from sandbox.airflow.children import ChildError, Children, is_confinement_possible
from sandbox.settings import Settings

ROOT = Path(__file__).parents[3]
_LIMIT_S = 30


def write_program(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return path


def list_processes(program: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline", "name"]) if str(program) in (each.info["cmdline"] or [])]


def wait_for(program: Path, *, is_there: bool) -> None:
    """Wait until the program itself runs, whose bubblewrap ends with its parent only once it got so far; or is gone."""
    until = time.monotonic() + _LIMIT_S
    while any(not is_there or each.info["name"] != "bwrap" for each in list_processes(program)) is not is_there:
        assert time.monotonic() < until, list_processes(program)
        time.sleep(0.02)


async def run(children: Children, folder: Path) -> None:
    async with children.turn:
        await children.run(folder, {})


def test_a_child_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    program = write_program(
        tmp_path, "import subprocess, sys, time\nsubprocess.Popen([sys.executable, *sys.argv, 'x'])\ntime.sleep(600)"
    )
    children = Children(Settings(airflow_limit_s=2), program)

    with pytest.raises(ChildError, match=r"it was ended after 2 s"):
        asyncio.run(run(children, tmp_path))

    wait_for(program, is_there=False)


def test_a_child_that_fails_tells_what_it_said(tmp_path: Path) -> None:
    program = write_program(tmp_path, "raise SystemExit('nothing is right')")

    with pytest.raises(ChildError, match=r"^exit code 1: nothing is right$"):
        asyncio.run(run(Children(Settings(), program), tmp_path))


def test_a_child_is_ended_by_cancelling_and_by_the_end_of_all(tmp_path: Path) -> None:
    program = write_program(tmp_path, "import time\ntime.sleep(600)")
    children = Children(Settings(), program)

    async def act() -> None:
        for end in (lambda task: task.cancel(), lambda _: children.end()):
            task = asyncio.create_task(run(children, tmp_path))
            await asyncio.to_thread(wait_for, program, is_there=True)
            end(task)
            await asyncio.wait({task})
            assert task.cancelled() or isinstance(task.exception(), ChildError)
            wait_for(program, is_there=False)

    asyncio.run(act())


def test_an_order_is_in_no_command_line_and_no_environment(tmp_path: Path) -> None:
    program = write_program(tmp_path, "import time\ntime.sleep(600)")
    children = Children(Settings(), program)

    async def act() -> None:
        task = asyncio.create_task(children.run(tmp_path, {"environment": {"AIRFLOW_CONN_X": "canary-value"}}))
        await asyncio.to_thread(wait_for, program, is_there=True)
        for process in list_processes(program):
            assert "canary" not in f"{process.cmdline()} {process.environ()}"
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(act())


def test_one_child_runs_at_a_time(tmp_path: Path) -> None:
    program = write_program(
        tmp_path,
        f"""
        import os, time
        os.open({str(tmp_path / "held")!r}, os.O_CREAT | os.O_EXCL)
        time.sleep(0.2)
        os.unlink({str(tmp_path / "held")!r})
        """,
    )
    children = Children(Settings(), program)

    async def act() -> None:
        await asyncio.gather(*(run(children, tmp_path) for _ in range(3)))

    asyncio.run(act())


@pytest.mark.skipif(not is_confinement_possible(), reason="without bubblewrap, child.py itself sees to it")
def test_a_sandbox_that_is_killed_leaves_no_child(tmp_path: Path) -> None:
    program = write_program(tmp_path, "import time\ntime.sleep(600)")
    (tmp_path / "parent").mkdir()
    parent = write_program(
        tmp_path / "parent",
        f"""
        import asyncio, pathlib
        from sandbox.airflow.children import Children
        from sandbox.settings import Settings
        asyncio.run(Children(Settings(), pathlib.Path({str(program)!r})).run(pathlib.Path({str(tmp_path)!r}), {{}}))
        """,
    )
    with subprocess.Popen(
        [sys.executable, str(parent)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        wait_for(program, is_there=True)
        process.send_signal(signal.SIGKILL)

    wait_for(program, is_there=False)
