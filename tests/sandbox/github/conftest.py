"""A running GitHub of the sandbox alone, seeded anew for each test: the fixture `hub`."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.github import GitHub, Push
from sandbox.identity import GITHUB_TOKEN
from sandbox.settings import Settings
from tests.contract.github.description import API_PATH, make_judge
from tests.contract.openapi.exchange import Exchange, Recorder
from tests.contract.openapi.judge import Judge

REPOSITORY = "acme/data-platform"


@dataclass
class Hub:
    """A running GitHub, a client for its repository's API, and git with a checkout."""

    url: str
    github: GitHub
    settings: Settings
    api: httpx.Client
    folder: Path
    pushes: list[Push] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def clone_url(self) -> str:
        """The clone address, with the token as password."""
        return f"{self.url.replace('://', f'://x:{GITHUB_TOKEN}@')}/github/{REPOSITORY}.git"

    @property
    def api_url(self) -> str:
        """The start of the repository's API."""
        return f"{self.url}/github/api/v3/repos/{REPOSITORY}"

    @property
    def html(self) -> str:
        """The start of every page of the repository."""
        return f"{self.url}/github/{REPOSITORY}"

    def git(self, *arguments: str, is_checked: bool = True, stdin: str | None = None) -> str:
        """Run git in the checkout; gives stdout and stderr together."""
        configuration = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        person = {
            f"GIT_{role}_{what}": "mira@acme.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **configuration, **person},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not is_checked or done.returncode == 0, f"git {arguments}: {done.stdout}"
        return done.stdout.strip()

    def clone(self) -> None:
        """Check the repository out."""
        self.git("clone", "--quiet", self.clone_url, ".")

    def push_file(self, branch: str, path: str, content: str, start: str = "origin/main") -> str:
        """Commit one file on a branch (made at `start` if new) and push it; gives the commit."""
        if not (self.folder / ".git").exists():
            self.clone()
        self.git("checkout", "--quiet", *([branch] if self._has_branch(branch) else ["-b", branch, start]))
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Write {path}")
        self.git("push", "--quiet", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def _has_branch(self, branch: str) -> bool:
        return bool(self.git("branch", "--list", branch))

    def send(self, method: str, path: str, *, status: int, **options: Any) -> Any:
        """Send a request about the repository, expect a status, and give the JSON (None without a body)."""
        answer = self.api.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def open_pull(self, head: str, base: str = "main", **fields: Any) -> Any:
        """Open a pull request."""
        return self.send(
            "POST", "/pulls", status=201, json={"title": f"Merge {head}", "head": head, "base": base} | fields
        )

    def read_heads(self) -> dict[str, str]:
        """Read the branches from the bare repository itself."""
        lines = self.git(
            "-C",
            str(self.github.git_dir(REPOSITORY)),
            "for-each-ref",
            "--format=%(refname:lstrip=2) %(objectname)",
            "refs/heads/",
        )
        return dict(line.split(" ") for line in lines.splitlines())


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Give GitHub's description of its own API."""
    return make_judge()


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Serve one GitHub from a thread on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(mergeability_s=0)
        github = GitHub(tmp_path_factory.mktemp("github"), settings, url)
        recorder = Recorder(Starlette(routes=[Mount("/github", routes=github.routes())]), API_PATH)
        server = uvicorn.Server(uvicorn.Config(recorder, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        headers = {"authorization": f"Bearer {GITHUB_TOKEN}"}
        with httpx.Client(base_url=f"{url}/github/api/v3/repos/{REPOSITORY}", headers=headers, timeout=20) as api:
            yield Hub(url, github, settings, api, Path(), exchanges=recorder.exchanges)
        server.should_exit = True
        thread.join()


@pytest.fixture
def hub(running: Hub, tmp_path: Path, judge: Judge) -> Iterator[Hub]:
    """Give the running GitHub, freshly seeded, with Git's folder, pushes and exchanges of this test alone.

    Whatever a test asks for, no answer may contradict GitHub's own description.
    """
    before = replace(running.settings)
    running.github.reset()
    fresh = replace(running, folder=tmp_path, pushes=[])
    running.github.on_push[:] = [fresh.pushes.append]
    running.exchanges.clear()
    yield fresh
    vars(running.settings).update(vars(before))
    problems = [problem for exchange in fresh.exchanges for problem in judge.list_answer_problems(exchange)]
    assert not problems, "\n".join(problems)
