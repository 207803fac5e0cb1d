"""Rulesets and repository settings as the control face sets them: shown, and what the API then refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.github.conftest import REPOSITORY, Hub


def set_rules(hub: Hub, branch: str, *kinds: Any, **more: Any) -> None:
    assert hub.github.set_rules(REPOSITORY, branch, kinds, **more)


def list_rules(hub: Hub, branch: str) -> list[str]:
    return [rule["type"] for rule in hub.send("GET", f"/rules/branches/{branch}", status=200)]


def test_a_branchs_rules_are_listed_and_their_ruleset_is_shown(hub: Hub) -> None:
    assert hub.github.require_checks(REPOSITORY, "main", ("ci",))
    set_rules(hub, "main", "update", "pull_request", methods=("squash",), bypass="always")
    assert list_rules(hub, "main") == ["required_status_checks", "update", "pull_request"]
    assert list_rules(hub, "staging") == []
    *_, rule = hub.send("GET", "/rules/branches/main", status=200)
    assert rule["parameters"]["allowed_merge_methods"] == ["squash"]
    shown = hub.send("GET", f"/rulesets/{rule['ruleset_id']}", status=200)
    assert (shown["current_user_can_bypass"], len(shown["rules"])) == ("always", 2)
    set_rules(hub, "main")
    assert list_rules(hub, "main") == ["required_status_checks"]
    hub.send("GET", f"/rulesets/{rule['ruleset_id']}", status=404)
    assert not hub.github.set_rules("acme/none", "main", ("update",))


@pytest.mark.parametrize("kind", ["update", "pull_request", "required_signatures"])
def test_the_api_moves_no_branch_against_its_rules(kind: Any, hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    set_rules(hub, "staging", kind)
    refused = hub.send("PATCH", "/git/refs/heads/staging", status=422, json={"sha": head})
    assert refused["message"].startswith("Repository rule violations found")
    set_rules(hub, "staging", kind, bypass="always")
    hub.send("PATCH", "/git/refs/heads/staging", status=200, json={"sha": head})


def test_rules_that_are_about_merges_refuse_no_push(hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    set_rules(hub, "staging", "required_linear_history")
    hub.send("PATCH", "/git/refs/heads/staging", status=200, json={"sha": head})


def test_a_merge_needs_repository_and_rules(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")

    def merge(status: int, method: str = "merge") -> Any:
        return hub.send("PUT", "/pulls/1/merge", status=status, json={"merge_method": method})

    assert hub.github.set_repository(REPOSITORY, archived=None, allow_merge_commit=False)
    assert hub.send("GET", hub.api_url, status=200)["allow_merge_commit"] is False
    assert merge(405)["message"] == "Merge commits are not allowed on this repository."
    assert hub.github.set_repository(REPOSITORY, archived=None, allow_merge_commit=True)
    set_rules(hub, "main", "required_linear_history")
    assert "must not contain merge commits" in merge(405)["message"]
    set_rules(hub, "main", "pull_request", methods=("squash",))
    assert "Merge method" in merge(405)["message"]
    set_rules(hub, "main", "pull_request", methods=("squash",), bypass="pull_requests_only")
    assert merge(200)["merged"] is True


def test_an_archived_repository_is_read_and_not_written(hub: Hub) -> None:
    main = hub.read_heads()["main"]
    assert hub.github.set_repository(REPOSITORY, archived=True, allow_merge_commit=None)
    assert hub.send("GET", hub.api_url, status=200)["archived"] is True
    refused = hub.send("POST", "/git/refs", status=403, json={"ref": "refs/heads/x", "sha": main})
    assert refused["message"] == "Repository was archived so is read-only."
    assert hub.github.set_repository(REPOSITORY, archived=False, allow_merge_commit=None)
    hub.send("POST", "/git/refs", status=201, json={"ref": "refs/heads/x", "sha": main})
    assert not hub.github.set_repository("acme/none", archived=True, allow_merge_commit=None)
