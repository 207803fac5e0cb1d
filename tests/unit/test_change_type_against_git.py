"""The change type against Git itself: random pairs of real trees, and what `git diff-tree` says of them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.change_type import ChangeRules, Snapshot, classify_change, needs_image
from include.deploy_ops.model import ChangeType, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE, TOOL, LINK, MODULE, FOLDER = "100644", "100755", "120000", "160000", "040000"
NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE

_NAMES = ["a", "dags", "dags.py", "docs", "x.md", "etl", 'é"\n', "caf\udce9"]
_PATHS = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4).map("/".join)


def _list_files(*modes: str) -> st.SearchStrategy[dict[str, tuple[str, str]]]:
    return st.dictionaries(_PATHS, st.tuples(st.sampled_from(modes), st.sampled_from("12")), max_size=8)


_ANY_FILES = _list_files(FILE, TOOL, LINK, MODULE)
_PLAIN_FILES = _list_files(FILE, TOOL, LINK)  # whether a folder rule ignores a submodule is the ignore rules' test


class Repository:
    """A real repository, whose trees are listed as they are made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trees: dict[str, list[TreeEntry]] = {}
        self.git("init", "--quiet", "--template=", "--bare", ".")
        self.blobs = {text: self.git("hash-object", "-w", "--stdin", given=text.encode()).strip() for text in "12"}

    def git(self, *argv: str, given: bytes = b"") -> str:
        ran = subprocess.run(["git", *argv], cwd=self.path, input=given, capture_output=True, check=True)
        return os.fsdecode(ran.stdout)

    def plant(self, files: Mapping[str, tuple[str, str]]) -> Snapshot:
        lines = bytearray()
        for path, (mode, text) in files.items():
            sha = text * 40 if mode == MODULE else self.blobs[text]
            lines += f"{mode} {sha}\t".encode() + os.fsencode(path) + b"\0"
        index = self.path / "index"
        index.unlink(missing_ok=True)
        self.git("update-index", "-z", "--index-info", given=bytes(lines))
        tree = self.git("write-tree").strip()
        self._list(tree)
        return Snapshot(tree, tree)

    def _list(self, tree: str) -> None:
        shas = {"": tree}
        self.trees[tree] = []
        for line in self.git("ls-tree", "-r", "-t", "-z", tree).split("\0")[:-1]:
            described, _, path = line.partition("\t")
            mode, _, sha = described.split(" ")
            if mode == FOLDER:
                shas[path] = sha
                self.trees[sha] = []
            folder, _, name = path.rpartition("/")
            entry = TreeEntry(name, mode, sha)
            if entry not in self.trees[shas[folder]]:  # equal folders stand at several paths
                self.trees[shas[folder]].append(entry)

    def diff(self, before: Snapshot, after: Snapshot) -> set[str]:
        said = self.git("diff-tree", "-r", "--raw", "--no-renames", "-z", before.tree, after.tree).split("\0")
        return set(said[1::2])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("trees"))


def _drop_clashes(files: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Drop files that stand where another path needs a folder."""
    return {path: leaf for path, leaf in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(first=_ANY_FILES, second=_ANY_FILES, is_kept=st.booleans())
def test_record_is_what_git_finds(
    repository: Repository,
    first: dict[str, tuple[str, str]],
    second: dict[str, tuple[str, str]],
    is_kept: bool,
) -> None:
    before = repository.plant(_drop_clashes(first))
    after = repository.plant(_drop_clashes({**first, **second} if is_kept else second))
    decision = classify_change(
        target=after,
        image_base=before,
        dags_base=before,
        rules=ChangeRules("."),
        read_tree=repository.trees.__getitem__,
    )
    changed = repository.diff(before, after)
    assert {path.path for path in decision.paths} == changed
    outside = {path for path in changed if not path.startswith("dags/")}
    assert {path.path for path in decision.paths if path.verdict is IMAGE} == outside
    assert needs_image(before, after, ChangeRules("."), repository.trees.__getitem__) is bool(outside)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(first=_PLAIN_FILES, second=_PLAIN_FILES)
def test_verdict_is_what_git_and_the_rules_give(
    repository: Repository, first: dict[str, tuple[str, str]], second: dict[str, tuple[str, str]]
) -> None:
    """A root, a watched folder and an ignored one, restated over Git's flat list of paths."""
    rules = ChangeRules("etl", ("docs/", "*.md"), ("docs",))
    before = repository.plant(_drop_clashes({**first, "etl/z": (FILE, "1")}))
    after = repository.plant(_drop_clashes({**first, **second, "etl/z": (FILE, "1")}))
    decision = classify_change(
        target=after, image_base=before, dags_base=before, rules=rules, read_tree=repository.trees.__getitem__
    )
    verdicts = {_restate(path) for path in repository.diff(before, after)}
    assert decision.change_type is max(verdicts, key=lambda verdict: verdict.rank, default=NONE)


def _restate(path: str) -> ChangeType:
    top, *inner = path.split("/")
    if top != "etl":
        return IMAGE if top == "docs" else NONE
    if inner[0] == "dags" and len(inner) > 1:
        return DAGS
    if inner == ["dags"]:
        return IMAGE
    is_ignored = "docs" in inner[:-1] or any(name.endswith(".md") for name in inner)
    return NONE if is_ignored else IMAGE
