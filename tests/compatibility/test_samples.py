"""The samples are whole, small, and hold no secret and nothing of the machine that they were taken on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD
from tests.compatibility.samples import FOLDER

READ_BY = {
    "runs.json": "test_runs.py",
    "xcoms.json": "test_xcoms.py",
    "triggers.json": "test_waiting.py",
    "parked.json": "test_waiting.py",
    "events.json": "test_events.py",
    "store.json": "test_store.py",
    "names.json": "test_names.py",
    "marks_and_notes.json": "test_names.py",
    "digests.json": "test_digests.py",
}
"""Each of these tests goes through all samples of its file, and fails where it has no reader for one."""


def test_every_file_is_read() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*READ_BY, "policy.yaml", "README.md"}
    for file, test in READ_BY.items():
        assert f'"{file}"' in Path(__file__).with_name(test).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_a_file_is_small_and_tells_nothing_of_where_it_was_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 100_000
    for secret in (ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD):
        assert secret not in text
    assert not re.search(r"(?<![\w.])/(tmp|work|home|root)/", text)
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) <= {"8900", "8080"}
