"""The checks on a commit: all pages, conditionally, ours left out; what a token may not see is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.core.target.mergeability import BranchRules
from include.deploy_ops.hooks.github.commit_checks import (
    BLIND,
    BLINDER,
    PAGES_MAX,
    WORKFLOW_RUNS_MAX,
    CommitChecks,
    read_commit_checks,
    read_required_checks,
)
from include.deploy_ops.hooks.github.rule_answers import ACTIONS_APP
from tests.worlds.doubles.github import HTML, REPO, GithubDouble, Reply, make_sha

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

SHA = make_sha("head")
COMMIT = f"{REPO}/commits/{SHA}"
STATUSES, RUNS = f"{COMMIT}/status?per_page=100", f"{COMMIT}/check-runs?filter=latest&per_page=100"
ACTIONS = f"{REPO}/actions/runs?head_sha={SHA}&per_page=100"
FORBIDDEN = Reply({"message": "Resource not accessible by personal access token"}, 403)
PROTECTION, RULES = f"{REPO}/branches/release%2F1", f"{REPO}/rules/branches/release%2F1?per_page=100"


def jobs_of(run: int) -> str:
    return f"{REPO}/actions/runs/{run}/jobs?filter=latest&per_page=100"


def make_statuses(**states: str) -> dict[str, Any]:
    return {"state": "pending", "statuses": [{"context": name, "state": state} for name, state in states.items()]}


def make_runs(key: str, *runs: tuple[str, str, str | None]) -> dict[str, Any]:
    listed = [{"name": name, "status": status, "conclusion": conclusion} for name, status, conclusion in runs]
    return {"total_count": len(runs), key: listed}


def make_workflow_runs(*ids: int) -> dict[str, Any]:
    return {"workflow_runs": [{"id": each, "status": "completed", "conclusion": "success"} for each in ids]}


def read(hook: DeployOpsGithubHook, known: CommitChecks | None = None, *, is_blind: bool = False) -> CommitChecks:
    return read_commit_checks(hook, SHA, known or CommitChecks(), is_blind=is_blind)


def test_statuses_and_check_runs_of_all_pages_count_and_ours_do_not(
    github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    more = f"{COMMIT}/status?page=2&per_page=100"
    github.answers[STATUSES] = Reply(make_statuses(lint="success"), headers=github.link_to(more))
    github.answers[more] = Reply(make_statuses(**{"deploy-ops/preview": "pending", "ci": "failure"}))
    runs = [("test", "completed", "skipped"), ("test", "in_progress", None), ("deploy-ops/x", "queued", None)]
    github.answers[RUNS] = Reply(make_runs("check_runs", *runs))
    found = read(hook)
    assert found.states == (("ci", "failure"), ("lint", "success"), ("test", "in_progress"), ("test", "skipped"))
    assert found.blind == ""


def test_from_which_app_a_check_is_is_read_and_kept(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses(ci="success"))
    runs = make_runs(
        "check_runs", ("ci", "completed", "success"), ("deploy-ops/x", "queued", None), ("old", "queued", None)
    )
    for run, app in zip(runs["check_runs"], ({"id": 7}, {"id": 8}, None), strict=True):
        run["app"] = app
    github.answers[RUNS] = Reply(runs)
    found = read(hook)
    stored = CommitChecks.model_validate_json(found.model_dump_json(exclude_defaults=True))
    for each in (found, stored, read(hook, stored)):
        assert dict(each.states_by_app) == {("ci", 7): "success"}
        assert each.states == (("ci", "success"), ("ci", "success"), ("old", "queued"))


def test_rules_may_want_a_check_from_one_app_alone(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    checks = [
        {"context": "lint", "app_id": 15368},
        {"context": "docs", "app_id": -1},
        {"context": "own", "app_id": None},
    ]
    required = {"contexts": ["lint", "docs", "own"], "checks": checks}
    github.answers[PROTECTION] = Reply({"protection": {"required_status_checks": required}})
    named = [{"context": "ci", "integration_id": 7}, {"context": "build"}]
    rule = {"type": "required_status_checks", "parameters": {"required_status_checks": named}}
    github.answers[RULES] = Reply([rule])
    found = read_required_checks(hook, "release/1")
    assert found.checks == {"lint", "docs", "own", "ci", "build"}
    assert found.bound == {("lint", 15368), ("ci", 7)}


def test_what_is_known_costs_nothing_and_a_change_is_seen(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses(ci="pending"))
    github.answers[RUNS] = Reply(make_runs("check_runs", ("test", "queued", None)))
    stored = CommitChecks.model_validate_json(read(hook).model_dump_json())
    assert read(hook, stored) == stored
    assert (github.statuses(STATUSES), github.statuses(RUNS)) == ([200, 304], [200, 304])
    github.answers[RUNS] = Reply(make_runs("check_runs", ("test", "completed", "success")))
    assert read(hook, stored).states == (("ci", "pending"), ("test", "success"))
    assert (github.statuses(STATUSES)[-1], github.statuses(RUNS)[-1]) == (304, 200)


def test_a_full_last_page_is_read_again(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses(**{f"ci-{number}": "success" for number in range(100)}))
    github.answers[RUNS] = Reply(make_runs("check_runs"))
    read(hook, read(hook))
    assert (github.statuses(STATUSES), github.statuses(RUNS)) == ([200, 200], [200, 304])


def test_without_check_runs_the_jobs_of_actions_are_read(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses(ci="success"))
    github.answers[RUNS] = FORBIDDEN
    github.answers[ACTIONS] = Reply(make_workflow_runs(7, 8))
    github.answers[jobs_of(7)] = Reply(make_runs("jobs", ("test", "completed", "failure")))
    github.answers[jobs_of(8)] = Reply(make_runs("jobs", ("build (3.11)", "waiting", None)))
    found = read(hook)
    assert found.states == (("build (3.11)", "waiting"), ("ci", "success"), ("test", "failure"))
    assert found.blind == BLIND
    assert dict(found.states_by_app) == {("test", ACTIONS_APP): "failure", ("build (3.11)", ACTIONS_APP): "waiting"}
    assert read(hook, found, is_blind=True) == found
    assert github.statuses(RUNS) == [403]
    assert github.statuses(jobs_of(7)) == [200, 304]


def test_a_token_that_may_read_neither_sees_statuses_alone(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers |= {STATUSES: Reply(make_statuses(ci="success")), RUNS: FORBIDDEN, ACTIONS: FORBIDDEN}
    assert (read(hook).states, read(hook).blind) == ((("ci", "success"),), BLINDER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({STATUSES: FORBIDDEN}, "lacks the permission"),
        ({STATUSES: Reply({"statuses": [{"context": "ci"}]})}, r"no usable statuses.0.state"),
        ({RUNS: Reply({"check_runs": [{"name": 7}]})}, r"no usable check_runs.0"),
        ({RUNS: Reply(HTML, 502)}, "answered HTTP 502"),
        ({RUNS: Reply({"message": "Not Found"}, 404)}, "answered HTTP 404"),
        (
            {RUNS: FORBIDDEN, ACTIONS: Reply(make_workflow_runs(*range(WORKFLOW_RUNS_MAX + 1)))},
            f"{WORKFLOW_RUNS_MAX + 1} workflow runs",
        ),
        ({RUNS: FORBIDDEN, ACTIONS: Reply({"workflow_runs": [{"id": "7"}]})}, r"no usable workflow_runs.0.id"),
    ],
)
def test_what_cannot_be_used_is_no_empty_answer(
    changes: dict[str, Reply], said: str, github: GithubDouble, hook: DeployOpsGithubHook
) -> None:
    github.answers |= {STATUSES: Reply(make_statuses()), RUNS: Reply(make_runs("check_runs"))} | changes
    with pytest.raises(ObservationError, match=said):
        read(hook)


def test_a_rate_limit_is_told_as_such(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses())
    github.answers[RUNS] = Reply({"message": "slow down"}, 403, {"Retry-After": "600"})
    with pytest.raises(RateLimitError):
        read(hook)


def test_a_listing_without_end_is_not_followed(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[STATUSES] = Reply(make_statuses(ci="success"), headers=github.link_to(STATUSES))
    with pytest.raises(ObservationError, match=f"is page {PAGES_MAX + 1} of a listing"):
        read(hook)
    assert len(github.asked) == PAGES_MAX


def test_checks_are_required_by_protection_and_by_rulesets(github: GithubDouble, hook: DeployOpsGithubHook) -> None:
    github.answers[PROTECTION] = Reply({"protection": {"required_status_checks": {"contexts": ["lint"]}}})
    more = RULES.replace("?", "?page=2&")
    rules = [
        {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": name}]}}
        for name in ("ci", "deploy-ops/production")
    ]
    github.answers[RULES] = Reply([rules[0], {"type": "deletion"}], headers=github.link_to(more))
    github.answers[more] = Reply([rules[1]])
    assert read_required_checks(hook, "release/1") == BranchRules(
        checks=frozenset({"lint", "ci", "deploy-ops/production"})
    )
    github.answers[more] = Reply([], headers=github.link_to(more))
    with pytest.raises(ObservationError, match="of a listing"):
        read_required_checks(hook, "release/1")
    with pytest.raises(ObservationError, match="HTTP 404"):
        read_required_checks(hook, "none")
