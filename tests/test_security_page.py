"""The page on security: each threat has a test that shows what prevents it, and each hostile test has its threat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.partition("## What is safe besides")[0].splitlines() if line.startswith("| ")]
THREATS = [row for row in ROWS if not row.startswith("| what they may try")]


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[2:60])
def test_each_threat_names_a_test(row: str) -> None:
    _, _, _, shows, _ = row.split("|")
    assert re.search(r"`tests/[\w./-]+\.py`", shows)


def test_each_hostile_test_has_a_threat() -> None:
    hostile = {f"tests/hostile/{path.name}" for path in (ROOT / "tests" / "hostile").glob("test_*.py")}
    assert hostile - set(re.findall(r"`(tests/hostile/[\w.]+)`", PAGE)) == set()


def test_each_test_that_is_named_is_there() -> None:
    tests = set(re.findall(r"`(tests/[\w./-]+\.py)`", PAGE))
    assert tests
    assert {name for name in tests if not (ROOT / name).is_file()} == set()
