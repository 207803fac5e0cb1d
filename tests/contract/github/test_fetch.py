"""Fetching the description: only the pinned archive is taken, and what stands in the way is named."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tests.contract.github import fetch
from tests.contract.github.fetch import MEMBER, FetchError


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
    archive = put_archive(tmp_path, b"{}")
    monkeypatch.setattr(fetch, "SHA512", base64.b64encode(hashlib.sha512(archive).digest()).decode())
    put_npm(tmp_path, f'echo "$@" >>{tmp_path}/asked; cp {tmp_path}/package.tgz octokit.tgz', monkeypatch)
    target = tmp_path / "cache" / "api.json"
    fetch.fetch(target)
    fetch.fetch(target)
    assert target.read_bytes() == b"{}"
    assert (tmp_path / "asked").read_text().count(f"pack @octokit/openapi@{fetch.VERSION}") == 1
    assert list(target.parent.iterdir()) == [target]


def test_another_archive_is_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_archive(tmp_path, b"{}")
    put_npm(tmp_path, f"cp {tmp_path}/package.tgz octokit.tgz", monkeypatch)
    with pytest.raises(FetchError, match=r"has SHA-512 .* is pinned in fetch\.py"):
        fetch.fetch(tmp_path / "cache" / "api.json")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_npm(tmp_path, "exit 7", monkeypatch)
    with pytest.raises(FetchError, match=r"npm pack @octokit/openapi@[\d.]+ .* exit code 7"):
        fetch.fetch(tmp_path / "cache" / "api.json")


def test_a_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="install Debian's nodejs and npm"):
        fetch.fetch(tmp_path / "cache" / "api.json")
