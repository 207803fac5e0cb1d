"""Several repositories in one sandbox: each has its own Git, API and Deployments; token and quota are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.author import Author
from sandbox.identity import GITHUB_TOKEN, ORGANIZATION_ID, REPOSITORY_ID
from tests.sandbox.conftest import ASTRO_LOGIN, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

API = "/github/api/v3"


def ask(sandbox: Sandbox, path: str) -> httpx.Response:
    return sandbox.client.get(API + path, headers={"Authorization": f"Bearer {GITHUB_TOKEN}"})


def add(sandbox: Sandbox, name: Any) -> int:
    return sandbox.client.post("/sandbox/repositories", json={"name": name}).status_code


def test_a_push_and_a_pull_request_belong_to_one_repository_and_the_quota_to_all(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    assert add(sandbox, "store") == 201
    author = Author(tmp_path / "clone", sandbox.url, GITHUB_TOKEN, "acme/store")
    author.clone()
    author.start_branch("dev-x", "origin/main")
    head = author.commit({"dags/x.py": "# x\n"}, "Add")
    author.push("dev-x")
    author.open_pull_request("dev-x", "staging", "X")

    seen = ask(sandbox, "/repos/acme/store/branches/dev-x")
    assert seen.json()["commit"]["sha"] == head
    assert ask(sandbox, "/repos/acme/data-platform/branches/dev-x").status_code == 404
    assert [len(ask(sandbox, f"/repos/acme/{name}/pulls").json()) for name in ("store", "data-platform")] == [1, 0]
    builds = sandbox.client.get("/sandbox/ci").json()["builds"]
    assert ("acme/store", "dev-x") in {(build["repository"], build["branch"]) for build in builds}
    ids = [ask(sandbox, f"/repos/acme/{name}").json()["id"] for name in ("data-platform", "store")]
    assert ids == [REPOSITORY_ID, REPOSITORY_ID + 1]
    assert ask(sandbox, f"/repositories/{ids[1]}").json()["full_name"] == "acme/store"
    used = [int(ask(sandbox, f"/repos/acme/{name}").headers["x-ratelimit-used"]) for name in ("data-platform", "store")]
    assert used[1] == used[0] + 1


def test_its_team_has_deployments_of_its_own_unless_it_shall_have_none(sandbox: Sandbox) -> None:
    add(sandbox, "store")
    path = f"/astro/v1/organizations/{ORGANIZATION_ID}/deployments"
    found = sandbox.client.get(path, headers={"Authorization": ASTRO_LOGIN[1]}).json()["deployments"]
    assert [(each["name"], each["status"]) for each in found] == [
        ("Staging of store", "HEALTHY"),
        ("Production of store", "HEALTHY"),
    ]
    body = {"name": "mono", "has_deployments": False}
    assert sandbox.client.post("/sandbox/repositories", json=body).status_code == 201
    after = sandbox.client.get(path, headers={"Authorization": ASTRO_LOGIN[1]}).json()["deployments"]
    assert [each["name"] for each in after] == [each["name"] for each in found]


def test_a_name_that_is_taken_or_none_is_refused_and_a_reset_forgets_the_others(sandbox: Sandbox) -> None:
    assert [add(sandbox, name) for name in ("store", "store", "data-platform", "../store", "a/b", "")] == [
        201,
        409,
        409,
        400,
        400,
        400,
    ]
    assert sandbox.client.post("/sandbox/reset").status_code == 204
    assert ask(sandbox, "/repos/acme/store").status_code == 404
    assert add(sandbox, "store") == 201
