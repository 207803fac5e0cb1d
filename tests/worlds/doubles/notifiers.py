"""Notifiers as a policy would name them: one that writes down what it was told, and some that go wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from airflow.sdk.bases.notifier import BaseNotifier

HANG_S = 30.0
released = threading.Event()
"""Ends those that hang."""


class RecordingNotifier(BaseNotifier):
    """Appends what it has to say, and what it was given, to a file; one line of JSON each time."""

    template_fields: Sequence[str] = ("message",)

    def __init__(self, path: str, message: str = "") -> None:
        super().__init__()
        self.path = path
        self.message = message

    def notify(self, context: Any) -> None:
        """Write it down."""
        line = json.dumps({"message": self.message, "deploy_ops": context["deploy_ops"]})
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


class RaisingNotifier(BaseNotifier):
    """Finds nobody at home."""

    def __init__(self, words: str = "no such host") -> None:
        super().__init__()
        self.words = words

    def notify(self, context: Any) -> NoReturn:
        """Raise."""
        raise OSError(self.words)


class ExitingNotifier(BaseNotifier):
    """Behaves as foreign code may."""

    def notify(self, context: Any) -> NoReturn:
        """Leave."""
        raise SystemExit("bye")


class HangingNotifier(BaseNotifier):
    """Waits for a server that never answers."""

    def notify(self, context: Any) -> None:
        """Hang."""
        released.wait(HANG_S)


def no_notifier() -> None:
    """Be a function."""
