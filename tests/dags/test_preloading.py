"""What a process has imported before it forks a child per task, and what is left to the child: seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.ports import Ports
from demo.stack import Stack, read_image_settings

ROOT = Path(__file__).parents[2]
START = """
import airflow, json, sys
from airflow import plugins_manager

plugins_manager.ensure_plugins_loaded()
before = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag

bag = DagBag("dags/preview.py", safe_mode=False)
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.hooks.registry.registry import RegistryHook
from include.deploy_ops.checkout.trees import fetch_trees

ours = {"include", "github", "dxf"}
before, after = ({name for name in names if name.partition(".")[0] in ours} for names in (before, set(sys.modules)))
errors = [*bag.import_errors.values(), *plugins_manager.get_import_errors().values()]
child = sorted(after - before)
print(json.dumps({"before": sorted(before), "child": child, "dags": sorted(bag.dags), "errors": errors}))
"""


def start(tmp_path: Path, command: str) -> dict[str, Any]:
    """Return what a process of Airflow's imports by itself, and what a child of it would import for a task."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",
    }
    done = subprocess.run(
        [sys.executable, "-c", START, command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["dags"] == ["data_platform.preview"]
    assert found["errors"] == []
    return found


@pytest.mark.parametrize("command", ["scheduler", "celery", "dag-processor"])
def test_what_forks_a_child_per_task_or_file_leaves_nothing_of_ours_to_it(tmp_path: Path, command: str) -> None:
    found = start(tmp_path, command)
    assert {"include.deploy_ops.operators.deploy.deploy", "github", "dxf"} <= set(found["before"])
    assert found["child"] == []


@pytest.mark.parametrize("command", ["api-server", "jobs"])
def test_what_forks_no_such_child_imports_no_step(tmp_path: Path, command: str) -> None:
    found = start(tmp_path, command)
    assert not {"include.deploy_ops.operators.deploy.deploy", "github", "dxf"} & set(found["before"])
    assert {"include.deploy_ops.operators.deploy.deploy", "github", "dxf"} <= set(found["child"])


def test_the_demo_has_what_the_image_sets() -> None:
    """Else the demo, and each end-to-end test, would import everything in each task."""
    settings = read_image_settings()
    assert settings["AIRFLOW__CORE__LAZY_LOAD_PLUGINS"] == "False"
    assert len(settings) == (ROOT / "Dockerfile").read_text(encoding="utf-8").count("\nENV AIRFLOW__")
    assert settings.items() <= Stack(Ports(*range(1, 6)), Path("home"), print).environment().items()
