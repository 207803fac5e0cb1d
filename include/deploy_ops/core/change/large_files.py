"""Git LFS pointers: the text that a commit holds in place of a large file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from include.deploy_ops.core.errors import PermanentError

POINTER_BYTES_MAX = 1024
"""A pointer is shorter than this (git-lfs, docs/spec.md), so that a longer file is none."""

_START = re.compile(rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_POINTER = re.compile(rb"version \S{1,100}/spec/v1\r?\noid sha256:([0-9a-f]{64})\r?\nsize (\d{1,15})(?:\r?\n)?")


@dataclass(frozen=True, slots=True, order=True)
class LargeFile:
    """A file of Git LFS, by its SHA-256 in hexadecimal digits and its size in bytes."""

    oid: str
    size: int


def read_pointer(content: bytes) -> LargeFile | None:
    """Return the file that a pointer stands for, None for what is no pointer.

    :raises PermanentError: it begins as one, and tells of no file that can be fetched (an extension, another version).
    """
    if len(content) >= POINTER_BYTES_MAX or not _START.match(content):
        return None
    found = _POINTER.fullmatch(content)
    if found is None:
        raise PermanentError("it begins as a pointer of Git LFS, and is none that can be read; commit the file anew")
    return LargeFile(found[1].decode(), int(found[2]))
