"""Whole runs in which an answer is wrong: what is on screen, that nothing is left behind, and how it goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.errors import ObservationError, RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.triggers import repository
from include.deploy_ops.triggers.repository import RepositoryTrigger
from tests.worlds.doubles.bad_answers import (
    EXEMPLARY,
    NOT_FOUND,
    UNBELIEVABLE,
    UNREADABLE,
    Fault,
    Malformation,
    Request,
)
from tests.worlds.stages.bad_world import ask, plant
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.triggers.base import TriggerEvent

    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
HTML = {"status": 200, "body": "<html>maintenance</html>", "content_type": "text/html"}
PATIENCE_S = 10.0


def let_time_pass(stage: Stage) -> None:
    """Make what ended old enough to come again."""
    known = stage.memory.environment(BRANCH).read()
    endings = {verb: replace(each, ended_at=each.ended_at - timedelta(hours=2)) for verb, each in known.endings.items()}
    stage.memory.environment(BRANCH).write(replace(known, endings=endings))


def prepare_create(stage: Stage) -> None:
    stage.push(BRANCH)


def prepare_delete(stage: Stage) -> None:
    stage.make_deployment(BRANCH)


@pytest.mark.parametrize(
    ("prepare", "step", "face", "path"),
    [
        (prepare_create, "render_template", "github", "/git/ref/heads/main"),
        (prepare_create, "create", "astro", r"/deployments\?"),
        (prepare_create, "deploy", "astro", r"/deployments/[^/]+/deploys\?"),
        (prepare_delete, "delete", "github", "/git/ref/heads/main"),
    ],
)
def test_a_run_that_met_a_wrong_answer_says_so_lets_go_and_comes_again(
    stage: Stage, log: Log, prepare: Callable[[Stage], None], step: str, face: str, path: str
) -> None:
    prepare(stage)
    (run,) = stage.plan()
    verb = run.conf["job"]["verb"]
    stage.sandbox.plant(face=face, path=path, times=None, **HTML)
    states = run.play()
    assert stage.sandbox.client.delete("/sandbox/faults").is_success
    assert (states[step], states["report"]) == ("failed", "success")
    cause = run.read_failure(step)
    assert not cause["is_permanent"]
    assert re.search(rf"^GET \S*{path}.* that are not JSON \(", cause["cause"])
    assert f"{verb} {BRANCH}: failed in {step}: {cause['cause']}" in log.read()
    assert stage.memory.claim(BRANCH, PLANNED).read() is None
    assert stage.memory.claim(BRANCH, MANUAL).read() is None
    check_what_follows(stage, run, step)


def check_what_follows(stage: Stage, run: Run, step: str) -> None:
    """See the next pass tell why it waits, and the work that comes then reach what the first was to reach."""
    task = stage.make_plan_task()
    verb = run.conf["job"]["verb"]
    dispatched = stage.run_plan(task)
    if step == "deploy":  # there is a Deployment now, so it is other work, which does not wait
        assert [each["conf"]["job"]["verb"] for each in dispatched] == ["deploy"]
    else:
        assert dispatched == []
        assert re.search(rf"\| {BRANCH}.*\| {verb} \| GET .*attempt 2 at ", fold_page(task.plan))
    let_time_pass(stage)
    stage.airflow.states = {run.run_id: "failed"}
    again = stage.plan()
    for each in again:
        assert "failed" not in each.play().values(), each.xcoms
    assert len(stage.list_deployments()) == (0 if verb == "delete" else 1)
    if verb == "create":
        head = run.conf["job"]["head"]
        assert stage.list_files(stage.find_deployment(BRANCH)["id"]) == stage.author.hash_files(head)
    assert stage.plan() == []


def plant_behind_the_cli(monkeypatch: pytest.MonkeyPatch, stage: Stage, verb: str, fault: dict[str, Any]) -> None:
    """Let the read that follows the CLI's call be answered wrong."""
    real = getattr(AstroCli, verb)

    def call(self: AstroCli, *args: Any) -> Any:
        done = real(self, *args)
        stage.sandbox.plant(face="astro", path="/deployments/[^/]+$", times=None, **fault)
        return done

    monkeypatch.setattr(AstroCli, verb, call)


AFTERWARDS: list[tuple[dict[str, Any], str]] = [
    (HTML, "not JSON"),
    ({"drop": True}, "no usable answer in 4 tries"),
    ({"status": 200, "body": "null", "content_type": "application/json"}, "it is null"),
    ({"status": 200, "body": {"id": "x"}}, "is malformed"),
    ({"status": 404, "body": "gone"}, "not JSON"),
]


@pytest.mark.parametrize(("fault", "says"), [*AFTERWARDS, ({"status": 404, "body": NOT_FOUND["astro"]}, "not show it")])
def test_a_wrong_answer_after_a_create_makes_no_second_deployment(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], says: str
) -> None:
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    run.step("render_template")
    with monkeypatch.context() as patch:
        plant_behind_the_cli(patch, stage, "create", fault)
        with pytest.raises(RetryableError, match=says):
            run.step("create")
    assert stage.sandbox.client.delete("/sandbox/faults").is_success
    assert run.step("create") == stage.find_deployment(BRANCH)["id"]
    assert len(stage.list_deployments()) == 1


def test_a_wrong_answer_after_a_delete_is_no_proof_of_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for fault, says in AFTERWARDS:
        run = stage.start_planned(Verb.DELETE, BRANCH, "0" * 40, stage.make_deployment(BRANCH))
        with monkeypatch.context() as patch:
            plant_behind_the_cli(patch, stage, "delete", fault)
            with pytest.raises(ObservationError, match=says):
                run.step("delete")
        assert stage.sandbox.client.delete("/sandbox/faults").is_success
        assert stage.list_deployments() == []
        stage.airflow.states.clear()


def test_no_wrong_answer_settles_a_deploy(stage: Stage) -> None:
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    for step in ("change_type", "render_template", "image", "create", "deploy"):
        run.step(step)
    stage.change_project(settle_timeout_s=0.02)
    stage.forget_requests()
    deployment_id = run.xcoms["create"]["return_value"]
    below = f"/astro/v1/organizations/clsandboxorganization0001/deployments/{deployment_id}"
    found = []
    for request in (ask(stage, "astro", below), ask(stage, "astro", f"{below}/deploys?limit=50&offset=0")):
        for malformation in (*UNREADABLE[:EXEMPLARY], *UNBELIEVABLE):
            if (fault := malformation.make(request)) is None:
                continue
            plant(stage, request, fault)
            try:
                found.append((malformation.name, run.step("settle")))
            except AirflowFailException as error:
                text = str(error)
                is_told = "did not settle (timeout)" in text and re.search(malformation.says("astro"), text)
                found += [] if is_told and request.is_named_in(text) else [(malformation.name, text)]
            assert stage.sandbox.client.delete("/sandbox/faults").is_success
    assert found == []
    stage.change_project(settle_timeout_s=60)
    assert run.step("settle")["state"] == "settled"


class Events:
    """A running repository trigger: what it has sent so far, and what it has logged."""

    def __init__(self, trigger: RepositoryTrigger, told: list[str]) -> None:
        self._trigger = trigger
        self.told = told
        self.sent: list[dict[str, Any]] = []

    async def collect(self) -> None:
        event: TriggerEvent
        async for event in self._trigger.run():
            self.sent.append(json.loads(json.dumps(event.payload)))

    async def wait_until(self, is_over: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_over():  # noqa: ASYNC110 - a log line is no event that could be awaited
                await asyncio.sleep(0.005)


def list_poll_faults(stage: Stage) -> Iterator[tuple[Malformation, Request, Fault]]:
    """Yield what can be wrong with the two answers of a poll."""
    for query in ("git/matching-refs/heads/?per_page=100", "pulls?direction=desc&per_page=100&sort=updated&state=all"):
        request = ask(stage, "github", f"/github/api/v3/repos/acme/data-platform/{query}")
        for malformation in (*UNREADABLE, *UNBELIEVABLE):
            fault = malformation.make(request)
            # An unchanged listing is answered 304, which has no page and no body that a fault could spoil.
            if fault and not fault.keys() <= {"headers", "truncate"} and fault.get("status") != HTTPStatus.NOT_MODIFIED:
                yield malformation, request, fault


def test_no_wrong_answer_is_an_event_and_each_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(repository, "choose_backoff_s", lambda *_: 0.001)  # some of the answers ask for ten minutes
    stage.push(BRANCH)
    stage.author.open_pull_request(BRANCH, "staging", "X")
    project = stage.scope.project
    trigger = RepositoryTrigger(project.name, project.github_conn_id, project.repository, project.trunk, 0.01)
    events = Events(trigger, told)

    async def play() -> None:
        running = asyncio.create_task(events.collect())
        try:
            await events.wait_until(lambda: events.sent)
            for malformation, request, fault in list_poll_faults(stage):
                plant(stage, request, fault)
                seen = len(told)
                await events.wait_until(lambda seen=seen: len(told) > seen)  # type: ignore[misc]
                assert stage.sandbox.client.delete("/sandbox/faults").is_success
                stage.forget_requests()
                await events.wait_until(lambda: stage.list_requests("github"))  # so that no line of this fault is due
                assert told[seen].startswith("shop: polling acme/data-platform failed, trying again in 0 s: ")
                assert re.search(malformation.says("github"), told[seen]), told[seen]
                assert request.is_named_in(told[seen]), told[seen]
            assert [event["reason"] for event in events.sent] == ["started"]
            stage.push("dev-y")
            await events.wait_until(lambda: len(events.sent) > 1)
            assert [event["reason"] for event in events.sent] == ["started", "changed"]
        finally:
            running.cancel()
            await asyncio.wait({running})
            await trigger.cleanup()

    asyncio.run(play())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the trigger logs of failed polls."""
    lines: list[str] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.Logger("recorded")  # noqa: LOG001 - of no hierarchy, so of this test alone
    logger.addHandler(Recorder())
    monkeypatch.setattr(RepositoryTrigger, "log", logger)
    return lines
