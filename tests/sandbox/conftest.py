"""The whole sandbox as a process of its own: the fixture `sandbox`."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.identity import ASTRO_TOKEN, REGISTRY_PASSWORD, REGISTRY_USER

pytest.register_assert_rewrite("tests.sandbox.cli.case")

ROOT = Path(__file__).parents[2]
ASTRO_LOGIN = ("cli", f"Bearer {ASTRO_TOKEN}")
CI_LOGIN = (REGISTRY_USER, REGISTRY_PASSWORD)
_START_LIMIT_S = 30
_OTHER_CLI = os.environ.get("ASTRO_CLI")


@dataclass
class Sandbox:
    """A running sandbox: its address, and a client that follows no redirect and carries no credentials."""

    url: str
    client: httpx.Client

    @property
    def host(self) -> str:
        """Host and port, as in an image's name."""
        return self.url.removeprefix("http://")

    def get_token(self, *scopes: str, login: tuple[str, str] | None = None) -> str:
        """Return a registry token."""
        answer = self.client.get("/v2/token", params={"scope": list(scopes)}, auth=login or httpx.USE_CLIENT_DEFAULT)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def plant(self, **fault: Any) -> None:
        """Plant a fault; where ASTRO_CLI names the real CLI, which obeys none of its own, the test is left out."""
        if "cli" in fault and _OTHER_CLI:
            pytest.skip("only the stand-in of the Astro CLI has planted faults")
        answer = self.client.post("/sandbox/faults", json=fault)
        assert answer.status_code == 201, answer.text


@dataclass
class SandboxProcess(Sandbox):
    """A sandbox that is a process of its own."""

    process: subprocess.Popen[str]


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the process's first line, or fail with what it said instead."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(_START_LIMIT_S):
            pytest.fail(f"the sandbox printed nothing for {_START_LIMIT_S} s")
    return process.stdout.readline()


@contextlib.contextmanager
def start_sandbox(data_dir: Path) -> Iterator[SandboxProcess]:
    """Run `python -m sandbox` in a process group of its own; the group ends with the block."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            found = re.search(r"http://\S+", read_line(process))
            assert found, f"the sandbox ended with {process.wait()} before it listened"
            with httpx.Client(base_url=found[0], timeout=20) as client:
                yield SandboxProcess(found[0], client, process)
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One server for all tests."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox") / "data") as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """Give the server as freshly seeded, but for Astro, which is empty."""
    assert sandbox_process.client.post("/sandbox/reset?astro=empty").status_code == 204
    return sandbox_process
