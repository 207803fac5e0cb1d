"""Unpack an answer's body piece by piece, so that a small one does not become a large one at once.

Of the packings that HTTP knows it takes gzip alone: the one that the services use, and that the standard library
unpacks within bounds.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACCEPTED = "gzip"
"""What a request says in Accept-Encoding."""

_PIECE_BYTES_MAX = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS


class PackingError(Exception):
    """A body that cannot be unpacked; whoever sent the request takes it for a broken connection, and names it."""


class Inflater:
    """Takes one answer's body as it arrives, and gives it as it was meant.

    :param headers: the answer's, in whatever case they are asked for.
    :raises PackingError: it is packed in a way that was not asked for.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        packing = headers.get("content-encoding", "").strip().lower()
        if packing not in {"", "identity", ACCEPTED}:
            raise PackingError(
                f"the answer is packed as {packing!r:.60}, which was not asked for; look at the proxy between"
            )
        self._unpack = zlib.decompressobj(_GZIP) if packing == ACCEPTED else None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what a piece holds, in pieces that are bounded; an empty one where it holds nothing yet.

        :raises PackingError: it cannot be unpacked.
        """
        if self._unpack is None:
            yield piece
            return
        try:
            while True:
                yield self._unpack.decompress(piece, _PIECE_BYTES_MAX)
                piece = self._unpack.unconsumed_tail
                if not piece:
                    break
        except zlib.error as error:
            raise PackingError(f"the answer cannot be unpacked: {error}") from error
        if self._unpack.unused_data:
            raise PackingError("the answer goes on behind the end of what is packed in it")
