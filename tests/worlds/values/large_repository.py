"""Large repositories, written by `git fast-import`: so many files, ten entries a folder, half of them DAGs."""

from __future__ import annotations

import random
import subprocess
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FILE_BYTES = 1024


def import_all(git_dir: Path, stream: Iterable[bytes]) -> None:
    """Feed `git fast-import`; nothing of what was there goes."""
    with subprocess.Popen(["git", "fast-import", "--quiet", "--force"], cwd=git_dir, stdin=subprocess.PIPE) as importer:
        cast("IO[bytes]", importer.stdin).writelines(stream)
    if importer.returncode:
        raise RuntimeError(f"git fast-import ended with exit code {importer.returncode}")


def list_paths(half: int, numbers: Iterable[int]) -> Iterator[str]:
    """Give each number's DAG and its file outside: one folder per digit, so that none has more than ten entries."""
    digits = len(str(half - 1))
    for number in numbers:
        *folders, last = list(str(number).zfill(digits))
        below = "".join(f"part_{digit}/" for digit in folders)
        yield f"dags/{below}load_{last}.py"
        yield f"include/{below}model_{last}.py"


def write_commit(ref: str, start: str, paths: Iterable[str], *, seed: int) -> Iterator[bytes]:
    """Write a commit for `git fast-import`; the contents pack to about half their size, as code does at best."""
    chance = random.Random(seed)  # noqa: S311 - contents of files
    yield f"commit {ref}\ncommitter Mira <mira@acme.example> 1767600000 +0000\ndata 4\nstep\n{start}".encode()
    for path in paths:
        yield f"M 100644 inline {path}\ndata {FILE_BYTES}\n{chance.randbytes(FILE_BYTES // 2).hex()}\n".encode()
