"""Statuses, deployments, labels, comments, reactions, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.github.conftest import REPOSITORY, Hub


@pytest.fixture
def head(hub: Hub) -> str:
    """Open pull request 1 of dev-a and give its head."""
    sha = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    return sha


def say(hub: Hub, sha: str, state: str, context: str) -> None:
    """Set a commit status."""
    hub.send("POST", f"/statuses/{sha}", status=201, json={"state": state, "context": context})


def deploy(hub: Hub, *, status: int = 201, **fields: Any) -> Any:
    """Create a deployment as a careful client does."""
    body = {"ref": "dev-a", "environment": "preview", "auto_merge": False, "required_contexts": []} | fields
    return hub.send("POST", "/deployments", status=status, json=body)


def test_the_newest_status_of_each_context_counts(hub: Hub, head: str) -> None:
    assert hub.send("GET", "/commits/dev-a/status", status=200)["state"] == "pending"
    say(hub, head, "failure", "ci")
    say(hub, head, "success", "lint")
    assert hub.send("GET", "/commits/dev-a/status", status=200)["state"] == "failure"
    say(hub, head, "success", "ci")
    combined = hub.send("GET", f"/commits/{head}/status", status=200)
    assert (combined["state"], combined["total_count"], combined["sha"]) == ("success", 2, head)
    states = [(item["context"], item["state"]) for item in hub.send("GET", "/commits/dev-a/statuses", status=200)]
    assert states == [("ci", "success"), ("lint", "success"), ("ci", "failure")]


def test_a_status_of_nothing_or_with_a_made_up_state_is_refused(hub: Hub, head: str) -> None:
    hub.send("POST", f"/statuses/{'0' * 39}1", status=422, json={"state": "success"})
    hub.send("POST", f"/statuses/{head}", status=422, json={"state": "great"})
    hub.send("POST", f"/statuses/{head}", status=422, json={})


def test_a_deployment_and_its_statuses(hub: Hub, head: str) -> None:
    made = deploy(hub, environment="preview/dev-a", transient_environment=True, payload={"k": 1}, description="")
    assert (made["sha"], made["ref"], made["payload"], made["transient_environment"]) == (head, "dev-a", {"k": 1}, True)
    address = f"/deployments/{made['id']}"
    hub.send("POST", f"{address}/statuses", status=201, json={"state": "in_progress", "description": ""})
    done = {"state": "success", "environment_url": "https://x.example", "log_url": "https://l.example"}
    hub.send("POST", f"{address}/statuses", status=201, json=done)
    states = hub.send("GET", f"{address}/statuses", status=200)
    assert [state["state"] for state in states] == ["success", "in_progress"]
    assert (states[0]["environment_url"], states[0]["target_url"]) == ("https://x.example", "https://l.example")
    assert hub.send("GET", address, status=200)["id"] == made["id"]
    hub.send("POST", f"{address}/statuses", status=422, json={"state": "done"})
    hub.send("GET", "/deployments/9", status=404)


def test_deployments_are_filtered(hub: Hub, head: str) -> None:
    first, second = deploy(hub)["id"], deploy(hub, ref=head, environment="staging")["id"]

    def ids(query: str) -> list[int]:
        return [item["id"] for item in hub.send("GET", f"/deployments?{query}", status=200)]

    assert ids("") == [second, first]
    assert ids("environment=preview") == [first]
    assert ids("ref=dev-a") == [first]
    assert ids(f"sha={head}&environment=staging") == [second]
    assert ids("task=test") == []


def test_a_deployment_waits_for_statuses_unless_told_which(hub: Hub, head: str) -> None:
    say(hub, head, "pending", "ci")
    assert "status checks failed" in deploy(hub, status=409, required_contexts=None)["message"]
    deploy(hub, status=409, required_contexts=["lint"])
    deploy(hub, required_contexts=[])
    say(hub, head, "success", "ci")
    deploy(hub, required_contexts=["ci"])
    deploy(hub, status=422, ref="nope")


def test_auto_merge_is_refused_where_it_would_have_to_merge(hub: Hub, head: str) -> None:
    deploy(hub, auto_merge=True)
    hub.push_file("main", "dags/m.py", "m = 1\n")
    deploy(hub, status=409, auto_merge=True)


def test_success_retires_earlier_ones_but_neither_transient_nor_production(hub: Hub, head: str) -> None:
    def succeed(**fields: Any) -> int:
        number = int(deploy(hub, **fields)["id"])
        hub.send(
            "POST", f"/deployments/{number}/statuses", status=201, json={"state": "success", "description": "mine"}
        )
        return number

    def read(number: int) -> str:
        return str(hub.send("GET", f"/deployments/{number}/statuses", status=200)[0]["state"])

    plain, transient, production = succeed(), succeed(transient_environment=True), succeed(environment="production")
    newest = succeed()
    succeed(environment="production")
    assert [read(number) for number in (plain, transient, production, newest)] == [
        "inactive",
        "success",
        "success",
        "success",
    ]


def test_labels_are_added_once_and_removed(hub: Hub, head: str) -> None:
    hub.send("POST", "/issues/1/labels", status=200, json={"labels": ["keep", "a/b c"]})
    added = hub.send("POST", "/issues/1/labels", status=200, json=["keep", "late"])
    assert [label["name"] for label in added] == ["keep", "a/b c", "late"]
    assert hub.send("GET", "/issues/1/labels", status=200) == hub.send("GET", "/pulls/1", status=200)["labels"] == added
    hub.send("DELETE", "/issues/1/labels/a%2Fb%20c", status=200)
    assert hub.send("DELETE", "/issues/1/labels/a%2Fb%20c", status=404)["message"] == "Label does not exist"
    hub.send("POST", "/issues/1/labels", status=422, json={"labels": [1]})
    hub.send("GET", "/issues/9/labels", status=404)


def test_comments_are_written_changed_and_deleted(hub: Hub, head: str) -> None:
    first = hub.send("POST", "/issues/1/comments", status=201, json={"body": "one"})
    hub.send("POST", "/issues/1/comments", status=201, json={"body": "two"})
    address = f"/issues/comments/{first['id']}"
    assert hub.send("PATCH", address, status=200, json={"body": "uno"})["body"] == "uno"
    assert [item["body"] for item in hub.send("GET", "/issues/1/comments", status=200)] == ["uno", "two"]
    assert hub.send("GET", "/pulls/1", status=200)["comments"] == 2
    hub.send("DELETE", address, status=204)
    hub.send("GET", address, status=404)
    hub.send("POST", "/issues/1/comments", status=422, json={"body": ""})
    hub.send("POST", "/issues/9/comments", status=404, json={"body": "x"})


@pytest.mark.usefixtures("head")
def test_comments_of_all_pull_requests_are_listed_newest_change_first(hub: Hub) -> None:
    hub.push_file("dev-b", "dags/b.py", "b = 1\n")
    hub.open_pull("dev-b")
    old = hub.github.say(REPOSITORY, 1, "mona", "old", age_s=3600.0)
    new = hub.github.say(REPOSITORY, 2, "robot", "new", is_by_bot=True, app_id=7, age_s=60.0)
    listing = "/issues/comments?sort=updated&direction=desc&per_page=100"
    answer = hub.api.get(listing)
    assert [each["id"] for each in answer.json()] == [new, old]
    assert [each["user"]["type"] for each in answer.json()] == ["Bot", "User"]
    assert answer.json()[0]["performed_via_github_app"]["id"] == 7
    assert hub.api.get(listing, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    hub.send("PATCH", f"/issues/comments/{old}", status=200, json={"body": "older"})
    assert [each["id"] for each in hub.send("GET", listing, status=200)] == [old, new]


@pytest.mark.usefixtures("head")
def test_an_account_gives_each_sign_once(hub: Hub) -> None:
    comment = hub.send("POST", "/issues/1/comments", status=201, json={"body": "hi"})["id"]
    path = f"/issues/comments/{comment}/reactions"
    made = [hub.send("POST", path, status=status, json={"content": "eyes"}) for status in (201, 200)]
    assert made[0] == made[1]
    hub.send("POST", path, status=201, json={"content": "rocket"})
    hub.send("POST", path, status=422, json={"content": "shrug"})
    assert [each["content"] for each in hub.send("GET", path, status=200)] == ["eyes", "rocket"]
    shown = hub.send("GET", f"/issues/comments/{comment}", status=200)
    assert (shown["reactions"]["eyes"], shown["reactions"]["total_count"]) == (1, 2)
    assert shown["updated_at"] == shown["created_at"]


def test_whoever_was_granted_nothing_may_read(hub: Hub) -> None:
    def ask(login: str) -> str:
        return str(hub.send("GET", f"/collaborators/{login}/permission", status=200)["permission"])

    assert (ask("mona"), ask("deploy-ops")) == ("read", "admin")
    assert hub.github.grant(REPOSITORY, "mona", "write")
    assert ask("mona") == "write"
