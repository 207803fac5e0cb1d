"""Compare commits: merge bases, how far apart they are, and which files differ. Writes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.github.git import Git

_STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed", "C": "copied"}
_DIFF_START = re.compile(r"^diff --git .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file that differs. `sha` is the new blob, or the old one of a removed file; `patch` "" for binary files."""

    path: str
    status: str
    sha: str
    additions: int
    deletions: int
    previous_path: str | None
    patch: str


def find_merge_base(git: Git, one: str, other: str) -> str | None:
    """Find the best common ancestor; None where the histories have nothing in common."""
    return git.run_text("merge-base", one, other, also_ok=(1,)) or None


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Whether moving from `old` to `new` is a fast-forward."""
    return git.has_succeeded("merge-base", "--is-ancestor", old, new)


def count_apart(git: Git, base: str, head: str) -> tuple[int, int]:
    """Count commits that only `head` has (ahead) and that only `base` has (behind)."""
    behind, ahead = git.run_text("rev-list", "--left-right", "--count", f"{base}...{head}").split()
    return int(ahead), int(behind)


def list_changed_files(git: Git, old: str, new: str) -> list[ChangedFile]:
    """List the files that differ between two commits or trees, renames found, sorted by path."""
    raw = git.run("diff-tree", "-r", "-M", "--raw", "--no-abbrev", "-z", old, new).decode(errors="replace")
    counts = git.run("diff-tree", "-r", "-M", "--numstat", "-z", old, new).decode(errors="replace")
    patches = _split_patches(git.run("diff-tree", "-r", "-M", "-p", old, new).decode(errors="replace"))
    files, fields, numbers = [], iter(raw.split("\0")), iter(counts.split("\0"))
    for head in fields:
        if not head:
            break
        _, _, old_sha, new_sha, code = head.split()
        first = next(fields)
        path, previous = (next(fields), first) if code[0] in "RC" else (first, None)
        additions, deletions = _read_counts(numbers, is_rename=previous is not None)
        # A file that became a link, or the other way round, is shown by git as removed and added: two patches.
        patch = "".join(patches.pop(0) for _ in range(2 if code[0] == "T" else 1))
        sha = old_sha if code[0] == "D" else new_sha
        files.append(ChangedFile(path, _STATUSES[code[0]], sha, additions, deletions, previous, patch))
    return files


def _read_counts(numbers: Iterator[str], *, is_rename: bool) -> tuple[int, int]:
    added, deleted, _ = next(numbers).split("\t")
    if is_rename:  # with -z a rename's two names follow as fields of their own
        next(numbers)
        next(numbers)
    return (0, 0) if added == "-" else (int(added), int(deleted))


def _split_patches(output: str) -> list[str]:
    """Give each file's hunks without git's header, as GitHub shows them; "" where there are none."""
    sections = _DIFF_START.split(output)[1:]
    return [section[at + 1 :].rstrip("\n") if (at := section.find("\n@@")) >= 0 else "" for section in sections]
