"""Remember the requests that came in, for whoever wants to count them or the bytes of their bodies.

It keeps no headers, bodies or credentials.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.faces import name_face

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST = 100_000  # older requests are forgotten, so that a sandbox left running does not grow


class Journal:
    """Requests in order of arrival; those to the control face are not among them."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_LONGEST)

    def add(self, scope: Scope, face: str) -> dict[str, Any]:
        """Note a request's arrival and return its entry, whose status is open until it is answered."""
        entry = {
            "method": scope["method"],
            "path": describe_target(scope),
            "status": None,
            "conditional": any(name == b"if-none-match" for name, _ in scope["headers"]),
            "face": face,
            "at": datetime.now(UTC).isoformat(),
            "received": 0,
            "sent": 0,
        }
        self._entries.append(entry)
        return entry

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries, oldest first; a null status means in flight, or that no answer was sent."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()


class JournalMiddleware:
    """Notes every request to a face, the status that its client was sent, and the sizes of both bodies in bytes."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch what is answered."""
        face = name_face(scope["path"]) if scope["type"] == "http" else None
        if face is None:
            await self._app(scope, receive, send)
            return
        entry = self._journal.add(scope, face)

        async def take() -> Message:
            message = await receive()
            entry["received"] += len(message.get("body", b""))
            return message

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            entry["sent"] += len(message.get("body", b""))
            await send(message)

        await self._app(scope, take, note)


def describe_target(scope: Scope) -> str:
    """Return a request's path and query as they came over the wire, percent signs and all."""
    path: str = scope["raw_path"].decode("ascii")
    query: str = scope["query_string"].decode("ascii")
    return f"{path}?{query}" if query else path
