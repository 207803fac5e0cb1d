"""The fixture `stage`, with the sandbox behind it, and a log in which no secret may stand."""

from __future__ import annotations

from tests.worlds.stages.fixtures import author, log, shared_sandbox, stage

__all__ = ["author", "log", "shared_sandbox", "stage"]
