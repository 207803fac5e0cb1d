"""Git: what its words mean, where no repository is needed to hear them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.git import Git
from include.deploy_ops.core.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BYTES, FILES = 1_000, 1_000_000
ROOM = SimpleNamespace(f_bavail=1 << 20, f_frsize=4096, f_files=FILES, f_favail=FILES)
LACKS = {
    "bytes": SimpleNamespace(f_bavail=BYTES // 512, f_frsize=512, f_files=FILES, f_favail=FILES),
    "files": SimpleNamespace(f_bavail=1 << 20, f_frsize=4096, f_files=FILES, f_favail=0),
}
SILENT = "failed to write new configuration file /tmp/x/.git/config.lock"
"""Of a disk that is full, too: Git does not always say why."""


@pytest.fixture
def make_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Git]:
    """Give what makes a Git that fails with these words."""

    def make(words: str) -> Git:
        program = tmp_path / "bin/git"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho 'error: {words}' >&2\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        git = Git.open(tmp_path, "https://github.example/a/b.git", None, 30)
        git.top.mkdir()
        return git

    return make


def lack(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    monkeypatch.setattr("include.deploy_ops.checkout.git.os.statvfs", lambda _: found)


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded", "Read-only file system"])
def test_a_worker_without_room_is_told_what_helps(words: str, make_git: Callable[[str], Git]) -> None:
    git = make_git(f"unable to write symref for HEAD: {words}")
    with pytest.raises(RetryableError, match=rf"disk takes no more; free it, .* TMPDIR\. Git says: .*{words}"):
        git.run("init")


@pytest.mark.parametrize("what", LACKS)
def test_so_it_is_where_git_does_not_say_why(
    what: str, make_git: Callable[[str], Git], monkeypatch: pytest.MonkeyPatch
) -> None:
    git = make_git(SILENT)
    lack(monkeypatch, LACKS[what])
    with pytest.raises(RetryableError, match=rf"disk takes no more; free it, .* Git says: .*{SILENT}"):
        git.run("init")


def test_what_has_another_reason_keeps_it(make_git: Callable[[str], Git], monkeypatch: pytest.MonkeyPatch) -> None:
    git = make_git("could not read Username for https://github.example")
    lack(monkeypatch, LACKS["bytes"])
    with pytest.raises(RetryableError, match="refuses the GitHub connection's token"):
        git.run("fetch")


@pytest.mark.parametrize("room", [ROOM, SimpleNamespace(**{**vars(ROOM), "f_files": 0, "f_favail": 0})])
def test_with_room_the_words_stand_alone(
    room: object, make_git: Callable[[str], Git], monkeypatch: pytest.MonkeyPatch
) -> None:
    git = make_git(SILENT)
    lack(monkeypatch, room)
    with pytest.raises(RetryableError, match=rf"^`git init` ended with exit code 1: .*{SILENT}"):
        git.run("init")
