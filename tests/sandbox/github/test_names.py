"""A repository's names: any case of its letters; after a rename the old one leads to its number; drafts turn."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.identity import GITHUB_TOKEN, REPOSITORY_ID
from tests.sandbox.conftest import Sandbox

API = "/github/api/v3"
LOGIN = {"Authorization": f"Bearer {GITHUB_TOKEN}"}


def ask(sandbox: Sandbox, path: str, method: str = "GET", body: Any = None) -> httpx.Response:
    return sandbox.client.request(method, API + path, headers=LOGIN, json=body)


def rename(sandbox: Sandbox, old: str, new: str) -> httpx.Response:
    return sandbox.client.post(f"/sandbox/repositories/{old}", json={"name": new})


def test_a_name_is_the_same_in_any_case_of_its_letters(sandbox: Sandbox) -> None:
    assert ask(sandbox, "/repos/ACME/Data-Platform").json()["full_name"] == "acme/data-platform"
    path = "/github/Acme/Data-Platform.git/info/refs?service=git-upload-pack"
    assert sandbox.client.get(path, headers=LOGIN).status_code == 200


def test_after_a_rename_the_old_name_leads_to_the_number_which_tells_the_new_one(sandbox: Sandbox) -> None:
    assert rename(sandbox, "acme/data-platform", "store").status_code == 204
    moved = ask(sandbox, "/repos/acme/Data-Platform/pulls?state=all")
    wanted = f"{sandbox.url}{API}/repositories/{REPOSITORY_ID}/pulls?state=all"
    assert (moved.status_code, moved.headers["location"]) == (301, wanted)
    assert ask(sandbox, "/repos/acme/data-platform/pulls", "POST", {}).status_code == 307
    numbered = ask(sandbox, f"/repositories/{REPOSITORY_ID}").json()
    assert (numbered["id"], numbered["full_name"]) == (REPOSITORY_ID, "acme/store")
    assert ask(sandbox, f"/repositories/{REPOSITORY_ID + 1}").status_code == 404
    assert ask(sandbox, "/repos/acme/store/branches/main").status_code == 200


def test_a_name_that_is_taken_back_leads_nowhere_else(sandbox: Sandbox) -> None:
    rename(sandbox, "acme/data-platform", "store")
    rename(sandbox, "acme/store", "data-platform")
    assert ask(sandbox, "/repos/acme/data-platform").status_code == 200
    assert ask(sandbox, "/repos/acme/store").status_code == 301


def test_only_what_is_there_is_renamed(sandbox: Sandbox) -> None:
    assert rename(sandbox, "acme/none", "store").status_code == 404
    assert sandbox.client.post("/sandbox/repositories/acme/data-platform", json={"nam": "x"}).status_code == 400


@pytest.mark.parametrize("is_draft", [True, False])
def test_an_open_pull_request_turns_draft_and_back(sandbox: Sandbox, *, is_draft: bool) -> None:
    start = "/repos/acme/data-platform"
    pulls = f"{start}/pulls"
    main = ask(sandbox, f"{start}/git/ref/heads/main").json()["object"]["sha"]
    tree = ask(sandbox, f"{start}/git/commits/{main}").json()["tree"]["sha"]
    made = {"message": "x", "tree": tree, "parents": [main]}
    commit = ask(sandbox, f"{start}/git/commits", "POST", made).json()["sha"]
    assert ask(sandbox, f"{start}/git/refs", "POST", {"ref": "refs/heads/dev-x", "sha": commit}).is_success
    opened = {"head": "dev-x", "base": "main", "title": "x", "draft": not is_draft}
    number = ask(sandbox, pulls, "POST", opened).json()["number"]
    path = f"/sandbox/repositories/acme/data-platform/pulls/{number}"
    before = ask(sandbox, f"{pulls}/{number}").json()
    assert sandbox.client.post(path, json={"draft": is_draft}).status_code == 204
    after = ask(sandbox, f"{pulls}/{number}").json()
    assert (before["draft"], after["draft"]) == (not is_draft, is_draft)
    assert [each["number"] for each in ask(sandbox, f"{pulls}?head=ACME:dev-x").json()] == [number]
    assert ask(sandbox, f"{pulls}?head=acme:DEV-X").json() == []
    assert after["updated_at"] >= before["updated_at"]
    assert sandbox.client.post(path.replace(str(number), "99"), json={"draft": True}).status_code == 404
