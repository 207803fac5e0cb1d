"""The template's checks at the sandbox: a fault turns each red or leaves it open, and its advice mends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.core.policy.keys import Environment
from include.deploy_ops.observation.doctor import template as reader
from include.deploy_ops.observation.doctor import trunk
from tests.worlds.stages.doctor import Doctored

FAIL, WARN, OPEN, OK = Status.FAIL, Status.WARN, Status.NOT_KNOWN, Status.OK
STAGE = 'key: "STAGE"'
BACKEND = 'key: "AIRFLOW__SECRETS__BACKEND"'
MAPPED = Environment.model_validate({"environment_variables": {"STAGE": {"variable": "stage"}}})
EMPTY = (
    '- is_secret: true\n          key: "STAGE"\n          updated_at: "2026-02-16T15:12:44.108Z"\n          value: ""'
)
PLAIN = EMPTY.replace("true", "false").replace('""', '"preview"')
SMALL = 'scheduler_size: "SMALL"'

Act = Callable[[Doctored], Any]


def edit(old: str, new: str) -> Act:
    """Return who commits another text of the template."""
    return lambda world: world.edit_template(old, new)


STORIES: list[tuple[str, Act, Status, str, Act]] = [
    ("template", edit("scheduler_size", "schedular_size"), FAIL, "schedular_size", edit("schedular", "scheduler")),
    (
        "template",
        lambda world: world.allow(template="deployments/nothing.yaml"),
        FAIL,
        "there is no such file",
        lambda world: world.allow(template="deployments/preview.yaml"),
    ),
    ("template", lambda world: world.refuse("/git/trees/", 500, "github"), OPEN, "500", Doctored.heal),
    ("what Astro offers", edit('worker_type: "A5"', 'worker_type: "A7"'), FAIL, "found 'A7'", edit('"A7"', '"A5"')),
    ("what Astro offers", edit("3.3-2", "3.3-3"), WARN, "found '3.3-3'", edit("3.3-3", "3.3-2")),
    ("what Astro offers", lambda world: world.refuse("/deployment-options"), OPEN, "HTTP 403", Doctored.heal),
    ("where it would be", edit("us-east-1", "eu-east-9"), OPEN, "AWS eu-east-9", edit("eu-east-9", "us-east-1")),
    (
        "where it would be",
        edit('deployment_type: "STANDARD"', 'deployment_type: "DEDICATED"\n        cluster_name: "ours"'),
        FAIL,
        "no cluster 'ours'",
        edit('deployment_type: "DEDICATED"\n        cluster_name: "ours"', 'deployment_type: "STANDARD"'),
    ),
    ("empty secrets", edit(PLAIN, EMPTY), WARN, "STAGE: empty", lambda world: world.allow(environment=MAPPED)),
    ("secrets backend", edit(STAGE, BACKEND), FAIL, "AIRFLOW__SECRETS__BACKEND", edit(BACKEND, STAGE)),
    (
        "secrets backend",
        edit(STAGE, BACKEND),
        FAIL,
        "name it in previews.inherit",
        lambda world: world.allow(inherit=("AIRFLOW__SECRETS__BACKEND",)),
    ),
    ("hibernation", edit(SMALL, 'scheduler_size: "MEDIUM"'), WARN, "only a SMALL", edit('"MEDIUM"', '"SMALL"')),
]


@pytest.mark.parametrize(("name", "spoil", "status", "found", "mend"), STORIES)
def test_a_fault_shows_and_its_advice_mends_it(
    doctored: Doctored, name: str, spoil: Act, status: Status, found: str, mend: Act
) -> None:
    doctored.allow(hibernate_after=timedelta(days=2))
    spoil(doctored)
    check = doctored.find(name)
    assert check.status is status
    assert found in check.found
    assert check.advice
    mend(doctored)
    assert doctored.find(name).status is OK


def test_all_is_well_there(doctored: Doctored) -> None:
    doctored.allow(hibernate_after=timedelta(days=2))
    checks = doctored.examine_template()
    assert {each.status for each in checks} == {OK}
    assert {each.name for each in checks} == {name for name, *_ in STORIES}


def test_it_reads_and_writes_nothing_and_asks_no_more_than_it_says(doctored: Doctored) -> None:
    doctored.stage.forget_requests()
    doctored.examine_template()
    asked = {face: doctored.list_requests(face) for face in ("astro", "github", "registry")}
    assert len(asked["astro"]) == reader.ASTRO_REQUESTS_MAX
    assert 0 < len(asked["github"]) <= trunk.GITHUB_REQUESTS_MAX
    assert asked["registry"] == []
    assert all(line.startswith("GET ") for lines in asked.values() for line in lines)


def test_a_template_that_is_wrong_is_not_asked_about(doctored: Doctored) -> None:
    doctored.allow(template="deployments/nothing.yaml")
    doctored.stage.forget_requests()
    assert [each.status for each in doctored.examine_template()] == [FAIL, *[OPEN] * 5]
    assert doctored.list_requests("astro") == []
