"""A Git host for the checkouts, and the call by which they are made."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.checkout.worktree import Contents, Worktree, checkout
from tests.worlds.doubles.git_host import TOKEN, GitHost


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHost]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with GitHost(tmp_path / "served") as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@contextlib.contextmanager
def fetch(server: GitHost, commit: str, tmp_path: Path, **changes: Any) -> Iterator[Worktree]:
    asked: dict[str, Any] = {
        "clone_url": server.clone_url,
        "token": TOKEN,
        "commit": commit,
        "branch": "dev-a",
        "root": ".",
        "contents": Contents.PROJECT,
        "timeout_s": 20.0,
        "scratch": tmp_path / "scratch",
    }
    with checkout(**{**asked, **changes}) as worktree:
        yield worktree
