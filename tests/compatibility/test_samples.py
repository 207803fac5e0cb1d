"""The samples are whole, small, and hold no secret and nothing of the machine that they were taken on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD
from tests.compatibility.samples import FOLDER, RELEASES, WROTE_NOTHING_NEW, Release, strip_version

ROOT = Path(__file__).parents[2]

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


OTHERS = {"policy.yaml", "README.md"}


def test_every_folder_is_read() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {release.name for release in RELEASES}


def test_the_newest_release_has_one_name_and_its_samples_or_wrote_nothing_new() -> None:
    named = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert named[0] == version
    assert set(named) == {*(release.name for release in RELEASES[1:]), *WROTE_NOTHING_NEW}
    assert not set(WROTE_NOTHING_NEW) & {release.name for release in RELEASES}


def test_every_release_has_every_kind_of_file(release: Release) -> None:
    assert {path.name for path in release.folder.iterdir()} == {*READ_BY, *OTHERS}


@pytest.mark.parametrize(("file", "test"), READ_BY.items())
def test_every_file_is_read(file: str, test: str) -> None:
    assert f'"{file}"' in Path(__file__).with_name(test).read_text(encoding="utf-8")


def test_what_is_remembered_bears_a_version_since_it_has_one(release: Release) -> None:
    stored = [value for values in release.read("store.json").values() for value in values.values()]
    versions = {value["version"] if value != strip_version(value) else None for value in stored}
    assert versions == ({None} if release.name == "before-0.2.0" else {1})


@pytest.mark.parametrize(
    "path",
    [path for release in RELEASES for path in sorted(release.folder.iterdir())],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_file_is_small_and_tells_nothing_of_where_it_was_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 100_000
    for secret in (ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD):
        assert secret not in text
    assert not re.search(r"(?<![\w.])/(tmp|work|home|root)/", text)
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) <= {"8900", "8080"}
