"""The doctor as a command: what it prints, how it ends, and that it needs no scheduler and no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops import doctor
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from include.deploy_ops.operators.doctor import examine
from tests.worlds.stages.fixtures import author, find_secrets, log, shared_sandbox, stage

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

__all__ = ["author", "log", "shared_sandbox", "stage"]

ROOT = Path(__file__).parents[2]
GOOD = """\
control_plane: acme
projects:
  - {name: shop, repository: acme/data-platform, image: [reuse]}
  - {name: till, repository: acme/data-platform, root: till, image: [reuse]}
"""
FAIL = Status.FAIL
CHECKS = {status: Check(Area.HERE, "disk", status, "5 GiB", "look at it") for status in Status}


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the policy's file, a valid one."""
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    monkeypatch.setenv(POLICY_VARIABLE, str(path))
    return path


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize(("status", "code"), [*((each, 0) for each in Status if each is not FAIL), (FAIL, 1)])
def test_the_exit_code_says_whether_anything_fails(
    status: Status, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examine, "examine", lambda *_: (CHECKS[status],))
    assert doctor.main(sys.stdout) == code
    told = capsys.readouterr().out
    assert told.startswith(f"shop, acme/data-platform: 1 {status}\n\n")
    assert f"till, acme/data-platform: 1 {status}\n\n" in told


def test_a_part_of_the_policy_that_is_wrong_fails_and_the_rest_is_looked_at(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(GOOD.replace("root: till, image: [reuse]", "root: till"))
    monkeypatch.setattr(examine, "examine", lambda *_: (CHECKS[Status.OK],))
    assert doctor.main(sys.stdout) == 1
    told = capsys.readouterr().out
    assert told.startswith(f"{policy}: projects[1].image: project 'till': it is missing")
    assert "shop, acme/data-platform: 1 ok" in told


def test_a_policy_that_cannot_be_read_has_an_exit_code_of_its_own(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text("mode: [")
    assert doctor.main(sys.stdout) == 2
    assert capsys.readouterr().out.startswith(f"{policy}: line 1, column 8: ")


def test_as_a_command_it_needs_neither_scheduler_nor_database(stage: Stage, policy: Path, tmp_path: Path) -> None:
    policy.write_text(GOOD[: GOOD.index("  - {name: till")])
    home = tmp_path / "airflow"
    nowhere = {"AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none/airflow.db"}
    command = [sys.executable, "-m", "include.deploy_ops.doctor"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, check=False)
    said = f"{run.stdout}\n{run.stderr}"
    assert run.returncode in {0, 1}, said
    assert "Traceback" not in said
    assert run.stdout.startswith("shop, acme/data-platform: ")
    for name in ("Astro CLI", "clock beside", "outside Airflow"):
        assert name in run.stdout
    assert not find_secrets(said)
    assert not list(home.rglob("*.db"))
    assert not stage.list_requests("github", ("POST", "PATCH", "PUT", "DELETE"))


def test_as_a_command_a_connection_that_is_missing_is_told(stage: Stage, policy: Path, tmp_path: Path) -> None:
    policy.write_text(GOOD[: GOOD.index("  - {name: till")])
    kept = {name: value for name, value in os.environ.items() if name != "AIRFLOW_CONN_ASTRO_DEFAULT"}
    command = [sys.executable, "-m", "include.deploy_ops.doctor"]
    given = kept | {"AIRFLOW_HOME": str(tmp_path)}
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert "astro_default" in " ".join(run.stdout.split()), json.dumps([run.stdout, run.stderr])
    assert "Traceback" not in run.stdout + run.stderr
