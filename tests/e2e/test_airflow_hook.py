"""A real Airflow in the place of a preview's own: code is parsed, breaks, is mended, goes, and runs.

Its dag-processor, scheduler and API are Airflow's; only Astro is scripted, which tells where it is. The product's
triggers run here instead of in a triggerer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from demo.stack import Stack
from demo.witness import Witness
from include.deploy_ops.core.environment.pools import MARK
from include.deploy_ops.core.verification.judging import Findings, judge_findings
from include.deploy_ops.core.verification.smoke import Candidate, Start, name_run, plan_runs, settle_runs
from include.deploy_ops.core.verification.verdict import DagChange, Proof, SmokeOutcome, SmokeRun, Verification
from include.deploy_ops.hooks.airflow.api import AirflowReader
from include.deploy_ops.hooks.airflow.runs import AsyncAirflowRunner
from include.deploy_ops.triggers import smoke, verified
from include.deploy_ops.triggers.smoke import SmokeRunsTrigger
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from tests.e2e.conftest import PREVIEW
from tests.e2e.own_airflow import parse_quickly
from tests.worlds.doubles.astro import AstroDouble, Reply, make_deploy, make_deployment, serve_list
from tests.worlds.doubles.deployment_airflow import TOKEN, serve
from tests.worlds.doubles.hostile_server import HostileServer

pytestmark = pytest.mark.e2e

HERE, THERE, DEPLOY = "cldep1", "clprod", "cldeploy5"
_FINDINGS = TypeAdapter(Findings)
_CANDIDATES = TypeAdapter(tuple[Candidate, ...])
_STARTS = TypeAdapter(tuple[Start, ...])
_RUNS = TypeAdapter(tuple[SmokeRun, ...])
LIMIT = timedelta(minutes=5)
"""What is awaited takes seconds; a machine may be busy."""

DAG = """from airflow.sdk import dag, task


@dag(schedule={schedule}, tags=["{tag}"])
def {name}() -> None:
    @task(pool="{pool}")
    def work() -> None:
        print("working")
        {act}

    work()


{name}()
"""


def write_dag(name: str, act: str = "print('done')", **changes: str) -> str:
    """Return a DAG's file."""
    return DAG.format(**{"name": name, "act": act, "schedule": "None", "tag": "old", "pool": "default_pool", **changes})


@dataclass
class Preview:
    """A preview of which everything is scripted but its Airflow, which is the stack's."""

    stack: Stack
    folder: Path
    astro: AstroDouble

    @property
    def address(self) -> str:
        """Where its API is, as Astro gives it."""
        return f"{self.stack.ports.airflow_url}/api/v2".removeprefix("http://")

    @property
    def token(self) -> str:
        """What a person gets who asks this Airflow for one."""
        answer = self.stack.api.post("/auth/token", json={"username": "admin", "password": "admin"})
        return str(answer.raise_for_status().json()["access_token"])

    def deploy(self, **files: str) -> DeployVerifiedTrigger:
        """Replace all files by these modules, and return what waits until that is parsed."""
        before = {path.stem: path.read_text(encoding="utf-8") for path in self.folder.glob("*.py")}
        changed = {f"{name}.py" for name, text in files.items() if text != before.get(name)}
        gone = {f"{name}.py" for name in before.keys() - files.keys()}
        for name, text in files.items():
            new = self.folder / f"{name}.new"
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / f"{name}.py")
        for name in gone:
            (self.folder / name).unlink()
        now = datetime.now(UTC)
        return DeployVerifiedTrigger(
            astro_conn_id="astro_default",
            deployment_id=HERE,
            deploy_id=DEPLOY,
            owner="acme/shop",
            airflow_conn_id="preview_airflow",
            files=[f"{name}.py" for name in files],
            changed=sorted(changed),
            touched=sorted(changed | gone),
            started_at=now.isoformat(),
            deadline=(now + LIMIT).isoformat(),
            compared_id="",
            compared_conn_id="production_airflow",
            is_public=False,
            heads={},
            github_conn_id="github_default",
            repository="acme/shop",
            smoke=["hook_*"],
            poll_interval_s=1,
        )

    def start(self, event: Mapping[str, Any]) -> SmokeRunsTrigger:
        """Return what runs the DAGs that were found, as the verify step has it."""
        candidates = _CANDIDATES.validate_python(event["candidates"])
        starts, skipped = plan_runs([("hook_*", {})], candidates, name_run(DEPLOY, 1), may_unpause=True)
        assert skipped == ()
        now = datetime.now(UTC)
        return SmokeRunsTrigger(
            astro_conn_id="astro_default",
            deployment_id=HERE,
            airflow_conn_id="preview_airflow",
            starts=_STARTS.dump_python(starts, mode="json"),
            unpaused=[start.dag_id for start in starts if start.may_unpause],
            started_at=now.isoformat(),
            deadline=(now + LIMIT).isoformat(),
            has_logs=True,
            heads={},
            github_conn_id="github_default",
            repository="acme/shop",
            deploy_id=DEPLOY,
            owner="acme/shop",
            poll_interval_s=1,
        )

    def show(self, *dag_ids: str) -> list[dict[str, Any]]:
        """Return what Airflow tells of DAGs."""
        return [self.stack.api.get(f"/api/v2/dags/{each}").raise_for_status().json() for each in dag_ids]


@pytest.fixture(scope="module")
def folder(witness: Witness) -> Iterator[Path]:
    """Return a folder whose DAG files the stack's Airflow parses as soon as they change."""
    found = witness.stack.home.parent / PREVIEW
    with parse_quickly(witness.stack, found):
        yield found


@pytest.fixture
def preview(witness: Witness, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Preview]:
    """Return a preview, which the product's connections lead to."""
    for trigger in (verified, smoke):
        monkeypatch.setattr(trigger, "FIRST_EVENT_S", 0.0)  # no task was deferred
    with AstroDouble() as astro:
        preview = Preview(witness.stack, folder, astro)
        astro.say(f"deployments/{HERE}", Reply(make_deployment(webServerAirflowApiUrl=preview.address)))
        astro.say(f"deployments/{HERE}/deploys", serve_list("deploys", [make_deploy(5)]))
        connect(monkeypatch, "preview_airflow", preview.token)
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", astro.connection())
        yield preview


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, token: str) -> None:
    """Give the product a connection whose password is a token."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "http", "password": token}))


def run(trigger: DeployVerifiedTrigger | SmokeRunsTrigger) -> dict[str, Any]:
    """Return the payload of the trigger's one event, as Airflow hands it on."""

    async def take() -> Any:
        return await anext(trigger.run())

    payload: dict[str, Any] = json.loads(json.dumps(asyncio.run(take()).payload))
    return payload


def judge(event: Mapping[str, Any]) -> Verification:
    """Return the verdict on what was seen."""
    assert event["detail"] == ""
    findings = _FINDINGS.validate_python(event["findings"])
    return judge_findings(findings, DEPLOY, "c" * 40, datetime.now(UTC), event["seconds"], compared="production")


def test_code_is_parsed_breaks_and_is_mended(preview: Preview) -> None:
    good, other = write_dag("hook_code"), write_dag("hook_other")
    event = run(preview.deploy(hook_code=good, hook_other=other))
    assert judge(event).proof is Proof.VERIFIED
    assert [each["dag_id"] for each in event["candidates"]] == ["hook_code", "hook_other"]
    broken = judge(run(preview.deploy(hook_code=f"{good}import absent_package\n", hook_other=other)))
    assert (broken.proof, broken.said) == (Proof.FAILED, "1 import error")
    (fault,) = broken.broken
    assert (fault.file, fault.line) == ("hook_code.py", good.count("\n") + 1)
    assert fault.error == "ModuleNotFoundError: No module named 'absent_package'"
    mended = judge(run(preview.deploy(hook_code=good, hook_other=other)))
    assert (mended.proof, mended.broken) == (Proof.VERIFIED, ())


def test_of_files_that_go_neither_dag_nor_error_is_left(
    witness: Witness, preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, bad = write_dag("hook_kept"), "import airflow, absent_package as dag\n"
    event = run(preview.deploy(hook_kept=kept, hook_gone=write_dag("hook_gone"), hook_bad=bad))
    assert [each.file for each in judge(event).broken] == ["hook_bad.py"]
    connect(monkeypatch, "production_airflow", TOKEN)
    with HostileServer(serve(preview.show("hook_kept", "hook_gone"))) as production:
        where = make_deployment(id=THERE, webServerAirflowApiUrl=f"{production.host}/api/v2")
        preview.astro.say(f"deployments/{THERE}", Reply(where))
        trigger = preview.deploy(hook_kept=kept.replace("old", "new"))
        trigger.compared_id = THERE
        verdict = judge(run(trigger))
    assert (verdict.proof, verdict.broken, verdict.behind) == (Proof.VERIFIED, (), ())
    assert verdict.changes == (DagChange("hook_gone", "gone"), DagChange("hook_kept", "changed", "tags +new -old"))
    witness.await_true(
        "the error of a file that is gone to go", lambda: "hook_bad.py" not in witness.outside.list_import_errors()
    )
    assert preview.show("hook_gone")[0]["is_stale"]


def test_smoke_runs_really_run_in_a_pool_that_was_laid(witness: Witness, preview: Preview) -> None:
    began = datetime.now(UTC)
    act = """raise RuntimeError("no such warehouse")"""
    good, bad = write_dag("hook_works", pool="hook_pool"), write_dag("hook_fails", act, pool="hook_pool")
    trigger = preview.deploy(hook_works=good, hook_fails=bad)
    trigger.pools = [{"name": "hook_pool", "slots": 2, "description": "Two at once"}]
    event = run(trigger)
    pool = preview.stack.api.get("/api/v2/pools/hook_pool").json()
    assert (event["notes"], pool["slots"], pool["description"]) == ([], 2, f"Two at once {MARK}")
    told = run(preview.start(event))
    assert (told["detail"], told["overtaken"], told["unpaused"]) == ("", "", [])
    verdict = settle_runs(judge(event), _RUNS.validate_python(told["runs"]), told["seconds"])
    failed, worked = verdict.runs
    assert (failed.dag_id, failed.outcome, failed.task) == ("hook_fails", SmokeOutcome.FAILED, "work")
    assert failed.lines[-1] == "RuntimeError: no such warehouse"
    assert (worked.dag_id, worked.outcome, worked.task) == ("hook_works", SmokeOutcome.SUCCESS, "")
    assert worked.seconds > 0
    assert verdict.proof is Proof.FAILED
    assert all(each["is_paused"] for each in preview.show("hook_fails", "hook_works"))
    check_work(witness, preview, began)
    assert asyncio.run(lay_pools(preview)) == ()
    assert preview.stack.api.get("/api/v2/pools/hook_pool").status_code == 404
    assert preview.stack.api.get("/api/v2/pools/deploy_ops_cli").is_success


def check_work(witness: Witness, preview: Preview, began: datetime) -> None:
    """Assert that a person's run is seen, and that runs of ours are none."""
    with AirflowReader(preview.address, preview.token) as reader:
        assert reader.read_version() == metadata.version("apache-airflow-core")
        assert [at for at in reader.read_work(began).started_at if at > began] == []
        api = preview.stack.api
        api.patch("/api/v2/dags/hook_works", json={"is_paused": False}).raise_for_status()
        api.post("/api/v2/dags/hook_works/dagRuns", json={"logical_date": None}).raise_for_status()
        witness.await_true(
            "a person's run to be seen", lambda: any(at > began for at in reader.read_work(began).started_at)
        )


async def lay_pools(preview: Preview) -> tuple[str, ...]:
    """Want no pool any more."""
    async with AsyncAirflowRunner(preview.address, preview.token) as runner:
        return await runner.lay_pools([])
