"""Inspect → file → create of each kind of Deployment that the stand-in makes: the new one has the first one's settings.

With ASTRO_CLI the real CLI does it. Dedicated and hybrid ones, and remote execution, which the sandbox does not make,
are recorded: `tests/unit/core/template/round_trips.json`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.template.editing import write_file
from include.deploy_ops.core.template.normal_form import CopyRules, make_normal_form
from include.deploy_ops.core.template.settings import read_settings
from include.deploy_ops.core.template.template import dump_deployment, parse_template, render_deployment

if TYPE_CHECKING:
    from tests.sandbox.cli.stage import Stage

QUEUE = {
    "name": "default",
    "isDefault": True,
    "astroMachine": "A5",
    "minWorkerCount": 0,
    "maxWorkerCount": 7,
    "workerConcurrency": 5,
}
HEAVY = {**QUEUE, "name": "heavy", "isDefault": False, "astroMachine": "A20", "podEphemeralStorage": "5Gi"}
SCHEDULE = {"hibernateAtCron": "0 20 * * *", "wakeAtCron": "0 6 * * *", "isEnabled": True, "description": "nights"}
KINDS: dict[str, dict[str, Any]] = {
    "standard, Celery": {"executor": "CELERY", "workerQueues": [QUEUE, HEAVY]},
    "standard, Kubernetes": {"executor": "KUBERNETES"},
    "standard, Astro": {"executor": "ASTRO", "workerQueues": [QUEUE]},
    "standard, image alone": {"executor": "CELERY", "isDagDeployEnabled": False},
    "standard, that sleeps": {"executor": "CELERY", "scalingSpec": {"hibernationSpec": {"schedules": [SCHEDULE]}}},
    "standard, large": {"executor": "CELERY", "schedulerSize": "LARGE", "isHighAvailability": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_of_what_was_inspected_has_its_settings(stage: Stage, kind: str) -> None:
    stage.create(**{"isDevelopmentMode": "scalingSpec" in KINDS[kind], **KINDS[kind]})
    printed = stage.run("deployment", "inspect", stage.id, "--output=json")
    normal = make_normal_form(json.loads(printed.stdout), CopyRules(copied=("STAGE",)))
    template = parse_template(write_file(normal, ()), "preview.yaml")
    rendered = render_deployment(template, name="dev-y", description="ours", workspace_name="Data Platform")
    stage.file.write_text(dump_deployment(rendered), encoding="utf-8")

    result = stage.run("deployment", "create", "--deployment-file", str(stage.file))

    assert result.returncode == 0, result.stderr
    made, first = (
        read_settings(each) for each in sorted(list_deployments(stage), key=lambda each: each["name"] == "dev-x")
    )
    assert made == first


def list_deployments(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.call_api("GET", "/deployments")["deployments"]
    return found
