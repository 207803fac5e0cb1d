"""A DAG bundle's files: by hash, or laid into a folder, from which nothing in it leads out."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path, PurePosixPath


class BundleError(Exception):
    """The upload is no bundle, or has a member that would leave its folder; the text says which."""


def hash_bundle(archive: Path) -> list[tuple[str, str]]:
    """Return (path, SHA-256 of the content) of the files in a tar.gz, sorted; a link counts as its target's text.

    :raises BundleError: if it is no tar.gz, or a path or a link in it points outside.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            return sorted(_hash_member(tar, member) for member in tar if not member.isdir())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BundleError(f"the bundle is not a readable tar.gz: {error}") from error


def unpack_bundle(archive: Path, folder: Path) -> None:
    """Lay the files of a bundle that was hashed before into a folder.

    :raises tarfile.TarError: a member would be laid elsewhere.
    """
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(folder, filter="data")


def _hash_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, str]:
    path = PurePosixPath(member.name)
    if _is_outside(path):
        raise BundleError(f"bundle member {member.name!r} leaves the bundle")
    if member.issym():
        if _is_outside(path.parent / member.linkname):
            raise BundleError(f"bundle member {member.name!r} links to {member.linkname!r}, outside the bundle")
        return str(path), hashlib.sha256(member.linkname.encode()).hexdigest()
    content = tar.extractfile(member)
    if content is None:
        raise BundleError(f"bundle member {member.name!r} is neither a file nor a link")
    with content:
        return str(path), hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def _is_outside(path: PurePosixPath) -> bool:
    """Return whether following the path's parts ever steps above its start."""
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else part != "."
        if depth < 0:
            return True
    return path.is_absolute()
