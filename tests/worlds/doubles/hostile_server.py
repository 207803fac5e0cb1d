"""A server on loopback that sends whatever bytes a test says, as HTTP or not, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_SEND_BUFFER_BYTES = 1 << 16  # the system's own holds megabytes that nobody reads


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


Script = Callable[[Asked], Iterable[bytes]]
"""What is sent for a request, piece by piece; the connection is closed behind it."""


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> list[bytes]:
    """Return a whole answer; `_` in a header's name stands for `-`."""
    lines = [
        f"{name.replace('_', '-')}: {value}" for name, value in {"Content_Length": str(len(body)), **headers}.items()
    ]
    head = "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "Connection: close", "", ""])
    return [head.encode(), body]


class HostileServer:
    """Serves a script, each connection in a thread; give one that never ends with `drip`.

    :param greeting: what is sent again and again to whoever connects, before anything is asked; then no script is.
    """

    def __init__(self, script: Script, greeting: bytes = b"") -> None:
        self.script = script
        self._greeting = greeting
        self.asked: list[Asked] = []
        self.bytes_sent = 0
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def drip(self, head: bytes, piece: bytes, pause_s: float = 0.02) -> Iterable[bytes]:
        """Send `head` and then `piece` again and again."""
        yield head
        while not self._is_over.wait(pause_s):
            yield piece

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece leaves by itself
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            connection.settimeout(5)
            while self._greeting and not self._is_over.wait(0.02):
                connection.sendall(self._greeting)
            if (asked := _read(connection)) is None:
                return
            self.asked.append(asked)
            for piece in self.script(asked):
                connection.sendall(piece)
                self.bytes_sent += len(piece)
                if self._is_over.is_set():
                    return


def _read(connection: socket.socket) -> Asked | None:
    with connection.makefile("rb") as lines:
        words = lines.readline().decode("latin-1").split()
        if len(words) != len(("method", "path", "version")):
            return None
        headers: dict[str, str] = {}
        while line := lines.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Asked(words[0], words[1], headers, lines.read(int(headers.get("content-length", "0"))))
