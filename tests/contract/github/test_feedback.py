"""Everything that feedback asks of GitHub, and what it is answered there, is as GitHub describes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.deploy_ops.core.errors import WriteRefusedError
from include.deploy_ops.core.feedback.values import GithubDeploymentState
from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.github.test_requests import assert_described
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect

BRANCH = "dev/a#b%c+d&e=f"
ENVIRONMENT = f"preview/{BRANCH}"
PAGE = "https://airflow.example/dags/shop.preview"


@pytest.fixture
def hook(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubFeedbackHook]:
    """Give a hook on a repository with an open pull request."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file(BRANCH, "dags/a.py", "a = 1\n")
    hub.open_pull(BRANCH)
    hook = GithubFeedbackHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def test_what_feedback_asks_is_described(hub: Hub, hook: GithubFeedbackHook, outgoing: Outgoing, judge: Judge) -> None:
    head, marker = hub.read_heads()[BRANCH], "<!-- ours -->"
    assert hook.find_comment(1, marker) is None
    comment = hook.create_comment(1, f"{marker}\nhello")
    found = hook.find_comment(1, marker)
    assert found is not None
    assert found.id == comment
    assert hook.edit_comment(comment, f"{marker}\nhello again")
    assert not hook.edit_comment(comment + 1000, "x")
    for state, page in (("pending", PAGE), ("success", PAGE), ("failure", PAGE), ("error", "")):
        hook.set_status(head, "deploy-ops/preview", state, "why", page)
    assert hook.find_deployment(ENVIRONMENT, head, "m") is None
    number = hook.create_deployment(ENVIRONMENT, head, "m", is_transient=True, is_production=False)
    assert hook.find_deployment(ENVIRONMENT, head, "m") == (number, None)
    for state in ("in_progress", "failure", "success", "inactive"):
        hook.add_deployment_state(number, ENVIRONMENT, GithubDeploymentState(state, "why", "https://x.example", PAGE))
    told = GithubDeploymentState("inactive", "why", "https://x.example", PAGE)
    assert hook.find_deployment(ENVIRONMENT, head, "m") == (number, told)
    assert not hook.has_strangers(ENVIRONMENT, "m")
    assert hook.has_strangers(ENVIRONMENT, "another's")
    hook.delete_environment(ENVIRONMENT)
    with pytest.raises(WriteRefusedError):
        hook.delete_environment(ENVIRONMENT)
    with pytest.raises(WriteRefusedError):
        hook.set_status("0" * 39 + "1", "deploy-ops/preview", "success", "live", PAGE)
    with pytest.raises(WriteRefusedError):
        hook.create_deployment(ENVIRONMENT, "0" * 39 + "1", "m", is_transient=True, is_production=False)
    assert_described(outgoing, judge)
