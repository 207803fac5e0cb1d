"""The checks of what awaits a new preview: each is spoiled by one fact, and says so and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import LinkedObject, Organization
from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.policy.keys import Environment
from tests.worlds.values.doctor import TEMPLATE, find_check, judge, make_facts, make_template
from tests.worlds.values.examples import make_deployment, make_project

FAIL, WARN, OPEN = Status.FAIL, Status.WARN, Status.NOT_KNOWN
MAPPED = {"connections": {"warehouse": "warehouse_dev"}}

FAULTS: list[tuple[str, dict[str, Any], Status, str, str]] = [
    (
        "DAG deploys of previews",
        {"template": make_template(TEMPLATE.replace("enabled: true", "enabled: false"))},
        WARN,
        "off",
        "dag_deploy_enabled: true into configuration of deployments/preview.yaml on main",
    ),
    ("DAG deploys of previews", {"template": Unread("HTTP 500")}, OPEN, "HTTP 500", "image deploy"),
    (
        "room for previews",
        {"organization": Organization("Acme", "", None, takes_dedicated_only=True)},
        FAIL,
        "dedicated clusters alone",
        "DEDICATED",
    ),
    (
        "room for previews",
        {"deployments": tuple(make_deployment(f"dev-{number}") for number in range(20))},
        WARN,
        "20 previews live",
        "max_live",
    ),
    (
        "room for previews",
        {},
        OPEN,
        "1 Deployments in the workspace, 9 in the organization as the token sees it, and 20 may come",
        "limit of your plan",
    ),
    ("room for previews", {"deployments": Unread("HTTP 500")}, OPEN, "HTTP 500", "task create"),
    (
        "room for previews",
        {"refused": {"dev-a": "quota", "dev-b": "older"}},
        FAIL,
        "dev-a has no preview: quota",
        "have it raised in Astro, or delete previews",
    ),
    (
        "objects that link themselves",
        {"linked": (LinkedObject("CONNECTION", "warehouse"), LinkedObject("METRICS_EXPORT", "m"))},
        WARN,
        "can read connections.warehouse",
        "not to all",
    ),
    (
        "objects that link themselves",
        {"linked": Unread("HTTP 403", Cause.RIGHT)},
        OPEN,
        "HTTP 403",
        "Environment Manager",
    ),
]


@pytest.mark.parametrize(("name", "changes", "status", "found", "advice"), FAULTS)
def test_what_is_wrong_is_told_with_what_to_do(
    name: str, changes: dict[str, Any], status: Status, found: str, advice: str
) -> None:
    check = find_check(judge(replace(make_facts(), **changes)), name)
    assert check.status is status
    assert found in check.found
    assert advice in check.advice


def test_room_is_known_by_what_astro_made_last() -> None:
    """Its API tells no limit: there was room for what lives, and a refusal counts until its branch has a preview."""
    facts = replace(make_facts(), deployments=(make_deployment("dev-a"),), refused={"dev-a": "quota"})
    check = find_check(judge(facts), "room for previews")
    assert check.status is Status.OK
    assert check.found.endswith("19 may come by max_live; Astro made 1 previews, and its API tells no limit")


@pytest.mark.parametrize(
    ("linked", "status"),
    [
        (LinkedObject("CONNECTION", "warehouse"), Status.FAIL),
        (LinkedObject("ENVIRONMENT_VARIABLE", "AIRFLOW_CONN_WAREHOUSE"), Status.FAIL),
        (LinkedObject("ENVIRONMENT_VARIABLE", "AIRFLOW__SECRETS__BACKEND"), Status.FAIL),
        (LinkedObject("AIRFLOW_VARIABLE", "warehouse"), Status.WARN),
        (LinkedObject("METRICS_EXPORT", "warehouse"), Status.OK),
    ],
)
def test_what_stands_beside_the_mapping_is_worse_than_what_only_can_be_read(
    linked: LinkedObject, status: Status
) -> None:
    project = make_project(previews={"environment": Environment.model_validate(MAPPED)})
    checks = judge(replace(make_facts(), linked=(linked,)), project)
    assert find_check(checks, "objects that link themselves").status is status
