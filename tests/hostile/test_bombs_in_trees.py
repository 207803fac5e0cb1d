"""Trees that nest or repeat themselves without end: every decision reads a bounded number of folders, in seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.change.change_type import (
    FOLDERS_MAX,
    ChangeRules,
    Snapshot,
    classify_change,
    hash_tree,
    list_changed_dags,
    needs_image,
)
from include.deploy_ops.core.model import ChangeType, TreeEntry
from include.deploy_ops.core.promotion.contribution import Contribution
from include.deploy_ops.core.promotion.derived_tree import derive_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS_MAX = 20.0
IGNORED = ChangeRules(root=".", ignore=("*.md",))
BLOBS = "1" * 40, "2" * 40


class Repository:
    """Trees in memory, and how often one was asked for."""

    def __init__(self) -> None:
        self.trees: dict[str, tuple[TreeEntry, ...]] = {}
        self.reads = 0

    def put(self, *entries: TreeEntry) -> str:
        sha = hash_tree(entries)
        self.trees[sha] = entries
        return sha

    def read(self, sha: str) -> Sequence[TreeEntry]:
        self.reads += 1
        return self.trees[sha]

    def nest(self, leaf: TreeEntry, depth: int, width: int) -> str:
        """Return a tree of `width` ** `depth` leaves, of which each folder is stored once."""
        tree = self.put(leaf)
        for _ in range(depth):
            tree = self.put(*(TreeEntry(f"f{number}", "040000", tree) for number in range(width)))
        return tree

    def commit(self, dags: str, beside: str = "") -> Snapshot:
        entries = [TreeEntry("dags", "040000", dags)] + ([TreeEntry("etl", "040000", beside)] if beside else [])
        tree = self.put(*entries)
        return Snapshot(tree, tree)


@pytest.fixture
def repository() -> Repository:
    return Repository()


def blob(name: str, number: int = 0) -> TreeEntry:
    return TreeEntry(name, "100644", BLOBS[number])


@pytest.mark.parametrize("place", ["dags", "etl"])
@pytest.mark.parametrize("name", ["notes.md", "a.py"])
def test_nested_folders_end_the_search_for_what_changed(repository: Repository, place: str, name: str) -> None:
    calm = repository.put(blob("a.py"))
    bombs = [repository.nest(blob(name, number), depth=20, width=10) for number in range(2)]
    before, after = (repository.commit(bomb) if place == "dags" else repository.commit(calm, bomb) for bomb in bombs)
    begun = time.monotonic()
    decision = classify_change(
        target=after, image_base=before, dags_base=before, rules=IGNORED, read_tree=repository.read
    )
    assert decision.change_type is (ChangeType.DAGS if place == "dags" else ChangeType.IMAGE)
    assert needs_image(before, after, IGNORED, repository.read) is (place == "etl")
    list_changed_dags(before, after, IGNORED, repository.read)
    assert repository.reads < 500
    assert time.monotonic() - begun < SECONDS_MAX


def test_empty_folders_cost_no_more_requests_than_folders_that_are_looked_into(repository: Repository) -> None:
    calm = repository.put(blob("a.py"))
    many = repository.put(
        *(
            TreeEntry(f"f{number}", "040000", repository.put(TreeEntry(f"x{number}", "040000", repository.put())))
            for number in range(5_000)
        )
    )
    before, after = repository.commit(calm), repository.commit(calm, many)
    decision = classify_change(
        target=after, image_base=before, dags_base=before, rules=IGNORED, read_tree=repository.read
    )
    assert decision.change_type is ChangeType.IMAGE
    assert f"over {FOLDERS_MAX} folders differ" in decision.reason
    assert repository.reads < FOLDERS_MAX + 10


@pytest.mark.parametrize("copy_mode", ["changes", "all"])
def test_a_bomb_never_reaches_the_deploy_branch_and_holds_up_nobody(repository: Repository, copy_mode: str) -> None:
    calm = repository.put(blob("a.py"))
    into = repository.commit(calm)
    honest = repository.commit(repository.put(blob("a.py"), blob("b.py")))
    bomb = repository.commit(repository.nest(blob("a.py"), depth=20, width=10))
    begun = time.monotonic()
    derived = derive_tree(
        into,
        [Contribution(1, bomb, into), Contribution(2, honest, into)],
        root=".",
        copy_mode=copy_mode,
        read_tree=repository.read,
    )
    assert derived.tree == honest.tree
    assert [(each.path, each.number) for each in derived.conflicts] == [("dags/", 1)]
    assert "folders or" in derived.conflicts[0].reason
    assert time.monotonic() - begun < SECONDS_MAX
