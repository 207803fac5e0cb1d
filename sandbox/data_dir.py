"""Claim the folder that holds all of the sandbox's data, for one server at a time. What is in it is others' affair."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

_MARK = ".deploy-ops-sandbox"


class DataDirError(Exception):
    """The folder cannot be used; the text says why and what to do."""


class DataDir:
    """A folder that is ours: it was empty, or one of us marked it before. Held until the process ends.

    :param path: made when it is missing.
    :raises DataDirError: it holds files of somebody else, or another sandbox uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        mark = self.path / _MARK
        if any(self.path.iterdir()) and not mark.exists():
            raise DataDirError(f"{self.path} holds files that are not the sandbox's: pass --data with an empty folder")
        self._lock = mark.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DataDirError(f"another sandbox uses {self.path}: stop it, or pass another --data") from error

    def empty(self) -> None:
        """Remove all that is in the folder, but not what is hidden: the claim, and what any start may use again."""
        for entry in self.path.iterdir():
            if entry.name.startswith("."):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
