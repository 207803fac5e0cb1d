"""The doctor in a real Airflow: it sees DAGs, passes and the trigger, which its own DAG file leaves alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.columns import read_columns
from demo.witness import DOCTOR_DAG, PROJECT, Witness
from tests.browser.chromium import keep_picture
from tests.e2e.conftest import SLOW_MS
from tests.e2e.test_page import open_page

pytestmark = pytest.mark.e2e
FINE = {
    *("Astro CLI", "Git", "free disk", "clock beside GitHub", "clock beside Astro"),
    *("DAGs", "triggers: GitHub", "triggers: Astro", "passes"),
}
"""Whose checks are green in a stack that works, whatever machine it runs on."""


def read_store(witness: Witness, kind: str, key: str) -> Any:
    """Return what lies under a key of the project's fleet or repository asset; None where nothing does."""
    asked = {"name_pattern": f"deploy_ops.{PROJECT}.{kind}"}
    (asset,) = witness.stack.api.get("/api/v2/assets", params=asked).json()["assets"]
    answer = witness.stack.api.get(f"/api/v2/assets/{asset['id']}/state-store/{key}")
    return answer.json()["value"]["value"] if answer.is_success else None


def test_a_project_that_works_has_green_checks_and_they_are_kept(witness: Witness) -> None:
    witness.await_true("both services to be seen", lambda: len(read_store(witness, "repository", "health") or ()) > 1)
    run_id = witness.person.trigger(DOCTOR_DAG, {})
    witness.await_end(DOCTOR_DAG, run_id)
    assert witness.outside.list_tasks(DOCTOR_DAG, run_id)["policy-files"]["state"] == "success"
    table = witness.outside.read_field(DOCTOR_DAG, run_id, PROJECT, "table")
    found = {row[1]: row[2] for row in read_columns(table) if len(row) > 2}
    assert {name: found.get(name) for name in FINE} == dict.fromkeys(FINE, "ok"), table
    kept = read_store(witness, "fleet", "doctor.examination")
    assert {check["name"] for check in kept["checks"]} >= FINE


def test_the_page_shows_what_was_found_and_what_no_task_sees(witness: Witness, page: Page) -> None:
    run_id = witness.person.trigger(DOCTOR_DAG, {})
    witness.await_end(DOCTOR_DAG, run_id)
    strip = open_page(witness, page, "admin").get_by_role("region", name="Doctor")
    line = strip.get_by_role("listitem").filter(has_text="Airflow")
    line.locator("summary").click()
    rows = line.locator("tbody").get_by_role("row")
    found = {row.locator("td").nth(0).inner_text(): row.locator("td").nth(1).inner_text() for row in rows.all()}
    fine = ("schedulers", "triggerers", "import errors", "the doctor's DAG")
    assert found == {"Airflow database": "warn"} | {f"Airflow {name}": "ok" for name in fine}, line.inner_text()
    line = strip.get_by_role("listitem").filter(has_text=PROJECT)
    line.locator("summary").click()
    expect(line.locator("tbody").get_by_role("row").filter(has_text="Here Git")).to_contain_text("ok")
    keep_picture(page, "airflow-light-doctor")
    line.get_by_role("link", name="Run of the doctor").click()
    expect(page).to_have_url(re.compile(rf"/dags/{DOCTOR_DAG}/runs/[^/]+/tasks/{PROJECT}"))
    expect(page.get_by_text("Rendered Templates")).to_be_visible(timeout=SLOW_MS)
