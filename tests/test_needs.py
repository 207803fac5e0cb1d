"""What a test needs and does not find fails it in CI, and leaves it out elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = """
import pytest

@pytest.mark.skipif(True, reason="no tool here")
def test_by_mark(): pass

def test_by_call(): pytest.skip("no tool there")

@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


@pytest.mark.parametrize(
    ("needs", "counts"), [("", "2 skipped, 1 xfailed"), ("required", "1 failed, 1 xfailed, 1 error")]
)
def test_a_test_is_left_out_unless_all_must_be_there(tmp_path: Path, needs: str, counts: str) -> None:
    (tmp_path / "test_left_out.py").write_text(LEFT_OUT)
    options = ["-p", "tests.needs", "-p", "no:cacheprovider", "-c", os.devnull, str(tmp_path)]
    environment = {**os.environ, "NEEDS": needs, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options], env=environment, capture_output=True, text=True, check=False
    )
    assert counts in found.stdout
    assert ("no tool there" in found.stdout) == bool(needs)


def test_ci_says_that_all_is_there() -> None:
    assert "NEEDS=required exec make" in (ROOT / ".ci" / "run").read_text()
