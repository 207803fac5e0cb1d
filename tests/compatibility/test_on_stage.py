"""A stage with the state of an older release: what is read of it there, and that passes go on from it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.versioned import VERSION
from include.deploy_ops.operators.sealed import SEAL_PREFIX
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.seals import WORK, Place
from tests.compatibility.on_stage import age_run, age_state, load_release
from tests.compatibility.samples import BEFORE_0_3, RELEASES, Release, strip_version
from tests.compatibility.test_tolerance import GATHERED
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-orders"


@pytest.fixture
def live(stage: Stage) -> Stage:
    """Give a stage on which the preview of a branch runs its head, and a pass has seen it."""
    head = stage.push(BRANCH)
    stage.author.open_pull_request(BRANCH, "main", "Orders")
    stage.create_preview(BRANCH, head)
    assert stage.plan() == []
    return stage


def settle(stage: Stage) -> list[Run]:
    """Make passes until nothing is due; return the runs that they started."""
    played: list[Run] = []
    for _ in range(5):
        if not (runs := stage.plan()):
            return played
        for run in runs:
            run.play()
        played += runs
    raise AssertionError(f"passes find no end: {[run.run_id for run in played]}")


def test_what_a_release_left_is_named_as_on_the_stage(release: Release, live: Stage) -> None:
    there = live.find_deployment(BRANCH)["id"]
    runs = load_release(live, release.name)
    rows = live.memory.read_rows()
    assert {"target.staging", "target.production", "dev-idle"} <= rows.keys()
    assert all(live.memory.read_row(slug) == row for slug, row in rows.items())
    assert rows["target.production"].dag == "shop.production"
    assert runs
    assert {run.dag_id.partition(".")[0] for run in runs} == {"shop"}
    jobs = [run.conf["job"] for run in runs if "job" in run.conf]
    assert {job["deployment_id"] for job in jobs if job["deployment_name"] == f"shop-{BRANCH}"} <= {"", there}
    text = repr([store.values for store in live.stores.values()]) + repr([(run.conf, run.xcoms) for run in runs])
    assert "data_platform" not in text
    assert "acme-demo" not in text


def test_branches_and_commits_may_be_called_otherwise(release: Release, stage: Stage) -> None:
    load_release(stage, release.name, {"dev-idle": "dev-other"})
    row = stage.memory.read_row("dev-other")
    assert row is not None
    assert row.environment == "dev-other"
    assert stage.memory.environment("dev-other").read().endings


def test_passes_go_on_from_what_another_life_left(release: Release, live: Stage) -> None:
    """Its claims, endings, verdicts and rows are of branches, heads and Deployments that are not there."""
    load_release(live, release.name)
    for run in live.runs:
        live.airflow.states[run.run_id] = "failed"  # as their seals have them end
    before = live.list_deployments()
    live.forget_requests()
    settle(live)
    assert live.list_deployments() == before
    assert live.list_requests("astro", WRITES) == []
    rows = live.memory.read_rows()
    assert rows[BRANCH].state.value == "live"


@pytest.mark.parametrize("name", BEFORE_0_3)
def test_a_state_that_is_aged_holds_what_that_release_wrote_and_nothing_else(name: str, live: Stage) -> None:
    known = Memory(live.stores[live.scope.fleet.name])
    pulls, template, histories = known.pulls.read(), known.template.read(), known.histories.read()
    run = live.start_planned(Verb.DEPLOY, BRANCH, "a" * 40)
    age_state(live, name)
    values = live.memory._store.values  # type: ignore[attr-defined]  # the stage's store
    assert not {*GATHERED, "control.pull_requests", "control.continuity"} & values.keys()
    assert {strip_version(each) is each for each in values.values()} == {name == "before-0.2.0"}
    if name != "before-0.2.0":
        assert {each["version"] for each in values.values()} == {VERSION}
    once = deepcopy(values)
    age_state(live, name)
    assert values == once
    assert "seal" not in run.conf
    assert not [key for each in run.xcoms.values() for key in each if key.startswith(SEAL_PREFIX)]
    assert live.memory.pulls.read() == pulls
    assert template is not None
    assert live.memory.template.read().text == template.text  # type: ignore[union-attr]  # else it would be lost
    assert live.memory.histories.read().keys() == histories.keys()
    assert all(
        each.history.newest_id == histories[key].history.newest_id for key, each in live.memory.histories.read().items()
    )


@pytest.mark.parametrize("name", [release.name for release in RELEASES])
def test_an_aged_state_changes_nothing_that_runs(name: str, live: Stage) -> None:
    before = live.list_deployments()
    age_state(live, name)
    live.forget_requests()
    assert settle(live) == []
    assert live.list_deployments() == before
    assert live.list_requests("astro", WRITES) == []


def test_a_run_that_is_aged_has_no_field_that_the_release_did_not_write(release: Release, live: Stage) -> None:
    run = live.start_planned(Verb.DEPLOY, BRANCH, "a" * 40)
    claimed = run.xcoms["claim"]["return_value"]
    run.hand("claim", claimed | {"of_a_later_release": 1})
    run.hand("verify", {"proof": "verified", "said": "verified", "deploy_id": "cl"})
    run.states["verify"] = "success"
    age_run(run, release)
    found = run.xcoms["claim"]["return_value"]
    assert found == {field: each for field, each in claimed.items() if field in found}
    assert found.keys() == find_claim(release).keys()
    assert ("verify" in run.states) == release.is_sealing
    assert (f"{SEAL_PREFIX}return_value" in run.xcoms["claim"]) == release.is_sealing
    if release.is_sealing:
        assert run.stage.airflow.states[run.run_id] == "running"
        place = Place(run.dag_id, run.run_id, "claim.return_value")
        live.seals.check(WORK, place, found, run.xcoms["claim"][f"{SEAL_PREFIX}return_value"])


def find_claim(release: Release) -> dict[str, Any]:
    """Return what the release's claim of a preview's deploy handed on."""
    found: dict[str, Any] = release.read("xcoms.json")["preview claim deploy"]["value"]
    return found
