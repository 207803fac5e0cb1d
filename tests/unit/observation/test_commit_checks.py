"""What gates are told of checks: one that is not green counts, what is not read is said, an outage waits once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from include.deploy_ops.core.errors import RateLimitError, ReadRefusedError
from include.deploy_ops.core.target.gates import Checks, judge_checks
from include.deploy_ops.hooks.github.commit_checks import BLIND
from include.deploy_ops.hooks.github.http import GithubAnswer, UnavailableError
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.observation.commit_checks import CheckReader
from tests.worlds.values.examples import sha

HEAD, OTHER = sha("a"), sha("b")
REPO = "/repos/acme/shop"


@dataclass
class Github:
    """Answers by address without its query, and counts what it is asked."""

    answers: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    repository: str = "acme/shop"

    def read(self, url: str, *, etag: str | None = None) -> GithubAnswer:
        path = url.partition("?")[0].removeprefix(REPO)
        self.asked.append(path)
        if isinstance(answer := self.answers[path], Exception):
            raise answer
        return GithubAnswer(f"GET {path}", 304 if etag else 200, None if etag else answer, "etag")

    @property
    def hook(self) -> DeployOpsGithubHook:
        """Itself, as those take it who read."""
        return cast("DeployOpsGithubHook", self)


def make_github(statuses: dict[str, str], runs: list[tuple[str, str]], **more: Any) -> Github:
    listed = [{"context": name, "state": state} for name, state in statuses.items()]
    ended = [{"name": name, "status": "completed", "conclusion": conclusion} for name, conclusion in runs]
    of_commit = {"status": {"statuses": listed}, "check-runs": {"check_runs": ended}}
    return Github({f"/commits/{HEAD}/{name}": answer for name, answer in of_commit.items()} | more)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_of_one_name_one_that_is_not_green_counts(order: int) -> None:
    runs = [("test", "success"), ("test", "failure"), ("test", "skipped")][::order]
    github = make_github({"lint": "success", "build": "pending"}, [*runs, ("build", "success")])
    found = CheckReader(github.hook).read(HEAD, "")
    assert found == Checks({"lint": "success", "build": "pending", "test": "failure"})
    assert github.asked == [f"/commits/{HEAD}/status", f"/commits/{HEAD}/check-runs"]


def test_rules_are_asked_for_where_a_branch_is_named_and_once() -> None:
    rules: dict[str, Any] = {"/branches/main": {"protection": None}, "/rules/branches/main": []}
    rules["/branches/main"] = {"protection": {"required_status_checks": {"contexts": ["lint"]}}}
    github = make_github({}, [], **rules)
    reader = CheckReader(github.hook)
    assert [reader.read(HEAD, "main").required for _ in range(2)] == [{"lint"}] * 2
    assert (github.asked.count("/branches/main"), github.asked.count("/rules/branches/main")) == (1, 1)
    github.answers["/rules/branches/main"] = ReadRefusedError("no rules for you")
    found = CheckReader(github.hook).read(HEAD, "main")
    assert (found.required, found.unread, found.blind) == (frozenset(), "no rules for you", "")


def test_a_check_that_counts_from_one_app_alone_is_told_apart() -> None:
    rules: dict[str, Any] = {"/branches/main": {"protection": None}}
    named = [{"context": "ci", "integration_id": 7}, {"context": "lint"}]
    rule = {"type": "required_status_checks", "parameters": {"required_status_checks": named}}
    github = make_github({}, [("ci", "success"), ("ci", "failure")], **rules, **{"/rules/branches/main": [rule]})
    runs = github.answers[f"/commits/{HEAD}/check-runs"]["check_runs"]
    runs[0]["app"], runs[1]["app"] = {"id": 8}, {"id": 7}
    found = CheckReader(github.hook).read(HEAD, "main")
    assert found.required == {"lint"}
    assert found.bound == {("ci", 7)}
    assert found.by_app == {("ci", 8): "success", ("ci", 7): "failure"}
    assert judge_checks("required", found).unmet == "check 'lint' is not there yet; check 'ci' did not succeed: failure"


def test_what_was_read_before_is_asked_for_conditionally() -> None:
    github = make_github({"ci": "success"}, [])
    first = CheckReader(github.hook)
    first.read(HEAD)
    again = CheckReader(github.hook, first.found)
    assert again.read(HEAD) == Checks({"ci": "success"})
    assert again.found == first.found


def test_a_token_that_sees_no_check_runs_is_asked_for_them_once() -> None:
    github = make_github({"ci": "success"}, [], **{"/actions/runs": {"workflow_runs": []}})
    github.answers |= {f"/commits/{OTHER}/status": {"statuses": []}}
    github.answers[f"/commits/{HEAD}/check-runs"] = ReadRefusedError("fine-grained")
    reader = CheckReader(github.hook)
    assert reader.read(HEAD) == Checks({"ci": "success"}, blind=BLIND)
    assert reader.read(OTHER) == Checks(blind=BLIND)
    assert sum("check-runs" in path for path in github.asked) == 1


def test_while_github_is_down_nothing_is_known_and_it_is_waited_for_once() -> None:
    github = make_github({"ci": "success"}, [])
    github.answers[f"/commits/{HEAD}/check-runs"] = UnavailableError("GET check-runs answered HTTP 502")
    reader = CheckReader(github.hook)
    expected = Checks(blind="GET check-runs answered HTTP 502")
    assert [reader.read(HEAD), reader.read(OTHER)] == [expected] * 2
    assert len(github.asked) == 2
    assert reader.read(HEAD, "main").unread == "GET check-runs answered HTTP 502"


def test_one_commit_that_cannot_be_read_hides_no_other() -> None:
    github = make_github({"ci": "success"}, [])
    github.answers |= {f"/commits/{OTHER}/status": {"statuses": "none"}}
    reader = CheckReader(github.hook)
    assert "no usable statuses" in reader.read(OTHER).blind
    assert reader.read(HEAD) == Checks({"ci": "success"})


def test_a_pause_that_github_asks_for_is_no_news_of_checks() -> None:
    github = make_github({}, [])
    github.answers[f"/commits/{HEAD}/status"] = RateLimitError("slow down", 60)
    with pytest.raises(RateLimitError):
        CheckReader(github.hook).read(HEAD, "")
