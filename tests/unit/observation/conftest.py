"""The fixture `stage`, with the sandbox behind it, and a log in which no secret may stand."""

from __future__ import annotations

from tests.unit.hooks.github.conftest import private_key
from tests.worlds.stages.fixtures import author, log, shared_sandbox, stage

__all__ = ["author", "log", "private_key", "shared_sandbox", "stage"]
