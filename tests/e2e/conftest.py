"""One stack for all end-to-end tests: sandbox and Airflow on free ports, ended with them."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, Page

from demo.airflow_log import tell_errors
from demo.needs import read_executor
from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from demo.witness import DAGS, Witness, make_witness
from tests.browser.chromium import start_chromium
from tests.e2e.at_once import OUTCOME, find_waiting, gather, start
from tests.e2e.mono import add_projects, add_repository
from tests.e2e.own_airflow import set_bundles

SOON = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
"""Airflow notices what died within these seconds, instead of within 30 to 300."""
STUCK = {"AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60"}
"""As soon, of a task whose message was lost with what had taken it; standalone has no messages."""
RARELY = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60"}
"""Each look at a DAG file costs a process, and a single test waits for one."""
OPEN = {"AIRFLOW__API__EXPOSE_STACKTRACE": "True"}
"""An answer 500 tells the database's words, which stand nowhere else."""
PATIENCE_S = 600.0
"""A wait ends when its condition is true; on a busy machine, first deploys of seven tests at once took over 180 s."""
SLOW_MS = 600_000
"""As long for what a window shows."""
PREVIEW = "preview"
"""The folder beside Airflow's home whose DAGs it has as a preview's own Airflow would."""
HOME = pytest.StashKey[Path]()
COMPANY_MAX = 16
"""Tests that go on at once; a further one begins when another has ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests that go on at once come last, together."""
    gather(items, "tests/e2e/")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Await the end of a test that goes on with others; pytest runs any other."""
    outcome = pyfuncitem.stash.get(OUTCOME, None)
    if outcome is None:
        return None
    outcome.result()
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a failure tell what Airflow said: the stack is gone when somebody reads it."""
    report = yield
    home = item.config.stash.get(HOME, None)
    if report.failed and home is not None:
        report.sections += [
            (f"errors in {log.name}", told) for log in sorted(home.glob("*.log")) if (told := tell_errors(read(log)))
        ]
        if call.excinfo is not None and isinstance(call.excinfo.value, httpx.HTTPStatusError):
            report.sections.append(("the answer", call.excinfo.value.response.text[:2000]))
    return report


def read(log: Path) -> str:
    """Return what stands in a log by now, also when something writes to it."""
    return log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="package")
def witness(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Witness]:
    """Return a person in front of a running stack, which all tests of the folder share."""
    home: Path = tmp_path_factory.mktemp("stack")
    pytestconfig.stash[HOME] = home / "airflow"
    policy = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    policy["projects"][0]["poll_interval_s"] = 2  # each push of each test waits for a poll
    policy["projects"][0]["limits"] = {"max_deletes": 50, "max_delete_fraction": 1.0}  # the tests delete a lot
    policy["projects"][0]["previews"]["delete_notice"] = "60s"  # the comment is written meanwhile, many runs at once
    add_projects(policy)
    executor = read_executor()
    text = yaml.safe_dump(policy)
    settings = SOON | RARELY | OPEN | set_bundles(home / PREVIEW) | (STUCK if executor == "celery" else {})
    (home / PREVIEW).mkdir()
    ports = Ports(*find_free_ports(5))
    with Stack(ports, home / "airflow", print, text, settings, PATIENCE_S, executor=executor) as stack:
        add_repository(stack)
        for dag_id in DAGS:
            stack.unpause(dag_id)
        person = make_witness(stack)
        person.await_watch()
        yield person
    shutil.rmtree(home)


@pytest.fixture(scope="package")
def pool(witness: Witness) -> Iterator[ThreadPoolExecutor]:
    """Give a thread to each of the tests that go on at once; no test outlives the stack."""
    with ThreadPoolExecutor(COMPANY_MAX) as threads:
        yield threads


@pytest.fixture(autouse=True)
def company(request: pytest.FixtureRequest, witness: Witness, pool: ThreadPoolExecutor) -> None:
    """Begin the test's whole company with the first of it."""
    start(find_waiting(request.node), witness, pool)


@pytest.fixture(autouse=True)
def fresh_sandbox(witness: Witness) -> Iterator[None]:
    """Count requests from the test's beginning, and what GitHub is told of in an hour; no fault outlives it."""
    witness.stack.sandbox.delete("/sandbox/requests").raise_for_status()
    _forget_budget(witness.stack.api)
    yield
    witness.stack.sandbox.delete("/sandbox/faults").raise_for_status()


def _forget_budget(api: httpx.Client) -> None:
    """Let GitHub be told anew: all tests together have more to tell than the product writes in an hour."""
    named = api.get("/api/v2/assets", params={"name_pattern": ".fleet"})
    for asset in named.json()["assets"]:
        api.delete(f"/api/v2/assets/{asset['id']}/state-store/feedback.budget").raise_for_status()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a running Chromium."""
    with start_chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a window that nobody is logged in in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(SLOW_MS)
    opened = context.new_page()
    yield opened
    context.close()
