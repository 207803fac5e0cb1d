"""A scripted GitHub on loopback: it answers what a test put there, with ETags, and remembers what was asked.

Knows no Git and no rules of GitHub's: the tests write the answers, right or wrong.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    import pytest

TOKEN = "ghp_secret0123456789"  # noqa: S105 - opens nothing
HTML = b"<html><body>Sign in to your corporate proxy</body></html>"
NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
REPO = "/repos/acme/pipes"
BRANCHES = f"{REPO}/git/matching-refs/heads/?per_page=100"
COMMENTS = f"{REPO}/issues/comments?direction=desc&per_page=100&sort=updated"
PULLS = f"{REPO}/pulls?direction=desc&per_page=100&sort=updated&state=all"


@dataclass(frozen=True)
class Reply:
    """One answer; `missing_bytes` are promised and not sent, `is_dropped` closes the connection without a word."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    is_dropped: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """One request as it arrived, and what was answered."""

    method: str
    path: str
    headers: dict[str, str]
    status: int
    body: Any = None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up: some tests time out on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class GithubDouble:
    """The server; `answers` maps a path with its query to a reply, or to replies in turn of which the last stays."""

    prefix = "/github/api/v3"

    def __init__(self) -> None:
        self.answers: dict[str, Reply | list[Reply]] = {}
        self.asked: list[Asked] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                double.answer(self)

            def do_POST(self) -> None:
                double.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_PUT(self) -> None:
                self.do_POST()

            def do_PATCH(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        return f"{self.origin}{self.prefix}"

    def link_to(self, path: str) -> dict[str, str]:
        """Return the header that names `path` as the next page."""
        return {"Link": f'<{self.api_url}{path}>; rel="next"'}

    def statuses(self, path: str) -> list[int]:
        """Return what requests for `path` were answered, in order."""
        return [asked.status for asked in self.asked if asked.path == path]

    def answer(self, handler: BaseHTTPRequestHandler, sent: bytes = b"") -> None:
        path = handler.path.removeprefix(self.prefix)
        reply = self._choose_reply(path)
        etag = f'W/"{hashlib.sha256(reply.content).hexdigest()}"'
        is_known = reply.status == 200 and handler.headers.get("If-None-Match") == etag
        status = 304 if is_known else reply.status
        self.asked.append(Asked(handler.command, path, dict(handler.headers), status, json.loads(sent or b"null")))
        if reply.is_dropped:
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in ({"ETag": etag, "Content-Type": "application/json"} | reply.headers).items():
            handler.send_header(name, value)
        content = b"" if is_known else reply.content
        handler.send_header("Content-Length", str(len(content) + reply.missing_bytes))
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = handler.close_connection or reply.missing_bytes > 0

    def _choose_reply(self, path: str) -> Reply:
        replies = self.answers.get(path, Reply(NOT_FOUND, 404))
        if isinstance(replies, Reply):
            return replies
        return replies.pop(0) if len(replies) > 1 else replies[0]


def make_sha(seed: object) -> str:
    """Return some 40 hexadecimal digits, the same for the same seed."""
    return hashlib.sha1(str(seed).encode(), usedforsecurity=False).hexdigest()


def make_ref(name: str, head: str | None = None) -> dict[str, Any]:
    """Return a ref as GitHub lists it."""
    return {"ref": f"refs/heads/{name}", "object": {"type": "commit", "sha": head or make_sha(name)}}


def make_pull(number: int, updated_at: str = "2026-01-01T00:00:00Z", **changes: Any) -> dict[str, Any]:
    """Return an open pull request of the repository itself as GitHub lists it, with `changes` to its fields."""
    pull: dict[str, Any] = {
        "number": number,
        "state": "open",
        "title": f"Pull {number}",
        "html_url": f"https://github.example/acme/pipes/pull/{number}",
        "updated_at": updated_at,
        "merged_at": None,
        "user": {"login": "ada"},
        "labels": [],
        "head": {"ref": f"dev-{number}", "sha": make_sha(number), "repo": {"id": 7}},
        "base": {"ref": "staging", "sha": make_sha("staging"), "repo": {"id": 7}},
    }
    return pull | changes


def make_comment(number: int, body: str, **changes: Any) -> dict[str, Any]:
    """Return a person's comment on pull request 1 as GitHub lists it, with `changes` to its fields."""
    comment: dict[str, Any] = {
        "id": number,
        "issue_url": "https://api.github.example/repos/acme/pipes/issues/1",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "body": body,
        "user": {"id": 42, "login": "mona", "type": "User"},
        "performed_via_github_app": None,
        "reactions": {"eyes": 0},
    }
    return comment | changes


def put_branches(github: GithubDouble, *names: str) -> None:
    """Let the whole listing of branches be these names."""
    github.answers[BRANCHES] = Reply([make_ref(name) for name in names])


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    """Define the Airflow connection github_default."""
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps({"conn_type": "github"} | connection))
