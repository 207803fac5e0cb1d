"""Promotions for tests: states in a real repository, and the deploy branch's content restated over plain paths.

The restatement knows no trees: a state is path → leaf. It is short and slow, so that it can be read and believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.promotion.contribution import Contribution, Part
from include.deploy_ops.core.promotion.derived_tree import DerivedTree, derive_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.deploy_ops.core.model import TreeEntry
    from tests.worlds.values.git_store import GitStore, Leaf

State = dict[str, "Leaf"]
COMMIT = "c" * 40


@dataclass(frozen=True)
class Pull:
    """A pull request as states: what its branch was made from, and what it has now."""

    number: int
    base: Mapping[str, Leaf]
    head: Mapping[str, Leaf]


def snapshot(git: GitStore, state: Mapping[str, Leaf]) -> Snapshot:
    """Return the state's tree; promotions compare no commits."""
    return Snapshot(COMMIT, git.write_tree(state))


def contribute(git: GitStore, pull: Pull, known: Part | None = None) -> Contribution:
    return Contribution(pull.number, snapshot(git, pull.head), snapshot(git, pull.base), known)


def derive(
    git: GitStore,
    into: Mapping[str, Leaf],
    pulls: Iterable[Pull],
    *,
    root: str = ".",
    copy_mode: str = "changes",
    known: Mapping[int, Part] | None = None,
) -> DerivedTree:
    return derive_tree(
        snapshot(git, into),
        [contribute(git, pull, (known or {}).get(pull.number)) for pull in pulls],
        root=root,
        copy_mode=copy_mode,
        read_tree=git.read_tree,
        read_below=lambda sha: read_below(git, sha),
    )


def read_below(git: GitStore, sha: str) -> dict[str, Sequence[TreeEntry]]:
    """Return a tree and all below it, by id."""
    entries = git.read_tree(sha)
    found: dict[str, Sequence[TreeEntry]] = {sha: entries}
    for entry in entries:
        found |= read_below(git, entry.sha) if entry.is_tree else {}
    return found


@dataclass
class Restatement:
    """The deploy branch's content by `copy: changes`, with what was told."""

    into: Mapping[str, Leaf]
    root: str
    state: State = field(default_factory=dict)
    conflicts: set[tuple[str, int]] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = dict(self.into)
        self.laid: dict[str, Leaf | None] = {}

    @property
    def dags(self) -> str:
        return "dags" if self.root == "." else f"{self.root}/dags"

    def add(self, pull: Pull) -> None:
        """Lay one pull request over what there is."""
        if any(is_below(self.dags, path) for path in pull.head):
            self.conflicts.add((f"{self.dags}/", pull.number))
            return
        taken = self.take(pull)
        for path, leaf in taken.items():
            if self.laid.get(path, leaf) != leaf:
                self.lost.add(path)
            self.laid[path] = leaf
            self.state.pop(path, None)
        for path, leaf in taken.items():
            if leaf is not None:
                for rival in [other for other in self.state if is_related(other, path)]:
                    del self.state[rival]
                    self.laid[rival] = None
                    self.lost.add(rival)
                self.state[path] = leaf

    def take(self, pull: Pull) -> dict[str, Leaf | None]:
        taken: dict[str, Leaf | None] = {}
        for path in pull.base.keys() | pull.head.keys():
            before, after, now = pull.base.get(path), pull.head.get(path), self.into.get(path)
            if before == after or not is_below(path, self.dags):
                continue
            if now not in {before, after} or not is_text(path):
                self.conflicts.add((path, pull.number))
            else:
                taken[path] = after
        left = [path for path in self.into if taken.get(path, True) is not None]
        for path in [path for path, leaf in taken.items() if leaf is not None]:
            if any(is_related(other, path) for other in left):
                self.conflicts.add((path, pull.number))
                del taken[path]
        return taken


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder, or lies in it."""
    return f"{path}/".startswith(f"{folder}/")


def is_related(one: str, other: str) -> bool:
    """Whether one of two different paths lies below the other, so that no tree holds both."""
    return one != other and (is_below(one, other) or is_below(other, one))


def is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
