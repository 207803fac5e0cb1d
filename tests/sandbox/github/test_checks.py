"""Check runs as the control face sets them: of a commit, as jobs of a workflow run, and as a branch requires them."""

from __future__ import annotations

import pytest

from tests.sandbox.github.conftest import REPOSITORY, Hub


@pytest.fixture
def head(hub: Hub) -> str:
    """Push dev-a and give its head."""
    return hub.push_file("dev-a", "dags/a.py", "a = 1\n")


def set_check(hub: Hub, sha: str, name: str, state: str) -> None:
    assert hub.github.set_check(REPOSITORY, sha, name, state)


def list_states(hub: Hub, path: str, key: str) -> list[tuple[str, str, str | None]]:
    found = hub.send("GET", path, status=200)
    assert found["total_count"] == len(found[key])
    return [(each["name"], each["status"], each["conclusion"]) for each in found[key]]


def test_a_check_has_the_state_that_it_was_given_last(hub: Hub, head: str) -> None:
    assert list_states(hub, f"/commits/{head}/check-runs", "check_runs") == []
    for name, state in (("test", "queued"), ("lint", "success"), ("test", "in_progress")):
        set_check(hub, head, name, state)
    expected = [("test", "in_progress", None), ("lint", "completed", "success")]
    assert list_states(hub, "/commits/dev-a/check-runs", "check_runs") == expected
    set_check(hub, head, "test", "failure")
    assert list_states(hub, f"/commits/{head}/check-runs", "check_runs")[0] == ("test", "completed", "failure")
    set_check(hub, head, "test", "queued")  # run again
    assert list_states(hub, f"/commits/{head}/check-runs", "check_runs")[0] == ("test", "queued", None)
    assert not hub.github.set_check(REPOSITORY, "0" * 39 + "1", "test", "success")
    assert not hub.github.set_check("acme/none", head, "test", "success")


def test_a_commits_checks_are_jobs_of_one_workflow_run(hub: Hub, head: str) -> None:
    other = hub.push_file("dev-b", "dags/b.py", "b = 1\n")
    set_check(hub, head, "test", "success")
    set_check(hub, head, "lint", "in_progress")
    set_check(hub, other, "test", "failure")
    runs = hub.send("GET", "/actions/runs", status=200)["workflow_runs"]
    assert [(run["head_sha"], run["status"], run["conclusion"]) for run in runs] == [
        (other, "completed", "failure"),
        (head, "in_progress", None),
    ]
    (run,) = hub.send("GET", f"/actions/runs?head_sha={head}", status=200)["workflow_runs"]
    assert list_states(hub, f"/actions/runs/{run['id']}/jobs", "jobs") == [
        ("test", "completed", "success"),
        ("lint", "in_progress", None),
    ]
    set_check(hub, head, "lint", "skipped")
    (run,) = hub.send("GET", f"/actions/runs?head_sha={head}", status=200)["workflow_runs"]
    assert (run["status"], run["conclusion"]) == ("completed", "success")


def test_what_a_branch_requires_stands_in_its_protection_and_in_its_rules(hub: Hub, head: str) -> None:
    assert hub.github.require_checks(REPOSITORY, "dev-a", ("test", "lint"))
    branch = hub.send("GET", "/branches/dev-a", status=200)
    assert (branch["protected"], branch["commit"]["sha"]) == (True, head)
    assert branch["protection"]["required_status_checks"]["contexts"] == ["test", "lint"]
    (rule,) = hub.send("GET", "/rules/branches/dev-a", status=200)
    required = rule["parameters"]["required_status_checks"]
    assert (rule["type"], [each["context"] for each in required]) == ("required_status_checks", ["test", "lint"])
    assert hub.send("GET", "/rules/branches/main", status=200) == []
    assert hub.github.require_checks(REPOSITORY, "dev-a", ())
    assert not hub.send("GET", "/branches/dev-a", status=200)["protected"]
    assert not hub.github.require_checks("acme/none", "main", ())
