"""Serve the engine over HTTP on a Unix socket, in threads that end with the server. It decides no answer.

Of Docker's Engine API the CLI needs `_ping` and the push of an image; the shim's commands come on a path of their own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import TYPE_CHECKING, Any, Protocol

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.engine.push import is_push
from include.deploy_ops.engine.shim import COMMAND_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

# The newest that we speak: the CLI names no newer one in the path of its push.
_API_VERSION = "1.47"
_IDLE_S = 60.0  # for a client that connected and says or reads nothing
# Of a command's arguments or a push's `{}`; an image never comes this way.
_LARGEST_BODY_BYTES = 1 << 20

log = logging.getLogger(__name__)


class EngineClosedError(RetryableError):
    """Nobody waits for the push any more: the CLI has gone, or the engine is closing."""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What the shim prints and exits with."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""


class Engine(Protocol):
    """What the server asks."""

    def answer_command(self, argv: list[str], cwd: Path) -> CommandAnswer:
        """Answer one run of the shim in the folder `cwd`."""

    def answer_push(self, url: str, registry_auth: str | None, report: Callable[[str], None]) -> str | None:
        """Carry out a push; return the reason if it failed."""


class SocketServer(ThreadingMixIn, UnixStreamServer):
    """An HTTP server on a Unix socket, running between `start` and `stop`.

    :param path: the socket's; its folder must be private, since whoever reaches it may push.
    """

    daemon_threads = False  # so that `server_close` waits for them

    def __init__(self, path: Path, engine: Engine) -> None:
        self.engine = engine
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        # Seconds between its looks whether it shall end: `stop` waits for one of them.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="engine")
        super().__init__(str(path), _Handler)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Break every connection, which ends a push at its next progress line, and wait for the threads."""
        # First no new connection, then none of the old: one that came in between would hold `server_close` until its
        # push ends by itself.
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection while it is served."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a thread raised; the client sees a broken connection, which fails its command."""
        del request, client_address
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, EngineClosedError) else logging.ERROR
        log.log(level, "The engine could not answer", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: SocketServer
    # One request a connection: the answer to a push has no length, and ends where the connection does.
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    close_connection = True

    def do_HEAD(self) -> None:
        self._answer_ping()

    # The CLI's Docker client asks by HEAD first, and by GET where that fails.
    def do_GET(self) -> None:
        self._answer_ping()

    def do_POST(self) -> None:
        body = self._read_body()
        if is_push(self.path):
            self._answer_push()
        elif self.path == COMMAND_PATH:
            self._answer_command(body)
        else:
            self._answer_json({"message": f"this engine does not know POST {self.path}"}, HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        log.debug(format, *args)

    def address_string(self) -> str:
        return "the Astro CLI"  # a Unix socket's client has no address

    def _read_body(self) -> bytes:
        """Read what a request carries, also where it is not needed: the CLI sends a push's `{}` after the head.

        Closing the connection with that unread or still on its way fails the push, which is then made by `login`.
        """
        return self.rfile.read(min(int(self.headers.get("Content-Length", "0")), _LARGEST_BODY_BYTES))

    def _answer_ping(self) -> None:
        if self.path.rpartition("/")[2] != "_ping":
            self._answer_json({"message": f"this engine does not know {self.path}"}, HTTPStatus.NOT_FOUND)
            return
        self._send_head(HTTPStatus.OK, "text/plain", {"Api-Version": _API_VERSION, "Content-Length": "2"})
        if self.command == "GET":
            self.wfile.write(b"OK")

    def _answer_command(self, body: bytes) -> None:
        asked = json.loads(body)
        argv, cwd = [str(word) for word in asked["argv"]], Path(asked["cwd"])
        self._answer_json(asdict(self.server.engine.answer_command(argv, cwd)), HTTPStatus.OK)

    def _answer_push(self) -> None:
        """Stream progress and result as the JSON messages that a Docker client reads, until the connection closes."""
        self._send_head(HTTPStatus.OK, "application/json", {})
        reason = self.server.engine.answer_push(self.path, self.headers.get("X-Registry-Auth"), self._report)
        if reason is not None:
            self._send_message({"errorDetail": {"message": reason}, "error": reason})

    def _report(self, line: str) -> None:
        self._send_message({"status": line})

    def _send_message(self, message: dict[str, Any]) -> None:
        try:
            self.wfile.write(json.dumps(message).encode() + b"\r\n")
        except OSError as error:
            raise EngineClosedError("The Astro CLI stopped listening while its image was being pushed.") from error

    def _answer_json(self, body: dict[str, Any], status: HTTPStatus) -> None:
        data = json.dumps(body).encode()
        self._send_head(status, "application/json", {"Content-Length": str(len(data))})
        self.wfile.write(data)

    def _send_head(self, status: HTTPStatus, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        # Also resets `close_connection`, which HTTP/1.1 has set for more requests.
        self.send_header("Connection", "close")
        self.end_headers()
