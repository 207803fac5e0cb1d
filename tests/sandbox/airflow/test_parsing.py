"""The real Airflow parses what is deployed: first, broken, mended, removed, and when it is out to do harm."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.airflow.children import is_confinement_possible
from tests.sandbox.airflow.stage import Stage
from tests.sandbox.conftest import Sandbox

pytestmark = pytest.mark.long
ORDERS = """
from airflow.sdk import Variable, dag, task

@dag(schedule="0 6 * * *", tags=[Variable.get("team")], default_args={"owner": "ann"})
def orders():
    @task
    def load() -> None:
        pass

    load()

orders()
"""
PROBE = """
# airflow dag
import json, os, pathlib, socket

def tries(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "could"

raise ValueError(json.dumps({
    "environment": sorted(os.environ),
    "home": tries(lambda: pathlib.Path(os.environ["HOME"], "x").touch()),
    "outside": tries(lambda: pathlib.Path(%(outside)r, "x").touch()),
    "secret": tries(lambda: pathlib.Path(%(outside)r, "secret").read_text()),
    "network": tries(lambda: socket.create_connection(("127.0.0.1", %(port)d), 5)),
    "processes": [pid for pid in os.listdir("/proc") if pid.isdigit()],
}))
"""
OURS = r"AIRFLOW_HOME|AIRFLOW__\w+|HOME|LANG|PATH|PYTHONDONTWRITEBYTECODE|TMPDIR"


def list_errors(stage: Stage) -> dict[str, str]:
    errors = stage.ask("GET", "/importErrors")["import_errors"]
    assert {each["bundle_name"] for each in errors} <= {"dags-folder"}
    return {each["filename"]: each["stack_trace"] for each in errors}


def list_dags(stage: Stage, query: str = "") -> list[Any]:
    return list(stage.ask("GET", f"/dags{query}")["dags"])


def test_a_file_breaks_is_mended_and_goes(sandbox: Sandbox) -> None:
    stage = Stage(sandbox, {"AIRFLOW_VAR_TEAM": "shop"})
    stage.set(parsed_again_s=0)
    stage.deploy(orders=ORDERS, silent="x = 1\n", lost="from airflow.sdk import dag\n\nimport not_installed\n")

    (first,) = list_dags(stage)
    assert (first["dag_id"], first["relative_fileloc"], first["owners"]) == ("orders", "orders.py", ["ann"])
    assert ([tag["name"] for tag in first["tags"]], first["timetable_summary"]) == (["shop"], "0 6 * * *")
    assert first["fileloc"] == "/usr/local/airflow/dags/orders.py"
    errors = list_errors(stage)
    assert errors.keys() == {"lost.py"}  # a file without the words airflow and dag is neither DAG nor error
    assert 'File "/usr/local/airflow/dags/lost.py", line 3, in <module>' in errors["lost.py"]
    assert errors["lost.py"].endswith("ModuleNotFoundError: No module named 'not_installed'\n")
    assert str(Path.cwd()) not in errors["lost.py"]

    stage.deploy(orders=ORDERS + "raise RuntimeError('broken')\n")
    assert list_dags(stage) == []
    (stale,) = list_dags(stage, "?exclude_stale=false")
    assert (stale["is_stale"], stale["has_import_errors"]) == (True, True)
    assert stale["last_parsed_time"] == first["last_parsed_time"]
    assert list_errors(stage).keys() == {"orders.py"}

    stage.deploy(orders=ORDERS)
    (mended,) = list_dags(stage)
    assert mended["last_parsed_time"] > first["last_parsed_time"]
    assert (mended["has_import_errors"], list_errors(stage)) == (False, {})

    stage.deploy(other="x = 1\n")
    assert (list_dags(stage), list_errors(stage)) == ([], {})


def test_deployed_code_sees_nothing_of_this_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    stage = Stage(sandbox, {"MINE": "1", "AIRFLOW__CORE__EXECUTOR": "x", "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc"})
    probe = PROBE % {"outside": str(tmp_path), "port": int(sandbox.url.rpartition(":")[2])}
    stage.deploy(probe=probe, hungry="from airflow.sdk import dag\nx = bytearray(4 << 30)\n")

    errors = list_errors(stage)

    found = json.loads(errors["probe.py"].rpartition("ValueError: ")[2])
    others = [name for name in found["environment"] if not re.fullmatch(OURS, name)]
    assert others == ["MINE"]
    assert "AIRFLOW__CORE__EXECUTOR" not in found["environment"]
    assert found["home"] == "could"
    assert "MemoryError" in errors["hungry.py"]
    if not is_confinement_possible():
        pytest.skip("bubblewrap does not work here: a child sees what its user sees")
    assert {key: found[key] for key in ("outside", "secret", "network")} == {
        "outside": "FileNotFoundError",
        "secret": "FileNotFoundError",
        "network": "ConnectionRefusedError",
    }
    assert str(os.getpid()) not in found["processes"]


def test_the_image_of_a_deployment_is_part_of_what_is_parsed(sandbox: Sandbox) -> None:
    assert sandbox.client.post("/sandbox/reset").status_code == 204  # with Staging and Production, of image and DAGs
    stage = Stage(sandbox)
    (production,) = [each for each in stage.call("GET", "/deployments")["deployments"] if each["name"] == "Production"]
    stage.url = f"http://{production['webServerAirflowApiUrl']}"

    dags = {each["dag_id"]: each for each in list_dags(stage)}

    assert dags.keys() == {"check_freshness", "load_orders", "report_revenue"}
    assert dags["load_orders"]["relative_fileloc"] == "orders/load_orders.py"
