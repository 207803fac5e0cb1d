"""A running Astro of the sandbox alone, begun anew for each test: the fixture `world`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.astro.world import World, run_world


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with run_world(tmp_path_factory.mktemp("astro")) as world:
        yield world


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """Whatever a test asks for, no answer may contradict Astro's description of its API."""
    running.forget()
    yield running
    running.assert_described(are_requests=False)
