"""A benchmark that is ended ends what it started, tells what it measured, and leaves nothing on the disk."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = """
import signal, sys
from bench.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests' own shell may ignore it
sys.executable = sys.argv[1]
sys.exit(main())
"""
BENCHMARK = f"""#!{sys.executable}
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from demo.interrupts import hear_first
hear_first()
try:
    print("works", flush=True)
    time.sleep(60)
finally:
    time.sleep(0.5)
    print("cleared", flush=True)
"""
STRUCK = """
import os, signal, sys
from bench.{name} import main
module = sys.modules[main.__module__]
module.Stack = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
main()
"""


@pytest.mark.parametrize(("number", "reaches_all"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_benchmark_is_ended_with_the_command_and_has_time_to_clear(
    tmp_path: Path, number: signal.Signals, *, reaches_all: bool
) -> None:
    """Make passes SIGTERM to the command alone; a terminal tells Ctrl-C to all."""
    benchmark = tmp_path / "python"
    benchmark.write_text(BENCHMARK)
    benchmark.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, benchmark],
        cwd=ROOT,
        env={**os.environ, "ONLY": "planner parsing"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "works\n"
            (os.killpg if reaches_all else os.kill)(process.pid, number)
            assert process.communicate(timeout=20)[0] == "cleared\n"
        finally:
            with contextlib.suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 128 + number


@pytest.mark.parametrize("name", ["fleet", "latency", "faults.__main__"])
def test_what_has_an_airflow_of_its_own_leaves_no_folder(tmp_path: Path, name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STRUCK.format(name=name)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), "AIRFLOW_HOME": str(tmp_path.parent / "airflow")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "SIGTERM" in ended.stderr
    assert [*tmp_path.iterdir()] == []
