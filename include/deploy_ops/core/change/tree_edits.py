"""A tree + edits of some of its paths → the new tree's id, and the fewest entries from which Git makes it.

Reads only the folders that hold an edited path. Decides nothing about which paths are edited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import ReadTree, hash_tree
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import FOLDER_MODE, NO_COMMIT, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterator


FOLDERS_MAX, LEAVES_MAX = 1_000, 20_000
"""Folders that are compared, and leaves that are found to differ, at the most: a tree can name itself without end."""

Edits = dict[str, TreeEntry | None]
"""Path → what stands there afterwards; None removes it. An entry's name is its path's last segment."""


ReadBelow = Callable[[str], Mapping[str, Sequence[TreeEntry]]]
"""A tree's id → trees at and below it, as many as one request gives, by id; each is whole."""


class TooManyChangesError(PermanentError):
    """Two trees differ in more places than are looked at."""


class Trees:
    """The trees of one repository, each read once.

    :param read_tree: a tree's id → its entries.
    :param read_below: reads many at once, if there is such a way.
    """

    def __init__(self, read_tree: ReadTree, read_below: ReadBelow | None = None) -> None:
        self._read_tree = read_tree
        self._read_below = read_below
        self._folders: dict[str, Folder] = {}
        self._known: set[str] = set()

    def read(self, sha: str) -> Folder:
        """Return one tree."""
        if sha not in self._folders:
            self._keep(sha, self._read_tree(sha))
        return self._folders[sha]

    def read_below(self, sha: str) -> None:
        """Read the tree and what lies below it at once, as far as that is possible; the rest is read when needed."""
        if self._read_below is not None and sha not in self._folders:
            for each, entries in self._read_below(sha).items():
                self._keep(each, entries)

    def _keep(self, sha: str, entries: Sequence[TreeEntry]) -> None:
        self._folders[sha] = Folder(sha, tuple(entries))
        self._known.add(sha)
        self._known.update(entry.sha for entry in entries if entry.is_tree)

    def is_known(self, sha: str) -> bool:
        """Whether the repository holds this tree, as far as was read: then an entry may name it."""
        return sha in self._known

    def find(self, tree: str, path: str) -> TreeEntry | None:
        """Return what stands at the path, None where nothing does."""
        entry: TreeEntry | None = TreeEntry("", FOLDER_MODE, tree)
        for name in path.split("/"):
            entry = self.read(entry.sha).by_name.get(name) if entry is not None and entry.is_tree else None
        return entry

    def find_leaf(self, tree: str, path: str) -> TreeEntry | None:
        """Return what stands at the path unless that is a folder."""
        entry = self.find(tree, path)
        return None if entry is None or entry.is_tree else entry

    def list_changes(self, path: str, before: TreeEntry | None, after: TreeEntry | None) -> Iterator[LeafChange]:
        """List the leaves at or below the path that differ, reading only the folders that do; never a folder itself.

        :raises TooManyChangesError: more differ than `FOLDERS_MAX` folders or `LEAVES_MAX` leaves.
        """
        pending = [(path, before, after)]
        folders = leaves = 0
        while pending:
            place, old, new = pending.pop()
            if old == new:
                continue
            sides = tuple(None if entry is None or entry.is_tree else entry for entry in (old, new))
            if sides[0] != sides[1]:
                leaves += 1
                yield LeafChange(place, *sides)
            folders += any(entry is not None and entry.is_tree for entry in (old, new))
            if folders > FOLDERS_MAX or leaves > LEAVES_MAX:
                raise TooManyChangesError(
                    f"more than {FOLDERS_MAX} folders or {LEAVES_MAX} files differ below '{path}'"
                )
            inner = [self.read(entry.sha).by_name if entry and entry.is_tree else {} for entry in (old, new)]
            names = sorted(inner[0].keys() | inner[1].keys(), reverse=True)
            pending.extend((f"{place}/{name}", inner[0].get(name), inner[1].get(name)) for name in names)


@dataclass(frozen=True)
class Folder:
    """One tree as it was read."""

    sha: str
    entries: tuple[TreeEntry, ...]

    @cached_property
    def by_name(self) -> Mapping[str, TreeEntry]:
        """The entries by name; of names that JSON cannot tell apart, one."""
        return {entry.name: entry for entry in self.entries}

    @cached_property
    def is_exact(self) -> bool:
        """Whether the names are the repository's own: then the ids of edited copies can be told, too."""
        return hash_tree(self.entries) == self.sha


@dataclass(frozen=True, slots=True)
class LeafChange:
    """A file, link or submodule that differs; None where there is none."""

    path: str
    before: TreeEntry | None
    after: TreeEntry | None


@dataclass(frozen=True, slots=True)
class EditedTree:
    """A tree after edits; `sha` is None where a name on the way cannot be read exactly.

    `entries` make it of the tree before: whole folders where the repository holds them, else single leaves. Of a path
    that turns from a folder into a leaf, or the other way round, only the new side is named: it replaces the old one.
    """

    sha: str | None
    is_empty: bool
    entries: Edits


def edit_tree(trees: Trees, tree: str | None, edits: Edits) -> EditedTree:
    """Return the tree (None: an empty one) after the edits; a folder that loses its last entry is gone."""
    folder = trees.read(tree) if tree is not None else Folder(hash_tree(()), ())
    edited = _EditedFolder(dict(folder.by_name), is_exact=folder.is_exact)
    leaves, below = _group(edits)
    for name, inner in below.items():
        edited.lay_folder(trees, name, inner, leaves)
    for name, entry in leaves.items():
        edited.lay_leaf(name, entry)
    sha = hash_tree(edited.entries.values()) if edited.is_exact else None
    return EditedTree(sha, not edited.entries, edited.sent)


def _group(edits: Edits) -> tuple[Edits, dict[str, Edits]]:
    """Part the edits of a folder's own entries from those further down, by the entry that leads there."""
    leaves: Edits = {}
    below: defaultdict[str, Edits] = defaultdict(dict)
    for path, entry in edits.items():
        name, _, rest = path.partition("/")
        if rest:
            below[name][rest] = entry
        else:
            leaves[name] = entry
    return leaves, below


class _EditedFolder:
    """One folder while it is edited: its entries, and what must be sent to make them."""

    def __init__(self, entries: dict[str, TreeEntry], *, is_exact: bool) -> None:
        self.entries = entries
        self.is_exact = is_exact
        self.sent: Edits = {}
        self._replaced: set[str] = set()

    def lay_folder(self, trees: Trees, name: str, inner: Edits, leaves: Edits) -> None:
        """Edit the folder of that name, unless a leaf takes its place."""
        if leaves.get(name) is not None:
            return
        present = self.entries.pop(name, None)
        edited = edit_tree(trees, present.sha if present and present.is_tree else None, inner)
        if edited.is_empty:
            self.sent |= {f"{name}/{path}": entry for path, entry in edited.entries.items()}
            return
        self._replaced.add(name)
        self.is_exact = self.is_exact and edited.sha is not None
        entry = self.entries[name] = TreeEntry(name, FOLDER_MODE, edited.sha or NO_COMMIT)
        if edited.sha is not None and trees.is_known(edited.sha):
            self.sent[name] = entry
        else:
            self.sent |= {f"{name}/{path}": inner_entry for path, inner_entry in edited.entries.items()}

    def lay_leaf(self, name: str, entry: TreeEntry | None) -> None:
        """Put an entry into the folder, or take it out, unless a folder took its place."""
        if entry is not None:
            self.entries[name] = self.sent[name] = entry
        elif name not in self._replaced:
            self.entries.pop(name, None)
            self.sent[name] = None
