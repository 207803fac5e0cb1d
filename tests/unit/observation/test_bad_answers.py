"""Every read of a pass and of a run, answered wrong in every way: an error that says so, and nothing done about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.deploy_ops.core.errors import ObservationError, RetryableError
from include.deploy_ops.hooks import conversation
from include.deploy_ops.hooks.github import http as github_http
from include.deploy_ops.operators.base import CAUSE_LENGTH_MAX
from tests.worlds.doubles.bad_answers import (
    EXEMPLARY,
    NOT_FOUND,
    UNBELIEVABLE,
    UNREADABLE,
    Fault,
    Malformation,
    Request,
)
from tests.worlds.stages.bad_world import GONE, LIVE, MERGED, NEW, Scene, World, open_world
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from demo.author import Author
    from tests.sandbox.conftest import Sandbox
    from tests.worlds.stages.fixtures import Log

ADVICE = "nothing is concluded|check |correct|wrong, expired|lacks the permission|may not read|renamed|write |a person"


@pytest.fixture(scope="module")
def world(shared_sandbox: Sandbox, author: Author) -> Iterator[World]:
    """Build the world once: no step here changes anything in it."""
    with open_world(shared_sandbox, author) as world:
        yield world


def judge(world: World, scene: Scene, request: Request, malformation: Malformation, fault: Fault) -> str:
    """Play the step while the request is answered wrong; return what was not as it has to be, empty if all was."""
    world.stage.forget_requests()
    world.plant(request, fault)
    try:
        outcome = scene.conclude()
    except malformation.error as error:
        return judge_error(str(error), request, malformation) or judge_aftermath(world, scene, str(error))
    except Exception as error:  # noqa: BLE001 - told with the others
        return f"raised {type(error).__name__}: {error}"
    finally:
        world.clear()
        world.restore()
    return f"went on: {str(outcome)[:200]}"


def judge_error(text: str, request: Request, malformation: Malformation) -> str:
    if not request.is_named_in(text):
        return f"does not name the request: {text}"
    if not re.search(malformation.says(request.face), text):
        return f"does not say {malformation.says(request.face)!r}: {text}"
    return "" if re.search(ADVICE, text) else f"does not say what to do: {text}"


def judge_aftermath(world: World, scene: Scene, text: str) -> str:
    """Nothing was written, and nothing remembered that a sound step would not have: observations, but no claim."""
    if writes := world.stage.list_requests("astro", WRITES) + world.stage.list_requests("github", WRITES):
        return f"wrote: {writes}"
    told = scene.run.xcoms[scene.step]["failure"] if scene.run else None
    if told not in (None, {"is_permanent": False, "cause": text[:CAUSE_LENGTH_MAX]}):
        return f"told the report {told}"
    kept = {key: value for key, value in world.look().items() if key not in scene.leaves}
    wrong = {key for key, value in kept.items() if scene.remembered.get(key) != value}
    return f"remembered {wrong}" if wrong else ""


def strike(world: World, malformation: Malformation, scenes: list[Scene]) -> None:
    """Answer every question of the steps wrong in this way, one after the other; nothing but an error comes of it."""
    cases = [
        (scene, request, fault)
        for scene in scenes
        for request in scene.requests
        if (fault := malformation.make(request)) is not None
    ]
    found = [
        f"{scene.name}, {request.kind}: {wrong}"
        for scene, request, fault in cases
        if (wrong := judge(world, scene, request, malformation, fault))
    ]
    assert found == []
    assert cases
    assert world.stage.list_deployments() == world.deployments


@pytest.mark.parametrize("malformation", UNREADABLE, ids=lambda each: each.name)
def test_an_answer_that_cannot_be_read_ends_the_step_and_does_nothing(world: World, malformation: Malformation) -> None:
    is_exemplary = malformation in UNREADABLE[:EXEMPLARY]
    strike(world, malformation, world.scenes if is_exemplary else world.scenes[:1])


@pytest.mark.parametrize("malformation", UNBELIEVABLE, ids=lambda each: each.name)
def test_an_answer_that_cannot_be_believed_ends_the_step_and_does_nothing(
    world: World, malformation: Malformation
) -> None:
    strike(world, malformation, world.scenes)


def list_verbs(dispatched: Any) -> set[tuple[str, str]]:
    return {(each["conf"]["job"]["verb"], each["conf"]["job"]["branch"]) for each in dispatched}


def test_a_repository_that_is_gone_ends_every_step_that_asks_for_it(world: World) -> None:
    for scene in world.scenes:
        if all(request.face == "astro" for request in scene.requests):
            continue
        world.sandbox.plant(face="github", status=404, body=NOT_FOUND["github"], times=None)
        with pytest.raises(ObservationError, match="the repository is gone or renamed, or the token lost access to it"):
            scene.conclude()
        assert world.stage.list_requests("astro", WRITES) == []
        world.clear()
        world.restore()


ABSENT = {
    ("claim", "ref"): (AirflowFailException, f"branch: there is no branch '{LIVE}' in acme/data-platform"),
    ("create", "ref"): (AirflowSkipException, f"superseded: branch {NEW} is gone"),
    ("deploy", "ref"): (AirflowSkipException, f"superseded: branch {LIVE} is gone"),
    ("change_type", "deployment"): (RetryableError, "is gone; the next pass looks again"),
    ("render_template", "deployment"): (AirflowSkipException, "superseded: Deployment .* is gone"),
    ("update", "deployment"): (AirflowSkipException, "superseded: Deployment .* is gone"),
    ("deploy", "deployment"): (AirflowSkipException, "superseded: Deployment .* is gone"),
    ("delete", "deployment"): (AirflowSkipException, "superseded: Deployment .* is gone"),
}
"""What a step makes of a 404 that may be true; any other is an observation that failed."""


def test_a_404_for_one_thing_is_believed_only_where_it_may_be_true(world: World) -> None:
    found = []
    for scene in world.scenes:
        for request in scene.requests:
            if request.kind == "ref" and (scene.step == "plan" or MERGED in request.path or GONE in request.path):
                continue  # a branch may go at any time; below
            error, says = ABSENT.get((scene.step, request.kind), (ObservationError, "HTTP 404|does not exist|no list"))
            if request.path.endswith("/heads/main"):
                error, says = ObservationError, "HTTP 404"
            world.plant(request, {"status": 404, "body": NOT_FOUND[request.face]})
            try:
                found.append((scene.name, request.kind, scene.conclude()))
            except error as raised:
                found += [] if re.search(says, str(raised)) else [(scene.name, request.kind, str(raised))]
            world.clear()
            world.restore()
    # A base that is gone: a larger deploy than needed, never a smaller one; what differs the deploy step is told.
    assert not [where for where, _, _ in found if where.startswith("deploy")]
    # A form whose branch is not there is refused by the task after its claim, which lets the row say so.
    refused = [each for each in found if each[0] == "claim of a form"]
    assert all(decision["problem"] for _, _, decision in refused)
    found = [each for each in found if each not in refused]
    ((where, kind, decision),) = found
    assert (where, kind) == ("change_type of a deploy", "commit")
    assert decision["change_type"] == "image-and-dags"
    assert world.stage.list_deployments() == world.deployments


def test_a_branch_that_went_while_the_pass_was_read_is_not_planned(world: World) -> None:
    plan = world.scenes[0]
    (request,) = [request for request in plan.requests if request.kind == "ref"]
    world.plant(request, {"status": 404, "body": NOT_FOUND["github"]})
    outcome = plan.conclude()
    world.clear()
    world.restore()
    assert list_verbs(plan.outcome) - list_verbs(outcome) == {("create", NEW)}
    assert [each for each in plan.outcome if each["conf"]["job"]["branch"] != NEW] == outcome


def test_a_slow_answer_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_http, "REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(conversation, "_READ_TIMEOUT_S", 0.3)
    plan = world.scenes[0]
    for kind, says in (("refs", "got no whole answer: ReadTimeout"), ("deployments", "in 4 tries: ReadTimeout")):
        (request,) = [request for request in plan.requests if request.kind == kind]
        world.plant(request, {"delay_s": 1.5})
        with pytest.raises(ObservationError, match=says):
            plan.conclude()
        world.clear()
        world.restore()


@pytest.mark.parametrize(("kind", "says"), [("pulls", "GitHub asks to wait 0 s"), ("deployments", "HTTP 429")])
def test_a_short_pause_is_made_in_place_and_told(world: World, kind: str, says: str, log: Log) -> None:
    plan = world.scenes[0]
    (request,) = [request for request in plan.requests if request.kind == kind]
    world.plant(request, {"status": 429, "headers": {"Retry-After": "0"}, "times": 1})
    assert plan.conclude() == plan.outcome
    world.restore()
    assert re.search(rf"GET \S+{kind}\?\S+: .*{says}.*; asking again in 0\.0 s", log.read())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("status",), "A_NEW_STATUS"),
        (("type",), "A_NEW_TYPE"),
        (("statusReason",), None),
        (("description",), None),
        (("description",), "[deploy-ops/1 control_plane="),
        (("isDevelopmentMode",), None),
        (("environmentVariables",), None),
        (("updatedAt",), "yesterday"),
    ],
)
def test_what_astro_may_answer_some_day_deletes_and_overwrites_nothing_more(
    world: World, place: tuple[str], value: str | None
) -> None:
    plan = world.scenes[0]
    (request,) = [request for request in plan.requests if request.kind == "deployments"]
    items = [each | {place[0]: value} for each in request.data["deployments"]]
    world.plant(request, {"status": 200, "body": request.data | {"deployments": items}})
    outcome = plan.conclude()
    world.clear()
    world.restore()
    deletes = {("delete", GONE), ("delete", MERGED)}
    assert {work for work in list_verbs(outcome) if work[0] == "delete"} <= deletes
    assert list_verbs(outcome) - {("create", LIVE), ("update", LIVE)} <= list_verbs(plan.outcome)


@pytest.mark.parametrize("changes", [{"createdAt": None}, {"imageTag": 7}, {"name": None}, {"updatedAt": ...}])
def test_malformed_deployments_are_left_alone_and_the_rest_of_the_pass_goes_on(
    world: World, changes: dict[str, Any]
) -> None:
    plan = world.scenes[0]
    (request,) = [request for request in plan.requests if request.kind == "deployments"]
    items = [{key: value for key, value in (each | changes).items() if value is not ...} for each in world.deployments]
    world.plant(request, {"status": 200, "body": request.data | {"deployments": items}})
    outcome = plan.conclude()
    world.clear()
    world.restore()
    assert len(list_verbs(plan.outcome)) > 1
    assert list_verbs(outcome) == {("create", NEW)}


def test_when_the_answers_are_right_again_every_step_does_what_it_would_have_done(world: World) -> None:
    for scene in world.scenes:
        assert scene.conclude() == scene.outcome, scene.name
        world.restore()
