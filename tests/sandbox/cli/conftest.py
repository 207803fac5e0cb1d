"""A stage on which the stand-in CLI is called, begun anew for each test: the fixture `stage`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.astro.conftest import running
from tests.sandbox.astro.world import World
from tests.sandbox.cli.stage import Stage, set_stage

__all__ = ["running"]


@pytest.fixture
def stage(running: World, tmp_path: Path) -> Iterator[Stage]:
    """Whatever the CLI is called for, no request and no answer may contradict Astro's description of its API."""
    yield set_stage(running, tmp_path)
    running.assert_described(are_requests=True)
