"""From *settle* to *verified*: seconds, looks and requests, beside how many DAGs a Deployment has, a file each.

First with the modelled dag-processor, whose settings are Airflow's defaults and which parses a file a second: counts
and seconds are by its clock, and so the same everywhere. Each deploy comes at several moments of its cycle. Then with
the sandbox, where Airflow's own `DagBag` parses all files in one child.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.table import print_table
from include.deploy_ops.hooks.airflow.api import PAGE_SIZE
from include.deploy_ops.triggers import verified
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.airflow.stage import Stage
from tests.sandbox.conftest import SandboxProcess, start_sandbox
from tests.worlds.stages.verification import LOOKS_MAX, TIMEOUT, Proving, prove
from tests.worlds.values.dag_processor import INTERVAL_S, LISTING_S, DagProcessor, Source

SIZES = (10, 200, 1_000)
MOMENTS = 5
DAG = "from airflow.sdk import DAG\n\ndag = DAG('dag_{number}', schedule=None, tags=['{tag}'])\n"
OWN = Source(frozenset({"dag_0"}))
DEPLOYS = {
    "a DAG is changed": ("dag_0.py", OWN),
    "a DAG breaks": ("dag_0.py", Source(is_broken=True)),
    "a file is new": ("new.py", Source(frozenset({"new"}))),
    "a file has no DAG any more": ("dag_0.py", Source()),
}
MODEL_COLUMNS = (
    "DAGs",
    "deploy",
    "seconds p50",
    "the longest",
    "looks",
    "of its Airflow",
    "at most",
    "of Astro",
    "end",
)
SANDBOX_COLUMNS = ("DAGs", "seconds", "of its Airflow", "of Astro", "of our CPU", "end")


def main() -> None:
    """Print both tables."""
    rows = (measure_model(size, what) for size in SIZES for what in DEPLOYS)
    print_table("Until a deploy is verified, by a modelled dag-processor", MODEL_COLUMNS, rows)
    with tempfile.TemporaryDirectory() as folder, start_sandbox(Path(folder) / "sandbox") as sandbox:
        rows = (measure_sandbox(sandbox, size) for size in SIZES)
        print_table("Until a deploy is verified, in the sandbox", SANDBOX_COLUMNS, rows)


def measure_model(size: int, what: str) -> list[object]:
    """Return the row of a kind of deploy, over several moments."""
    provings = [_play(size, what, moment) for moment in range(MOMENTS)]
    seconds = [each.seconds for each in provings]
    longest = max(provings, key=lambda each: each.seconds)
    pages = -(-(size + 1) // PAGE_SIZE) + 1
    ends = sorted({_name_end(each.event) for each in provings})
    counts = (longest.looks, longest.to_airflow, LOOKS_MAX * pages, longest.to_astro)
    return [f"{size:,}", what, f"{statistics.median(seconds):.0f} s", f"{max(seconds):.0f} s", *counts, ", ".join(ends)]


def _play(size: int, what: str, moment: int) -> Proving:
    processor = DagProcessor({f"dag_{each}.py": Source(frozenset({f"dag_{each}"})) for each in range(size)})
    cycle_s = max(size, INTERVAL_S)
    processor.run(LISTING_S + cycle_s + moment * cycle_s // MOMENTS)
    file, source = DEPLOYS[what]
    processor.deploy({**processor.folder, file: source})
    with contextlib.redirect_stdout(io.StringIO()):  # what the trigger logs
        return prove(processor, {file})


def measure_sandbox(sandbox: SandboxProcess, size: int) -> list[object]:
    """Return the row of a second deploy, which changes one DAG."""
    stage = Stage(sandbox, name=f"dev-{size}")
    files = {f"dag_{number}": DAG.format(number=number, tag="old") for number in range(size)}
    stage.deploy(**files)
    stage.ask("GET", "/dags")
    stage.set(airflow_patience_s=5)
    stage.deploy(**files | {"dag_0": DAG.format(number=0, tag="new")})
    return _await_proof(sandbox, stage, list(files))


def _await_proof(sandbox: SandboxProcess, stage: Stage, files: list[str]) -> list[object]:
    sandbox.client.delete("/sandbox/requests").raise_for_status()
    before_s = _count_cpu_s()
    with contextlib.redirect_stdout(io.StringIO()):
        event = asyncio.run(_take(stage, files))
    spent_s = _count_cpu_s() - before_s
    requests = sandbox.client.get("/sandbox/requests").json()["requests"]
    to_airflow = sum("/airflow/" in each["path"] for each in requests)
    told = (f"{event['seconds']:.0f} s", to_airflow, len(requests) - to_airflow, f"{spent_s:.1f} s", _name_end(event))
    return [f"{len(files):,}", *told]


def _count_cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


async def _take(stage: Stage, files: list[str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    deploys = stage.call("GET", f"{stage.path}/deploys")["deploys"]
    trigger = DeployVerifiedTrigger(
        astro_conn_id="astro_default",
        deployment_id=stage.deployment["id"],
        deploy_id=max(deploys, key=lambda deploy: str(deploy["createdAt"]))["id"],
        owner="acme/shop",
        airflow_conn_id=None,
        files=[f"{name}.py" for name in files],
        changed=["dag_0.py"],
        touched=["dag_0.py"],
        started_at=now.isoformat(),
        deadline=(now + TIMEOUT).isoformat(),
        compared_id="",
        compared_conn_id=None,
        is_public=False,
        heads={},
        github_conn_id="github_default",
        repository="acme/shop",
    )
    extra = {"organization_id": ORGANIZATION_ID, "workspace_id": WORKSPACE_ID}
    astro = {"conn_type": "http", "host": f"{stage.sandbox.url}/astro", "password": ASTRO_TOKEN, "extra": extra}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified, "FIRST_EVENT_S", 0.0)  # no task was deferred
        patch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(astro))
        return dict((await anext(trigger.run())).payload)


def _name_end(event: dict[str, Any]) -> str:
    if event["state"] != "seen":
        return "not parsed in time"
    return "failed" if event["findings"]["broken"] else "verified"


if __name__ == "__main__":
    main()
