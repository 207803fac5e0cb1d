"""Run git in one bare repository. Knows processes and environments; what the commands mean stands elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ZERO = "0" * 40  # git's id for "there is no such object"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # every git knows this tree without storing it
TIME_LIMIT_S = 60.0
OLDEST_GIT = (2, 38)  # the first with `git merge-tree --write-tree`


class GitError(Exception):
    """A git command failed; the text names the command, the repository, the exit code and git's own words."""


def build_environment() -> dict[str, str]:
    """Give git's environment: this machine's PATH, and nobody's configuration, prompts or language."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


def require_git() -> None:
    """Raise GitError where git is missing, or older than the sandbox needs."""
    try:
        done = subprocess.run(["git", "version"], capture_output=True, text=True, check=True, timeout=TIME_LIMIT_S)
    except FileNotFoundError as error:
        raise GitError("the sandbox needs git, and PATH has none: install it") from error
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise GitError(
            f"the sandbox needs git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer (for `git merge-tree --write-tree`), "
            f"but PATH has {done.stdout.strip()!r}: install a newer git"
        )


@dataclass(frozen=True, slots=True)
class Git:
    """A bare repository and the way to run commands in it.

    :param git_dir: the bare repository's folder.
    """

    git_dir: Path

    def run(self, *arguments: str, stdin: bytes = b"", also_ok: tuple[int, ...] = ()) -> bytes:
        """Run `git <arguments>` and give its stdout; any exit code besides 0 and `also_ok` raises GitError."""
        code, output, errors = self._execute(arguments, stdin)
        if code and code not in also_ok:
            words = errors.decode(errors="replace").strip()
            raise GitError(f"git {arguments[0]} in {self.git_dir} ended with exit code {code}: {words}")
        return output

    def run_text(self, *arguments: str, stdin: bytes = b"", also_ok: tuple[int, ...] = ()) -> str:
        """Like `run`, decoded and stripped; bytes that are no UTF-8 are replaced, as GitHub does in JSON."""
        return self.run(*arguments, stdin=stdin, also_ok=also_ok).decode(errors="replace").strip()

    def has_succeeded(self, *arguments: str) -> bool:
        """Ask git a question that it answers by exit code 0 or 1."""
        code, _, errors = self._execute(arguments, b"")
        if code not in {0, 1}:
            words = errors.decode(errors="replace").strip()
            raise GitError(f"git {arguments[0]} in {self.git_dir} ended with exit code {code}: {words}")
        return code == 0

    def _execute(self, arguments: tuple[str, ...], stdin: bytes) -> tuple[int, bytes, bytes]:
        done = subprocess.run(
            ["git", "--git-dir", str(self.git_dir), "--literal-pathspecs", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env=build_environment(),
            timeout=TIME_LIMIT_S,
            process_group=0,
        )
        return done.returncode, done.stdout, done.stderr
