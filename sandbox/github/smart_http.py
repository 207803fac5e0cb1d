"""Clone, fetch and push over HTTP: git's own `git http-backend`, streamed both ways. Knows no Git protocol itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandbox.github.git import build_environment
from sandbox.github.rest import has_token

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from sandbox.github.git import Git
    from sandbox.github.repositories import Repositories

CHUNK_BYTES = 65_536
_CHALLENGE = {"www-authenticate": 'Basic realm="GitHub"'}
_FETCH, _PUSH = "git-upload-pack", "git-receive-pack"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SmartHttp:
    """Git's smart protocol for every repository; each request needs the token."""

    repositories: Repositories

    def routes(self) -> list[BaseRoute]:
        """Give the routes of `/{owner}/{name}.git/...`."""
        start = "/{owner}/{name}.git"
        routes: list[BaseRoute] = [Route(f"{start}/info/refs", _Endpoint(self, "info/refs"), methods=["GET"])]
        routes += [Route(f"{start}/{name}", _Endpoint(self, name), methods=["POST"]) for name in (_FETCH, _PUSH)]
        return routes

    async def answer(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what it moved is published before the answer ends."""
        headers = Headers(scope=scope)
        query = scope["query_string"].decode("latin-1")
        repository = self.repositories.get("{owner}/{name}".format_map(scope["path_params"]))
        if not has_token(headers.get("authorization", "")):
            refusal = PlainTextResponse("Invalid username or token.\n", 401, _CHALLENGE)
            await refusal(scope, receive, send)
        elif repository is None or (service == "info/refs" and query.removeprefix("service=") not in {_FETCH, _PUSH}):
            await PlainTextResponse("Not Found\n", 404)(scope, receive, send)
        else:
            variables = build_cgi(repository.git, service, scope["method"], query, headers)
            try:
                await _run_backend(variables, receive, send)
            finally:  # git may have moved branches before something went wrong
                if service == _PUSH:
                    repository.publish_movements()
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Endpoint:
    """An ASGI application, so that request and response can be streamed at the same time."""

    def __init__(self, smart_http: SmartHttp, service: str) -> None:
        self._smart_http = smart_http
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._smart_http.answer(self._service, scope, receive, send)


def build_cgi(git: Git, service: str, method: str, query: str, headers: Headers) -> dict[str, str]:
    """Build the environment that `git http-backend` reads a request from (git-http-backend(1), RFC 3875)."""
    passed = {
        "CONTENT_TYPE": "content-type",
        "CONTENT_LENGTH": "content-length",
        "HTTP_CONTENT_ENCODING": "content-encoding",
        "GIT_PROTOCOL": "git-protocol",
    }
    return {
        **build_environment(),
        "GIT_PROJECT_ROOT": str(git.git_dir.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{git.git_dir.name}/{service}",
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "REMOTE_USER": "git",  # http-backend lets only somebody push
        **{name: headers[header] for name, header in passed.items() if header in headers},
    }


async def _run_backend(variables: dict[str, str], receive: Receive, send: Send) -> None:
    """Answer by `git http-backend`, all but the end of the answer."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(  # uvloop knows no process_group; a session is a group, too
        "git", "http-backend", stdin=pipe, stdout=pipe, stderr=pipe, env=variables, start_new_session=True
    )
    stdout, stderr = cast("asyncio.StreamReader", process.stdout), cast("asyncio.StreamReader", process.stderr)
    try:
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_feed(process, receive))
            complaint = group.create_task(stderr.read())
            await _pump(stdout, send)
            await process.wait()
            feeding.cancel()
        if process.returncode:
            _log.warning(
                "git http-backend ended with %d: %s", process.returncode, complaint.result().decode(errors="replace")
            )
    finally:
        _kill(process)
        await process.wait()


async def _feed(process: asyncio.subprocess.Process, receive: Receive) -> None:
    """Pass the request's body on as it comes; a client that goes away takes the backend with it."""
    stdin = cast("asyncio.StreamWriter", process.stdin)
    more = True
    # A backend that has read enough closes its end; what it has to say stands in its answer.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                _kill(process)
                return
            if stdin.is_closing():  # uvloop answers a write to what is closed with RuntimeError
                return
            stdin.write(message.get("body", b""))
            await stdin.drain()
            more = message.get("more_body", False)
        stdin.close()


async def _pump(stdout: asyncio.StreamReader, send: Send) -> None:
    """Pass the backend's answer on as it comes: CGI headers first, then the body."""
    try:
        lines = (await stdout.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    except asyncio.IncompleteReadError:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        return
    headers = dict(line.split(": ", 1) for line in lines if line)
    status = int(headers.pop("Status", "200").split()[0])
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    while chunk := await stdout.read(CHUNK_BYTES):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the backend and whatever it started, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
