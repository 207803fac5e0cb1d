"""Keep what python-requests receives within the limits of `patience`, for the clients that are built on it.

python-requests has no limit for a body's length, and its time limit begins anew with each piece.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from requests import ConnectionError as BrokenConnectionError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import pool_classes_by_scheme

from include.deploy_ops.hooks.inflation import ACCEPTED, Inflater, PackingError
from include.deploy_ops.hooks.lifeline import Lifeline
from include.deploy_ops.hooks.patience import AnswerLimit, UnendingAnswerError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from requests import PreparedRequest, Response, Session
    from urllib3.response import HTTPResponse

_PIECE_BYTES_MAX = 1 << 18


class _CutConnection(HTTPConnection):
    """A connection that is cut when it takes too long to open, or its answer's headers to come."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lifeline = Lifeline()

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self.lifeline.hold_twin(made)
        return made

    def connect(self) -> None:
        try:
            with self.lifeline.limit(f"connecting to {self.host}"):
                super().connect()
        finally:
            self.lifeline.release()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's own, as in its class
        if self.sock is not None:
            self.lifeline.hold(self.sock)
        response: HTTPResponse | None = None
        try:
            with self.lifeline.limit(f"the answer of {self.host}"):
                response = super().getresponse()
        except UnendingAnswerError:
            if response is not None:  # it came, but too late
                response.close()
            raise
        response.lifeline = self.lifeline  # type: ignore[attr-defined]  # the connection leaves it while it is read
        return response


class _CutHttpsConnection(_CutConnection, HTTPSConnection):
    """The same by TLS."""


class _CutPool(HTTPConnectionPool):
    ConnectionCls = _CutConnection


class _CutHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _CutHttpsConnection


class BoundedAdapter(HTTPAdapter):
    """Reads bodies at once, and not beyond the limits; only a successful one may be left to be streamed."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the adapter's connections such as can be cut."""
        super().init_poolmanager(*args, **options)
        _cut_connections(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make those through a proxy likewise."""
        return _cut_connections(super().proxy_manager_for(*args, **options))

    def send(self, request: PreparedRequest, stream: bool = False, *args: Any, **options: Any) -> Response:
        """Send as the adapter does.

        :raises UnendingAnswerError: the answer is too long, or comes too slowly.
        """
        response = super().send(request, stream, *args, **options)
        # Also where a stream was asked for, requests itself reads a redirect's body, and we that of an error.
        if not (stream and response.ok and not response.is_redirect):
            # No query: a storage host's holds the right to read.
            name = f"{request.method} {(request.url or '').partition('?')[0]}"
            try:
                with limit_body(response, name):
                    response._content = AnswerLimit(name).join(stream_pieces(response))  # noqa: SLF001 - requests' own reader keeps it there
            except UnendingAnswerError:
                response.close()  # or the rest would wait in a connection that is used again
                raise
            response._content_consumed = True  # noqa: SLF001 - likewise
        return response


def _cut_connections(manager: PoolManager) -> PoolManager:
    if manager.pool_classes_by_scheme is pool_classes_by_scheme:  # a SOCKS proxy's are its own
        manager.pool_classes_by_scheme = {"http": _CutPool, "https": _CutHttpsPool}
    return manager


def bound_session(session: Session) -> None:
    """Keep all that the session receives within the limits."""
    session.headers["Accept-Encoding"] = ACCEPTED
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter())


def limit_body(response: Response, name: str, seconds: float | None = None) -> AbstractContextManager[None]:
    """Cut the connection when reading the body takes longer than `seconds`, by default as long as any answer may."""
    lifeline: Lifeline | None = getattr(response.raw, "lifeline", None)
    return nullcontext() if lifeline is None else lifeline.limit(name, seconds)


def stream_pieces(response: Response) -> Iterator[bytes]:
    """Yield the body's pieces as they arrive; `iter_content` waits for whole ones, and a drip holds it for ever.

    :raises requests.ConnectionError: the connection broke, fell silent, or the body cannot be unpacked.
    """
    try:
        inflater = Inflater(response.headers)
        while piece := response.raw.read1(_PIECE_BYTES_MAX, decode_content=False):
            yield from inflater.feed(piece)
    except (HTTPError, PackingError) as error:
        response.close()  # or the rest would wait in a connection that is used again
        raise BrokenConnectionError(error, request=response.request) from error
