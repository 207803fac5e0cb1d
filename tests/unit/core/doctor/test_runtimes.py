"""The runtimes' checks: each is spoiled by one fact, and says so and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import Release
from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.template.template import Template
from tests.worlds.values.doctor import TEMPLATE, find_check, judge, make_facts, make_production, make_template

FAIL, WARN, OPEN = Status.FAIL, Status.WARN, Status.NOT_KNOWN


def at_runtime(version: str) -> Template:
    """Return a template of this runtime."""
    return make_template(TEMPLATE.replace("3.3-2", version))


FAULTS: list[tuple[str, dict[str, Any], Status, str, str]] = [
    (
        "runtime of previews",
        {"template": at_runtime("3.2-9")},
        FAIL,
        "3.2-9, which Astro does not offer",
        "on main: 3.3-2, 3.1-14",
    ),
    (
        "runtime of previews",
        {"releases": (Release("3.3-2", "beta"), Release("3.1-14", "stable"))},
        WARN,
        "channel beta",
        "a stable one",
    ),
    ("runtime of previews", {"template": Unread("no such file", Cause.WRONG)}, OPEN, "no such file", "render_template"),
    ("runtime of previews", {"releases": Unread("HTTP 403", Cause.RIGHT)}, OPEN, "HTTP 403", "render_template"),
    (
        "runtime of production",
        {"deployments": (make_production(runtime_version="13.2.0"),)},
        WARN,
        "13.2.0, which Astro offers no more",
        "3.3-2, 3.1-14",
    ),
    ("runtime of production", {"deployments": Unread("HTTP 500")}, OPEN, "HTTP 500", "render_template"),
    ("runtime of production", {"releases": Unread("HTTP 500")}, OPEN, "HTTP 500", "render_template"),
    ("runtime of CI's image", {"ci_runtime": ""}, FAIL, "no runtime label", "FROM a runtime that Astro offers"),
    ("runtime of CI's image", {"ci_runtime": "3.2-9"}, FAIL, "3.2-9, which Astro does not", "3.3-2, 3.1-14"),
    (
        "runtime of CI's image",
        {"ci_runtime": "3.1-14"},
        FAIL,
        "previews: its runtime 3.1-14 is older than 3.3-2, production: its",
        "raise the image first",
    ),
    (
        "runtime of CI's image",
        {"deployments": (make_production(runtime_version="11.9.0"),)},
        FAIL,
        "production: its runtime 11.9.0 goes to 12.0.0",
        "to Airflow 3 over 12.0.0",
    ),
    ("runtime of CI's image", {"ci_runtime": Unread("CI has not built it")}, OPEN, "has not built", "deploy"),
    ("runtime of CI's image", {"releases": Unread("HTTP 500")}, OPEN, "HTTP 500", "deploy"),
]


@pytest.mark.parametrize(("name", "changes", "status", "found", "advice"), FAULTS)
def test_what_is_wrong_is_told_with_what_to_do(
    name: str, changes: dict[str, Any], status: Status, found: str, advice: str
) -> None:
    check = find_check(judge(replace(make_facts(), **changes)), name)
    assert check.status is status
    assert found in check.found
    assert advice in check.advice


def test_what_is_not_the_newest_is_right_all_the_same_and_told() -> None:
    older = make_production(runtime_version="3.1-14")
    check = find_check(judge(replace(make_facts(), deployments=(older,))), "runtime of production")
    assert (check.status, check.found) == (Status.OK, "3.1-14; the newest is 3.3-2")


@pytest.mark.parametrize(("running", "status"), [("12.0.0", Status.OK), ("13.2.0", Status.OK), ("11.9.0", FAIL)])
def test_the_way_to_airflow_3_leads_over_a_late_runtime_of_airflow_2(running: str, status: Status) -> None:
    facts = replace(make_facts(), deployments=(make_production(runtime_version=running),))
    assert find_check(judge(facts), "runtime of CI's image").status is status
