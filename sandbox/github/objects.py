"""Read and write commits, trees and blobs of a bare repository. Moves no ref and knows no JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.github.git import Git

KINDS = {"040000": "tree", "160000": "commit", "120000": "blob", "100644": "blob", "100755": "blob"}
_COMMIT_FORMAT = "%H%n%T%n%P%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who wrote or committed, and when (timezone-aware)."""

    name: str
    email: str
    at: datetime

    def format_raw(self) -> str:
        """Give the signature as a commit object holds it; what would break its line is left out."""
        name, email = (re.sub(r"[<>\n\0]", "", part).strip() for part in (self.name, self.email))
        return f"{name} <{email}> {int(self.at.timestamp())} +0000"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git stores it; `message` without its trailing newline."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag as git stores it: what it names, and that object's kind (a tag may name a tag)."""

    sha: str
    name: str
    target: str
    kind: str
    tagger: Signature
    message: str


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of a tree. `mode` has six digits; `size` is in bytes, and None for what is no blob."""

    path: str
    mode: str
    sha: str
    size: int | None = None

    @property
    def kind(self) -> str:
        """Give blob, tree, or commit for a submodule."""
        return KINDS[self.mode]


def read_commits(git: Git, *log_arguments: str) -> list[Commit]:
    """Read the commits that `git log <log_arguments>` walks, in its order."""
    output = git.run("log", "-z", f"--format={_COMMIT_FORMAT}", *log_arguments).decode(errors="replace")
    return [_parse_commit(record) for record in output.split("\0") if record]


def read_commit(git: Git, sha: str) -> Commit:
    """Read one commit that exists."""
    return read_commits(git, "--no-walk", sha, "--")[0]


def _parse_commit(record: str) -> Commit:
    sha, tree, parents, name, email, at, by_name, by_email, by_at, message = record.split("\n", 9)
    author = Signature(name, email, datetime.fromtimestamp(int(at), UTC))
    committer = Signature(by_name, by_email, datetime.fromtimestamp(int(by_at), UTC))
    return Commit(sha, tree, tuple(parents.split()), author, committer, message.rstrip("\n"))


def read_tag(git: Git, sha: str) -> Tag:
    """Read one annotated tag that exists."""
    head, _, message = git.run("cat-file", "tag", sha).decode(errors="replace").partition("\n\n")
    fields = dict(line.partition(" ")[::2] for line in head.split("\n"))
    name, _, rest = fields["tagger"].partition(" <")
    email, _, at = rest.partition("> ")
    tagger = Signature(name, email, datetime.fromtimestamp(int(at.split()[0]), UTC))
    return Tag(sha, fields["tag"], fields["object"], fields["type"], tagger, message.rstrip("\n"))


def write_commit(
    git: Git, tree: str, parents: Sequence[str], message: str, *, author: Signature, committer: Signature
) -> str:
    """Write a commit and give its id; the same arguments give the same id. GitError if git finds it malformed."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {author.format_raw()}", f"committer {committer.format_raw()}", "", message]
    return git.run_text("hash-object", "-t", "commit", "-w", "--stdin", stdin="\n".join(lines).encode())


def list_tree(git: Git, tree: str, *, recursive: bool = False) -> list[TreeEntry]:
    """List a tree in git's order; recursive lists folders as well as what is in them."""
    options = ("-r", "-t") if recursive else ()
    output = git.run("ls-tree", "-z", "-l", *options, tree).decode(errors="replace")
    return [_parse_entry(record) for record in output.split("\0") if record]


def _parse_entry(record: str) -> TreeEntry:
    fields, _, path = record.partition("\t")
    mode, _, sha, size = fields.split()
    return TreeEntry(path, mode, sha, None if size == "-" else int(size))


def find_entry(git: Git, tree: str, path: str) -> TreeEntry | None:
    """Find what stands at a path (relative to `tree`, no leading slash); None where nothing does."""
    output = git.run("ls-tree", "-z", "-l", tree, "--", path).decode(errors="replace")
    return _parse_entry(output.removesuffix("\0")) if output else None


def find_submodule_url(git: Git, tree: str, path: str) -> str | None:
    """Find the address that the tree's `.gitmodules` names for a submodule; None where it names none."""
    file = find_entry(git, tree, ".gitmodules")
    if file is None:
        return None
    settings = git.run_text(
        "config", "--blob", file.sha, "--get-regexp", r"^submodule\..*\.(path|url)$", also_ok=(1, 128)
    )
    values = dict(line.partition(" ")[::2] for line in settings.splitlines())
    names = (name.removesuffix(".path") for name, value in values.items() if name.endswith(".path") and value == path)
    return next((values.get(f"{name}.url") for name in names), None)


def read_blob(git: Git, sha: str) -> bytes:
    """Read a blob that exists."""
    return git.run("cat-file", "blob", sha)


def write_blob(git: Git, content: bytes) -> str:
    """Write a blob and give its id."""
    return git.run_text("hash-object", "-w", "--stdin", stdin=content)


class MissingEntryError(Exception):
    """A path that shall be removed does not exist."""


def edit_tree(git: Git, tree: str | None, changes: Mapping[str, TreeEntry | None]) -> str:
    """Write the tree that `tree` (None: an empty one) becomes by `changes`: path -> entry, None removes it.

    Only the folders on a changed path are read. A folder that loses its last entry is gone. GitError if an entry's
    object does not exist or is of another kind than its mode says. MissingEntryError if a removed path is not there.
    """
    entries = {entry.path: entry for entry in list_tree(git, tree)} if tree else {}
    below: defaultdict[str, dict[str, TreeEntry | None]] = defaultdict(dict)
    for path, entry in changes.items():
        name, _, rest = path.partition("/")
        if rest:
            below[name][rest] = entry
        elif entry is None:
            if entries.pop(name, None) is None:
                raise MissingEntryError(name)
        else:
            entries[name] = entry
    for name, deeper in below.items():
        _edit_folder(git, entries, name, deeper)
    listing = "".join(f"{entry.mode} {entry.kind} {entry.sha}\t{name}\0" for name, entry in entries.items())
    return git.run_text("mktree", "-z", stdin=listing.encode())


def _edit_folder(git: Git, entries: dict[str, TreeEntry], name: str, changes: Mapping[str, TreeEntry | None]) -> None:
    present = entries.pop(name, None)
    folder = edit_tree(git, present.sha if present and present.kind == "tree" else None, changes)
    if list_tree(git, folder):
        entries[name] = TreeEntry(name, "040000", folder)
