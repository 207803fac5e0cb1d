"""Branches that the policy names: there or not, and what their rules are against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.deploy_ops.core.doctor.branches import (
    BranchFacts,
    BranchState,
    Rule,
    find_unwritten,
    judge_merges,
    judge_presence,
    judge_pushes,
    judge_required_checks,
    list_guarded,
    list_merged_into,
    list_uses,
)
from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.policy.keys import Feedback, Promotion
from tests.worlds.values.examples import make_project, sha

PROMOTION = Promotion.model_validate({"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"})
PROJECT = make_project(promotion=PROMOTION)
THERE = BranchFacts(BranchState(sha("a")))
UNREAD = Unread("GET /branches/main answered HTTP 403", cause=Cause.RIGHT)
CHECKED = replace(THERE, rules=(Rule("required_status_checks", 1, frozenset({"ci/test"})),), heads=3)


def test_uses_name_each_branch_once_trunk_first() -> None:
    assert list_uses(PROJECT) == {
        "main": ("trunk", "targets.production.pull_request.into", "previews.merged_into"),
        "staging": ("promotion.into", "previews.merged_into"),
        "astro_deploy": ("promotion.deploy_branch", "targets.production.pull_request.from"),
    }
    assert list_guarded(PROJECT) == ("main", "staging")
    assert list_merged_into(PROJECT) == ()


@pytest.mark.parametrize(
    ("branch", "facts", "status", "advice"),
    [
        ("main", BranchFacts(None), Status.FAIL, "as `trunk`; the repository's default branch is master"),
        ("staging", BranchFacts(None), Status.FAIL, "correct promotion.into and previews.merged_into"),
        ("astro_deploy", BranchFacts(None), Status.OK, ""),
        ("main", BranchFacts(UNREAD), Status.NOT_KNOWN, "HTTP 403"),
    ],
)
def test_a_branch_that_is_named_has_to_be_there(branch: str, facts: BranchFacts, status: Status, advice: str) -> None:
    found = judge_presence(PROJECT, branch, facts, "master")
    assert (found.status, advice in found.advice) == (status, True), found
    assert judge_presence(PROJECT, branch, THERE, "master").status is Status.OK


def test_a_branch_into_which_only_previews_merge_is_told_as_a_warning() -> None:
    assert judge_presence(make_project(), "staging", BranchFacts(None), "main").status is Status.WARN


@pytest.mark.parametrize(
    ("rule", "is_app", "status"),
    [
        (Rule("update", 1), True, Status.WARN),
        (Rule("update", 1, bypass="never"), True, Status.FAIL),
        (Rule("pull_request", 1, bypass="pull_requests_only"), True, Status.FAIL),
        (Rule("pull_request", 1, bypass="always"), True, Status.OK),
        (Rule("required_signatures", 1, bypass="never"), False, Status.FAIL),
        (Rule("required_signatures", 1, bypass="never"), True, Status.OK),
        (Rule("required_status_checks", 1, frozenset({"ci"}), bypass="never"), True, Status.FAIL),
        (Rule("required_status_checks", 1), True, Status.OK),
        (Rule("commit_message_pattern", 1, bypass="never"), True, Status.WARN),
        (Rule("of_next_year", 1), True, Status.WARN),
        (Rule("creation", 1, bypass="never"), True, Status.OK),
        (Rule("deletion", 1), True, Status.OK),
        (Rule("non_fast_forward", 1), True, Status.OK),
    ],
)
def test_rules_of_the_deploy_branch_are_told_by_what_they_refuse(rule: Rule, is_app: bool, status: Status) -> None:
    found = judge_pushes("astro_deploy", replace(THERE, rules=(rule,)), is_app=is_app)
    assert found.status is status
    if status is not Status.OK:
        assert rule.kind in found.found
        assert "HTTP 422 'Repository rule violations found'" in found.advice
    assert judge_pushes(
        "astro_deploy", replace(THERE, rules=(replace(rule, bypass="always"),)), is_app=is_app
    ).status is (Status.OK)


def test_a_rule_against_making_branches_counts_where_the_branch_is_to_be_made() -> None:
    facts = BranchFacts(None, (Rule("creation", 1),))
    assert judge_pushes("astro_deploy", facts, is_app=True).status is Status.WARN


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (BranchFacts(BranchState(sha("a"), is_protected=True)), Status.NOT_KNOWN),
        (BranchFacts(BranchState(sha("a"), is_protected=True, checks=frozenset({"ci"}))), Status.WARN),
        (BranchFacts(BranchState(sha("a"), is_protected=True), is_our_tip=True), Status.OK),
        (BranchFacts(UNREAD), Status.NOT_KNOWN),
        (replace(THERE, rules=UNREAD), Status.NOT_KNOWN),
    ],
)
def test_whom_older_protection_lets_push_is_not_known_until_we_did(facts: BranchFacts, status: Status) -> None:
    assert judge_pushes("astro_deploy", facts, is_app=True).status is status


@pytest.mark.parametrize(
    ("rules", "allowed", "status"),
    [
        ((), True, Status.OK),
        ((), False, Status.FAIL),
        ((), None, Status.NOT_KNOWN),
        ((), UNREAD, Status.NOT_KNOWN),
        ((Rule("required_linear_history", 1),), True, Status.FAIL),
        ((Rule("merge_queue", 1),), True, Status.FAIL),
        ((Rule("pull_request", 1, merge_methods=frozenset({"squash"})),), True, Status.FAIL),
        ((Rule("pull_request", 1, merge_methods=frozenset({"squash", "merge"})),), True, Status.OK),
        ((Rule("pull_request", 1),), True, Status.OK),
        ((Rule("required_linear_history", 1, bypass="pull_requests_only"),), True, Status.OK),
        (UNREAD, True, Status.NOT_KNOWN),
    ],
)
def test_a_merge_commit_needs_repository_and_rules(
    rules: tuple[Rule, ...] | Unread, allowed: bool | Unread | None, status: Status
) -> None:
    assert judge_merges("main", replace(THERE, rules=rules), allowed).status is status


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (THERE, Status.OK),
        (CHECKED, Status.WARN),
        (replace(CHECKED, written=frozenset({"ci/test"})), Status.OK),
        (replace(CHECKED, unseen="the token may not read check runs"), Status.NOT_KNOWN),
        (replace(CHECKED, unseen="blind", written=frozenset({"ci/test"})), Status.OK),
        (BranchFacts(BranchState(sha("a"), checks=frozenset({"lint"})), heads=1), Status.WARN),
        (replace(CHECKED, rules=UNREAD), Status.NOT_KNOWN),
        (BranchFacts(UNREAD), Status.NOT_KNOWN),
    ],
)
def test_a_required_check_that_no_recent_head_carries_is_told(facts: BranchFacts, status: Status) -> None:
    found = judge_required_checks("main", facts, {})
    assert found.status is status
    if status is Status.WARN:
        assert "into main, or take it off" in found.advice


def test_checks_that_look_like_ours_count_as_written_where_they_are() -> None:
    required = ("deploy-ops/preview", "deploy-ops/production", "ci/test")
    assert find_unwritten(required, PROJECT, is_alone=True, is_dry=False) == {}
    assert find_unwritten(["deploy-ops/other/preview"], PROJECT, is_alone=False, is_dry=False) == {}


@pytest.mark.parametrize(
    ("context", "is_alone", "is_dry", "feedback", "why"),
    [
        ("deploy-ops/preview", True, False, Feedback(statuses=False), "`feedback.statuses` is off"),
        ("deploy-ops/preview", True, True, Feedback(), "`mode: plan` writes none"),
        ("deploy-ops/previews", True, False, Feedback(), "we write deploy-ops/preview, deploy-ops/production"),
        ("deploy-ops/shop/stage", False, False, Feedback(), "we write deploy-ops/shop/preview, deploy-ops/shop/produ"),
    ],
)
def test_checks_that_look_like_ours_fail_where_nobody_writes_them(
    context: str, is_alone: bool, is_dry: bool, feedback: Feedback, why: str
) -> None:
    project = PROJECT.model_copy(update={"feedback": feedback})
    found = find_unwritten([context], project, is_alone=is_alone, is_dry=is_dry)
    assert found[context].startswith(why)
    facts = replace(THERE, rules=(Rule("required_status_checks", 1, frozenset({context})),))
    assert judge_required_checks("main", facts, found).status is Status.FAIL
