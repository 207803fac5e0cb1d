"""A project with work of every kind to be done, and each step of the product that reads for it, recorded once."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.operators.control.pace import REST_KEY
from include.deploy_ops.operators.control.row_writer import RowWriter
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, WAKE_AT_KEY
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN
from tests.worlds.doubles.bad_answers import Fault, Request
from tests.worlds.stages.fixtures import open_stage

if TYPE_CHECKING:
    from demo.author import Author
    from tests.sandbox.conftest import Sandbox
    from tests.worlds.stages.stage import Run, Stage

NEW, LIVE, GONE, MERGED = "dev-new", "dev-live", "dev-gone", "dev-merged"
DAG = {"dags/more.py": "# more\n"}


class CliReachedError(Exception):
    """The step has read all that it reads and calls the Astro CLI, which is where these tests end it."""


@dataclass
class Scene:
    """One step of the product, what it reads, and what comes of it when nothing is wrong."""

    name: str
    play: Callable[[], Any]
    run: Run | None = None
    step: str = "plan"
    requests: list[Request] = field(default_factory=list)
    outcome: Any = None
    remembered: dict[str, Any] = field(default_factory=dict)

    @property
    def leaves(self) -> set[str]:
        """The keys that are no observation and may stay: a first pass, and a claim, which ends with its run."""
        return {"control.first_pass"} | ({f"environment.{LIVE}.manual"} if self.step == "claim" else set())

    def conclude(self) -> Any:
        """Play the step and return what came of it: its result, or the call of the CLI that it ended in."""
        try:
            return self.play()
        except CliReachedError as reached:
            return str(reached)


@dataclass
class World:
    """A project with work of every kind to be done, in which no step here changes anything."""

    stage: Stage
    scenes: list[Scene] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def sandbox(self) -> Sandbox:
        """The GitHub and the Astro of this world."""
        return self.stage.sandbox

    def record(self, scene: Scene) -> None:
        """Play the step and note what it read of GitHub and Astro, each request once."""
        self.stage.forget_requests()
        scene.outcome = scene.conclude()
        scene.remembered = self.look()
        self.restore()
        for face in ("github", "astro"):
            lines = self.stage.list_requests(face)
            assert all(line.startswith("GET ") for line in lines)
            asked = [ask(self.stage, face, path) for path in dict.fromkeys(line.removeprefix("GET ") for line in lines)]
            alike = {request.kind: request for request in reversed(asked) if request.kind in {"tree", "deploys"}}
            scene.requests += [request for request in asked if alike.get(request.kind, request) is request]

    def look(self) -> dict[str, Any]:
        """Return all that is remembered, but for when and how far something was read, and that a pass was made."""
        return {
            key: drop_progress(value)
            for store in self.stage.stores.values()
            for key, value in store.values.items()
            if key not in {"control.continuity", WAKE_AT_KEY, BEGUN_AT_KEY, REST_KEY} and value != wrap_value({})
        }

    def restore(self) -> None:
        """Forget what a step remembered: in this world nothing is, so that every step is a first one."""
        self.stage.stores.clear()

    def plant(self, request: Request, fault: Fault) -> None:
        """Let the fault strike the request for as long as it is there."""
        plant(self.stage, request, fault)

    def clear(self) -> None:
        """End all faults."""
        assert self.sandbox.client.delete("/sandbox/faults").is_success


def drop_progress(value: Any) -> Any:
    """Return a copy of a remembered value without what tells of its reading."""
    if isinstance(value, list):
        return [drop_progress(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: drop_progress(each) for key, each in value.items() if key not in {"read_at", "next_page"}}


def ask(stage: Stage, face: str, path: str) -> Request:
    """Return the request with the answer that it gets when nothing is wrong."""
    token = f"Bearer {GITHUB_TOKEN if face == 'github' else ASTRO_TOKEN}"
    answer = stage.sandbox.client.get(path, headers={"Authorization": token})
    return Request(face, path, answer.status_code, answer.json())


def plant(stage: Stage, request: Request, fault: Fault) -> None:
    """Let the fault strike the request, on whichever page, until the faults are cleared."""
    path = re.sub(r"(limit|offset)=\d+", r"\1=\\d+", re.escape(request.path))
    told = {name: text.replace("{sandbox}", stage.sandbox.url) for name, text in fault.get("headers", {}).items()}
    headers = {"headers": told} if told else {}
    stage.sandbox.plant(**{"face": request.face, "path": f"^{path}$", "times": None, **fault, **headers})


@contextlib.contextmanager
def open_world(sandbox: Sandbox, author: Author) -> Iterator[World]:
    """Build the world, and record every step in it."""
    with open_stage(sandbox, author) as stage, pytest.MonkeyPatch.context() as monkeypatch:
        stage.change_project(limits={"max_deletes": 9, "max_delete_fraction": 1.0})
        world = World(stage)
        runs = build(stage)
        for verb in ("create", "update", "delete", "deploy"):
            monkeypatch.setattr(AstroCli, verb, end_at_cli(verb))
        # A pass asks for one head's author beside its plan, and goes on without. Which head that is hangs on the
        # commits' ids, and so on the time of day.
        monkeypatch.setattr(RowWriter, "_learn_commits", lambda *_, **__: ({}, {}, False))
        world.scenes = [
            Scene("plan", lambda: stage.run_plan(stage.make_plan_task())),
            *(Scene(f"{step} of {name}", functools.partial(run.execute, step), run, step) for name, run, step in runs),
        ]
        for scene in world.scenes:
            world.record(scene)
        world.deployments = stage.list_deployments()
        yield world


def end_at_cli(verb: str) -> Callable[..., Any]:
    """Return what stands for a method of the CLI's: it is reached, and that is all."""

    def call(_: AstroCli, subject: str, *__: Any, **___: Any) -> Any:
        raise CliReachedError(f"{verb} {subject[:40]}")

    return call


def build(stage: Stage) -> list[tuple[str, Run, str]]:
    """Make a preview in each situation; return runs, each ready for the step that is named with it."""
    first = stage.push(LIVE)
    live = stage.create_preview(LIVE, first)
    stage.author.open_pull_request(LIVE, "staging", "Live")
    second = stage.push_more(LIVE, DAG)
    stage.push(MERGED)
    merged = stage.make_deployment(MERGED)
    stage.merge(MERGED)
    gone = stage.make_deployment(GONE)
    new = stage.push(NEW)
    stage.author.open_pull_request(NEW, "staging", "New")
    stage.stores.clear()
    stage.airflow.states.clear()

    form = stage.start_form(branch=LIVE)
    create = stage.start_planned(Verb.CREATE, NEW, new)
    for step in ("change_type", "render_template", "image"):
        create.step(step)
    deploy = stage.start_planned(Verb.DEPLOY, LIVE, second, live)
    deploy.step("change_type")
    stage.airflow.states.clear()
    update = stage.start_planned(Verb.UPDATE, LIVE, second, live)
    update.step("render_template")
    delete_gone = stage.start_planned(Verb.DELETE, GONE, "0" * 40, gone)
    delete_merged = stage.start_planned(Verb.DELETE, MERGED, "0" * 40, merged)
    stage.stores.clear()
    stage.airflow.states.clear()
    steps = [
        ("a form", form, "claim"),
        ("a deploy", deploy, "change_type"),
        ("an update", update, "render_template"),
        ("a create", create, "image"),
        ("a create", create, "create"),
        ("an update", update, "update"),
        ("a deploy", deploy, "deploy"),
        ("a gone branch", delete_gone, "delete"),
        ("a merged branch", delete_merged, "delete"),
    ]
    return [(name, replace(run, xcoms=copy.deepcopy(run.xcoms)), step) for name, run, step in steps]
