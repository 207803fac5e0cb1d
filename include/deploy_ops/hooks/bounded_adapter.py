"""Keep what python-requests receives within the limits of `patience`, for the clients that are built on it.

python-requests has no limit for a body's length, and its time limit begins anew with each piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests import ConnectionError as BrokenConnectionError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from include.deploy_ops.hooks.patience import AnswerLimit, UnendingAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest, Response, Session

_PIECE_BYTES_MAX = 1 << 18


class BoundedAdapter(HTTPAdapter):
    """Reads bodies at once, and not beyond the limits; only a successful one may be left to be streamed."""

    def send(self, request: PreparedRequest, stream: bool = False, *args: Any, **options: Any) -> Response:
        """Send as the adapter does. :raises UnendingAnswerError: the body is too long, or comes too slowly."""
        response = super().send(request, stream, *args, **options)
        # Also where a stream was asked for, requests itself reads a redirect's body, and we that of an error.
        if not (stream and response.ok and not response.is_redirect):
            # No query: a storage host's holds the right to read.
            limit = AnswerLimit(f"{request.method} {(request.url or '').partition('?')[0]}")
            try:
                response._content = limit.join(stream_pieces(response))  # noqa: SLF001 - requests' own reader keeps it there
            except UnendingAnswerError:
                response.close()  # or the rest would wait in a connection that is used again
                raise
            response._content_consumed = True  # noqa: SLF001 - likewise
        return response


def bound_session(session: Session) -> None:
    """Keep all that the session receives within the limits."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter())


def stream_pieces(response: Response) -> Iterator[bytes]:
    """Yield the body's pieces as they arrive; `iter_content` waits for whole ones, and a drip holds it for ever.

    :raises requests.ConnectionError: the connection broke, fell silent, or the body cannot be decoded.
    """
    try:
        while piece := response.raw.read1(_PIECE_BYTES_MAX, decode_content=True):
            yield piece
    except HTTPError as error:
        raise BrokenConnectionError(error, request=response.request) from error
