"""The sandbox's GitHub answers as GitHub describes itself: every route, with success and with every kind of refusal.

The fixture `hub` judges whatever its tests ask, in tests/sandbox/github too; here is the proof that all is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.routing import Match, Route

from sandbox.github.rules import Kind
from sandbox.github.urls import API_PATH as ROUTE_PATH
from tests.contract.github.description import make_judge
from tests.contract.github.deviations import DEVIATIONS
from tests.contract.openapi.exchange import Exchange
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub

NOBODY = "0" * 39 + "1"
BRANCH = "dev/a"
GITMODULES = '[submodule "library"]\n\tpath = lib\n\turl = https://git.example/lib.git\n'


def list_routes(hub: Hub) -> list[Route]:
    """List the API's routes; the last one, which says that there is nothing, is none of them.

    Nor is the address to which GitHub leads from a name that was given up: its description has none by number.
    """
    routes = [each for each in hub.github.routes() if isinstance(each, Route) and each.path.startswith(ROUTE_PATH)]
    assert [each.path for each in routes[-2:]] == [f"{ROUTE_PATH}/repositories/{{id}}", f"{ROUTE_PATH}/{{rest:path}}"]
    return routes[:-2]


def find_route(routes: list[Route], exchange: Exchange) -> Route | None:
    """Find the route that served an exchange."""
    scope = {"type": "http", "path": ROUTE_PATH + unquote(exchange.path), "method": exchange.method}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


class Tour:
    """A walk through the whole API, as a client that does everything right."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.main = hub.read_heads()["main"]
        hub.clone()
        (hub.folder / "link").symlink_to("README.md")
        hub.push_file(BRANCH, "include/large.txt", "x" * 1_048_577)
        self.head = hub.push_file(BRANCH, "dags/a.py", "a = 1\n")

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """Read."""
        return self.hub.send("GET", path, status=status, **options)

    def post(self, path: str, body: Any, status: int = 201) -> Any:
        """Create."""
        return self.hub.send("POST", path, status=status, json=body)

    def take(self) -> None:
        """Take the whole tour."""
        self.walk_refs()
        self.walk_commits_and_contents()
        self.walk_objects()
        self.walk_pulls()
        self.walk_fork()
        self.walk_records()
        root = self.hub.api_url.partition("/repos/")[0]
        self.get(f"{root}/user")
        self.get(f"{root}/rate_limit")

    def walk_refs(self) -> None:
        self.get(self.hub.api_url)
        self.get("/branches?per_page=2&page=2")
        self.get(f"/branches/{BRANCH}")
        self.get(f"/rules/branches/{BRANCH}")
        self.get("/git/matching-refs/heads/dev")
        self.hub.git("tag", "--annotate", "--message", "One\n\nof two", "v1", self.head)
        self.hub.git("push", "--quiet", "origin", "v1")
        self.get("/git/matching-refs/tags/")
        self.get(f"/git/tags/{self.get('/git/ref/tags/v1')['object']['sha']}")
        self.get(f"/git/ref/heads/{BRANCH}")
        self.post("/git/refs", {"ref": "refs/heads/moving", "sha": self.main})
        self.hub.send("PATCH", "/git/refs/heads/moving", status=200, json={"sha": self.head, "force": True})
        self.hub.send("DELETE", "/git/refs/heads/moving", status=204)

    def walk_commits_and_contents(self) -> None:
        self.get(f"/commits?sha={BRANCH}&path=dags&since=2020-01-01T00:00:00Z&per_page=1&page=1")
        self.get(f"/commits/{self.head}")
        self.get(f"/compare/main...{BRANCH}?per_page=1&page=1")
        for path in ("dags", "dags/a.py", "link", "include/large.txt"):
            self.get(f"/contents/{path}?ref={BRANCH}")
        raw = {"accept": "application/vnd.github.raw+json"}
        assert self.hub.api.get("/contents/dags/a.py", params={"ref": BRANCH}, headers=raw).text == "a = 1\n"

    def walk_objects(self) -> None:
        blob = self.post("/git/blobs", {"content": "AAEC", "encoding": "base64"})["sha"]
        self.get(f"/git/blobs/{blob}")
        self.hub.api.get(f"/git/blobs/{blob}", headers={"accept": "application/vnd.github.raw+json"})
        entries = [
            {"path": "dags/b.bin", "mode": "100644", "type": "blob", "sha": blob},
            {"path": "dags/c.py", "mode": "100755", "type": "blob", "content": "c = 1\n"},
            {"path": ".gitmodules", "mode": "100644", "type": "blob", "content": GITMODULES},
            {"path": "lib", "mode": "160000", "type": "commit", "sha": self.main},
            {"path": "README.md", "mode": "100644", "type": "blob", "sha": None},
        ]
        tree = self.post("/git/trees", {"base_tree": self.main, "tree": entries})["sha"]
        self.get(f"/git/trees/{tree}?recursive=1")
        person = {"name": "Nobody", "email": "nobody@elsewhere.example", "date": "2026-03-01T12:00:00Z"}
        body = {"message": "Lay over", "tree": tree, "parents": [self.main], "author": person}
        commit = self.post("/git/commits", body)["sha"]
        self.get(f"/git/commits/{commit}")
        self.get(f"/commits/{commit}")
        assert self.get(f"/contents/lib?ref={commit}")["submodule_git_url"] == "https://git.example/lib.git"
        self.get(f"/contents/dags?ref={commit}")

    def walk_pulls(self) -> None:
        self.post("/pulls", {"title": "Add a", "head": BRANCH, "base": "staging", "body": "why", "draft": True})
        self.hub.send("PATCH", "/pulls/1", status=200, json={"title": "Add a", "body": "", "base": "main"})
        self.hub.send("PATCH", "/pulls/1", status=200, json={"state": "closed"})
        self.post("/pulls", {"title": "Add a again", "head": f"acme:{BRANCH}", "base": "main"})
        self.walk_issue(2)
        self.get(f"/pulls?state=all&sort=updated&direction=desc&per_page=100&head=acme:{BRANCH}&base=main")
        self.get("/pulls/2")
        self.get("/pulls/2/commits?per_page=1")
        self.get("/pulls/2/files")
        body = {"merge_method": "squash", "sha": self.head, "commit_title": "Add a", "commit_message": "so"}
        self.hub.send("PUT", "/pulls/2/merge", status=200, json=body)
        self.get("/pulls/2/merge", 204)
        self.get("/pulls/2")

    def walk_issue(self, number: int) -> None:
        comment = self.post(f"/issues/{number}/comments", {"body": "hello"})["id"]
        self.get(f"/issues/comments/{comment}")
        self.hub.send("PATCH", f"/issues/comments/{comment}", status=200, json={"body": "hello again"})
        self.get(f"/issues/{number}/comments")
        self.get("/issues/comments?sort=updated&direction=desc&per_page=100")
        for status in (201, 200):
            self.post(f"/issues/comments/{comment}/reactions", {"content": "eyes"}, status)
        self.get(f"/issues/comments/{comment}/reactions?per_page=100")
        self.hub.github.say(REPOSITORY, number, "mona", "hi", app_id=7)
        self.get("/issues/comments?sort=updated&direction=desc&per_page=100")
        self.get("/collaborators/mona/permission")
        self.hub.send("DELETE", f"/issues/comments/{comment}", status=204)
        self.post(f"/issues/{number}/labels", {"labels": ["keep", "two words"]}, 200)
        self.get(f"/issues/{number}/labels")
        self.hub.send("DELETE", f"/issues/{number}/labels/two%20words", status=200)

    def walk_fork(self) -> None:
        self.hub.push_file("dev-fork", "dags/f.py", "f = 1\n")
        self.post("/pulls", {"title": "From a fork", "head": "stranger:dev-fork", "base": "main"})
        self.get("/pulls?state=open")

    def walk_records(self) -> None:
        status = {"state": "success", "context": "ci", "description": "built", "target_url": "https://ci.example/1"}
        self.post(f"/statuses/{self.head}", status)
        self.get(f"/commits/{self.head}/status")
        self.get(f"/commits/{BRANCH}/statuses")
        for name, state in (("test", "success"), ("lint", "in_progress")):
            assert self.hub.github.set_check(REPOSITORY, self.head, name, state)
        self.get(f"/commits/{self.head}/check-runs?filter=latest&per_page=100")
        (run,) = self.get(f"/actions/runs?head_sha={self.head}&per_page=100")["workflow_runs"]
        self.get(f"/actions/runs/{run['id']}/jobs?filter=latest&per_page=1")
        assert self.hub.github.require_checks(REPOSITORY, BRANCH, ("test",))
        self.get(f"/branches/{BRANCH}")
        kinds: tuple[Kind, ...] = ("update", "pull_request", "required_linear_history", "required_signatures")
        assert self.hub.github.set_rules(REPOSITORY, BRANCH, kinds)
        rules = self.get(f"/rules/branches/{BRANCH}?per_page=100")
        self.get(f"/rulesets/{rules[-1]['ruleset_id']}")
        assert self.hub.github.set_rules(REPOSITORY, BRANCH, ())
        body: dict[str, Any] = {"ref": BRANCH, "environment": "preview", "auto_merge": False, "required_contexts": []}
        body |= {"transient_environment": True, "payload": {"run": "1"}, "description": "a preview"}
        number = self.post("/deployments", body)["id"]
        self.post("/deployments", body | {"payload": "a text", "environment": "other"})
        self.get(f"/deployments?ref={BRANCH}&environment=preview")
        self.get(f"/deployments/{number}")
        self.post(f"/deployments/{number}/statuses", {"state": "in_progress"})
        done = {"state": "success", "environment_url": "https://x.example", "log_url": "https://ci.example/1"}
        self.post(f"/deployments/{number}/statuses", done)
        self.get(f"/deployments/{number}/statuses")
        self.get("/environments")
        self.get("/environments/preview")
        self.post("/deployments", body | {"environment": "preview/dev-x"})
        self.hub.send("DELETE", "/environments/preview%2Fdev-x", status=204)


@pytest.fixture
def tour(hub: Hub) -> Tour:
    """Give a tour that is about to begin."""
    return Tour(hub)


def test_every_route_is_an_operation_that_succeeds_as_described(tour: Tour, judge: Judge) -> None:
    tour.take()
    routes = list_routes(tour.hub)
    seen = [find_route(routes, exchange) for exchange in tour.hub.exchanges if exchange.is_success]
    missing = [f"{route.methods} {route.path}" for route in routes if route not in seen]
    assert not missing, f"the tour does not come by {missing}"
    problems = [
        problem
        for exchange in tour.hub.exchanges
        for problem in (*judge.list_request_problems(exchange), *judge.list_answer_problems(exchange))
    ]
    assert not problems, "\n".join(problems)


def list_refusals(tour: Tour) -> Iterator[tuple[int, str, str, Any]]:
    """List a request for each kind of refusal that an operation can answer: status, method, path, body."""
    ref = {"ref": "refs/heads/x", "sha": tour.main}
    yield from (
        (422, "POST", "/git/refs", ref | {"ref": "refs/heads/main"}),
        (422, "POST", "/git/refs", {"ref": "refs/heads/x"}),
        (422, "POST", "/git/refs", ref | {"sha": 7}),
        (422, "PATCH", f"/git/refs/heads/{BRANCH}", {"sha": tour.main}),
        (422, "DELETE", "/git/refs/heads/none", None),
        (404, "GET", "/git/ref/heads/none", None),
        (404, "GET", "/branches/none", None),
        (404, "GET", "/rulesets/9", None),
        (404, "GET", "/commits?sha=none", None),
        (422, "GET", "/commits/none", None),
        (404, "GET", "/commits/none/status", None),
        (404, "GET", "/commits/none/statuses", None),
        (404, "GET", "/commits/none/check-runs", None),
        (404, "GET", "/actions/runs/9/jobs", None),
        (404, "GET", "/compare/main...none", None),
        (404, "GET", "/contents/none", None),
        (404, "GET", "/contents/dags?ref=none", None),
        (404, "GET", f"/git/trees/{NOBODY}", None),
        (404, "GET", f"/git/blobs/{NOBODY}", None),
        (404, "GET", f"/git/commits/{NOBODY}", None),
        (404, "GET", f"/git/tags/{tour.main}", None),
    )
    commit = {"message": "m", "tree": NOBODY, "parents": []}
    yield from (
        (422, "POST", "/git/trees", {"tree": [{"path": "../a", "mode": "100644", "content": "x"}]}),
        (422, "POST", "/git/trees", {"tree": "none"}),
        (422, "POST", "/git/blobs", {"content": "!", "encoding": "base64"}),
        (422, "POST", "/git/blobs", {}),
        (422, "POST", "/git/commits", commit),
        (422, "POST", "/git/commits", {}),
        (422, "POST", f"/statuses/{NOBODY}", {"state": "success"}),
        (422, "POST", f"/statuses/{tour.main}", {"state": "splendid"}),
    )
    tour.hub.open_pull(BRANCH, draft=True)
    yield from (
        (422, "POST", "/pulls", {"title": "t", "head": BRANCH, "base": "main"}),
        (422, "POST", "/pulls", {"title": "t", "head": "none", "base": "main"}),
        (422, "POST", "/pulls", {"head": BRANCH, "base": "main"}),
        (422, "PATCH", "/pulls/1", {"state": "merged"}),
        (404, "PATCH", "/pulls/9", {"state": "closed"}),
        (404, "GET", "/pulls/9", None),
        (404, "GET", "/pulls/9/commits", None),
        (404, "GET", "/pulls/9/files", None),
        (404, "GET", "/pulls/1/merge", None),
        (405, "PUT", "/pulls/1/merge", {}),
        (404, "PUT", "/pulls/9/merge", {}),
    )
    tour.hub.open_pull(BRANCH, "staging")
    yield from (
        (409, "PUT", "/pulls/2/merge", {"sha": tour.main}),
        (422, "PUT", "/pulls/2/merge", {"merge_method": "octopus"}),
        (404, "GET", "/issues/comments/1", None),
        (404, "PATCH", "/issues/comments/1", {"body": "x"}),
        (404, "DELETE", "/issues/comments/1", None),
        (404, "GET", "/issues/comments/1/reactions", None),
        (404, "POST", "/issues/comments/1/reactions", {"content": "eyes"}),
        (404, "GET", "/issues/9/comments", None),
        (404, "POST", "/issues/9/comments", {"body": "x"}),
        (422, "POST", "/issues/1/comments", {}),
        (404, "GET", "/issues/9/labels", None),
        (404, "POST", "/issues/9/labels", {"labels": ["x"]}),
        (422, "POST", "/issues/1/labels", {"labels": [7]}),
        (404, "DELETE", "/issues/1/labels/none", None),
    )
    comment = tour.post("/issues/1/comments", {"body": "hello"})["id"]
    yield 422, "POST", f"/issues/comments/{comment}/reactions", {"content": "shrug"}
    deployment = {"ref": BRANCH, "auto_merge": False, "required_contexts": ["ci"]}
    yield from (
        (409, "POST", "/deployments", deployment),
        (422, "POST", "/deployments", deployment | {"ref": "none"}),
        (422, "POST", "/deployments", {}),
        (404, "GET", "/deployments/9", None),
        (404, "GET", "/deployments/9/statuses", None),
        (404, "POST", "/deployments/9/statuses", {"state": "success"}),
        (404, "GET", "/environments/none", None),
        (404, "DELETE", "/environments/none", None),
    )
    deployment |= {"required_contexts": []}
    number = tour.post("/deployments", deployment)["id"]
    yield 422, "POST", f"/deployments/{number}/statuses", {"state": "splendid"}


def refuse_by_rules(tour: Tour) -> None:
    """Meet what rulesets and settings of the repository are against."""
    hub, github = tour.hub, tour.hub.github
    assert github.set_rules(REPOSITORY, BRANCH, ("update",))
    assert github.set_repository(REPOSITORY, archived=False, allow_merge_commit=False)
    hub.send("PATCH", f"/git/refs/heads/{BRANCH}", status=422, json={"sha": tour.main})
    hub.send("PUT", "/pulls/2/merge", status=405, json={})
    assert github.set_repository(REPOSITORY, archived=True, allow_merge_commit=None)
    hub.send("POST", "/git/refs", status=403, json={"ref": "refs/heads/x", "sha": tour.main})


def test_every_refusal_is_as_described_and_every_exception_is_needed(tour: Tour) -> None:
    hub, judge = tour.hub, make_judge()
    for status, method, path, body in list_refusals(tour):
        hub.send(method, path, status=status, **({} if body is None else {"json": body}))
    hub.send("POST", "/git/refs", status=400, content=b"{")
    hub.send("GET", "/branches", status=401, headers={"authorization": "token wrong"})
    etag = hub.api.get("/branches").headers["etag"]
    hub.send("GET", "/branches", status=304, headers={"if-none-match": etag})
    hub.send("GET", "/nonsense", status=404)
    blob = tour.get("/contents/Dockerfile")["sha"]
    raw = {"accept": "application/vnd.github.raw+json"}
    for path in (f"/git/blobs/{blob}", "/contents/Dockerfile"):
        assert hub.api.get(path, headers=raw).is_success
    tour.get("/git/matching-refs/heads/?per_page=100")
    refuse_by_rules(tour)
    hub.settings.rate_limit = 1
    hub.send("GET", "/branches", status=403)
    problems = [problem for exchange in hub.exchanges for problem in judge.list_answer_problems(exchange)]
    assert not problems, "\n".join(problems)
    for exchange in hub.exchanges:
        judge.list_request_problems(exchange)  # of these, many are wrong on purpose
    assert set(DEVIATIONS) == judge.used
