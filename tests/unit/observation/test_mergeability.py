"""What is read of a release's merge: little while nothing blocks it; what the token may not read is noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError
from include.deploy_ops.core.model import MergeResult, MergeState
from include.deploy_ops.core.policy.keys import PullRequestSource, Target
from include.deploy_ops.core.target.mergeability import BranchRules
from include.deploy_ops.hooks.github.http import GithubAnswer
from include.deploy_ops.hooks.github.pulls import GithubPullsHook
from include.deploy_ops.observation.mergeability import MergeReader
from include.deploy_ops.observation.targets import make_release
from tests.worlds.values.examples import make_pull, sha

OWN = frozenset({"deploy-ops/production"})
RULES = [
    {"type": "deletion", "ruleset_id": 1},
    {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "ci"}], "strict": True}},
    {"type": "pull_request", "parameters": {"required_approving_review_count": 2}},
]
ANSWERS: dict[str, Any] = {
    "/rules/branches/main": RULES,
    "/branches/main": {"name": "main", "protection": {"required_status_checks": {"contexts": ["lint"]}}},
    f"/commits/{sha('a')}/status": {"statuses": [{"context": "lint", "state": "pending"}]},
    f"/commits/{sha('a')}/check-runs": {"check_runs": [{"name": "ci", "conclusion": None}]},
    "/pulls/7/reviews": [
        {"user": {"login": "ada"}, "state": "APPROVED"},
        {"user": {"login": "bob"}, "state": "APPROVED"},
        {"user": {"login": "bob"}, "state": "COMMENTED"},
        {"user": {"login": "ada"}, "state": "CHANGES_REQUESTED"},
        {"user": None, "state": "APPROVED"},
    ],
}


@dataclass
class FakeGithub:
    """Answers by address, and notes what it was asked; `refused` are addresses that the token may not read."""

    answers: dict[str, Any] = field(default_factory=lambda: dict(ANSWERS))
    refused: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def ask(self, path: str) -> GithubAnswer:
        """Answer."""
        address = path.partition("?")[0]
        self.asked.append(address)
        if address in self.refused:
            raise ReadRefusedError(f"GET {address} answered HTTP 403")
        if address not in self.answers:
            return GithubAnswer(f"GET {address}", 404, {"message": "Not Found"})
        more = "next" if self.answers[address] == "too many" else None
        return GithubAnswer(f"GET {address}", 200, self.answers[address], next_url=more)


def read(github: FakeGithub, standing: str = "blocked", **changes: Any) -> Any:
    merge = MergeResult(make_pull(7, "deploy", sha("a")), sha("b"), MergeState.READY, sha("c"), "", standing, **changes)
    return MergeReader(cast("GithubPullsHook", github)).read(merge, OWN)


def test_where_nothing_blocks_only_the_rules_are_read() -> None:
    github = FakeGithub()
    facts = read(github, "clean", allows_merge_commits=True)
    assert github.asked == ["/rules/branches/main"]
    assert (facts.rules, facts.unread) == (BranchRules(checks=frozenset({"ci"}), reviews=2), ())
    github.answers["/rules/branches/main"] = [{"type": "merge_queue", "parameters": {"merge_method": "MERGE"}}]
    assert read(github, "clean").rules.has_queue


def test_of_what_is_blocked_rules_protection_checks_and_reviews_are_read() -> None:
    github = FakeGithub()
    facts = read(github, allows_merge_commits=True)
    assert set(github.asked) == ANSWERS.keys()
    assert (facts.rules.checks, facts.rules.reviews) == (frozenset({"ci", "lint"}), 2)
    assert (facts.checks, facts.approvals, facts.unread) == ({"ci": "", "lint": "pending"}, 1, ())


@pytest.mark.parametrize("address", ANSWERS)
@pytest.mark.parametrize("how", ["refused", "absent", "too many"])
def test_what_the_token_may_not_read_is_noted(address: str, how: str) -> None:
    github = FakeGithub(refused=(address,) if how == "refused" else ())
    if how == "absent":
        del github.answers[address]
    if how == "too many":
        github.answers[address] = "too many"
    facts = read(github, allows_merge_commits=True)
    assert len(facts.unread) == 1
    assert None in {facts.rules, facts.approvals} or facts.checks is None or "lint" not in facts.rules.checks


def test_what_github_answers_wrongly_is_an_error() -> None:
    github = FakeGithub()
    github.answers["/rules/branches/main"] = {"type": "merge_queue"}
    with pytest.raises(ObservationError, match="no usable"):
        read(github)


def test_a_draft_is_no_release_unless_the_policy_says_so() -> None:
    draft = MergeResult(make_pull(7, "deploy", sha("a"), is_draft=True), sha("b"), MergeState.READY, sha("c"))
    for drafts, said in ((False, "pull request #7: it is a draft; mark it ready for review"), (True, "")):
        source = PullRequestSource.model_validate({"from": "deploy", "into": "main", "drafts": drafts})
        found = make_release(Target(deployment="P", pull_request=source), draft)
        assert found is not None
        assert found.problem.startswith(said)
        assert bool(found.problem) is not drafts
