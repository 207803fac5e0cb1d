"""Refs and branches over the API, held against git's own view of them."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from sandbox.github.git import ZERO
from tests.sandbox.github.conftest import REPOSITORY, Hub


def create_branch(hub: Hub, name: str, sha: str | None = None) -> str:
    """Create a branch, by default at main's head, and give its commit."""
    sha = sha or hub.read_heads()["main"]
    hub.send("POST", "/git/refs", status=201, json={"ref": f"refs/heads/{name}", "sha": sha})
    return sha


def test_a_created_branch_is_there_for_git_and_told(hub: Hub) -> None:
    sha = create_branch(hub, "dev/ä b#1".replace(" ", "_"))
    assert hub.read_heads()["dev/ä_b#1"] == sha
    assert [(push.branch, push.before, push.after) for push in hub.pushes] == [("dev/ä_b#1", ZERO, sha)]
    assert hub.send("GET", f"/branches/{quote('dev/ä_b#1')}", status=200)["name"] == "dev/ä_b#1"
    assert hub.send("GET", f"/git/ref/heads/{quote('dev/ä_b#1', safe='')}", status=200)["object"]["sha"] == sha


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"ref": "refs/heads/main", "sha": "main"}, "Reference already exists"),
        ({"ref": "refs/heads/x", "sha": "0" * 39 + "1"}, "Object does not exist"),
        ({"ref": "refs/heads/x", "sha": "tree"}, "Object is not a commit"),
        ({"ref": "refs/heads/a..b", "sha": "main"}, "is not a valid ref name"),
        ({"ref": "heads/x", "sha": "main"}, "is not a valid ref name"),
        ({"ref": "refs/pull/1/head", "sha": "main"}, "is not a valid ref name"),
        ({"ref": "refs/heads/x"}, "Validation Failed"),
        ({"ref": 1, "sha": "main"}, "is not a string"),
    ],
)
def test_a_ref_that_cannot_be_made_is_refused(hub: Hub, body: dict[str, str], message: str) -> None:
    main = hub.read_heads()["main"]
    tree = hub.send("GET", f"/git/commits/{main}", status=200)["tree"]["sha"]
    names = {"main": main, "tree": tree}
    answer = hub.send(
        "POST", "/git/refs", status=422, json={key: names.get(value, value) for key, value in body.items()}
    )
    assert message in answer["message"]
    assert hub.pushes == []


def test_only_a_fast_forward_moves_a_ref_unless_forced(hub: Hub) -> None:
    old = hub.read_heads()["main"]
    new = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    refusal = hub.send("PATCH", "/git/refs/heads/dev-a", status=422, json={"sha": old})
    assert refusal["message"] == "Update is not a fast forward"
    assert hub.read_heads()["dev-a"] == new
    hub.send("PATCH", "/git/refs/heads/dev-a", status=200, json={"sha": old, "force": True})
    hub.send("PATCH", "/git/refs/heads/dev-a", status=200, json={"sha": new, "force": False})
    assert [(push.before, push.after) for push in hub.pushes[1:]] == [(new, old), (old, new)]


def test_a_deleted_ref_is_gone(hub: Hub) -> None:
    sha = create_branch(hub, "dev-a")
    hub.send("DELETE", "/git/refs/heads/dev-a", status=204)
    assert "dev-a" not in hub.read_heads()
    assert (hub.pushes[-1].before, hub.pushes[-1].after) == (sha, ZERO)
    hub.send("GET", "/git/ref/heads/dev-a", status=404)
    assert hub.send("GET", "/branches/dev-a", status=404)["message"] == "Branch not found"
    assert hub.send("DELETE", "/git/refs/heads/dev-a", status=422)["message"] == "Reference does not exist"
    hub.send("PATCH", "/git/refs/heads/dev-a", status=422, json={"sha": sha})


def test_the_default_branch_stays(hub: Hub) -> None:
    hub.send("DELETE", "/git/refs/heads/main", status=422)
    assert "main" in hub.read_heads()


def test_matching_is_by_prefix_and_ref_is_exact(hub: Hub) -> None:
    for name in ("dev", "develop", "deviate"):
        create_branch(hub, name)
    create_branch(hub, "feature/dev")
    names = [ref["ref"] for ref in hub.send("GET", "/git/matching-refs/heads/dev", status=200)]
    assert names == ["refs/heads/dev", "refs/heads/develop", "refs/heads/deviate"]
    assert hub.send("GET", "/git/matching-refs/heads/nothing", status=200) == []
    assert hub.send("GET", "/git/matching-refs/heads/d*", status=200) == []
    hub.send("GET", "/git/ref/heads/de", status=404)


@pytest.mark.parametrize("name", ["main~1", "main@{0}", "main^{tree}", "-h", "--all"])
def test_a_name_is_never_read_as_git_syntax(hub: Hub, name: str) -> None:
    hub.send("GET", f"/git/ref/heads/{quote(name)}", status=404)
    hub.send("GET", f"/commits/{quote(name)}", status=422)


def test_a_short_branch_and_a_tag_name_commits(hub: Hub) -> None:
    sha = hub.read_heads()["main"]
    hub.send("POST", "/git/refs", status=201, json={"ref": "refs/tags/v1", "sha": sha})
    for name in ("main", "v1", "heads/main", "HEAD", sha[:9]):
        assert hub.send("GET", f"/commits/{name}", status=200)["sha"] == sha
    assert hub.pushes == []


def test_a_thousand_branches_list_quickly(hub: Hub) -> None:
    sha = hub.read_heads()["main"]
    lines = "".join(f"create refs/heads/many/{n:04} {sha}\n" for n in range(1000))
    hub.git("-C", str(hub.github.git_dir(REPOSITORY)), "update-ref", "--stdin", stdin=lines)
    started = time.monotonic()
    answer = hub.api.get("/git/matching-refs/heads/?per_page=100")
    assert len(answer.json()) == 1003
    assert "link" not in answer.headers
    assert time.monotonic() - started < 3


def test_reset_forgets_everything_and_seeds_the_same_commits(hub: Hub) -> None:
    before = hub.read_heads()
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    hub.github.reset()
    assert hub.read_heads() == before
    assert set(before) == {"main", "staging", "astro_deploy"}
    assert len(set(before.values())) == 1
    assert hub.send("GET", "/pulls?state=all", status=200) == []
    assert len(hub.pushes) == 1


def test_an_annotated_tag_is_shown_as_git_holds_it(hub: Hub) -> None:
    head = hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.git("tag", "--annotate", "--message", "Release\n\nof two", "v1", head)
    hub.git("push", "--quiet", "origin", "v1")
    target = hub.send("GET", "/git/ref/tags/v1", status=200)["object"]
    assert (target["type"], target["sha"]) == ("tag", hub.git("rev-parse", "v1"))
    tag = hub.send("GET", f"/git/tags/{target['sha']}", status=200)
    assert (tag["tag"], tag["message"], tag["sha"]) == ("v1", "Release\n\nof two", target["sha"])
    assert (tag["object"]["type"], tag["object"]["sha"]) == ("commit", head)
    assert tag["tagger"]["email"] == "mira@acme.example"
    assert hub.send("GET", "/commits/v1", status=200)["sha"] == head
    hub.send("GET", f"/git/tags/{head}", status=404)
