"""Would GitHub merge it: a known refusal is named, our own pending check is none, and what is unknown is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.target.mergeability import (
    BranchRules,
    Mergeability,
    MergeFacts,
    judge_mergeability,
    name_own_checks,
)

OWN = "deploy-ops/production"
CLEAN = MergeFacts(7, "main", "clean", allows_merge_commits=True, own_checks=name_own_checks("shop", "production"))
BOTH = BranchRules(checks=frozenset({OWN, "ci"}))


def blocked(rules: BranchRules | None = BOTH, checks: dict[str, str] | None = None, **changes: Any) -> MergeFacts:
    return replace(CLEAN, standing="blocked", rules=rules, checks=checks, **changes)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(CLEAN, standing="draft"), "it is a draft; mark it ready"),
        (replace(CLEAN, allows_merge_commits=False), "the repository allows no merge commits; allow them"),
        (replace(CLEAN, rules=BranchRules(has_queue=True)), "main has a merge queue, which nobody passes"),
        (replace(CLEAN, standing="behind"), "its branch is behind main, whose rules want it up to date"),
        (blocked(checks={OWN: "pending", "ci": "failure"}), "main requires 'ci', which did not succeed"),
        (blocked(checks={OWN: "pending"}), "main requires 'ci', which did not succeed"),
        (blocked(checks={OWN: "success", "ci": "success"}), "the rules of main block it; see the pull request"),
        (blocked(BranchRules(), {}), "the rules of main block it; see the pull request"),
        (
            blocked(replace(BOTH, reviews=2), {"ci": "success"}, approvals=1),
            "main requires 2 approving reviews, it has 1",
        ),
    ],
)
def test_what_is_known_to_be_refused_is_named(facts: MergeFacts, said: str) -> None:
    assert judge_mergeability(facts).problem.startswith(f"GitHub would not merge it: {said}")


@pytest.mark.parametrize("standing", ["clean", "unstable", "has_hooks", "unknown", ""])
def test_what_stands_in_no_ones_way_is_fine(standing: str) -> None:
    assert judge_mergeability(replace(CLEAN, standing=standing, rules=BOTH)) == Mergeability()


@pytest.mark.parametrize("own", [OWN, "deploy-ops/shop/production"])
@pytest.mark.parametrize("state", ["", "pending", "failure"])
def test_our_own_check_refuses_nothing_and_is_told(own: str, state: str) -> None:
    rules = BranchRules(checks=frozenset({own, "ci"}), reviews=1)
    found = judge_mergeability(blocked(rules, {own: state, "ci": "skipped"}, approvals=1))
    assert found == Mergeability(note=f"as far as it can be read, only '{own}' is awaited, which follows the deploy")


@pytest.mark.parametrize(
    "facts",
    [
        blocked(None, unread=("the rules could not be read",)),
        blocked(BranchRules(checks=frozenset({"ci"})), unread=("the checks could not be read",)),
        blocked(BranchRules(), {}, unread=("the protection could not be read",)),
    ],
)
def test_what_cannot_be_read_is_told_and_refuses_nothing(facts: MergeFacts) -> None:
    found = judge_mergeability(facts)
    assert found.problem == ""
    assert found.note == f"GitHub calls it blocked by the rules of main; {facts.unread[0]}"


_NAMES = st.sampled_from(["ci", "lint", OWN])


@given(st.frozensets(_NAMES), st.dictionaries(_NAMES, st.sampled_from(["success", "pending", "failure"])))
def test_nothing_is_refused_for_our_own_pending_check_alone(required: frozenset[str], checks: dict[str, str]) -> None:
    found = judge_mergeability(blocked(BranchRules(checks=required), checks))
    others = {each for each in required - {OWN} if checks.get(each) != "success"}
    is_ours = OWN in required and checks.get(OWN) != "success"
    assert bool(found.problem) is bool(others or not is_ours)
