"""The sandbox's Astro behind a real server in a thread, with planted faults and a list of the requests it got.

It stands in for the sandbox's own shell, so that Astro and the stand-in CLI are tested without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.astro import Astro
from sandbox.identity import RUNTIME_LABEL
from sandbox.settings import Settings
from tests.contract.astro.description import API_PATH, make_judge
from tests.contract.openapi.exchange import Exchange, Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    Image = tuple[dict[str, str], list[tuple[str, str]]]


class ImageShelf:
    """A registry double: (repository, tag) to labels and files."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, str], Image] = {}
        self.stand_in: Image | None = None  # what every reference names that is not in `images`

    def put_image(self, reference: str, runtime_version: str, *files: tuple[str, str]) -> None:
        """Put an image by its whole reference, registry included."""
        repository, _, tag = reference.partition("/")[2].rpartition(":")
        self.images[repository, tag] = ({RUNTIME_LABEL: runtime_version}, list(files))

    def has_image(self, repository: str, reference: str) -> bool:
        return (repository, reference) in self.images or self.stand_in is not None

    def read_files(self, repository: str, reference: str) -> list[tuple[str, str]]:
        return self._find(repository, reference)[1]

    def read_labels(self, repository: str, reference: str) -> Mapping[str, str]:
        return self._find(repository, reference)[0]

    def unpack(self, repository: str, reference: str, below: str, folder: Path) -> None:
        raise NotImplementedError  # its images have digests alone

    def _find(self, repository: str, reference: str) -> Image:
        return self.images.get((repository, reference)) or self.stand_in or ({}, [])


@dataclass
class Fault:
    """What the next `times` requests that match (a regex on `METHOD path?query`) get instead of an answer."""

    match: str
    status: int | None = None  # None drops the connection
    body: str = json.dumps({"message": "planted", "statusCode": 0, "requestId": "0"})
    content_type: str = "application/json"
    times: int = 1


@dataclass
class World:
    """A running server."""

    base_url: str
    settings: Settings
    registry: ImageShelf
    astro: Astro
    client: httpx.Client
    requests: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)  # but for those that a fault cut short
    cli_fault: dict[str, Any] | None = None

    @property
    def api(self) -> str:
        return f"{self.base_url}/astro/v1"

    def forget(self) -> None:
        """Begin anew: no state, no faults, no requests."""
        self.astro.reset()
        self.registry.images.clear()
        self.registry.stand_in = None
        self.settings.__dict__.update(Settings(creating_s=0, deploying_s=0, waking_s=0, dag_processing_s=0).__dict__)
        self.faults.clear()
        self.exchanges.clear()
        self.cli_fault = None
        self.forget_requests()

    def forget_requests(self) -> None:
        self.requests.clear()
        self.bodies.clear()
        self.headers.clear()

    def assert_described(self, *, are_requests: bool) -> None:
        """Fail unless every answer since `forget` is as Astro describes its API, and every request if they shall be."""
        judge = make_judge()
        problems = [problem for each in self.exchanges for problem in judge.list_answer_problems(each)]
        if are_requests:
            problems += [problem for each in self.exchanges for problem in judge.list_request_problems(each)]
        assert not problems, "\n".join(problems)

    def take_fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.match, line):
                fault.times -= 1
                return fault
        return None


class _DroppableProtocol(H11Protocol):
    """Puts the connection into the scope, so that a fault can close it without an answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["transport"] = self.transport
            await inner(scope, receive, send)

        self.app = with_transport


class _Notes:
    """Middleware: notes every request to Astro and carries out its faults."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/astro"):
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode()
        line = f"{scope['method']} {scope['path'].removeprefix('/astro')}{'?' if query else ''}{query}"
        body = await _drain(receive)
        self._note(line, body, scope)
        fault = self._world.take_fault(line)
        if fault is None:
            await self._app(scope, _replay(body), send)
        elif fault.status is None:
            scope["transport"].close()
        else:
            answer = Response(fault.body, fault.status, media_type=fault.content_type)
            await answer(scope, _replay(body), send)

    def _note(self, line: str, body: bytes, scope: Scope) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._world.requests.append(line)
        self._world.headers.append(headers)
        is_json = headers.get("content-type") == "application/json"
        self._world.bodies.append(json.loads(body) if is_json else None)


async def _drain(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _replay(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@contextlib.contextmanager
def run_world(data_dir: Path) -> Iterator[World]:
    """Serve Astro on a free loopback port until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings, registry = Settings(), ImageShelf()
    world = World(base_url, settings, registry, Astro(data_dir, settings, base_url, registry), httpx.Client())

    async def cli_fault(_request: Request) -> Response:
        return JSONResponse({"fault": world.cli_fault})

    app = Starlette(routes=[Mount("/astro", routes=world.astro.routes()), Route("/sandbox/faults/cli", cli_fault)])
    recorder = Recorder(app, API_PATH, world.exchanges)
    config = uvicorn.Config(_Notes(recorder, world), http=_DroppableProtocol, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield world
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        world.client.close()
