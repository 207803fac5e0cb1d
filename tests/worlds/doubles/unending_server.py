"""An HTTP server on loopback whose answers never end: they drip, or flood; it counts what it got rid of."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_SEND_BUFFER_BYTES = 1 << 16  # the system's own holds megabytes that nobody reads


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class UnendingServer:
    """Answers every request with a body of `piece` again and again, until the client hangs up.

    :param pause_s: seconds between two pieces.
    :param is_chunked: sent in chunks; else with a length that is never reached.
    """

    def __init__(self, piece: bytes, pause_s: float = 0.0, *, status: int = 200, is_chunked: bool = False) -> None:
        self.requests = 0
        self.bytes_sent = 0
        self._is_over = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.requests += 1
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece leaves by itself
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header(
                    *(("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(1 << 40)))
                )
                self.end_headers()
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece
                while not double._is_over.wait(pause_s):
                    self.wfile.write(framed)
                    double.bytes_sent += len(piece)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        Handler.protocol_version = "HTTP/1.1"
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
