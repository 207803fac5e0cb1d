"""`.dockerignore`, which an image deploy rewrites for good, and once more for the time of a build."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = Path(".dockerignore")
_DAGS = b"dags/"


def remove_dags() -> None:
    """Drop the lines `dags/`, carriage returns and empty lines at the end. The file stays changed."""
    if not _PATH.exists():
        return
    original = _PATH.read_bytes()
    lines = [line.removesuffix(b"\r") for line in original.split(b"\n")]
    kept = b"\n".join(line for line in lines if line != _DAGS).rstrip(b"\n")
    _PATH.write_bytes(kept + b"\n" if kept and original.endswith(b"\n") else kept)


@contextlib.contextmanager
def ignoring_dags() -> Iterator[None]:
    """Keep `dags/` out of the build context while the block runs; afterwards the file is as it was."""
    original = _PATH.read_bytes() if _PATH.exists() else None
    start = original or b""
    _PATH.write_bytes(start + (b"\n" if start and not start.endswith(b"\n") else b"") + _DAGS + b"\n")
    try:
        yield
    finally:
        if original is None:
            _PATH.unlink()
        else:
            _PATH.write_bytes(original)
