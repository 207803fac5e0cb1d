"""What `make check` calls and says, with tools that do nothing: it is told how long it took, and never called well."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("python", "ruff", "mypy", "lint-imports")
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
test "$(basename "$0")" != "$BROKEN"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give as much of a clone as make needs, in which all seems to be installed."""
    for name in ("Makefile", "requirements-uv.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in TOOLS:
        (tools / name).write_text(TOOL)
        (tools / name).chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def check(clone: Path, broken: str) -> tuple[int, str, set[str]]:
    """Return how `make check` ends, what it says, and what it called, where one of the tools finds something."""
    own = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    environment = {key: value for key, value in os.environ.items() if key not in own}
    done = subprocess.run(
        ["make", "check"],
        cwd=clone,
        env={**environment, "CALLS": str(clone / "calls"), "BROKEN": broken},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, set((clone / "calls").read_text().splitlines())


def test_check_does_what_the_pages_say_and_tells_how_long_it_took(clone: Path) -> None:
    code, said, calls = check(clone, "")
    assert code == 0
    assert re.search(r"^all is well after \d+ s$", said, re.MULTILINE)
    assert calls == {
        *("ruff check .", "ruff format --check .", "mypy ", "lint-imports "),
        "python -m pytest -n 2 tests/unit/core",
    }


@pytest.mark.parametrize("broken", TOOLS)
def test_whatever_finds_something_nothing_is_called_well(clone: Path, broken: str) -> None:
    code, said, _ = check(clone, broken)
    assert code == 2
    assert "all is well" not in said
