"""The seed: a believable Astro project, the same commits on every machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from sandbox.github.git import GitError, require_git
from sandbox.github.seeding import CHAPTERS, SEED
from sandbox.identity import RUNTIME_VERSION, WORKSPACE_NAME
from tests.sandbox.github.conftest import REPOSITORY, Hub


def test_every_file_is_committed_and_every_chapter_has_some(hub: Hub) -> None:
    hub.clone()
    listed = set(hub.git("ls-files").splitlines())
    files = (path for path in SEED.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert listed == {path.relative_to(SEED).as_posix() for path in files}
    subjects = hub.git("log", "--reverse", "--format=%s|%aI").splitlines()
    assert subjects == [f"{chapter.message.partition(chr(10))[0]}|{chapter.at}" for chapter in CHAPTERS]
    assert all(hub.git("show", "--format=", "--name-only", sha) for sha in hub.git("log", "--format=%H").splitlines())


def test_a_reset_leaves_git_a_sound_repository_with_the_same_heads_and_nothing_else(hub: Hub) -> None:
    first = hub.read_heads()
    pushed = hub.push_file("dev-more", "dags/more.py", "# more\n")
    hub.github.reset()
    assert hub.read_heads() == first
    bare = ("-C", str(hub.github.git_dir(REPOSITORY)))
    hub.git(*bare, "fsck", "--strict")
    assert "could not get object info" in hub.git(*bare, "cat-file", "-t", pushed, is_checked=False)
    assert hub.git(*bare, "config", "receive.hideRefs") == "refs/pull"


def test_the_template_agrees_with_the_image_and_the_workspace() -> None:
    template = yaml.safe_load((SEED / "deployments/preview.yaml").read_text())["deployment"]
    assert template["configuration"]["runtime_version"] == RUNTIME_VERSION
    assert template["configuration"]["workspace_name"] == WORKSPACE_NAME
    assert (SEED / "Dockerfile").read_text().endswith(f"runtime:{RUNTIME_VERSION}\n")


def test_an_old_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.34.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(GitError, match=r"needs git 2\.38 or newer.*2\.34\.1"):
        require_git()
