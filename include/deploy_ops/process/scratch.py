"""Private folders that are gone when their holder is: removed at the end, and after a kill by whoever comes next.

Holds what must not outlive a call: worktrees, the CLI's configuration with its token, the engine's socket.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger(__name__)


def choose_scratch() -> Path:
    """Return this user's folder in the temporary directory, and see that nobody else can write there.

    :raises RetryableError: this worker has no folder to which anything can be written.
    :raises PermanentError: somebody else made it, or may write there.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"deploy-ops-{os.getuid()}"
    except FileNotFoundError as error:
        raise RetryableError(
            f"this worker has nowhere to write: {error.strerror}; free its disk, or name a folder with room in TMPDIR"
        ) from error
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermanentError(f"{folder} is not this user's private folder; remove it, it is made anew")
    return folder


@contextlib.contextmanager
def hold_folder(name: str, scratch: Path | None = None) -> Iterator[Path]:
    """Yield a new private folder `<name>-…` in `scratch`, locked while this process lives; remove it afterwards.

    The kernel gives a lock back when its process dies, whatever it dies of: a folder without one is a leftover. Unlike
    a process id, a lock is never taken over by a stranger, and it counts across containers that share the folder.
    """
    scratch = scratch or choose_scratch()
    scratch.mkdir(parents=True, exist_ok=True)
    with _lock(scratch):  # so that no other process takes the folder for a leftover before it is locked
        _sweep(scratch)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch)).resolve()
        held = _open_folder(folder)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(held)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    held = _open_folder(folder)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _sweep(scratch: Path) -> None:
    """Remove what processes that died left behind."""
    for folder in sorted(scratch.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # its owner removed it just now
            held = _open_folder(folder)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its owner lives
            else:
                _LOG.info("removing %s, which a process left when it died", folder)
                _remove(folder)
            finally:
                os.close(held)


def _remove(folder: Path) -> None:
    """Remove a folder; what resists, say files of a container's root user, is told and tried again by later sweeps."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.warning("%s cannot be removed, the next holder tries again: %s", folder, error)
