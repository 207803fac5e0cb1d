"""Kills a task at its n-th contact with the world: before or after a request, a CLI call, a write to Airflow."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from include.deploy_ops.hooks import conversation
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.hooks.github.http import GithubReader
from tests.worlds.doubles.airflow import DictStore, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

CONTACTS: tuple[tuple[Any, str], ...] = (
    (GithubReader, "_send"),
    (conversation, "_send"),
    (AstroCli, "_run"),
    (DictStore, "get"),
    (DictStore, "set"),
    (DictStore, "delete"),
    (FakeTaskInstance, "xcom_push"),
)


AFTER_CLI = -1
"""Instead of a number: right after the Astro CLI did its work, before anybody was told."""


class KilledError(BaseException):
    """The worker's process is gone: nothing of ours may catch this."""


def _kill() -> None:
    raise KilledError


class Fuse:
    """Counts contacts while it burns; each counts twice, before it and after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._strike: Callable[[], None] = _kill
        self._thread = threading.current_thread()
        for owner, name in CONTACTS:
            monkeypatch.setattr(owner, name, self._wrap(getattr(owner, name), is_cli=owner is AstroCli))

    def _wrap(self, call: Any, *, is_cli: bool) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._tick()
            answer = call(*args, **kwargs)
            self._tick()
            if is_cli and self._left == AFTER_CLI:
                raise KilledError
            return answer

        return counted

    def _tick(self) -> None:
        if self._left <= 0 or threading.current_thread() is not self._thread:
            return
        self._left -= 1
        if self._left == 0:
            self._strike()

    @contextmanager
    def interrupt(self, length: int, act: Callable[[], None]) -> Iterator[None]:
        """Let somebody act, while what runs in the block is at its contact number `length`."""
        self._strike = act
        try:
            with self.burn(length):
                yield
        finally:
            self._strike = _kill

    @contextmanager
    def burn(self, length: int) -> Iterator[None]:
        """Kill what runs in the block at its contact number `length`, or `AFTER_CLI`; 0 kills nothing."""
        self._left = length
        try:
            yield
        finally:
            self._left = 0
