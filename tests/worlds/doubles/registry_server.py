"""A real registry on a loopback port, in a thread, with faults to plant: the sandbox's, without the rest of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.faults import FaultMiddleware, FaultPlan
from sandbox.identity import ASTRO_TOKEN, RUNTIME_LABEL
from sandbox.journal import Journal, JournalMiddleware
from sandbox.registry import Registry
from sandbox.registry.manifest import read_manifest
from sandbox.server import bind_port
from sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLI_LOGIN = ("cli", f"Bearer {ASTRO_TOKEN}")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app_state = {**self.app_state, "transport": transport}


class RegistryServer:
    """The registry, and what a test plants in it and reads from it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.settings = Settings()
        self.faults = FaultPlan()
        self.journal = Journal()
        folder.mkdir()
        self.registry = Registry(folder, self.settings, f"http://{self.host}")
        self.reset()
        routed = Starlette(routes=[Mount("/v2", routes=self.registry.routes())])
        self.app = JournalMiddleware(FaultMiddleware(routed, self.faults), self.journal)

    def reset(self) -> None:
        """Forget what a test planted and stored."""
        self.registry.reset()
        self.faults.clear()
        self.journal.clear()
        self.settings.registry_auth = "anonymous"

    def put_blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Store a blob and return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        path = self.registry._data_dir / digest
        path.write_bytes(content)
        self.registry._store.adopt_blob(repository, digest, path)
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}

    def put_manifest(self, repository: str, reference: str, fields: dict[str, Any], media_type: str) -> str:
        """Store a manifest, indented as no library would, and return its digest."""
        manifest = read_manifest(json.dumps(fields, indent=3).encode(), media_type)
        self.registry._store.put_manifest(repository, reference, manifest)
        return manifest.digest

    def put_image(self, repository: str, tag: str, *layers: bytes, label: str | None = "3.3-2") -> str:
        """Store an image without a mediaType in its manifest, which OCI allows, and return its digest."""
        labels = {} if label is None else {RUNTIME_LABEL: label}
        config = self.put_blob(repository, json.dumps({"config": {"Labels": labels}}).encode())
        stored = [self.put_blob(repository, layer) for layer in layers or (os.urandom(1000), os.urandom(2000))]
        return self.put_manifest(
            repository, tag, {"schemaVersion": 2, "config": config, "layers": stored}, OCI_MANIFEST
        )

    def count_requests(self, method: str, part: str) -> int:
        """Return how many requests of a method had a text in their path."""
        return sum(
            1 for request in self.journal.to_json() if request["method"] == method and part in str(request["path"])
        )


@contextmanager
def run_registry(folder: Path) -> Iterator[RegistryServer]:
    """Serve a registry while the block lasts."""
    listener = bind_port(0)
    served = RegistryServer(folder, listener.getsockname()[1])
    config = Config(served.app, http=_Protocol, loop="asyncio", lifespan="off", log_level="error", access_log=False)
    server = Server(config)
    listener.listen()  # so that nobody has to wait until the thread does
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield served
    finally:
        server.force_exit = server.should_exit = True
        thread.join()
        listener.close()
