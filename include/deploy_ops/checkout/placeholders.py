"""What a commit holds in place of files: pointers of Git LFS, and what a filter would turn into files.

Without their programs Git checks them out as they are committed, and says so nowhere.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.large_files import POINTER_BYTES_MAX, LargeFile, read_pointer
from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from include.deploy_ops.checkout.git import Git

FetchLargeFiles = Callable[[str, Mapping[LargeFile, Path], float], None]
"""A repository's clone URL, where to write each file, seconds for all; raises DeployOpsError unless each is there."""

ATTRIBUTES_TIME_MAX_S = 20.0
"""Seconds for matching the commit's paths with its own patterns."""

_LFS = "lfs"  # its pointers are told by what they hold
_NO_FILTER = frozenset({"unspecified", "unset", _LFS})
_SEPARATOR = ": filter: "


def refuse_filtered(git: Git, paths: Collection[str], allowed: Collection[str]) -> None:
    """Raise PermanentError for a path that goes through a Git filter which is not one of the allowed.

    :param git: its index holds the commit; its own attributes must not stand above the commit's.
    :param paths: from the repository's top, as Git quotes them.
    """

    def judge(line: str) -> None:
        path, separator, name = line.rpartition(_SEPARATOR)  # without one, it is a warning of Git's
        if separator and name not in _NO_FILTER and name not in allowed:
            raise PermanentError(
                f"{path} goes through the Git filter '{name[:100]}', which is not run here, so that it would be"
                " deployed as it is committed, perhaps encrypted: commit the file itself, or, where the committed form"
                " is what is wanted, list the filter in `checkout.filters` of the policy"
            )

    given = "".join(f"{path}\n" for path in paths).encode()
    git.run("check-attr", "--cached", "--stdin", "filter", given=given, on_line=judge, time_max_s=ATTRIBUTES_TIME_MAX_S)


def restore_large_files(git: Git, folder: str, clone_url: str, fetch: FetchLargeFiles | None, bytes_max: int) -> int:
    """Replace the pointers in a checked-out folder by their files, and return how many bytes were added.

    :param folder: from the repository's top.
    :param fetch: None where the policy does not want them.
    :param bytes_max: what all of them may have, each as often as it is there.
    :raises PermanentError: a pointer must not stay, and cannot be replaced.
    """
    found = dict(_find_pointers(git.top, folder))
    if not found:
        return 0
    if fetch is None:
        path = next(iter(found)).relative_to(git.top)
        raise PermanentError(
            f"{path} is a pointer of Git LFS, and would be deployed as that: set `checkout.lfs: true` in the policy, or"
            " commit the file itself"
        )
    if (total := sum(file.size for file in found.values())) > bytes_max:
        raise PermanentError(
            f"the files of Git LFS in {folder} have {total} bytes, and {bytes_max} more may be checked out; keep large"
            " data elsewhere"
        )
    kept = git.top.parent / f"{git.top.name}-lfs"
    kept.mkdir()
    fetch(clone_url, {file: kept / file.oid for file in found.values()}, git.deadline - time.monotonic())
    for path, file in found.items():
        shutil.copyfile(kept / file.oid, path)
    shutil.rmtree(kept)
    # To Git they are unchanged, as they are where Git LFS is installed.
    names = "".join(f"{path.relative_to(git.top)}\0" for path in found)
    git.run("update-index", "--assume-unchanged", "-z", "--stdin", given=os.fsencode(names))
    return total


def _find_pointers(top: Path, folder: str) -> Iterator[tuple[Path, LargeFile]]:
    for parent, folders, files in os.walk(top / folder):  # which follows no link
        if Path(parent) == top:
            folders.remove(".git")
        for path in (Path(parent, name) for name in sorted(files)):
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size >= POINTER_BYTES_MAX:
                continue
            try:
                file = read_pointer(path.read_bytes())
            except PermanentError as error:
                raise PermanentError(f"{path.relative_to(top)}: {error}") from None
            if file is not None:
                yield path, file
