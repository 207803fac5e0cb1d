"""All trees of some commits, fetched by Git at once and without their files: what a comparison of commits reads.

Checks nothing out, and keeps nothing on disk. A tree whose entries GitHub's API would not tell as they are is not given
here, so that whoever reads it asks the API, and both ways answer alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.checkout.git import Git
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import TreeEntry
from include.deploy_ops.process.command import ProcessLimits
from include.deploy_ops.process.scratch import hold_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TIME_MAX_S = 30.0
PACK_BYTES_MAX = 64 << 20
"""Of what is fetched: about the trees of a million files, ten a folder."""
BYTES_MAX = 64 << 20
TREES_MAX = 400_000
"""Of what was fetched, unpacked, in memory."""
SAID_MAX = 1 << 16
"""Characters that the host may say beside it."""
ENTRIES_MAX = 100_000
"""Of one tree: the API cuts a longer one. Source: docs.github.com, "Get a tree"."""

_LIMITS = ProcessLimits(memory_bytes=512 << 20, file_bytes=PACK_BYTES_MAX)
# One pack file, whose size the kernel bounds, and nothing of Git's that runs on where the folder is removed.
_SETTINGS = """[fetch]
\tunpackLimit = 1
[pack]
\tthreads = 1
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class _Trees:
    """Trees as Git stores them, one behind the other: `places` says from where to where, by the id's 20 bytes."""

    content: bytearray
    places: Mapping[bytes, tuple[int, int]]

    def find(self, sha: str) -> tuple[TreeEntry, ...] | None:
        """Return the tree's entries, sorted by name; None where it is not here, or the API shall judge it."""
        place = self.places.get(bytes.fromhex(sha))
        return parse_tree(self.content[slice(*place)]) if place is not None else None


def fetch_trees(
    clone_url: str,
    token: str | None,
    commits: Sequence[str],
    timeout_s: float = TIME_MAX_S,
    scratch: Path | None = None,
) -> Callable[[str], tuple[TreeEntry, ...] | None]:
    """Fetch the commits and all their trees, and nothing else of the history; return what finds a tree by its id.

    :param clone_url: http or https, without credentials.
    :param token: of the connection; None for a repository that anyone can read.
    :param commits: 40-digit ids.
    :param timeout_s: seconds for all of it.
    :param scratch: the folder that holds what is fetched meanwhile; by default one of this user's own.
    :raises RetryableError: it takes too long, is too much, or the host refuses it.
    :raises SupersededError: the repository has one of the commits no more.
    """
    with hold_folder("trees", scratch) as folder:
        git = replace(Git.open(folder, clone_url, token, timeout_s), limits=_LIMITS)
        git.top.mkdir()
        git.run("init", "--quiet", "--template=")
        with (git.top / ".git" / "config").open("a") as config:
            config.write(_SETTINGS)
        git.run(
            *("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
            *("--depth=1", "--filter=blob:none", "--stdin", clone_url),
            given="\n".join([*commits, ""]).encode(),
            on_line=_Said().count,
        )
        unpacked = _Unpacked(bytearray())
        git.run("cat-file", "--batch", "--batch-all-objects", "--unordered", on_bytes=unpacked.take)
    return _Trees(unpacked.content, _list_places(unpacked.content)).find


def parse_tree(content: bytes | bytearray) -> tuple[TreeEntry, ...] | None:
    """Return the entries of a tree as Git stores it, sorted by name; None where the API would not tell just these.

    So it is with names that are no UTF-8 or stand there twice, with more than `ENTRIES_MAX`, and with what is no tree.
    """
    entries: list[TreeEntry] = []
    end = 0
    while end < len(content):
        entry = _ENTRY.match(content, end)
        if entry is None or len(entries) == ENTRIES_MAX:
            return None
        mode, name, sha = entry.groups()
        try:
            entries.append(TreeEntry(name.decode(), mode.decode().zfill(6), sha.hex()))
        except UnicodeDecodeError:
            return None
        end = entry.end()
    return tuple(sorted(entries)) if len({entry.name for entry in entries}) == len(entries) else None


@dataclass(slots=True)
class _Said:
    """How much the host said beside what was fetched; without a bound it may go on saying so."""

    characters: int = 0

    def count(self, line: str) -> None:
        self.characters += len(line) + 1
        if self.characters > SAID_MAX:
            raise RetryableError("`git fetch` was stopped: the host says more than anyone reads")


@dataclass(frozen=True, slots=True)
class _Unpacked:
    content: bytearray

    def take(self, data: bytes) -> None:
        if len(self.content) + len(data) > BYTES_MAX:
            raise RetryableError(f"the commits' trees have more than {BYTES_MAX} bytes")
        self.content.extend(data)


def _list_places(content: bytearray) -> dict[bytes, tuple[int, int]]:
    """Read what `git cat-file --batch` wrote: a line with id, kind and size, the object, and the end of a line."""
    places: dict[bytes, tuple[int, int]] = {}
    start = 0
    while start < len(content):
        end = content.index(b"\n", start)
        sha, kind, size = content[start:end].split()
        start = end + 1
        end = start + int(size)
        if kind == b"tree":
            places[bytes.fromhex(sha.decode())] = (start, end)
        if len(places) > TREES_MAX:
            raise RetryableError(f"the commits have more than {TREES_MAX} trees")
        start = end + 1
    return places
