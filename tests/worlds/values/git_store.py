"""A real Git repository for tests: histories written object by object, trees read entry by entry, Git's own answers.

Objects are written as Git stores them, so that a tree can hold what no checkout would: empty folders, names that are
no UTF-8, names that differ in case alone. Names are text with surrogate escapes for bytes that are no UTF-8.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.model import TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

FILE, TOOL, LINK, MODULE, FOLDER = "100644", "100755", "120000", "160000", "040000"
ABSENT = "000000"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

Leaf = tuple[str, str]
"""A mode and a content; the content is a file's text, a link's target, or a name for a submodule's commit.

FOLDER stands for an empty folder.
"""


@dataclass(frozen=True, slots=True)
class RawChange:
    """One line of `git diff --raw`; the mode is ABSENT on the side that lacks the path."""

    path: str
    before: str
    after: str
    before_sha: str
    after_sha: str

    @property
    def modes(self) -> tuple[str, ...]:
        return tuple(mode for mode in (self.before, self.after) if mode != ABSENT)


class GitReader:
    """Asks a repository; nobody's configuration takes part."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self.read_tree = cache(self._read_tree)
        self.diff = cache(self._diff)
        self.has_folder = cache(self._has_folder)
        self._objects = subprocess.Popen(
            ["git", "cat-file", "--batch"],
            cwd=git_dir,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._objects.communicate()

    def git(self, *argv: str, given: str = "", also_ok: tuple[int, ...] = ()) -> str:
        ran = subprocess.run(
            ["git", "--literal-pathspecs", *argv],
            cwd=self.git_dir,
            env=clean_environment(),
            input=os.fsencode(given),
            capture_output=True,
            check=False,
        )
        assert ran.returncode in {0, *also_ok}, f"git {' '.join(argv)}: {os.fsdecode(ran.stderr)}"
        return os.fsdecode(ran.stdout)

    def list_commits(self, *arguments: str) -> list[Snapshot]:
        """Return the commits that `git log` walks, newest first."""
        lines = self.git("log", "--format=%H %T", *arguments, "--").splitlines()
        return [Snapshot(*line.split()) for line in lines]

    def _read_tree(self, sha: str) -> tuple[TreeEntry, ...]:
        """Read one tree's own bytes: mode, name and id, one after the other."""
        content, entries = self._read_object(sha), []
        while content:
            head, _, rest = content.partition(b"\0")
            mode, _, name = head.partition(b" ")
            entries.append(TreeEntry(os.fsdecode(name), mode.decode().zfill(6), rest[:20].hex()))
            content = rest[20:]
        return tuple(entries)

    def _read_object(self, sha: str) -> bytes:
        asked, answered = cast("IO[bytes]", self._objects.stdin), cast("IO[bytes]", self._objects.stdout)
        asked.write(f"{sha}\n".encode())
        asked.flush()
        head = answered.readline().split()
        assert head[1:2] == [b"tree"], f"{sha} is no tree: {head!r}"
        content = answered.read(int(head[2]))
        answered.read(1)
        return content

    def _diff(self, before: str, after: str) -> tuple[RawChange, ...]:
        """Ask Git what differs between two commits or trees."""
        options = ("--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", "--ignore-submodules=none", "-z")
        fields = self.git("diff", *options, before, after).split("\0")[:-1]
        found = []
        for described, path in zip(fields[::2], fields[1::2], strict=True):
            before_mode, after_mode, before_sha, after_sha, _ = described.removeprefix(":").split(" ")
            found.append(RawChange(path, before_mode, after_mode, before_sha, after_sha))
        return tuple(found)

    def _has_folder(self, tree: str, path: str) -> bool:
        if path == ".":
            return True
        return self.git("ls-tree", "-z", tree, "--", path).startswith(FOLDER)


class GitStore(GitReader):
    """A bare repository that is written to; made where there is none."""

    def __init__(self, git_dir: Path) -> None:
        if not (git_dir / "objects").exists():
            git_dir.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "init", "--quiet", "--template=", "--bare", git_dir], check=True)
        super().__init__(git_dir)

    def write_history(self, states: Iterable[Mapping[str, Leaf]]) -> list[Snapshot]:
        """Write one commit per state, each the parent of the next."""
        history: list[Snapshot] = []
        for state in states:
            tree = self.write_tree(state)
            parents = [history[-1].commit] if history else []
            history.append(Snapshot(self.write_commit(tree, *parents, message=f"Step {len(history)}\n"), tree))
        return history

    def write_commit(self, tree: str, *parents: str, message: str = "Step\n") -> str:
        """Write a commit and return its id."""
        person = "Mira <mira@acme.example> 1767600000 +0000"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {person}"]
        return self._write("commit", "\n".join([*lines, f"committer {person}", "", message]).encode())

    def write_tree(self, files: Mapping[str, Leaf]) -> str:
        """Write the tree of path → leaf; no path may lie below another."""
        entries: list[tuple[str, str, str]] = []
        folders: dict[str, dict[str, Leaf]] = {}
        for path, leaf in files.items():
            name, _, rest = path.partition("/")
            if rest:
                folders.setdefault(name, {})[rest] = leaf
            else:
                entries.append((name, leaf[0], self._write_leaf(*leaf)))
        entries += [(name, FOLDER, self.write_tree(inner)) for name, inner in folders.items()]
        assert len({name for name, _, _ in entries}) == len(entries), f"a path below another: {sorted(files)}"
        return self.write_entries(entries)

    def write_entries(self, entries: Iterable[tuple[str, str, str]]) -> str:
        """Write one tree of (name, mode, id), in Git's order: folders as if they ended in a slash."""
        lines = sorted((os.fsencode(f"{name}/" if mode == FOLDER else name), mode, sha) for name, mode, sha in entries)
        return self._write(
            "tree",
            b"".join(
                f"{mode.lstrip('0')} ".encode() + name.removesuffix(b"/") + b"\0" + bytes.fromhex(sha)
                for name, mode, sha in lines
            ),
        )

    def _write_leaf(self, mode: str, content: str) -> str:
        if mode == MODULE:
            return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        return self._write("tree", b"") if mode == FOLDER else self._write("blob", os.fsencode(content))

    def _write(self, kind: str, content: bytes) -> str:
        whole = f"{kind} {len(content)}\0".encode() + content
        sha = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        file = self.git_dir / "objects" / sha[:2] / sha[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(whole, 1))
        return sha


class GitIgnore:
    """Asks `git check-ignore --no-index` in an own work tree, in which only folders exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "init", "--quiet", "--template=", folder], check=True)

    def find_ignored(self, patterns: Iterable[str], paths: Iterable[str]) -> frozenset[str]:
        """Return which of the paths Git ignores. A path that is a folder in the work tree is taken as one."""
        (self.folder / ".gitignore").write_bytes(b"".join(os.fsencode(pattern) + b"\n" for pattern in patterns))
        settings = ("-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false")
        ran = subprocess.run(
            ["git", *settings, "check-ignore", "--no-index", "--stdin", "-z"],
            cwd=self.folder,
            env=clean_environment(),
            input=b"".join(os.fsencode(path) + b"\0" for path in paths),
            capture_output=True,
            check=False,
        )
        assert ran.returncode in {0, 1}, os.fsdecode(ran.stderr)
        return frozenset(os.fsdecode(ran.stdout).split("\0")) - {""}


def clean_environment() -> dict[str, str]:
    """Return the environment for a git that knows no user, no configuration and no repository by variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return own | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
