"""Astro's checks: all is well, or one fact is spoiled, and exactly its check says so and what to do."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import (
    AstroFacts,
    LinkedObject,
    Organization,
    Place,
    Pull,
    Release,
    Role,
    TokenClaims,
    TokenRecord,
)
from include.deploy_ops.core.doctor.check import Area, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.model import DeploymentStatus
from include.deploy_ops.core.policy.keys import Project
from tests.unit.core.doctor import test_new_deployments, test_runtimes
from tests.worlds.values.doctor import IMAGE, NOW, find_check, judge, make_facts, make_production
from tests.worlds.values.examples import make_project

FAIL, WARN, OPEN = Status.FAIL, Status.WARN, Status.NOT_KNOWN
OPERATOR = Role("WORKSPACE", "clws", "WORKSPACE_OPERATOR")


def set_target(**changes: Any) -> Project:
    """Return the project with another target."""
    project = make_project(image=("reuse", IMAGE))
    target = project.targets["production"].model_copy(update=changes)
    return project.model_copy(update={"targets": {"production": target}})


def end(**after: int) -> datetime:
    """Return a time from now on."""
    return NOW + timedelta(**after)


def roles(*names: str, entity_id: str = "clws") -> TokenRecord:
    """Return the record of a token with these roles."""
    return TokenRecord(None, tuple(Role("WORKSPACE", entity_id, name) for name in names))


def test_where_all_is_well_nothing_but_what_astro_does_not_tell_is_open() -> None:
    checks = judge(make_facts())
    assert [(each.name, each.status) for each in checks if each.status is not Status.OK] == [
        ("room for previews", Status.NOT_KNOWN)
    ]
    assert {each.area for each in checks} == {Area.ASTRO}
    assert [each.name for each in checks] == [
        "connection",
        "token",
        "token's end",
        "token's role",
        "organization",
        "workspace",
        "target production",
        "DAG deploys of production",
        "runtime of previews",
        "runtime of production",
        "runtime of CI's image",
        "DAG deploys of previews",
        "room for previews",
        "objects that link themselves",
        "pull of deployed images",
    ]


FAULTS: list[tuple[str, dict[str, Any], Status, str, str]] = [
    (
        "connection",
        {"place": Unread("there is no Airflow connection 'astro_default'")},
        FAIL,
        "no Airflow conn",
        "install.md",
    ),
    ("connection", {"place": Place("a", "clorg", "clws", "leads to 'clws'")}, FAIL, "leads to", "another connection"),
    ("token", {"claims": Unread("no JSON Web Token", Cause.WRONG)}, FAIL, "no JSON Web", "'astro_default'"),
    ("token", {"deployments": Unread("HTTP 401", Cause.TOKEN)}, FAIL, "HTTP 401", "role Workspace Operator"),
    (
        "token's end",
        {"claims": TokenClaims("t", end(days=-1), ("clorg",), ("clws",))},
        FAIL,
        "it ended 2026-05-31",
        "make a token",
    ),
    (
        "token's end",
        {"record": TokenRecord(end(days=14), (OPERATOR,))},
        WARN,
        "2026-06-15 12:00 UTC, in 14 days",
        "make a token",
    ),
    ("token's end", {"record": Unread("HTTP 403", Cause.RIGHT)}, OPEN, "HTTP 403", "HTTP 401 in each pass"),
    ("token's role", {"record": Unread("HTTP 403", Cause.RIGHT)}, OPEN, "HTTP 403", "HTTP 403 in the tasks create"),
    ("token's role", {"record": roles("WORKSPACE_MEMBER")}, FAIL, "WORKSPACE_MEMBER: too little", "Workspace Operator"),
    (
        "token's role",
        {"record": roles("WORKSPACE_OPERATOR", entity_id="clother")},
        FAIL,
        "none in this",
        "make a token",
    ),
    ("token's role", {"record": roles("WORKSPACE_OWNER")}, WARN, "more than it needs", "make a token"),
    ("token's role", {"record": roles("Deployer")}, OPEN, "organization's own", "all that Workspace Operator has"),
    (
        "organization",
        {"organization": Unread("sees no organization", Cause.ABSENT)},
        FAIL,
        "sees no",
        "organization_id",
    ),
    ("organization", {"claims": TokenClaims("t", None, ("clx",), ("clws",))}, FAIL, "is of clx", "organization_id"),
    (
        "organization",
        {"organization": Organization("Acme", "SUSPENDED", None, takes_dedicated_only=False)},
        FAIL,
        "Acme is SUSPENDED",
        "active again",
    ),
    (
        "organization",
        {"organization": Organization("Acme", "ACTIVE", end(days=3), takes_dedicated_only=False)},
        WARN,
        "trial ends 2026-06-04",
        "choose a plan",
    ),
    ("organization", {"organization": Unread("HTTP 403", Cause.RIGHT)}, OPEN, "HTTP 403", "HTTP 403 or 404"),
    ("workspace", {"workspace": Unread("sees no workspace", Cause.ABSENT)}, FAIL, "sees no", "workspace_id"),
    ("workspace", {"claims": TokenClaims("t", None, ("clorg",), ("clx",))}, FAIL, "is of clx", "workspace_id"),
    ("workspace", {"workspace": Unread("HTTP 500")}, OPEN, "HTTP 500", "in the task plan"),
    (
        "target production",
        {"deployments": (make_production(name="Prodution"),)},
        FAIL,
        "there is 'Prodution'",
        "letter by letter",
    ),
    (
        "target production",
        {"deployments": (), "elsewhere": (make_production(workspace_id="clws2"),)},
        FAIL,
        "in another workspace: clws2",
        "astro_conn_id",
    ),
    (
        "target production",
        {"deployments": (make_production(), make_production(id="x"))},
        FAIL,
        "2 are called so: clprod, x",
        "rename",
    ),
    (
        "target production",
        {"deployments": (make_production(problem="status: none"),)},
        OPEN,
        "cannot be read",
        "is held",
    ),
    (
        "target production",
        {"deployments": (make_production(status=DeploymentStatus.UNHEALTHY, status_reason="full"),)},
        WARN,
        "is UNHEALTHY: full",
        "https://astro.example/ns",
    ),
    ("target production", {"deployments": Unread("HTTP 500")}, OPEN, "HTTP 500", "held by the pass"),
    (
        "DAG deploys of production",
        {"deployments": (make_production(is_dag_deploy_enabled=False),)},
        WARN,
        "off",
        "astro deployment update clprod --dag-deploy enable",
    ),
    ("DAG deploys of production", {"deployments": ()}, OPEN, "not one Deployment", "see target production"),
    ("DAG deploys of production", {"deployments": Unread("HTTP 500")}, OPEN, "HTTP 500", "image deploy"),
    (
        "pull of deployed images",
        {"pull": Unread("HTTP 403", Cause.RIGHT)},
        WARN,
        "HTTP 403",
        f"take reuse out of the project's image list; {IMAGE} serves",
    ),
    ("pull of deployed images", {"pull": Unread("HTTP 500")}, OPEN, "HTTP 500", "in the task image"),
    ("pull of deployed images", {"pull": None}, OPEN, "no Deployment", "in the task image"),
    (
        "pull of deployed images",
        {"pull": Pull("Production", "i:1", is_there=False)},
        WARN,
        "has no i:1, which Production runs",
        "deploy an image",
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


def test_every_check_is_spoiled_by_one_of_the_faults() -> None:
    spoiled = {fault[0] for fault in (*FAULTS, *test_runtimes.FAULTS, *test_new_deployments.FAULTS)}
    assert {each.name for each in judge(make_facts())} == spoiled


@pytest.mark.parametrize("field", [each.name for each in fields(AstroFacts) if each.default_factory is MISSING])
def test_a_fact_that_cannot_be_read_leaves_the_other_checks_as_they_are(field: str) -> None:
    before = {each.name: each.status for each in judge(make_facts())}
    lost: dict[str, Any] = {field: Unread("HTTP 500")}
    after = {each.name: each.status for each in judge(replace(make_facts(), **lost))}
    assert after.keys() == before.keys()
    changed = {name for name, status in after.items() if status is not before[name]}
    assert {after[name] for name in changed} <= {OPEN, Status.FAIL}
    assert len([name for name in changed if after[name] is Status.FAIL]) == (field == "place")


def test_where_nobody_answers_the_token_is_not_known() -> None:
    silent: dict[str, Any] = {field: Unread("no answer") for field in ("organization", "workspace", "deployments")}
    assert find_check(judge(replace(make_facts(), **silent)), "token").status is Status.NOT_KNOWN


def test_an_organizations_token_names_no_workspace_and_may_work_in_each() -> None:
    facts = replace(
        make_facts(),
        claims=TokenClaims("t", None, ("clorg",), ()),
        record=TokenRecord(None, (Role("ORGANIZATION", "clorg", "ORGANIZATION_OWNER"),)),
    )
    assert find_check(judge(facts), "workspace").status is Status.OK
    assert find_check(judge(facts), "token's role").status is Status.WARN


def test_a_target_that_wants_dags_alone_cannot_be_deployed_to_without_dag_deploys() -> None:
    facts = replace(make_facts(), deployments=(make_production(is_dag_deploy_enabled=False),))
    check = find_check(judge(facts, set_target(deploy_type="dags")), "DAG deploys of production")
    assert (check.status, check.found) == (Status.FAIL, "off, and deploy_type is dags")


def test_a_refused_pull_is_a_failure_where_nothing_else_serves() -> None:
    facts = replace(make_facts(), pull=Unread("HTTP 403", Cause.RIGHT))
    check = find_check(judge(facts, make_project(image=("reuse",))), "pull of deployed images")
    assert check.status is Status.FAIL
    assert 'image: ["<name>:{sha}"]' in check.advice


def test_without_previews_reuse_or_an_image_of_ci_nothing_is_said_of_them() -> None:
    project = make_project(image=("build",)).model_copy(update={"previews": None})
    facts = replace(make_facts(), template=None, ci_runtime=None, pull=None)
    assert [each.name for each in judge(facts, project) if "preview" in each.name or "image" in each.name] == []


def test_what_astro_calls_things_breaks_no_line_and_fills_no_page() -> None:
    loud = "a\nb\x1b[31m" + "c" * 9_000
    unwell = make_production(status=DeploymentStatus.UNHEALTHY, status_reason=loud)
    spoiled = replace(
        make_facts(),
        deployments=(unwell,),
        organization=Organization(loud, loud, None, takes_dedicated_only=False),
        record=roles(loud),
        releases=(Release(loud, "stable"),),
        linked=(LinkedObject("CONNECTION", loud),),
        pull=Unread(loud),
    )
    for each in judge(spoiled):
        assert max(len(each.found), len(each.advice)) < 1_000
        assert (each.found + each.advice).isprintable()
