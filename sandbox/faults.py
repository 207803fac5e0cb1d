"""Make things go wrong on request: planted answers, delays and broken connections. It invents no fault by itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from sandbox.faces import Face, name_face
from sandbox.journal import describe_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")

    times: int | None = Field(default=1, ge=1)  # how often it strikes; None: until it is cleared


class HttpFault(_Fault):
    """What happens to requests of one kind. Every condition that is given must hold; the first planted fault wins.

    `status` or `body` answer instead of the face; `headers` go with that answer, or else are laid over the real one.
    `delay_s` (seconds) comes before anything else. `drop` closes the connection without an answer: true before the face
    sees the request, "after" when it has done its work. `truncate` sends that many bytes of the real body, then closes.
    """

    face: Face | None = None
    method: str | None = None
    path: str = ""  # regular expression, searched in path and query as they came over the wire
    status: int | None = Field(default=None, ge=200, le=599)
    body: Any = None  # a text as it is; anything else as JSON
    content_type: str | None = None
    headers: dict[str, str] = {}
    delay_s: float | None = Field(default=None, gt=0)
    drop: Literal[True, "after"] | None = None
    truncate: int | None = Field(default=None, ge=0)

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        try:
            re.compile(path)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        return path

    @model_validator(mode="after")
    def _check_effect(self) -> HttpFault:
        endings = [self.is_answer, self.drop is not None, self.truncate is not None]
        if sum(endings) > 1:
            raise ValueError("status or body, drop, and truncate exclude each other")
        if not any(endings) and self.delay_s is None and not self.headers:
            raise ValueError("nothing would go wrong: give status, body, headers, delay_s, drop or truncate")
        return self

    @property
    def is_answer(self) -> bool:
        """Whether the fault answers in place of the face."""
        return self.status is not None or self.body is not None

    def matches(self, face: Face, method: str, target: str) -> bool:
        """Whether a request is of the kind that the fault strikes."""
        fits_method = self.method is None or self.method.upper() == method
        return self.face in (None, face) and fits_method and re.search(self.path, target) is not None

    def to_response(self) -> Response:
        """Return the planted answer."""
        is_text = self.body is None or isinstance(self.body, str)
        content = self.body if is_text else json.dumps(self.body)
        media_type = self.content_type or ("text/plain" if is_text else "application/json")
        return Response(content, self.status or 200, self.headers, media_type)


class CliFault(_Fault):
    """What the stand-in CLI does in place of a command; it asks for it and obeys. `hang_s` (seconds) comes first."""

    cli: str  # the command's own word: "deploy", "create", …
    exit_0_without_deploying: Literal[True] | None = None
    exit: int | None = Field(default=None, ge=0, le=255)
    stderr: str | None = None  # printed before that exit
    hang_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check_effect(self) -> CliFault:
        if self.exit_0_without_deploying is None and self.exit is None and self.hang_s is None:
            raise ValueError("nothing would go wrong: give exit_0_without_deploying, exit (with stderr) or hang_s")
        return self

    def describe_effect(self) -> dict[str, Any]:
        """Return what the CLI is told: the fault without its conditions."""
        return self.model_dump(exclude={"cli", "times"}, exclude_none=True)


_F = TypeVar("_F", bound=_Fault)
_HTTP = TypeAdapter(HttpFault)
_CLI = TypeAdapter(CliFault)


class FaultPlan:
    """The faults that wait for their request. A fault that has struck as often as it should is gone."""

    def __init__(self) -> None:
        self._faults: dict[int, HttpFault | CliFault] = {}
        self._ids = itertools.count(1)

    def plant(self, document: dict[str, Any]) -> dict[str, Any]:
        """Add a fault and return it with its id.

        :raises pydantic.ValidationError: a key is unknown, or a value of the wrong kind.
        """
        fault = (_CLI if "cli" in document else _HTTP).validate_python(document)
        fault_id = next(self._ids)
        self._faults[fault_id] = fault
        return _describe(fault_id, fault)

    def clear(self) -> None:
        """Take all faults back."""
        self._faults.clear()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the waiting faults in the order in which they were planted."""
        return [_describe(fault_id, fault) for fault_id, fault in self._faults.items()]

    def take_http(self, face: Face, method: str, target: str) -> HttpFault | None:
        """Return the fault that strikes a request, counting it as struck."""
        found = ((key, fault) for key, fault in self._faults.items() if isinstance(fault, HttpFault))
        return self._take((key, fault) for key, fault in found if fault.matches(face, method, target))

    def take_cli(self, command: str) -> CliFault | None:
        """Return the fault that strikes a command of the stand-in CLI, counting it as struck."""
        found = ((key, fault) for key, fault in self._faults.items() if isinstance(fault, CliFault))
        return self._take((key, fault) for key, fault in found if fault.cli == command)

    def _take(self, matching: Iterable[tuple[int, _F]]) -> _F | None:
        fault_id, fault = next(iter(matching), (0, None))
        if fault is None or fault.times is None:
            return fault
        fault.times -= 1
        if fault.times == 0:
            del self._faults[fault_id]
        return fault


class FaultMiddleware:
    """Lets the planned faults strike. It needs a server that puts its `transport` into the request's state."""

    def __init__(self, app: ASGIApp, plan: FaultPlan) -> None:
        self._app = app
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless a fault says otherwise."""
        face = name_face(scope["path"]) if scope["type"] == "http" else None
        fault = self._plan.take_http(face, scope["method"], describe_target(scope)) if face else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.delay_s is not None:
            await asyncio.sleep(fault.delay_s)
        await self._strike(fault, scope, receive, send)

    async def _strike(self, fault: HttpFault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.is_answer:
            await fault.to_response()(scope, receive, send)
        elif fault.truncate is not None:
            await self._app(scope, receive, _Cut(send, fault.truncate))
            await _close(scope, receive)
        elif fault.drop is not None:
            if fault.drop == "after":
                await self._app(scope, receive, _discard)
            await _abort(scope, receive)
        else:
            await self._app(scope, receive, _Overlay(send, fault.headers))


class _Cut:
    """Sends the head and the first bytes of a body, and never says that the body has ended."""

    def __init__(self, send: Send, size: int) -> None:
        self._send = send
        self._left = size

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            piece = message.get("body", b"")[: self._left]
            self._left -= len(piece)
            message = {"type": "http.response.body", "body": piece, "more_body": True}
        await self._send(message)


class _Overlay:
    """Lays headers over those of the real answer."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(self._headers)
        await self._send(message)


async def _discard(message: Message) -> None:
    """Swallow an answer that the client shall not get."""


async def _close(scope: Scope, receive: Receive) -> None:
    scope["state"]["transport"].close()  # what was sent still leaves
    await _wait_closed(receive)


async def _abort(scope: Scope, receive: Receive) -> None:
    scope["state"]["transport"].abort()
    await _wait_closed(receive)


async def _wait_closed(receive: Receive) -> None:
    """Return when the server knows that the connection is gone: before that, it would send an answer of its own."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _describe(fault_id: int, fault: _Fault) -> dict[str, Any]:
    return {"id": fault_id, **fault.model_dump(exclude_unset=True), "times": fault.times}
