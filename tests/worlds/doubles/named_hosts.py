"""Hosts by their real names, whose HTTPS requests come to a server on loopback: what is sent and read is real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from tests.worlds.doubles.hostile_server import Asked, HostileServer


@contextmanager
def serve_hosts(answer: Callable[[str, Asked], Iterable[bytes]], patch: pytest.MonkeyPatch) -> Iterator[list[Asked]]:
    """Have every HTTPS request of python-requests answered, by host, while the block lasts; give what was asked.

    The host stands in the header `host` of what was asked.
    """
    server = HostileServer(lambda asked: answer(asked.headers["host"], asked))
    send = HTTPAdapter.send

    def route(self: HTTPAdapter, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        parts = urlsplit(request.url or "")
        if parts.scheme != "https":
            return send(self, request, *args, **options)
        routed = request.copy()
        routed.url = parts._replace(scheme="http", netloc=server.host).geturl()
        routed.headers["Host"] = parts.netloc
        response = send(self, routed, *args, **options)
        response.url, response.request = str(request.url), request
        return response

    patch.setattr(HTTPAdapter, "send", route)
    patch.setenv("no_proxy", "*")
    with server:
        yield server.asked
