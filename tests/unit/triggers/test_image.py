"""The image trigger against a scripted registry over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.triggers import heads, image
from include.deploy_ops.triggers.image import ImageAvailableTrigger
from tests.worlds.doubles.cloud_providers import play_providers
from tests.worlds.doubles.github import NOT_FOUND, REPO, TOKEN, GithubDouble, Reply, connect, make_ref, make_sha
from tests.worlds.doubles.hostile_server import answer
from tests.worlds.doubles.named_hosts import serve_hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {}}}).encode()
CONFIG_DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": CONFIG_DIGEST,
            "size": len(CONFIG),
        },
        "layers": [],
    }
).encode()


class Registry(ThreadingHTTPServer):
    """Has the tags in `tags`; answers `statuses` in turn first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tags: set[str] = set()
        self.statuses: list[int] = []
        self.asked: list[str] = []

    def name(self, tag: str) -> str:
        return f"127.0.0.1:{self.server_port}/acme/x:{tag}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        self.server.asked.append(self.path)
        status, body, kind = self._choose()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        if has_body:
            self.wfile.write(body)

    def _choose(self) -> tuple[int, bytes, str]:
        if self.server.statuses:
            return self.server.statuses.pop(0), b'{"errors": [{"code": "DENIED", "message": "no"}]}', "application/json"
        if self.path.endswith(CONFIG_DIGEST):
            return 200, CONFIG, "application/octet-stream"
        if self.path.rsplit("/", 1)[-1] in self.server.tags:
            return 200, MANIFEST, MANIFEST_TYPE
        return 404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}', "application/json"

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(heads, "HEADS_INTERVAL_S", 0.02)


def run(candidates: list[str], seconds: float = 5, conn_id: str | None = None, **more: Any) -> dict[str, Any]:
    deadline = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    trigger = ImageAvailableTrigger(
        registry_conn_id=conn_id, candidates=candidates, deadline=deadline, poll_interval_s=0.05, **more
    )

    async def collect() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(collect())
    assert isinstance(payload, dict)
    return payload


def test_a_clouds_login_is_made_once_for_many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = play_providers(monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_CI", json.dumps({"conn_type": "aws"}))
    name = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/acme/x:1"
    unknown = b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
    with serve_hosts(lambda *_: answer(404, unknown), monkeypatch) as asked:
        assert run([name], seconds=0.5, conn_id="ci")["state"] == "timeout"
    assert len(asked) > 2
    assert len(provider.made) == 1


def test_serialize_gives_back_every_argument() -> None:
    arguments = {"registry_conn_id": None, "candidates": ["a/b:1"], "deadline": "2026-01-01T00:00:00+00:00"}
    trigger = ImageAvailableTrigger(registry_conn_id=None, candidates=["a/b:1"], deadline="2026-01-01T00:00:00+00:00")
    expected = (
        "include.deploy_ops.triggers.image.ImageAvailableTrigger",
        {**arguments, "poll_interval_s": 5},
    )
    assert trigger.serialize() == expected
    hosts = {"registry.example.com": ["auth.example.com"]}
    more = replace(trigger, login_hosts=hosts)
    assert more.serialize() == (expected[0], {**expected[1], "login_hosts": hosts})
    watched: dict[str, Any] = {"heads": {"dev-x": "a"}, "github_conn_id": "github_default", "repository": "acme/pipes"}
    assert replace(trigger, **watched).serialize() == (expected[0], {**expected[1], **watched})


def test_the_first_candidate_that_is_there_is_taken(registry: Registry) -> None:
    registry.tags = {"b", "c"}
    names = [registry.name(tag) for tag in "abc"]
    assert run(names) == {"state": "found", "image": names[1]}


def test_it_waits_for_the_image(registry: Registry) -> None:
    timer = threading.Timer(0.3, registry.tags.add, ["a"])
    timer.start()
    assert run([registry.name("a")]) == {"state": "found", "image": registry.name("a")}
    timer.join()


def test_the_deadline_ends_it_and_says_what_was_awaited(registry: Registry) -> None:
    event = run([registry.name("a")], seconds=0.2)
    assert event["state"] == "timeout"
    assert event["detail"] == f"the registry has none of {registry.name('a')}"


def test_a_refusal_ends_it_at_once(registry: Registry) -> None:
    registry.statuses = [403] * 20
    event = run([registry.name("a")])
    assert event["state"] == "refused"
    assert str(registry.server_port) in event["detail"]


def test_an_outage_is_sat_out(registry: Registry) -> None:
    registry.tags = {"a"}
    registry.statuses = [503, 500]
    assert run([registry.name("a")])["state"] == "found"


def test_a_missing_connection_is_a_refusal(registry: Registry) -> None:
    registry.tags = {"a"}
    event = run([registry.name("a")], conn_id="nobody")
    assert event["state"] == "refused"
    assert "nobody" in event["detail"]


def test_no_event_comes_before_its_time(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "FIRST_EVENT_S", 0.4)
    registry.tags = {"a"}
    began = time.monotonic()
    assert run([registry.name("a")])["state"] == "found"
    assert time.monotonic() - began > 0.4


HEAD = make_sha("dev-x")
REF = f"{REPO}/git/ref/heads/dev-x"
WATCHED: dict[str, Any] = {"heads": {"dev-x": HEAD}, "github_conn_id": "github_default", "repository": "acme/pipes"}


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubDouble]:
    with GithubDouble() as double:
        connect(monkeypatch, host=double.api_url, password=TOKEN)
        double.answers[REF] = Reply(make_ref("dev-x", HEAD))
        yield double


@pytest.mark.parametrize(
    ("then", "detail"),
    [
        (Reply(make_ref("dev-x", make_sha("later"))), f"dev-x moved from {HEAD[:12]}"),
        (Reply(NOT_FOUND, 404), "dev-x is not there any more"),
    ],
)
def test_a_head_that_moved_or_went_ends_it_within_a_look(
    registry: Registry, github: GithubDouble, then: Reply, detail: str
) -> None:
    still = Reply(make_ref("dev-x", HEAD))
    github.answers[REF] = [still, still, Reply({"message": "down"}, 502), then]
    assert run([registry.name("a")], **WATCHED) == {"state": "moved", "detail": detail}
    assert github.statuses(REF)[:2] == [200, 304]  # a branch that stays as it is costs no quota


def test_a_github_that_fails_ends_no_wait(registry: Registry, github: GithubDouble) -> None:
    github.answers[REF] = Reply({"message": "down"}, 502)
    timer = threading.Timer(0.3, registry.tags.add, ["a"])
    timer.start()
    assert run([registry.name("a")], **WATCHED) == {"state": "found", "image": registry.name("a")}
    timer.join()
    assert github.statuses(REF)
