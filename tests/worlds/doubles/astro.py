"""A scripted Astro API on loopback: it answers what a test put there, and remembers what was asked.

Knows no rules of Astro's: the tests write the answers, right or wrong.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

ORGANIZATION, WORKSPACE = "clorg", "clws"
TOKEN = "astro-token-that-must-not-show"  # noqa: S105 - opens nothing
BASE = f"/v1/organizations/{ORGANIZATION}"


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
    """One request as it arrived."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


Answer = Reply | Callable[[Asked], Reply]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class AstroDouble:
    """The server; `answers` maps a path below the organization to replies in turn, of which the last stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/astro"

    def connection(self, **changes: Any) -> str:
        """Return the Airflow connection to this server, as JSON for an environment variable."""
        extra = {"organization_id": ORGANIZATION, "workspace_id": WORKSPACE, **changes.pop("extra", {})}
        return json.dumps({"conn_type": "http", "host": self.url, "password": TOKEN, "extra": extra, **changes})

    def say(self, path: str, *answers: Answer) -> None:
        """Set what a path below the organization answers from now on."""
        self.answers[f"{BASE}/{path}"] = list(answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        answers = self.answers.get(asked.path)
        if not answers:
            return not_found()
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Reply) else answer(asked)

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                path = parts.path.removeprefix("/astro")
                self._send(double._reply(Asked(path, parse_qs(parts.query), headers)))

            def _send(self, reply: Reply) -> None:
                if reply.is_dropped:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content) + reply.missing_bytes))
                self.end_headers()
                self.wfile.write(reply.content)
                self.close_connection = reply.missing_bytes > 0

            def log_message(self, *_: Any) -> None:
                return

        return Handler


def not_found() -> Reply:
    """Return Astro's own 404."""
    return Reply({"message": "Not found", "requestId": "r", "statusCode": 404}, 404)


def serve_list(key: str, items: list[dict[str, Any]], **changes: Any) -> Callable[[Asked], Reply]:
    """Return an answer that pages through a list as Astro does."""

    def answer(asked: Asked) -> Reply:
        offset, limit = int(asked.query["offset"][0]), int(asked.query["limit"][0])
        page = items[offset : offset + limit]
        return Reply({key: page, "limit": limit, "offset": offset, "totalCount": len(items), **changes})

    return answer


def make_deployment(**changes: Any) -> dict[str, Any]:
    """Return a Deployment's JSON with the fields that the schema requires and we read."""
    return {
        "id": "cldep1",
        "name": "data-dev-x",
        "status": "HEALTHY",
        "description": "a preview",
        "workspaceId": WORKSPACE,
        "namespace": "weightless-diameter-8927",
        "type": "STANDARD",
        "astroRuntimeVersion": "3.3-2",
        "runtimeVersion": "3.3-2",
        "imageRepository": "images.astronomer.cloud/baseimages/x",
        "imageTag": "deploy-1",
        "isDagDeployEnabled": True,
        "isDevelopmentMode": True,
        "executor": "CELERY",
        "cloudProvider": "AWS",
        "region": "us-east-1",
        "webServerUrl": "org.astronomer.run/d8fe2wmv?orgId=org_1",
        "dagTarballVersion": "v1",
        "desiredDagTarballVersion": "v1",
        "environmentVariables": [{"key": "STAGE", "value": "preview", "isSecret": False}],
        "contactEmails": ["a@b.example"],
        "createdAt": "2026-01-02T03:04:05.678Z",
        "updatedAt": "2026-01-03T03:04:05.678Z",
        **changes,
    }


def make_deploy(number: int, **changes: Any) -> dict[str, Any]:
    """Return a deploy record's JSON; a higher number is newer."""
    return {
        "id": f"cldeploy{number}",
        "deploymentId": "cldep1",
        "createdAt": f"2026-01-02T03:{number // 60:02}:{number % 60:02}Z",
        "type": "DAG_ONLY",
        "status": "DEPLOYED",
        "imageTag": "deploy-1",
        "dagTarballVersion": "v1",
        "description": f"run=r{number} try=1 ",
        **changes,
    }
