"""The command that checks policy files: what it prints, how it ends, and that it starts no Airflow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from include.deploy_ops.check_policy import check_files, main
from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from tests.test_supply import list_closure

ROOT = Path(__file__).parents[2]
GOOD = "control_plane: acme\nteams: {etl: {}}\nprojects: [{name: shop, repository: acme/shop, image: [reuse]}]\n"
BAD_TEAM = "projects:\n  - name: etl\n    repository: acme/etl\n    image: [reuse]\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return a valid main file, beside it a team's file that uses what it may not."""
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    team = tmp_path / "policy.d" / "etl.yaml"
    team.parent.mkdir()
    team.write_text(BAD_TEAM)
    return path


def test_a_file_and_its_teams_files_are_checked_together_and_once(policy: Path) -> None:
    team = policy.with_suffix(".d") / "etl.yaml"
    found = check_files([policy])
    assert len(found) == 3
    assert {line.partition(": ")[0] for line in found} == {f"{team}:2", f"{team}:3"}
    assert check_files([team]) == check_files([team, policy, team]) == found


def test_a_teams_file_is_found_from_within_its_folder(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(policy.with_suffix(".d"))
    assert check_files([Path("etl.yaml")]) == check_files([policy])


@pytest.mark.parametrize("has_sibling", [True, False])
def test_a_main_file_may_lie_in_a_folder_that_is_called_as_teams_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_sibling: bool
) -> None:
    """Another service's settings beside the folder are no policy of ours."""
    main_file = tmp_path / "airflow.d" / "policy.yaml"
    main_file.parent.mkdir()
    main_file.write_text(GOOD)
    if has_sibling:
        (tmp_path / "airflow.yaml").write_text("other: settings\n")
        monkeypatch.setenv(POLICY_VARIABLE, str(main_file))
    assert check_files([main_file]) == []


def test_valid_files_are_told_nothing_of(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policy.with_suffix(".d") / "etl.yaml").unlink()
    assert main([str(policy)]) == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml"), str(tmp_path)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"{tmp_path}/none.yaml:1: the policy cannot be read: No such file or directory",
        f"{tmp_path}:1: the policy cannot be read: it is no file",
    ]


def test_nothing_unseen_is_printed(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy.write_text(GOOD.replace("reuse", '"re\\x1buse"'))
    main([str(policy)])
    assert "\x1b" not in capsys.readouterr().out


def test_the_policy_of_this_installation_is_checked_by_default(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(policy.parent)
    monkeypatch.setenv(POLICY_VARIABLE, str(policy))
    assert main([]) == 1
    assert capsys.readouterr().out.startswith("policy.d/etl.yaml:2: ")
    monkeypatch.delenv(POLICY_VARIABLE)
    assert main([]) == 0


def run_command(policy: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Return the ended command, and the modules that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "include.deploy_ops.check_policy", str(policy)]
    run = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    return run, {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}


def test_as_a_command_it_imports_no_airflow_and_ends_by_what_it_found(policy: Path) -> None:
    run, imported = run_command(policy)
    assert run.returncode == 1
    assert run.stdout.count("\n") == 3
    assert "include.deploy_ops.core.policy.file" in imported
    assert not {name for name in imported if name.partition(".")[0] in {"airflow", "httpx", "requests", "github"}}


def test_the_hook_of_the_docs_installs_all_that_it_imports(policy: Path) -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (hook,) = re.findall(r"^ +additional_dependencies: \[(.+)\]$", text, re.MULTILINE)
    installed = set().union(*map(list_closure, hook.split(", ")))
    owners = packages_distributions()
    _, imported = run_command(policy)
    imported -= {"_distutils_hack"}  # of every start of a Python beside setuptools
    needed = {name for module in imported for name in owners.get(module.partition(".")[0], ())}
    assert {"pydantic", "croniter"} <= {canonicalize_name(each) for each in needed} <= installed
