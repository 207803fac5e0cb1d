"""A Git host for tests: real repositories behind `git http-backend`, with Git LFS, over HTTP, for one token."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "ghp_very/secret+token=1"  # noqa: S105 - made up


def run_git(*argv: str, cwd: Path, given: bytes = b"") -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    people = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    ran = subprocess.run(
        ["git", *argv], cwd=cwd, input=given, capture_output=True, check=True, env={**environment, **people}
    )
    return ran.stdout.decode().strip()


class _Handler(BaseHTTPRequestHandler):
    """`git http-backend` over HTTP, and what was asked of it."""

    server: GitHost
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        authorization = self.headers.get("Authorization")
        self.server.asked.append((self.path, authorization))
        if self.server.fault is not None:
            self._send(self.server.fault, {"Location": f"{self.server.url}/elsewhere"}, b"")
        elif (content := self.server.large_files.get(self.path.rpartition("/")[2])) is not None:
            self._send(200, {}, content)  # whose link is the right to read it
        elif authorization != self.server.authorization:
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._send(200, {}, json.dumps(self._link(json.loads(body)["objects"])).encode())
        else:
            self._run_backend(body)

    def _link(self, objects: list[dict[str, Any]]) -> dict[str, Any]:
        base = f"{self.server.url}/large"
        links = [{**each, "actions": {"download": {"href": f"{base}/{each['oid']}"}}} for each in objects]
        return {"transfer": "basic", "objects": links}

    def _run_backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        ran = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        # It exits 1 after telling the client of an error.
        head, _, content = ran.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._send(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class GitHost(ThreadingHTTPServer):
    """A Git host with one token: a repository, others by `work_in`, and the contents of `large_files` by their hash."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.repository = folder / "acme" / "data.git"
        self.repository.mkdir(parents=True)
        self.large_files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.fault: int | None = None
        self.authorization: str | None = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        run_git("init", "--quiet", "--bare", "--template=", ".", cwd=self.repository)
        run_git("config", "uploadpack.allowFilter", "true", cwd=self.repository)

    @contextlib.contextmanager
    def work_in(self, name: str) -> Iterator[None]:
        """Let `commit` go to another repository, owner/name, which is made."""
        before, self.repository = self.repository, self.folder / f"{name}.git"
        self.repository.mkdir(parents=True, exist_ok=True)
        run_git("init", "--quiet", "--bare", "--template=", ".", cwd=self.repository)
        yield
        self.repository = before

    def keep(self, content: bytes) -> str:
        """Keep a large file; return the pointer that stands for it."""
        oid = hashlib.sha256(content).hexdigest()
        self.large_files[oid] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def clone_url(self) -> str:
        return f"{self.url}/acme/data.git"

    def commit(self, files: dict[str, str], branch: str = "dev-a", links: dict[str, str] | None = None) -> str:
        index = self.repository / "index"
        index.unlink(missing_ok=True)
        for path, text in files.items():
            sha = run_git("hash-object", "-w", "--stdin", cwd=self.repository, given=text.encode())
            self._add("100644", sha, path)
        for path, text in (links or {}).items():
            is_module = len(text) == 40
            sha = (
                text if is_module else run_git("hash-object", "-w", "--stdin", cwd=self.repository, given=text.encode())
            )
            self._add("160000" if is_module else "120000", sha, path)
        tree = run_git("write-tree", cwd=self.repository)
        commit = run_git("commit-tree", tree, "-m", f"files of {branch}", cwd=self.repository)
        run_git("update-ref", f"refs/heads/{branch}", commit, cwd=self.repository)
        return commit

    def _add(self, mode: str, sha: str, path: str) -> None:
        run_git("update-index", "--add", "--cacheinfo", f"{mode},{sha},{path}", cwd=self.repository)
