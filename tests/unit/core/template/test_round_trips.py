"""Production → what `inspect` says of it → our file → what `create` asks Astro for: each kind of Deployment comes back.

`round_trips.json` was recorded with the code of the Astro CLI 1.45.0 (inspect.go, fromfile.go) in front of a played
API, whose answers are as Astro describes them. What Astro itself answers of dedicated and hybrid Deployments nobody has
seen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.core.template.editing import write_file
from include.deploy_ops.core.template.normal_form import CopyRules, make_normal_form
from include.deploy_ops.core.template.template import parse_template, render_deployment

RECORDED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("round_trips.json").read_text("utf-8"))
KINDS = {
    *(f"standard, {kind}" for kind in ("Celery", "Kubernetes", "Astro", "image alone")),
    *(f"dedicated, {kind}" for kind in ("Celery", "Kubernetes", "Astro", "remote execution")),
    *(f"hybrid, {kind}" for kind in ("Celery", "Kubernetes")),
}
OWN = frozenset({"name", "description"})
SHOWN_TO_NOBODY = frozenset({"allowedIpAddressRanges", "taskLogBucket", "taskLogUrlPattern"})
"""Of remote execution: one Deployment's own."""


def test_every_kind_is_recorded() -> None:
    assert RECORDED.keys() == KINDS


@pytest.mark.parametrize("kind", RECORDED)
def test_the_file_of_what_was_inspected_is_the_one_that_create_got(kind: str) -> None:
    normal = make_normal_form({"deployment": RECORDED[kind]["inspected"]}, CopyRules())
    template = parse_template(write_file(normal, ()), "preview.yaml")
    rendered = render_deployment(template, name="dev-x", description="ours", workspace_name="Data Platform")
    file = RECORDED[kind]["file"]
    assert rendered["deployment"]["configuration"] == file["configuration"]
    assert rendered["deployment"].get("worker_queues", []) == file["worker_queues"]


@pytest.mark.parametrize("kind", RECORDED)
def test_what_create_asked_for_is_like_production(kind: str) -> None:
    asked, production = (_strip(RECORDED[kind][part]) for part in ("request", "production"))
    assert asked == production


def _strip(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without what is one Deployment's own, what the CLI writes as none, and a queue's id."""
    kept = {key: value for key, value in body.items() if key not in OWN and value not in ("", None)}
    schedules = kept.pop("scalingSpec", {"hibernationSpec": {"schedules": []}})
    assert schedules == {"hibernationSpec": {"schedules": []}}
    if body["executor"] == "KUBERNETES":
        kept.pop("workerQueues", None)  # pods of its tasks, which no request makes
    if queues := kept.get("workerQueues"):
        kept["workerQueues"] = [{key: value for key, value in each.items() if key != "id"} for each in queues]
    if remote := kept.get("remoteExecution"):
        kept["remoteExecution"] = {key: value for key, value in remote.items() if key not in SHOWN_TO_NOBODY}
    return kept
