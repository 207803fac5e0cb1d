"""One sandbox for these tests, as freshly seeded for each, and a skopeo that knows its address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.registry.skopeo import Skopeo
from tests.sandbox.conftest import Sandbox, start_sandbox


@pytest.fixture(scope="package")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One server for all tests."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox") / "data") as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """Give the server as freshly seeded."""
    assert sandbox_process.client.post("/sandbox/reset").status_code == 204
    assert sandbox_process.client.post("/sandbox/settings", json={"registry_auth": "anonymous"}).status_code == 200
    return sandbox_process


@pytest.fixture
def skopeo(sandbox: Sandbox, tmp_path: Path) -> Skopeo:
    """Give a skopeo that is logged in nowhere."""
    return Skopeo(tmp_path / "skopeo", sandbox.host)
