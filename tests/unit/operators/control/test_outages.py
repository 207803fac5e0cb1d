"""GitHub or Astro is away, slow, or asks for patience: ridden out for a moment, then loud, and nothing is concluded."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError
from include.deploy_ops.hooks import conversation
from include.deploy_ops.hooks.astro import http as astro_http
from include.deploy_ops.hooks.github import connection as github_connection
from include.deploy_ops.hooks.github import http as github_http
from include.deploy_ops.triggers import repository
from include.deploy_ops.triggers.repository import RepositoryTrigger
from sandbox.identity import GITHUB_TOKEN
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
REFS = {"face": "github", "path": "/git/matching-refs/"}
DEPLOYMENTS = {"face": "astro", "path": r"/deployments\?"}
OUTAGES: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 503, "headers": {"Retry-After": "0"}},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"drop": True},
    {"delay_s": 2},
]
NAMES = ["500", "503", "429", "dropped", "silent"]
TRIES = {"github": github_http.TRIES, "astro": astro_http.TRIES}


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a silent server at once."""
    # PyGithub takes whole seconds only; its own time limit was read, when the module was, from what is shortened here.
    assert isinstance(github_connection._OUR_SETTINGS["timeout"], int)
    monkeypatch.setattr(github_http, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(conversation, "_READ_TIMEOUT_S", 0.5)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("outage", OUTAGES, ids=NAMES)
@pytest.mark.parametrize("where", [REFS, DEPLOYMENTS], ids=["github", "astro"])
def test_a_pass_rides_out_a_moments_outage(stage: Stage, where: dict[str, Any], outage: dict[str, Any]) -> None:
    stage.push(BRANCH)
    stage.sandbox.plant(**where, **outage, times=TRIES[where["face"]] - 1)
    (run,) = stage.plan()
    assert run.conf["job"]["branch"] == BRANCH
    assert stage.sandbox.client.get("/sandbox/faults").json()["faults"] == []


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("outage", OUTAGES, ids=NAMES)
@pytest.mark.parametrize("where", [REFS, DEPLOYMENTS], ids=["github", "astro"])
def test_a_lasting_outage_fails_the_pass_loudly_and_deletes_nothing(
    stage: Stage, where: dict[str, Any], outage: dict[str, Any]
) -> None:
    face, path = where["face"], where["path"].replace("\\", "")
    stage.make_deployment("dev-gone")
    stage.sandbox.plant(**where, **outage, times=None)
    stage.forget_requests()
    with pytest.raises((ObservationError, RateLimitError)) as caught:
        stage.run_plan(stage.make_plan_task())
    assert path in str(caught.value)
    assert sum(path in line for line in stage.list_requests(face)) == TRIES[face]
    assert stage.list_requests("astro", WRITES) == []
    assert stage.sandbox.client.delete("/sandbox/faults").is_success
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "delete"


def read_pauses(stage: Stage, path: str) -> list[float]:
    """Return the seconds between the requests for a path."""
    requests = stage.sandbox.client.get("/sandbox/requests").json()["requests"]
    times = [datetime.fromisoformat(each["at"]) for each in requests if path in each["path"]]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("where", [REFS, DEPLOYMENTS], ids=["github", "astro"])
def test_a_short_retry_after_is_obeyed(stage: Stage, where: dict[str, Any], status: int) -> None:
    stage.sandbox.plant(**where, status=status, headers={"Retry-After": "1"})
    stage.forget_requests()
    assert stage.plan() == []
    pause_s, *_ = read_pauses(stage, where["path"].replace("\\", ""))  # a first pass lists the branches twice
    assert 1 <= pause_s < 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        (REFS, r"GET http.*/git/matching-refs/.*: GitHub asks to wait 61 s \(HTTP {status}\)"),
        (DEPLOYMENTS, r"GET /.*deployments\?.*: Astro asks to wait 61 s \(HTTP {status}"),
    ],
    ids=["github", "astro"],
)
def test_a_retry_after_of_more_than_a_minute_fails_the_pass_at_once(
    stage: Stage, where: dict[str, Any], said: str, status: int
) -> None:
    stage.make_deployment("dev-gone")
    stage.sandbox.plant(**where, status=status, headers={"Retry-After": "61"}, times=None)
    stage.forget_requests()
    with pytest.raises(RateLimitError, match=said.format(status=status)) as caught:
        stage.run_plan(stage.make_plan_task())
    assert caught.value.retry_after_s == 61
    asked = [where["path"].replace("\\", "") in line for line in stage.list_requests(where["face"])]
    assert (asked.count(True), asked[-1]) == (1, True)
    assert stage.list_requests("astro", WRITES) == []


def use_up_github(stage: Stage, requests: int) -> None:
    """Spend this many of the hour's requests, as somebody else with the same token would."""
    for _ in range(requests):
        answer = stage.sandbox.client.get(
            "/github/api/v3/repos/acme/data-platform", headers={"Authorization": f"Bearer {GITHUB_TOKEN}"}
        )
        assert answer.status_code == httpx.codes.OK


def set_rate_limit(stage: Stage, requests: int) -> None:
    """Let GitHub answer so many requests an hour."""
    assert stage.sandbox.client.post("/sandbox/settings", json={"rate_limit": requests}).is_success


def test_a_used_up_rate_limit_fails_the_pass_and_says_until_when(stage: Stage) -> None:
    stage.make_deployment("dev-gone")
    set_rate_limit(stage, 1)
    use_up_github(stage, 1)
    with pytest.raises(RateLimitError, match=r"GitHub asks to wait 3\d\d\d s \(HTTP 403\)"):
        stage.run_plan(stage.make_plan_task())
    assert len(stage.list_deployments()) == 1
    set_rate_limit(stage, 5000)
    assert len(stage.plan()) == 1


def test_polling_slows_down_while_the_rate_limit_is_nearly_used_and_goes_on_by_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    project = stage.scope.project
    trigger = RepositoryTrigger(project.name, project.github_conn_id, project.repository, project.trunk, 0.01)
    pauses: list[float] = []
    changes = [lambda: set_rate_limit(stage, 5000), lambda: None, lambda: stage.author.push("dev-late")]

    async def sleep(delay_s: float) -> None:
        pauses.append(delay_s)
        if changes:
            await asyncio.to_thread(changes.pop(0))

    async def take_two() -> list[str]:
        events = trigger.run()
        reasons = [(await anext(events)).payload["reason"] for _ in range(2)]
        await trigger.cleanup()
        return reasons

    set_rate_limit(stage, 100)
    use_up_github(stage, 95)
    monkeypatch.setattr(repository, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    monkeypatch.setattr(repository, "align_pause_s", lambda interval_s, *_: interval_s)
    monkeypatch.setattr(repository, "REQUESTS_PER_MINUTE_MAX", 1e9)
    unshared = SimpleNamespace(get=lambda _, __, ask: ask(None))  # no time passes, in which a look would grow old
    monkeypatch.setattr(repository, "share", lambda _: unshared)
    assert asyncio.run(take_two()) == ["started", "changed"]
    assert pauses == [60.0, 0.01, 0.01]
    said = log.read()
    assert f"shop: slowed down, polling {project.repository} every 60 s, GitHub's rate limit has 3 of 100" in said
    assert f"shop: back to polling {project.repository} every 0 s, GitHub's rate limit has 49" in said


def test_an_outage_is_told_in_the_log_of_the_trigger(stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    project = stage.scope.project
    trigger = RepositoryTrigger(project.name, project.github_conn_id, project.repository, project.trunk, 0.01)
    monkeypatch.setattr(repository, "FIRST_BACKOFF_S", 0.01)
    stage.sandbox.plant(**REFS, status=502, times=2)

    async def take_one() -> Any:
        return await anext(trigger.run())

    assert asyncio.run(take_one()).payload["reason"] == "started"
    lines = [line for line in log.read().splitlines() if f"shop: polling {project.repository} failed" in line]
    assert len(lines) == 2
    assert all("trying again in" in line and "/git/matching-refs/" in line for line in lines)
    assert all("answered HTTP 502" in line for line in lines)
