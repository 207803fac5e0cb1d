"""The doctor in a real Airflow: it sees DAGs, passes and the trigger, which its own DAG file leaves alone."""

from __future__ import annotations

import pytest

from demo.columns import read_columns
from demo.witness import DOCTOR_DAG, PROJECT, Witness

pytestmark = pytest.mark.e2e
FINE = {
    *("Astro CLI", "Git", "free disk", "clock beside GitHub", "clock beside Astro"),
    *("DAGs", "triggers: GitHub", "triggers: Astro", "passes"),
}
"""Whose checks are green in a stack that works, whatever machine it runs on."""


def test_a_project_that_works_has_green_checks_and_they_are_kept(witness: Witness) -> None:
    run_id = witness.person.trigger(DOCTOR_DAG, {})
    witness.await_end(DOCTOR_DAG, run_id)
    assert witness.outside.list_tasks(DOCTOR_DAG, run_id)["policy-files"]["state"] == "success"
    table = witness.outside.read_field(DOCTOR_DAG, run_id, PROJECT, "table")
    found = {row[1]: row[2] for row in read_columns(table) if len(row) > 2}
    assert {name: found.get(name) for name in FINE} == dict.fromkeys(FINE, "ok"), table
    (fleet,) = witness.stack.api.get("/api/v2/assets", params={"name_pattern": f"{PROJECT}.fleet"}).json()["assets"]
    kept = witness.stack.api.get(f"/api/v2/assets/{fleet['id']}/state-store/doctor.examination").json()["value"][
        "value"
    ]
    assert {check["name"] for check in kept["checks"]} >= FINE
