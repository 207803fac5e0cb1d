"""Fetching a file of an npm package: only the pinned archive is taken, and what stands in the way is named."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tests.npm_file import FetchError, NpmFile

MEMBER = "package/wanted.json"


def make_file(archive: bytes = b"") -> NpmFile:
    """Return a file that is pinned to the archive's bytes."""
    sha512 = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    return NpmFile("@some/package", "1.2.3", sha512, MEMBER, "wanted-1.2.3.json")


def put_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `npm` be a shell script."""
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def put_archive(folder: Path, content: bytes) -> bytes:
    """Write a package with the wanted file, and return the archive's bytes."""
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        entry = tarfile.TarInfo(MEMBER)
        entry.size = len(content)
        package.addfile(entry, io.BytesIO(content))
    return path.read_bytes()


def test_the_pinned_archive_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make_file(put_archive(tmp_path, b"{}"))
    put_npm(tmp_path, f'echo "$@" >>{tmp_path}/asked; cp {tmp_path}/package.tgz some.tgz', monkeypatch)
    target = tmp_path / "cache" / "wanted.json"
    file.fetch(target)
    file.fetch(target)
    assert target.read_bytes() == b"{}"
    assert (tmp_path / "asked").read_text().count("pack @some/package@1.2.3") == 1
    assert list(target.parent.iterdir()) == [target]


def test_another_archive_is_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_archive(tmp_path, b"{}")
    put_npm(tmp_path, f"cp {tmp_path}/package.tgz some.tgz", monkeypatch)
    with pytest.raises(FetchError, match=r"@some/package@1\.2\.3 has SHA-512 .* is pinned"):
        make_file(b"another").fetch(tmp_path / "cache" / "wanted.json")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_npm(tmp_path, "exit 7", monkeypatch)
    with pytest.raises(FetchError, match=r"npm pack @some/package@1\.2\.3 .* exit code 7"):
        make_file().fetch(tmp_path / "cache" / "wanted.json")


def test_a_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="install Debian's nodejs and npm"):
        make_file().fetch(tmp_path / "cache" / "wanted.json")
