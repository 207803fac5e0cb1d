"""What the contract tests stand on: an Astro in this process, stages for the CLI and for whole runs, and the judge."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from demo.author import Author
from sandbox.app import create_app
from sandbox.data_dir import DataDir
from sandbox.identity import GITHUB_TOKEN
from sandbox.settings import Settings
from sandbox.world import World
from tests.contract.astro.description import API_PATH, make_judge
from tests.contract.openapi.exchange import Exchange, Recorder
from tests.contract.openapi.judge import Judge
from tests.sandbox.astro.conftest import running, world
from tests.sandbox.cli.conftest import stage
from tests.sandbox.conftest import Sandbox
from tests.worlds.stages.fixtures import open_stage
from tests.worlds.stages.stage import Stage

__all__ = ["running", "stage", "world"]


@pytest.fixture
def judge() -> Judge:
    """Give a judge that used no exception yet."""
    return make_judge()


@dataclass
class WholeRuns:
    """The product's real tasks on a whole sandbox, and what went between them and its Astro."""

    stage: Stage
    exchanges: list[Exchange]


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[WholeRuns]:
    """Serve the whole sandbox from a thread, and set a stage on it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        parts = World(DataDir(tmp_path / "data"), Settings(), url)
        parts.reset()
        recorder = Recorder(create_app(parts), API_PATH)
        server = uvicorn.Server(uvicorn.Config(recorder, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            author = Author(tmp_path / "clone", url, GITHUB_TOKEN)
            author.folder.mkdir()
            author.clone()
            with httpx.Client(base_url=url, timeout=20) as client, open_stage(Sandbox(url, client), author) as made:
                yield WholeRuns(made, recorder.exchanges)
        finally:
            server.should_exit = True
            thread.join()
