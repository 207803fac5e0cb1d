"""Git: what its words mean, where no repository is needed to hear them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout.git import Git
from include.deploy_ops.core.errors import RetryableError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded", "Read-only file system"])
def test_a_worker_without_room_is_told_what_helps(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'error: unable to write symref for HEAD: {words}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    git = Git.open(tmp_path, "https://github.example/a/b.git", None, 30)
    git.top.mkdir()
    with pytest.raises(RetryableError, match=rf"disk takes no more; free it, .* TMPDIR\. Git says: .*{words}"):
        git.run("init")
