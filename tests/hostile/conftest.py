"""A Git host that serves what an attacker pushed, and a canary file that no attack may write."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.doubles.git_host import GitHost
from tests.worlds.stages.fixtures import author, log, shared_sandbox, stage

__all__ = ["author", "log", "shared_sandbox", "stage", "within"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHost]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with GitHost(tmp_path / "served") as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Give a path outside every worktree, where nothing may stand after the attack."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()
    assert not path.is_symlink()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail as soon as what is done inside takes longer: an attack that works would hold up the tests for minutes."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
