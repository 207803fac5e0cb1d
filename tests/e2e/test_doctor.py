"""The doctor in a real Airflow: it sees DAGs, passes and the trigger, which its own DAG file leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from demo.columns import read_columns
from demo.witness import DOCTOR_DAG, PROJECT, Witness

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
