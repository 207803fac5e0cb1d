"""What cannot be played is refused before anything is installed or begun, with the names of what can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import asked
from bench.faults.strikes import FAULTS

ROOT = Path(__file__).parents[2]
PLAYED = {"ONLY", "SCENARIOS", "SEED", "STEPS", "FIRST", "REPLAY"}
PYTHON = f"""#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in bench/asked.py) exec {sys.executable} "$@";; *) exit 9;; esac
"""
"""Tells what it is called with, and does nothing but look."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give as much of a clone as make needs in which nothing is installed."""
    for name in ("Makefile", "requirements-uv.txt", "requirements-dev.txt", "requirements-celery.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def run_make(clone: Path, *words: str) -> tuple[str, list[str]]:
    """Return what make said when it ended in an error, and what it called."""
    environment = {key: value for key, value in os.environ.items() if key not in {*PLAYED, "MAKEFLAGS", "MAKELEVEL"}}
    done = subprocess.run(
        ["make", "PYTHON=./python", *words],
        cwd=clone,
        env={**environment, "CALLS": str(clone / "calls")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    return done.stderr, (clone / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["faults", "ONLY=worker wroker"], "ONLY names wroker; there are triggerer, worker, scheduler"),
        (["bench", "ONLY=nosuch planner"], "ONLY names nosuch; there are change_type, fleet"),
        (["bench", "ONLY=fleet", "SCENARIOS=idle-0"], "SCENARIOS names idle-0; there are idle-50"),
        (["bench", "SCENARIOS=idle"], "SCENARIOS names idle; there are idle-50"),
        (["chaos", "SEED=x"], "SEED is 'x'; it takes a whole number"),
        (["chaos", "STEPS="], "STEPS is ''; it takes a whole number"),
        (["chaos", "FIRST=-1"], "FIRST is '-1'; it takes a whole number"),
        (["chaos", "REPLAY=nosuch"], "REPLAY names nosuch, which is no file"),
    ],
)
@pytest.mark.parametrize("jobs", ["--jobs=1", "--jobs=4"])
def test_what_is_not_there_is_refused_before_anything_is_installed(
    clone: Path, words: list[str], said: str, jobs: str
) -> None:
    told, calls = run_make(clone, jobs, *words)
    assert f"error: {said}" in told
    assert calls == [f"bench/asked.py {words[0]}"]


@pytest.mark.parametrize(
    "words",
    [
        ["faults", "ONLY=disk"],
        ["faults", "ONLY="],
        ["bench"],
        ["bench", "ONLY=fleet planner", "SCENARIOS=pushes-3 spread-2x5"],
        ["bench", "ONLY=planner", "SCENARIOS=of no fleet"],
        ["chaos"],
        ["chaos", "SEED=7", "STEPS=5000", "REPLAY=Makefile"],
    ],
)
def test_what_is_there_goes_on(clone: Path, words: list[str]) -> None:
    _, calls = run_make(clone, *words)
    assert calls == [f"bench/asked.py {words[0]}", "demo/needs.py"]


def test_other_targets_do_not_ask(clone: Path) -> None:
    assert run_make(clone, "check", "ONLY=nosuch")[1] == ["demo/needs.py"]


def test_the_names_are_those_of_what_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(FAULTS) == asked.FAULTS
    for name in asked.BENCHMARKS:
        assert '__name__ == "__main__"' in (ROOT / f"bench/{name}.py").read_text("utf-8")
    monkeypatch.delenv("SCENARIOS", raising=False)
    assert asked.tell_scenarios() == ""
