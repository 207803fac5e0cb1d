"""Which permissions a policy needs, whether a token has them, and that the docs' table says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.core.doctor.check import Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.doctor.permissions import (
    READ,
    TABLE,
    WRITE,
    Need,
    Rights,
    TokenKind,
    Write,
    judge_permission,
    list_needs,
)
from include.deploy_ops.core.policy.keys import Feedback, Project, Promotion, Requires, Target
from tests.worlds.values.examples import make_project

PAGE = Path(__file__).parents[4] / "docs" / "security.md"
SILENT = Feedback(comments=False, statuses=False, deployments=False)
PROMOTION = Promotion.model_validate({"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"})
COMMENTS = Need("pull_requests", WRITE)
ADVICE = "give the App 'Pull requests: Read and write' (its settings, Permissions and events), and accept that"


def make_target(**changes: Any) -> dict[str, Target]:
    source = {"from": "astro_deploy", "into": "main"}
    return {"production": Target.model_validate({"deployment": "Production", "pull_request": source, **changes})}


def name_needs(project: Project, kind: TokenKind = TokenKind.APP) -> set[str]:
    """Return what is needed; what can be done without stands in brackets."""
    return {f"({need.name})" if need.without else need.name for need in list_needs(project, kind)}


BASE = {"Metadata: read", "Contents: read", "Pull requests: read"}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, set()),
        ({"promotion": PROMOTION}, {"Contents: write", "(Workflows: write)"}),
        (
            {"targets": make_target(merge=True)},
            {"Contents: write", "(Commit statuses: read)", "(Checks: read)"},
        ),
        ({"targets": make_target(approval="required")}, {"Pull requests: read", "(Pull requests: write)"}),
        ({"feedback": Feedback(statuses=False, deployments=False)}, {"Pull requests: write"}),
        ({"feedback": Feedback(comments=False, deployments=False)}, {"Commit statuses: write"}),
        (
            {"feedback": Feedback(comments=False, statuses=False)},
            {"Deployments: write", "(Administration: write)"},
        ),
        ({"feedback": SILENT.model_copy(update={"commands": True})}, {"Pull requests: write"}),
        (
            {"targets": make_target(requires=Requires(checks="required"))},
            {"Commit statuses: read", "Checks: read"},
        ),
    ],
)
def test_each_part_of_the_policy_needs_what_it_uses(changes: dict[str, Any], more: set[str]) -> None:
    widened = {name.strip("()").partition(":")[0] for name in more}
    kept = {name for name in BASE if name.partition(":")[0] not in widened}
    assert name_needs(make_project(**{"feedback": SILENT, **changes})) == kept | more


def test_checks_are_seen_by_another_permission_where_the_token_is_fine_grained() -> None:
    project = make_project(feedback=SILENT, targets=make_target(requires=Requires(checks="required")))
    assert name_needs(project, TokenKind.FINE_GRAINED) == BASE | {"Commit statuses: read", "Actions: read"}
    assert name_needs(project, TokenKind.CLASSIC) == BASE | {"Commit statuses: read", "Checks: read"}


def test_the_docs_have_the_same_table() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]*\| ([^|]+) \|$", PAGE.read_text().partition("## Tokens and")[2], re.MULTILINE
    )
    told = {when: set(re.findall(r"\*([A-Z][a-z ]+: [a-z]+)\*", needs)) for when, needs in rows}
    of_github = {
        when: needs for when, needs in told.items() if needs and when != "token" and "Workspace" not in str(needs)
    }
    assert of_github == {row.when: {need.name for need in row.needs} for row in TABLE}


def judge(need: Need, rights: Rights, *, is_dry: bool = False) -> Check:
    return judge_permission(need, rights, is_dry=is_dry, conn_id="github_default", dag="shop.feedback")


REFUSED = Unread("GET /pulls answered HTTP 403: grant it", cause=Cause.RIGHT)
FINE = TokenKind.FINE_GRAINED


@pytest.mark.parametrize(
    ("need", "rights", "mended", "advice"),
    [
        (
            COMMENTS,
            Rights(TokenKind.APP, {"pull_requests": "read"}),
            Rights(TokenKind.APP, {"pull_requests": "write"}),
            ADVICE,
        ),
        (COMMENTS, Rights(TokenKind.APP, {}), Rights(TokenKind.APP, {"pull_requests": "admin"}), ADVICE),
        (
            COMMENTS,
            Rights(TokenKind.CLASSIC, scopes=frozenset({"read:org"})),
            Rights(TokenKind.CLASSIC, scopes=frozenset({"read:org", "repo"})),
            "give the token of connection 'github_default' the scope `repo`",
        ),
        (
            Need("contents", WRITE),
            Rights(TokenKind.CLASSIC, scopes=frozenset({"repo"}), roles=frozenset({"pull"})),
            Rights(TokenKind.CLASSIC, scopes=frozenset({"repo"}), roles=frozenset({"pull", "push"})),
            "give its owner the role Write there",
        ),
        (
            Need("pull_requests", READ),
            Rights(FINE, reads={"pull_requests": REFUSED}),
            Rights(FINE, reads={"pull_requests": None}),
            "give the token of connection 'github_default' 'Pull requests: Read-only'",
        ),
        (
            COMMENTS,
            Rights(FINE, writes={"pull_requests": Write(is_done=False, told="GitHub refused feedback.comments")}),
            Rights(FINE, writes={"pull_requests": Write(is_done=True, told="GitHub took it")}),
            "'Pull requests: Read and write'",
        ),
        (
            Need("contents", WRITE),
            Rights(FINE, roles=frozenset({"pull"}), reads={"contents": None}),
            Rights(FINE, roles=frozenset({"push"}), writes={"contents": Write(is_done=True, told="done")}),
            "give its owner the role Write there",
        ),
    ],
)
def test_what_is_missing_fails_and_what_the_advice_says_mends_it(
    need: Need, rights: Rights, mended: Rights, advice: str
) -> None:
    found = judge(need, rights)
    assert (found.status, advice in found.advice) == (Status.FAIL, True), found
    assert judge(need, mended).status is Status.OK


def test_while_nothing_is_written_a_missing_write_is_told_as_what_comes_before() -> None:
    rights = Rights(TokenKind.APP, {})
    found = judge(COMMENTS, rights, is_dry=True)
    assert found.status is Status.WARN
    assert found.advice.startswith("before `mode: apply`: give the App")
    assert judge(Need("contents", READ), rights, is_dry=True).status is Status.FAIL


def test_what_can_be_done_without_is_ok_and_says_what_is_left_out() -> None:
    need = Need("administration", WRITE, "environments of gone previews stay on GitHub")
    found = judge(need, Rights(TokenKind.APP, {}))
    assert found.status is Status.OK
    assert found.found.endswith("no access; it can be done without: environments of gone previews stay on GitHub")


@pytest.mark.parametrize(
    ("kind", "words"), [(FINE, "by personal access token"), (TokenKind.INSTALLATION, "by integration")]
)
def test_a_write_that_nobody_tried_is_not_known_and_says_what_a_refusal_looks_like(kind: TokenKind, words: str) -> None:
    found = judge(COMMENTS, Rights(kind, reads={"pull_requests": None}))
    assert found.status is Status.NOT_KNOWN
    assert f"HTTP 403 'Resource not accessible {words}', with pull_requests=write" in found.advice
    assert "`shop.feedback`" in found.advice


@pytest.mark.parametrize(
    "rights",
    [Rights(TokenKind.APP, None), Rights(FINE, reads={"contents": Unread("GET … answered HTTP 502")})],
)
def test_what_could_not_be_read_is_not_known(rights: Rights) -> None:
    assert judge(Need("contents", READ), rights).status is Status.NOT_KNOWN


@pytest.mark.parametrize(
    ("need", "scopes", "is_public", "status"),
    [
        (Need("contents", READ), set(), True, Status.OK),
        (Need("contents", READ), set(), False, Status.FAIL),
        (Need("contents", WRITE), {"public_repo"}, True, Status.OK),
        (Need("contents", WRITE), {"public_repo"}, False, Status.FAIL),
        (Need("statuses", WRITE), {"repo:status"}, False, Status.OK),
        (Need("deployments", WRITE), {"repo_deployment"}, False, Status.OK),
        (Need("deployments", WRITE), {"repo:status"}, False, Status.FAIL),
        (Need("workflows", WRITE), {"repo"}, False, Status.FAIL),
        (Need("workflows", WRITE), {"workflow"}, False, Status.OK),
    ],
)
def test_scopes_give_what_github_says_they_give(need: Need, scopes: set[str], is_public: bool, status: Status) -> None:
    rights = Rights(TokenKind.CLASSIC, scopes=frozenset(scopes), is_public=is_public)
    assert judge(need, rights).status is status
