"""The stand-in CLI as a process: its home, an Astro project in Git, and an engine that notes its commands.

ASTRO_CLI names another executable to run in its place: the real CLI, by hand. It asks updates.astronomer.io for runtime
versions, so HTTPS_PROXY and SSL_CERT_FILE reach it then.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID

if TYPE_CHECKING:
    from tests.sandbox.astro.world import World

ASTRO = Path(__file__).parents[3] / "sandbox" / "bin" / "astro"
OTHER_CLI = os.environ.get("ASTRO_CLI")
_OTHER_CLIS_VARIABLES = ("HTTPS_PROXY", "SSL_CERT_FILE")
_ORIGIN = "https://github.com/acme/data-platform.git"
_ENGINE = """#!/bin/sh
. "$0.settings"
echo "$*" >> "$ENGINE_LOG"
case "$1" in
  build)
    if grep -q 'COPY nothing' Dockerfile; then echo 'STEP 2/2: COPY nothing /x'; exit 125; fi
    cp .dockerignore "$ENGINE_LOG.ignore" ;;
  tag) case "$2" in *nope*) echo 'no such image' >&2; exit 125 ;; esac ;;
  inspect)
    if [ "$ENGINE_VERSION" = broken ]; then exit 125; fi
    echo "$ENGINE_VERSION" ;;
  login)
    if [ -n "$ENGINE_REFUSES" ]; then echo "$ENGINE_REFUSES" >&2; exit 125; fi
    cat > "$ENGINE_LOG.stdin"; echo 'Login Succeeded!' ;;
esac
"""
_FILE: dict[str, Any] = {
    "environment_variables": [{"is_secret": False, "key": "STAGE", "value": "preview"}],
    "configuration": {
        "name": "dev-x",
        "description": "made for a test",
        "runtime_version": "3.1-14",
        "dag_deploy_enabled": True,
        "ci_cd_enforcement": False,
        "scheduler_size": "SMALL",
        "is_high_availability": False,
        "is_development_mode": True,
        "executor": "CELERY",
        "scheduler_count": 1,
        "workspace_name": "Data Platform",
        "deployment_type": "STANDARD",
        "cloud_provider": "AWS",
        "region": "us-east-1",
        "default_task_pod_cpu": "0.25",
        "default_task_pod_memory": "0.5Gi",
        "resource_quota_cpu": "10",
        "resource_quota_memory": "20Gi",
        "workload_identity": "",
    },
    "worker_queues": [
        {"name": "default", "max_worker_count": 10, "min_worker_count": 0, "worker_concurrency": 5, "worker_type": "A5"}
    ],
}
_NORMALIZED = (
    (re.compile(re.escape(WORKSPACE_ID)), "<WS>"),
    (re.compile(re.escape(ORGANIZATION_ID)), "<ORG>"),
    (re.compile(r"\bcl[0-9a-z]{23}\b"), "<ID>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d+"), "<TIME>"),
    (re.compile(r"sig=[\w-]+"), "sig=s"),
    (re.compile(r"blockid=[^&]+"), "blockid=b"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<API>"),
    (re.compile(r"airflow/[0-9a-z]{8}"), "airflow/<ID>"),
    (re.compile(r"[a-z]+-[a-z]+-\d{4}/airflow"), "<NS>/airflow"),
    (re.compile(r"Usage:.*", re.DOTALL), "<USAGE>\n"),
)


def make_engine(folder: Path) -> None:
    """Put an executable `podman` into the folder."""
    engine = folder / "podman"
    engine.write_text(_ENGINE)
    engine.chmod(0o755)


def make_tools(folder: Path) -> None:
    """Put links to what the stand-in may run into the folder, so that no engine of this machine is found."""
    folder.mkdir()
    for tool in ("git", "sh", "bash", "cat", "grep", "cp"):
        path = shutil.which(tool)
        assert path is not None
        (folder / tool).symlink_to(path)


def set_stage(world: World, root: Path) -> Stage:
    """Return a stage below the empty folder `root`, its world begun anew."""
    world.forget()
    stage = Stage(world, root)
    make_tools(root / "tools")
    stage.write_config()
    shutil.copytree(_make_project(), stage.project)
    return stage


@functools.cache
def _make_project() -> Path:
    """Make an Astro project in a clean repository on the branch dev-x; it is made once and copied."""
    folder = Path(tempfile.mkdtemp(prefix="stage-"))
    atexit.register(shutil.rmtree, folder)
    for path, text in {
        ".astro/config.yaml": "project:\n  name: p\n",
        ".dockerignore": "a\ndags/\nb\n",
        "Dockerfile": "FROM scratch\n",
        "dags/a.py": "print(1)\n",
        "dags/sub/q.sql": "select 1\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    run_git(folder, "init", "-q", "-b", "dev-x")
    run_git(folder, "remote", "add", "origin", _ORIGIN)
    commit(folder, "first line\n\nmore")
    return folder


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit everything and return the commit's id."""
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return run_git(folder, "rev-parse", "HEAD")


@dataclass
class Stage:
    """One test's world and places. `id` is the Deployment's, once `create` has made one."""

    world: World
    root: Path
    id: str = ""
    token: str | None = ASTRO_TOKEN
    engine_version: str = "3.3-2"
    engine_refusal: str = ""
    docker_host: str = "unix:///nowhere.sock"

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def write_config(self, **settings: Any) -> None:
        """Write the home's configuration; `settings` come at its top level."""
        (self.home / ".astro").mkdir(parents=True, exist_ok=True)
        context = {"domain": "localhost", "organization": ORGANIZATION_ID, "workspace": WORKSPACE_ID}
        config = {
            "context": "localhost",
            "contexts": {"localhost": context},
            "local": {"core": f"{self.world.base_url}/astro", "registry": "127.0.0.1:1"},
            "telemetry": {"enabled": "false"},
            "upgrade_message": "false",
            **settings,
        }
        (self.home / ".astro" / "config.yaml").write_text(json.dumps(config))

    def write_file(self, **changes: Any) -> None:
        """Write the Deployment file; a change of a key of `configuration` or of a section, None removes it."""
        document = {**_FILE, "configuration": dict(_FILE["configuration"])}
        for key, value in changes.items():
            part = document["configuration"] if key in document["configuration"] else document
            part[key] = value
            if value is None:
                del part[key]
        self.file.write_text(yaml.safe_dump({"deployment": document}))

    @property
    def file(self) -> Path:
        return self.root / "d.yaml"

    def call_api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Astro without the CLI; `path` continues the organization's."""
        url = f"{self.world.api}/organizations/{ORGANIZATION_ID}{path}"
        response = self.world.client.request(method, url, json=body, headers={"authorization": f"Bearer {ASTRO_TOKEN}"})
        assert response.is_success, response.text
        return response.json() if response.content else None

    def create(self, **changes: Any) -> None:
        """Make the Deployment dev-x."""
        body = {
            "name": "dev-x",
            "workspaceId": WORKSPACE_ID,
            "type": "STANDARD",
            "executor": "CELERY",
            "schedulerSize": "SMALL",
            "isCicdEnforced": False,
            "isDagDeployEnabled": True,
            "isHighAvailability": False,
            "isDevelopmentMode": True,
            "cloudProvider": "AWS",
            "region": "us-east-1",
            "astroRuntimeVersion": "3.1-14",
            "description": "made for a test",
            "environmentVariables": [{"key": "STAGE", "isSecret": False, "value": "preview"}],
            **changes,
        }
        self.id = self.call_api("POST", "/deployments", body)["id"]
        self.world.forget_requests()

    def write_engine_settings(self) -> None:
        """Tell the engine by a file, since not every caller of the CLI hands variables on."""
        settings = {
            "ENGINE_LOG": str(self.root / "engine.log"),
            "ENGINE_VERSION": self.engine_version,
            "ENGINE_REFUSES": self.engine_refusal,
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        (self.root / "tools" / "podman.settings").write_text("".join(lines))

    def run(self, *argv: str, cwd: Path | None = None, tools: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the stand-in and return its exit code and its normalized output."""
        self.write_engine_settings()
        environment = {
            "PATH": str(tools or self.root / "tools"),
            "HOME": str(self.root),
            "ASTRO_HOME": str(self.home),
            "ASTRO_STANDIN_WAIT_SCALE": "0.001",
            "DOCKER_HOST": self.docker_host,
            **({} if self.token is None else {"ASTRO_API_TOKEN": self.token}),
            **({name: os.environ[name] for name in _OTHER_CLIS_VARIABLES if name in os.environ} if OTHER_CLI else {}),
        }
        command = [*([OTHER_CLI] if OTHER_CLI else [sys.executable, str(ASTRO)]), *argv]
        where = cwd or self.project
        result = subprocess.run(
            command, cwd=where, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        result.stdout, result.stderr = self._normalize(result.stdout), self._normalize(result.stderr)
        return result

    @property
    def requests(self) -> list[str]:
        """The normalized requests since the last `create`."""
        return [self._normalize(line).replace("/v1/organizations/<ORG>", "/O") for line in self.world.requests]

    @property
    def engine_commands(self) -> list[str]:
        """What the engine was asked to do."""
        log = self.root / "engine.log"
        return [self._normalize(line) for line in log.read_text().splitlines()] if log.exists() else []

    def _normalize(self, text: str) -> str:
        text = text.replace(str(self.root), "<WORK>").replace(os.path.realpath(self.root), "<WORK>")
        for pattern, name in _NORMALIZED:
            text = pattern.sub(name, text)
        return text
