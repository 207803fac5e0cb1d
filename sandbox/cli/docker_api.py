"""The push by way of the Docker API, which the CLI tries before it logs in and pushes by command."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION_MAX = (1, 47)
_OK = 200
_NO_OPTIONS = b"{}\n"


class PushError(Exception):
    """The Docker API cannot be reached, or its push failed."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ping() -> None:
    """Ask DOCKER_HOST for a sign of life, as is done when tests may follow; what it answers does not matter."""
    try:
        _negotiate()
    except PushError:
        return


def push_image(repository: str, tag: str, registry: str, token: str) -> None:
    """Let DOCKER_HOST push an image, and print its progress. There is no time limit, as in the real CLI.

    :raises PushError: if that does not work, for whatever reason.
    """
    credentials = {"username": "cli", "password": token, "serveraddress": registry}
    headers = {
        "X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode(),
        "Content-Type": "application/json",
    }
    path = f"/v{_negotiate()}/images/{repository}/push?{urlencode({'tag': tag})}"
    connection = _connect()
    try:
        connection.request("POST", path, _NO_OPTIONS, headers)  # sent in two pieces, as by the real CLI
        response = connection.getresponse()
        if response.status != _OK:
            raise PushError(f"status {response.status}")
        _follow_progress(response)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PushError(str(error)) from error
    finally:
        connection.close()


def _negotiate() -> str:
    """Return the API's version, the client's own at most."""
    connection = _connect()
    try:
        connection.request("HEAD", "/_ping")
        offered = connection.getresponse().headers.get("Api-Version", "")
        numbers = tuple(int(part) for part in offered.split(".")) if offered else _VERSION_MAX
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PushError(str(error)) from error
    finally:
        connection.close()
    return ".".join(str(number) for number in min(numbers, _VERSION_MAX))


def _connect() -> http.client.HTTPConnection:
    parts = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if parts.scheme == "unix":
        return _UnixConnection(parts.path)
    if parts.scheme in {"tcp", "http"} and parts.netloc:
        return http.client.HTTPConnection(parts.netloc)
    raise PushError("DOCKER_HOST is malformed")


def _follow_progress(lines: Iterable[bytes]) -> None:
    """Print each status; a bar of progress is for terminals only."""
    for line in filter(None, (line.strip() for line in lines)):
        message = json.loads(line)
        if message.get("error") or message.get("errorDetail"):
            raise PushError(str(message.get("error")))
        if message.get("status") and not message.get("progressDetail"):
            name = f"{message['id']}: " if message.get("id") else ""
            say(f"{name}{message['status']}")
