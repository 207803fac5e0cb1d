"""What the doctor says of GitHub: each check by a fault that turns it, and by what its advice says."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.branches import BranchFacts, BranchState, list_uses
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.doctor.github import (
    GithubFacts,
    Reach,
    RepositoryState,
    RequestsLeft,
    Token,
    judge_github,
)
from include.deploy_ops.core.doctor.permissions import Rights, TokenKind
from include.deploy_ops.core.policy.keys import Feedback, Promotion, Target
from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX
from include.deploy_ops.run.scope import Scope
from tests.worlds.values.examples import make_project, sha

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PROMOTION = Promotion.model_validate({"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"})
TARGET = Target.model_validate(
    {"deployment": "Production", "pull_request": {"from": "astro_deploy", "into": "main"}, "merge": True}
)
PROJECT = make_project(promotion=PROMOTION, targets={"production": TARGET})
REPOSITORY = RepositoryState(7, "acme/shop", default_branch="main", allows_merge_commits=True)
GRANTED = dict.fromkeys(("metadata", "checks"), "read") | dict.fromkeys(
    ("contents", "pull_requests", "statuses", "deployments", "workflows", "administration"), "write"
)
WELL = GithubFacts(
    reach=Reach("https://api.github.com"),
    token=Token(TokenKind.APP),
    repository=REPOSITORY,
    known_id=7,
    rights=Rights(TokenKind.APP, GRANTED),
    requests=RequestsLeft(5000, 4000, NOW + timedelta(minutes=20), is_nearly_used=False),
    branches=dict.fromkeys(list_uses(PROJECT), BranchFacts(BranchState(sha("a")))),
)
SCARCE = RequestsLeft(5000, 200, NOW + timedelta(minutes=20), is_nearly_used=True)
UNREAD = Unread("GET … answered HTTP 502")
OUTAGE = replace(UNREAD, cause=Cause.SILENCE)
UNCONNECTED = Unread("there is no such name")
PAT = Token(TokenKind.FINE_GRAINED, "mona", NOW + timedelta(days=15))


def judge(facts: GithubFacts) -> dict[str, Check]:
    checks = judge_github(PROJECT, facts, NOW)
    assert len({check.name for check in checks}) == len(checks)
    assert {check.area for check in checks} == {Area.GITHUB}
    return {check.name: check for check in checks}


def test_where_all_is_well_every_check_is_ok_and_says_what_was_found() -> None:
    found = judge(WELL)
    assert {check.status for check in found.values()} == {Status.OK}
    assert [*found] == [
        "reachable",
        "repository",
        "token",
        "token's end",
        "permission Metadata: read",
        "permission Contents: write",
        "permission Pull requests: write",
        "permission Commit statuses: write",
        "permission Checks: read",
        "permission Deployments: write",
        "permission Workflows: write",
        "permission Administration: write",
        "requests left",
        "trunk",
        "branch staging",
        "branch astro_deploy",
        "merge commits into main",
        "required checks of main",
        "required checks of staging",
        "pushes to astro_deploy",
    ]
    assert all(check.found for check in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "status", "found", "advice"),
    [
        ({"reach": OUTAGE}, "reachable", Status.NOT_KNOWN, "HTTP 502", "look again later"),
        ({"reach": UNCONNECTED}, "reachable", Status.FAIL, "no such", "connection 'github_default' of type GitHub"),
        ({"reach": Reach("https://a", has_answered=False)}, "reachable", Status.NOT_KNOWN, "not asked", "token first"),
        (
            {"repository": replace(REPOSITORY, name="acme/store")},
            "repository",
            Status.FAIL,
            "acme/shop is called acme/store now",
            "write `repository: acme/store` for project shop",
        ),
        ({"known_id": 8}, "repository", Status.FAIL, "number 7 at GitHub, and was 8", "give the project another name"),
        ({"repository": replace(REPOSITORY, is_archived=True)}, "repository", Status.FAIL, "archived", "unarchive it"),
        ({"repository": replace(REPOSITORY, is_disabled=True)}, "repository", Status.FAIL, "disabled", "owner"),
        ({"repository": None}, "repository", Status.FAIL, "HTTP 404", "correct `repository`"),
        ({"repository": UNREAD}, "repository", Status.NOT_KNOWN, "HTTP 502", "HTTP 403 or, as a rule, 404"),
        (
            {"repository": replace(UNREAD, cause=Cause.RIGHT)},
            "repository",
            Status.FAIL,
            "HTTP",
            "let acme/shop be read",
        ),
        ({"token": Token(refused="HTTP 401")}, "token", Status.FAIL, "HTTP 401", "password of connection 'github_d"),
        ({"token": Token(refused="HTTP 401")}, "token's end", Status.NOT_KNOWN, "as one that ended", "new token"),
        ({"token": UNREAD}, "token", Status.NOT_KNOWN, "HTTP 502", "HTTP 401"),
        ({"token": Token(TokenKind.INSTALLATION)}, "token", Status.WARN, "good for an hour", "app_id, installation_id"),
        ({"token": Token()}, "token", Status.NOT_KNOWN, "of a kind that GitHub does not tell", "HTTP 401"),
        ({"token": replace(PAT, ends_at=NOW)}, "token's end", Status.FAIL, "it ended 2026-05-04", "make a new token"),
        (
            {"token": replace(PAT, ends_at=NOW + timedelta(days=14))},
            "token's end",
            Status.WARN,
            "it ends 2026-05-18 12:00 UTC, in 14d",
            "make a new token with the same permissions",
        ),
        ({"token": replace(PAT, ends_at=UNREAD)}, "token's end", Status.NOT_KNOWN, "HTTP 502", "token's page"),
        ({"requests": SCARCE}, "requests left", Status.WARN, "200 of 5000 an hour", "raise `poll_interval_s`"),
        ({"requests": replace(SCARCE, remaining=0)}, "requests left", Status.FAIL, "0 of 5000", "an App or"),
        ({"requests": UNREAD}, "requests left", Status.NOT_KNOWN, "HTTP 502", "API rate limit exceeded"),
        ({"left_out": ("one", "two")}, "further branches", Status.NOT_KNOWN, "one, two", "look at them"),
        (
            {"rights": Rights(TokenKind.APP, GRANTED | {"contents": "read"})},
            "permission Contents: write",
            Status.FAIL,
            "Contents: read",
            "'Contents: Read and write'",
        ),
    ],
)
def test_each_check_is_turned_by_its_fault(
    changes: dict[str, Any], name: str, status: Status, found: str, advice: str
) -> None:
    broken = replace(WELL, **changes)
    before, check = judge(WELL), judge(broken)[name]
    assert check.status is status
    assert found in check.found
    assert advice in check.advice
    of_the_same = {"token", "token's end"} if "token" in changes else {"repository", "merge commits into main"}
    others = {each: other for each, other in judge(broken).items() if each not in {name, *of_the_same}}
    assert others == {each: other for each, other in before.items() if each in others}


@pytest.mark.parametrize(
    ("token", "found"),
    [(PAT, "it ends 2026-05-19 12:00 UTC, in 15d"), (replace(PAT, ends_at=None), "GitHub names no end")],
)
def test_a_token_that_ends_later_or_never_is_fine(token: Token, found: str) -> None:
    checks = judge(replace(WELL, token=token))
    assert (checks["token's end"].status, checks["token's end"].found) == (Status.OK, found)
    assert checks["token"].found == "a fine-grained personal access token of mona"


def test_the_version_of_an_enterprise_server_is_told() -> None:
    reach = Reach("https://ghe.example/api/v3", "3.14.2")
    expected = "https://ghe.example/api/v3 answers, GitHub Enterprise Server 3.14.2"
    assert judge(replace(WELL, reach=reach))["reachable"].found == expected


def test_without_memory_the_number_is_told_and_compared_with_nothing() -> None:
    found = judge(replace(WELL, known_id=0))["repository"]
    assert (found.status, found.found) == (
        Status.OK,
        "acme/shop, number 7, which nothing remembered is compared with",
    )


SILENT = Feedback(comments=False, statuses=False, deployments=False)
TEMPLATED = {"template_from": "Production"}
ASKING = Target.model_validate(
    {"deployment": "P", "pull_request": {"from": "astro_deploy", "into": "main"}, "approval": "required"}
)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"previews": TEMPLATED, "feedback": SILENT}, {"shop.template"}),
        ({"previews": TEMPLATED}, {"shop.template", "shop.feedback"}),
        ({"targets": {"production": TARGET}, "feedback": SILENT}, {"shop.production"}),
        ({"targets": {"production": ASKING}, "feedback": SILENT}, {"shop.production.request"}),
        ({"feedback": SILENT.model_copy(update={"commands": True})}, {"shop.commands"}),
        ({"promotion": PROMOTION, "previews": TEMPLATED}, {"shop.promotion", "shop.feedback"}),
    ],
)
def test_of_a_write_that_nobody_tried_a_dag_is_named_that_there_is(changes: dict[str, Any], named: set[str]) -> None:
    project = make_project(**changes)
    checks = judge_github(project, replace(WELL, rights=Rights(TokenKind.FINE_GRAINED)), NOW)
    found = {name for check in checks for name in re.findall("first run of `(.*?)`", check.advice)}
    scope = Scope("acme", is_dry=False, project=project, targets=frozenset())
    assert named <= found <= scope.dags, found


def test_what_others_wrote_is_one_line_and_cut() -> None:
    check = judge(replace(WELL, reach=Unread("one\ntwo\x1b[31m" + "x" * 1000)))["reachable"]
    assert check.found.startswith("one two<U+001B>[31mx")
    assert len(check.found) <= REASON_LENGTH_MAX
