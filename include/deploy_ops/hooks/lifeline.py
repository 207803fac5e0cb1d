"""Cut a connection whose answer takes too long to begin or to end, whatever trickles in meanwhile.

The time limits of HTTP clients begin anew with each byte: a server that sends one now and then, in its handshake, its
headers or the length of a chunk, would be listened to for days. A thread that reads cannot be ended from outside, but
what it reads from can.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.patience import UnendingAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lifeline:
    """Holds one connection's socket while an answer is awaited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._twin: socket.socket | None = None
        self._is_cut = False

    def hold(self, connected: socket.socket) -> None:
        """Cut this one from now on."""
        self.release()
        with self._lock:
            self._socket = connected

    def hold_twin(self, connected: socket.socket) -> None:
        """Cut a copy of it until the next `hold` or `release`: TLS takes the socket itself away while it begins."""
        self.release()
        with self._lock:
            self._socket = self._twin = connected.dup()

    def release(self) -> None:
        """Let go of the socket."""
        with self._lock:
            self._socket, twin, self._twin = None, self._twin, None
        if twin is not None:
            twin.close()

    @contextmanager
    def limit(self, answer: str, seconds: float | None = None) -> Iterator[None]:
        """Cut the connection when the block takes longer; by default as long as an answer may take.

        :param answer: names it in the error, without a secret.
        :raises UnendingAnswerError: it was cut, in place of whatever the block raised of that.
        """
        seconds = patience.ANSWER_TIME_MAX_S if seconds is None else seconds
        self._is_cut = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if not self._is_cut:
                raise
            raise UnendingAnswerError.of(answer, seconds) from error
        finally:
            timer.cancel()
        if self._is_cut:  # what was cut may look like what ended
            raise UnendingAnswerError.of(answer, seconds)

    def _cut(self) -> None:
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):  # it has ended by itself
                    # The plain socket's own: that of TLS would take its state from under the thread that reads.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
