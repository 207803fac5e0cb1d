"""What parsing the DAG files may not do, seen in a fresh interpreter: no network, no process, no large library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGE = frozenset({"github", "requests", "urllib3", "cryptography", "nacl", "jwt", "dxf", "ruamel"})
"""What only tasks and triggers need, once they speak to GitHub or a registry, or edit a template."""

PARSE = """
import json, socket, subprocess, sys
import airflow.dag_processing.processor, airflow.sdk
from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Variable

known = set(sys.modules)
plugins_manager.ensure_plugins_loaded()  # in the child, where Airflow loads them late
late = "include.deploy_ops.operators.claim" in sys.modules
did = []


def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"}:
        did.append(event)


def refuse(*arguments, **named):
    did.append("a look-up in Airflow")


sys.addaudithook(watch)
BaseHook.get_connection = Variable.get = refuse
bag = DagBag("dags")
new = sorted({name.partition(".")[0] for name in set(sys.modules) - known})
print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors, "did": did, "new": new, "late": late}))
"""


def test_parsing_asks_nobody_and_loads_no_large_library(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"data_platform.control", "data_platform.production.request"} <= set(found["dags"])
    assert found["errors"] == {}
    assert found["did"] == []
    assert found["late"] is False  # a child that loads plugins itself imports by them no step that it does not do
    assert LARGE & set(found["new"]) == set()
