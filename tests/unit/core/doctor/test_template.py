"""The template's checks: all is well, or one thing is wrong, and exactly its check says so and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import Cluster
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.doctor.template import TemplateFacts, judge_template
from include.deploy_ops.core.policy.keys import Environment, Project
from include.deploy_ops.core.template.mapping import lay_mapping
from include.deploy_ops.core.template.template import Template
from tests.worlds.values.doctor import OPTIONS, TEMPLATE, find_check, make_production, make_template
from tests.worlds.values.examples import make_project

FAIL, WARN, OPEN = Status.FAIL, Status.WARN, Status.NOT_KNOWN
PLACE = "deployments/preview.yaml on main"
MAPPED = Environment.model_validate({"environment_variables": {"TOKEN": {"variable": "token"}}})
BACKEND = {"key": "AIRFLOW__SECRETS__BACKEND", "value": "x.Y"}
CLUSTER = Cluster("ours", "DEDICATED", "CREATED", ())


def edit(old: str, new: str) -> Template:
    """Return the template with another text in it."""
    assert old in TEMPLATE
    return make_template(TEMPLATE.replace(old, new))


def with_variables(*variables: dict[str, Any]) -> Template:
    """Return the template with these variables."""
    listed = "".join(f"\n    - {each}" for each in variables)
    return make_template(f"{TEMPLATE}\n  environment_variables:{listed}\n")


def in_cluster(*clusters: Cluster) -> dict[str, Any]:
    """Return what changes where the template names a cluster."""
    text = TEMPLATE.replace("STANDARD", "DEDICATED").replace("cloud_provider: AWS", "cluster_name: ours")
    return {"template": make_template(text.replace("    region: us-east-1\n", "")), "clusters": clusters}


def make_facts() -> TemplateFacts:
    """Return facts of which nothing is wrong."""
    return TemplateFacts(make_template(), OPTIONS, (make_production(),), (), "clws")


def judge(facts: TemplateFacts, **previews: Any) -> tuple[Check, ...]:
    """Judge the facts under a policy that wants previews to hibernate."""
    project: Project = make_project(previews={"hibernate_after": timedelta(days=2), **previews})
    assert project.previews is not None
    return judge_template(facts, project, project.previews)


def test_where_all_is_well_every_check_says_what_was_found() -> None:
    checks = judge(make_facts())
    assert [(each.area, each.status, each.name, each.found) for each in checks] == [
        (Area.TEMPLATE, Status.OK, "template", f"{PLACE}: STANDARD, CELERY, 3.3-2"),
        (Area.TEMPLATE, Status.OK, "what Astro offers", "executor, runtime, sizes and queues are among it"),
        (Area.TEMPLATE, Status.OK, "where it would be", "AWS us-east-1, as Production is"),
        (Area.TEMPLATE, Status.OK, "empty secrets", "none that nothing fills"),
        (Area.TEMPLATE, Status.OK, "secrets backend", "none"),
        (Area.TEMPLATE, Status.OK, "hibernation", "they can"),
    ]


FAULTS: list[tuple[str, dict[str, Any], Status, str, str]] = [
    ("template", {"template": Unread("no such file", Cause.WRONG)}, FAIL, "no such file", f"named here in {PLACE}"),
    ("template", {"template": Unread("HTTP 500")}, OPEN, "HTTP 500", "in the task plan"),
    ("what Astro offers", {"template": edit("CELERY", "KUBERNETES")}, FAIL, "found 'KUBERNETES'", "write one of"),
    ("what Astro offers", {"template": edit("3.3-2", "3.3-3")}, WARN, "found '3.3-3'", "wait until Astro offers it"),
    ("what Astro offers", {"options": {"executors": ["CELERY"]}}, OPEN, "lacks 'runtimeReleases'", "render_template"),
    ("what Astro offers", {"options": Unread("HTTP 403", Cause.RIGHT)}, OPEN, "HTTP 403", "render_template"),
    ("where it would be", {"template": edit("us-east-1", "eu-east-9")}, OPEN, "eu-east-9, where", "correct region in"),
    ("where it would be", {"deployments": Unread("HTTP 500")}, OPEN, "HTTP 500", "task create"),
    ("where it would be", in_cluster(), FAIL, "has no cluster 'ours'", f"correct cluster_name in {PLACE}"),
    (
        "where it would be",
        in_cluster(replace(CLUSTER, workspaces=("x",))),
        FAIL,
        "not for the",
        "authorize the workspace",
    ),
    ("where it would be", in_cluster(replace(CLUSTER, status="CREATING")), WARN, "is CREATING", "see in Astro"),
    ("where it would be", in_cluster() | {"clusters": Unread("HTTP 403")}, OPEN, "HTTP 403", "task create"),
    (
        "empty secrets",
        {"template": with_variables({"key": "PW", "is_secret": True})},
        WARN,
        "PW: empty",
        "let previews",
    ),
    ("empty secrets", {"template": Unread("HTTP 500")}, OPEN, "no template", "render_template"),
    ("secrets backend", {"template": with_variables(BACKEND)}, FAIL, "AIRFLOW__SECRETS__BACKEND", "previews.inherit"),
    ("hibernation", {"template": edit("_mode: true", "_mode: false")}, WARN, "never", f"mode: true into {PLACE}"),
    ("hibernation", {"template": edit("SMALL", "MEDIUM")}, WARN, "only a SMALL scheduler", f"correct it in {PLACE}"),
]


@pytest.mark.parametrize(("name", "changes", "status", "found", "advice"), FAULTS)
def test_what_is_wrong_is_told_with_what_to_do(
    name: str, changes: dict[str, Any], status: Status, found: str, advice: str
) -> None:
    check = find_check(judge(replace(make_facts(), **changes)), name)
    assert check.status is status
    assert found in check.found
    assert advice in check.advice


def test_every_check_is_spoiled_by_one_of_the_faults() -> None:
    assert {each.name for each in judge(make_facts())} == {fault[0] for fault in FAULTS}


def test_without_a_template_the_other_checks_stand_there_all_the_same() -> None:
    without = judge(replace(make_facts(), template=Unread("no such file", Cause.WRONG)))
    assert [each.name for each in without] == [each.name for each in judge(make_facts())]


def test_a_cluster_that_serves_the_workspace_is_right() -> None:
    for workspaces in ((), ("clws", "other")):
        facts = replace(make_facts(), **in_cluster(replace(CLUSTER, workspaces=workspaces)))
        assert find_check(judge(facts), "where it would be").status is Status.OK


def test_a_secret_that_the_mapping_fills_is_not_empty() -> None:
    template = with_variables({"key": "TOKEN", "is_secret": True})
    assert find_check(judge(replace(make_facts(), template=template)), "empty secrets").status is WARN
    filled = lay_mapping(template, MAPPED.mapped)
    checks = judge(replace(make_facts(), template=filled))
    assert find_check(checks, "empty secrets").status is Status.OK
    assert find_check(checks, "template").found.endswith("previews.environment replaces TOKEN")


def test_a_backend_that_is_agreed_to_still_comes_before_the_mapping() -> None:
    template, inherit = with_variables(BACKEND), (BACKEND["key"],)
    agreed = find_check(judge(replace(make_facts(), template=template), inherit=inherit), "secrets backend")
    assert (agreed.status, agreed.found) == (Status.OK, "AIRFLOW__SECRETS__BACKEND, by previews.inherit")
    mapped = replace(make_facts(), template=lay_mapping(template, MAPPED.mapped))
    shadowed = find_check(judge(mapped, inherit=inherit), "secrets backend")
    assert (shadowed.status, "comes before what previews.environment maps" in shadowed.found) == (WARN, True)


def test_who_wants_no_hibernation_is_not_told_of_it() -> None:
    template = edit("_mode: true", "_mode: false")
    check = find_check(judge(replace(make_facts(), template=template), hibernate_after=None), "hibernation")
    assert (check.status, check.found) == (Status.OK, "the policy wants none")
