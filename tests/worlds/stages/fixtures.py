"""The fixture `stage`: operators of the real DAGs against one running sandbox, seeded anew for each test."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from airflow.sdk.bases.operator import ExecutorSafeguard

from demo.author import Author
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.astro import http as astro_http
from include.deploy_ops.run import claims
from include.deploy_ops.run.scope import Scope
from include.deploy_ops.triggers import image, settled, verified
from sandbox.identity import (
    ASTRO_TOKEN,
    GITHUB_TOKEN,
    ORGANIZATION_ID,
    REGISTRY_PASSWORD,
    WORKSPACE_ID,
)
from tests.contract.astro.description import list_journal_problems
from tests.sandbox.conftest import ROOT, Sandbox, start_sandbox
from tests.worlds.stages.stage import Stage

POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/data-platform
    ignore: ["*.md", docs/]
    image: ["{host}/acme/data-platform:{{sha}}"]
    previews:
      branches: ["dev*"]
      exclude: [develop]
      template: deployments/preview.yaml
      merged_into: [staging, main]
      delete_after: 14d
    targets:
      production: {{deployment: Production, pull_request: {{from: astro_deploy, into: main}}}}
    limits: {{max_deletes: 2}}
    feedback: {{comments: false, statuses: false, deployments: false}}
"""


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all tests."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def author(shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Author:
    """One clone for all tests: the sandbox is seeded with the same commits each time."""
    author = Author(tmp_path_factory.mktemp("author") / "clone", shared_sandbox.url, GITHUB_TOKEN)
    author.folder.mkdir()
    author.clone()
    return author


@contextlib.contextmanager
def open_stage(sandbox: Sandbox, author: Author) -> Iterator[Stage]:
    """Yield a stage where nothing waits to spare others' services, and no secret of another test is masked.

    No secret is in what is left behind, and Astro was asked nothing but what its description of the API has.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        _hurry(monkeypatch)
        reset_secrets_masker()
        made = set_stage(sandbox, author, monkeypatch)
        yield made
    left = json.dumps([[run.xcoms, run.conf] for run in made.runs] + [store.values for store in made.stores.values()])
    assert not find_secrets(left)
    assert list_journal_problems(made.list_requests("astro")) == []


def set_stage(sandbox: Sandbox, author: Author, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a project on the sandbox, seeded anew, and let operators run outside Airflow's task runner."""
    _connect(monkeypatch, sandbox)
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    loaded = load_policy(POLICY.format(host=sandbox.host), "policy.yaml")
    assert not loaded.problems
    projects = loaded.policy.projects
    scope = Scope(loaded.policy.control_plane, is_dry=False, project=projects[0], targets=loaded.target_names)
    made = Stage(sandbox, author, scope)
    made.renew()
    return made


@pytest.fixture
def stage(shared_sandbox: Sandbox, author: Author) -> Iterator[Stage]:
    """Give a stage to one test."""
    with open_stage(shared_sandbox, author) as made:
        yield made


def _connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    github = {"conn_type": "github", "host": f"{sandbox.url}/github/api/v3", "password": GITHUB_TOKEN}
    extra = {"organization_id": ORGANIZATION_ID, "workspace_id": WORKSPACE_ID}
    astro = {"conn_type": "http", "host": f"{sandbox.url}/astro", "password": ASTRO_TOKEN, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(github))
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(astro))
    monkeypatch.setenv("ASTRO_CLI", os.environ.get("ASTRO_CLI") or str(ROOT / "sandbox" / "bin" / "astro"))
    monkeypatch.setenv("ASTRO_CLI_READS", str(ROOT / "sandbox"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses that spare others' services."""
    monkeypatch.setattr(claims, "READ_BACK_S", 0.0)
    monkeypatch.setattr(astro_http, "REQUESTS_PER_S_MAX", 1000)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(settled, "BRIEF_S", 0.3)
    for trigger in (settled, image, verified):
        monkeypatch.setattr(trigger, "FIRST_EVENT_S", 0.0)


def find_secrets(text: str) -> list[str]:
    """Return the secrets of the sandbox that stand in the text."""
    return [secret for secret in (GITHUB_TOKEN, ASTRO_TOKEN, REGISTRY_PASSWORD) if secret in text]


class Log:
    """What was logged so far: Airflow's loggers print, the others are captured."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capsys = capsys
        self._printed = ""

    def read(self) -> str:
        """Return all of it."""
        self._printed += "".join(self._capsys.readouterr())
        return f"{self._printed}{self._caplog.text}"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    """Collect what is logged in a test, by Airflow's loggers and others'; no secret is in any of it."""
    caplog.set_level("DEBUG")
    log = Log(caplog, capsys)
    yield log
    assert not find_secrets(log.read())
