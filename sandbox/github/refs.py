"""Read, resolve and move refs of a bare repository. Tells nobody: what follows stands in repository.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.github.git import ZERO, GitError

if TYPE_CHECKING:
    from sandbox.github.git import Git

HEADS = "refs/heads/"
_OBJECT_ID = re.compile(r"[0-9a-f]{40}")
_SHORT_ID = re.compile(r"[0-9a-f]{7,39}")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A full ref name, the object it points to, and that object's kind (commit, tag, ...)."""

    name: str
    sha: str
    kind: str


def list_refs(git: Git, prefix: str = "refs/") -> list[Ref]:
    """List refs whose full name starts with `prefix` (a string prefix, not a folder), sorted by name."""
    folder = prefix.rpartition("/")[0] + "/"
    pattern = [] if re.search(r"[*?\[\\]", folder) else [folder]  # for-each-ref would read these as a glob
    lines = git.run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(objecttype)", *pattern).splitlines()
    refs = (Ref(*line.decode(errors="replace").split("\0")) for line in lines)
    return [ref for ref in refs if ref.name.startswith(prefix)]


def read_heads(git: Git) -> dict[str, str]:
    """Give every branch (without `refs/heads/`) with its commit."""
    return {ref.name.removeprefix(HEADS): ref.sha for ref in list_refs(git, HEADS)}


def find_ref(git: Git, name: str) -> Ref | None:
    """Find exactly the ref of that full name. Revision syntax (`~1`, `@{1}`) is not understood, on purpose."""
    if not is_ref_name(git, name):
        return None
    sha = git.run_text("show-ref", "--verify", "--hash", "--", name, also_ok=(1, 128))
    return Ref(name, sha, find_kind(git, sha) or "") if _OBJECT_ID.fullmatch(sha) else None


def is_ref_name(git: Git, name: str) -> bool:
    """Whether git takes this as a full ref name (`refs/...`)."""
    return name.startswith("refs/") and "\0" not in name and git.has_succeeded("check-ref-format", name)


def find_kind(git: Git, sha: str) -> str | None:
    """Give the object's kind (commit, tree, blob, tag), or None where there is no such object."""
    if not _OBJECT_ID.fullmatch(sha):
        return None
    kind = git.run_text("cat-file", "--batch-check=%(objecttype)", stdin=f"{sha}\n".encode())
    return None if kind.endswith("missing") else kind


def resolve_commit(git: Git, name: str) -> str | None:
    """Resolve what GitHub takes for a commit: an id (also shortened), HEAD, a branch, a tag, `heads/x`, `refs/x`."""
    return _peel(git, _resolve_object(git, name), "commit")


def resolve_tree(git: Git, name: str) -> str | None:
    """Like `resolve_commit`, for the tree of a tree id, commit, branch or tag."""
    return _peel(git, _resolve_object(git, name), "tree")


def _resolve_object(git: Git, name: str) -> str | None:
    if _OBJECT_ID.fullmatch(name):
        return name if find_kind(git, name) else None
    if name == "HEAD":
        name = git.run_text("symbolic-ref", "HEAD")
    for full_name in (f"{HEADS}{name}", f"refs/tags/{name}", f"refs/{name}", name):
        if ref := find_ref(git, full_name):
            return ref.sha
    if _SHORT_ID.fullmatch(name):
        return git.run_text("rev-parse", "--verify", "--quiet", name, also_ok=(1, 128)) or None
    return None


def _peel(git: Git, sha: str | None, kind: str) -> str | None:
    if sha is None:
        return None
    return git.run_text("rev-parse", "--verify", "--quiet", f"{sha}^{{{kind}}}", also_ok=(1, 128)) or None


def move_ref(git: Git, name: str, new: str, old: str) -> bool:
    """Move a ref from exactly `old` to `new` (ZERO: create, delete); False if somebody else moved it first."""
    arguments = ("-d", name, old) if new == ZERO else (name, new, old)
    try:
        git.run("update-ref", *arguments)
    except GitError:
        current = find_ref(git, name)
        if (current.sha if current else ZERO) != old:
            return False
        raise
    return True


def set_ref(git: Git, name: str, new: str) -> None:
    """Set a ref that only the sandbox writes (`refs/pull/...`); ZERO deletes it, if it is there."""
    if new != ZERO:
        git.run("update-ref", name, new)
    elif find_ref(git, name):
        git.run("update-ref", "-d", name)
