"""What went over HTTP, one request with its answer, caught at the client (`requests`) or at the server (ASGI)."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest, Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer as they were sent; `path` continues the API's base URL and is still quoted."""

    method: str
    path: str
    query: str
    sent: bytes
    status: int
    headers: Mapping[str, str]
    received: bytes

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Give the query's names and values."""
        return parse_qsl(self.query, keep_blank_values=True)

    @property
    def media_type(self) -> str:
        """Give the answer's content type without its parameters; empty without one."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def is_success(self) -> bool:
        """Whether the server did what it was asked."""
        return self.status < HTTPStatus.MULTIPLE_CHOICES

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query} → {self.status}"


def catch(request: PreparedRequest, response: Response, base_path: str) -> Exchange:
    """Make an exchange of what the `requests` library sent and got below the base path."""
    parts = urlsplit(str(request.url))
    body = request.body or b""
    assert isinstance(body, bytes | str), "nothing is streamed"
    return Exchange(
        str(request.method),
        parts.path.removeprefix(base_path),
        parts.query,
        body.encode() if isinstance(body, str) else body,
        response.status_code,
        {name.lower(): value for name, value in response.headers.items()},
        response.content,
    )


@dataclass
class Recorder:
    """Middleware that keeps every exchange below the API's base path."""

    app: ASGIApp
    base_path: str
    exchanges: list[Exchange] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and keep copies."""
        if scope["type"] != "http" or not scope["path"].startswith(self.base_path):
            await self.app(scope, receive, send)
            return
        sent, got = [], []

        async def hear() -> Message:
            message = await receive()
            sent.append(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            got.append(message)
            if message["type"] == "http.response.start":
                return  # it goes with the body: who is answered without one has the whole answer by its head
            if not message.get("more_body"):
                self.exchanges.append(_make_exchange(scope, self.base_path, b"".join(sent), got))
            if message is got[1]:
                await send(got[0])
            await send(message)

        await self.app(scope, hear, tell)


def _make_exchange(scope: Scope, base_path: str, sent: bytes, got: list[Message]) -> Exchange:
    path: bytes = scope["raw_path"]
    return Exchange(
        scope["method"],
        path.decode("ascii").removeprefix(base_path),
        scope["query_string"].decode("ascii"),
        sent,
        got[0]["status"],
        {name.decode(): value.decode("latin-1") for name, value in got[0]["headers"]},
        b"".join(message.get("body", b"") for message in got[1:]),
    )
