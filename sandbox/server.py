"""Run an ASGI application on one loopback port until a signal ends it. It knows nothing of what it serves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

HOST = "127.0.0.1"
_GRACE_S = 1  # what is still in flight then is cut: a planted delay must not hold up the end


class PortError(Exception):
    """The port cannot be had; the text says why and what to do."""


def bind_port(port: int) -> socket.socket:
    """Reserve a loopback port; nobody can connect to it before `serve`.

    :param port: 0 for any free one.
    :raises PortError: it is taken, or not ours to take.
    """
    # asyncio turns Nagle's delay off only where the protocol is named
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortError(f"cannot listen on {HOST}:{port} ({error.strerror}): pass another --port") from error
    return listener


def serve(app: ASGIApp, listener: socket.socket, on_listening: Callable[[], None]) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT, then return.

    Each request's state holds the connection's `transport`, by which a fault can break it.
    """
    config = Config(
        app,
        loop="asyncio",
        http=_Protocol,
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, on_listening).run([listener])


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio's own signature is the wider one
        self.app_state = {**self.app_state, "transport": transport}


class _Server(Server):
    def __init__(self, config: Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal and return; uvicorn's own way ends the process by the same signal afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True
