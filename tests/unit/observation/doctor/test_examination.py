"""Looking at all areas: in the table's order, none takes out another, and what is shared is asked for once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from include.deploy_ops.core.doctor import here
from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.wanted import SETTINGS
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.view.health import ASTRO, GITHUB
from include.deploy_ops.observation.doctor import examination
from include.deploy_ops.observation.doctor.means import Inside
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.scope import CLI_POOL, make_scope
from tests.sandbox.conftest import ROOT
from tests.worlds.doubles.airflow import FakeTaskInstance
from tests.worlds.stages.doctor import Doctored
from tests.worlds.stages.stage import WRITES, close_hooks

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SEED_HOST = "127.0.0.1:8900"
"""The registry that the seed policy names: the demo's."""


def look(world: Doctored) -> tuple[Check, ...]:
    """Return what a task of the doctor's DAG finds."""
    task = ExamineOperator(task_id="shop", scope=world.stage.scope)
    ti: Any = FakeTaskInstance(world.stage.airflow, {}, "shop", 1)
    try:
        return examination.examine(task, Inside(Runs(ti, "deploy_ops.doctor"), world.stage.memory, {}), world.now)
    finally:
        close_hooks(task)


def list_areas(checks: tuple[Check, ...]) -> list[Area]:
    return list(dict.fromkeys(check.area for check in checks))


def test_an_area_that_fails_is_not_known_and_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def find(means: Any, inside: Any, now: Any) -> tuple[Check, ...]:
        given.extend((means, inside, now))
        return (Check(Area.HERE, "disk", Status.OK, "5 GiB"),)

    def fail(*_: Any) -> NoReturn:
        raise RuntimeError("unforeseen")

    areas: Any = {Area.HERE: find, Area.ASTRO: fail}
    monkeypatch.setattr(examination, "AREAS", areas)
    means: Any = object()
    first, second = examination.examine(means, None, NOW)
    assert given == [means, None, NOW]
    assert (first.area, first.name, first.status) == (Area.ASTRO, "everything", Status.NOT_KNOWN)
    assert first.found == "RuntimeError; see the log"
    assert (second.name, second.status) == ("disk", Status.OK)


@pytest.fixture
def seed(doctored: Doctored) -> Doctored:
    """Give the sandbox under the policy that is delivered."""
    text = (ROOT / "include" / "deploy_ops.yaml").read_text(encoding="utf-8")
    loaded = load_policy(text.replace(SEED_HOST, doctored.stage.sandbox.host), "deploy_ops.yaml")
    assert not loaded.problems
    doctored.stage.scope = make_scope(loaded, loaded.policy.projects[0])
    return doctored


UNTRIED = ("Contents", "Pull requests", "Commit statuses", "Deployments", "Workflows", "Administration")
BEGINNING = {
    **{f"permission {name}: write": Status.NOT_KNOWN for name in UNTRIED},
    "room for previews": Status.NOT_KNOWN,
    here.CHECKSUM: Status.NOT_KNOWN,
    f"{here.POOL} {CLI_POOL}": Status.NOT_KNOWN,
    f"{here.WATCH}: {GITHUB}": Status.NOT_KNOWN,
    f"{here.WATCH}: {ASTRO}": Status.NOT_KNOWN,
    here.PASSES: Status.NOT_KNOWN,
    here.BASE_URL: Status.WARN,
    **{f"[{each.section}] {each.key}": Status.WARN for each in SETTINGS},
}
"""What is not ok where nothing was done yet, on a machine whose Airflow is not set up as the Dockerfile's."""


def list_troubles(checks: Iterable[Check]) -> dict[str, Status]:
    return {check.name: check.status for check in checks if check.status is not Status.OK}


def test_the_delivered_policy_stands_as_well_as_a_beginning_can(seed: Doctored) -> None:
    checks = look(seed)
    assert list_areas(checks) == list(Area)
    assert list_troubles(checks) == BEGINNING
    assert len(checks) > 2 * len(BEGINNING), "most of it is known, and well"


def test_trunk_is_read_once_for_all_areas_and_nothing_is_written(seed: Doctored) -> None:
    seed.stage.forget_requests()
    look(seed)
    asked = seed.list_requests("github")
    assert len([line for line in asked if line.endswith("/git/ref/heads/main")]) == 1
    for face in ("github", "astro", "registry"):
        assert seed.stage.list_requests(face, WRITES) == []


def test_without_a_connection_to_github_the_other_areas_know_what_they_can(
    seed: Doctored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GITHUB_DEFAULT")
    checks = look(seed)
    assert list_areas(checks) == list(Area)
    assert [each.name for each in checks if each.status is Status.FAIL] == ["reachable"]
    assert {each.status for each in checks if each.name.startswith("target ")} == {Status.OK}
    assert {each.status for each in checks if each.area in {Area.REGISTRY, Area.TEMPLATE}} == {Status.NOT_KNOWN}


def test_a_workspace_that_the_project_may_not_use_is_a_check_of_astro(seed: Doctored) -> None:
    seed.stage.scope = replace(seed.stage.scope, workspaces=("clother",))
    checks = look(seed)
    failed = [(check.area, check.name) for check in checks if check.status is Status.FAIL]
    assert failed == [(Area.ASTRO, "connection")]
    assert {each.status for each in checks if each.area is Area.TEMPLATE} == {Status.OK}
