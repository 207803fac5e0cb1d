"""Events that the earlier version emitted: control reads them in its next pass, the trigger's go on where it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.run.endings import read_endings
from include.deploy_ops.triggers.repository import CURSOR_KEY
from include.deploy_ops.triggers.repository_cursor import Cursor, has_changed
from tests.compatibility.samples import OldRun, Release, each_sample, take
from tests.worlds.doubles.airflow import FakeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 29, 14, 40, tzinfo=UTC)


def has_ended(sample: Mapping[str, Any]) -> bool:
    return "ended" in sample.get("extra", {})


def is_waker(sample: Mapping[str, Any]) -> bool:
    return "payload" in sample.get("extra", {})


def is_resuming(sample: Mapping[str, Any]) -> bool:
    return "resumes" in sample


def emit(sample: Mapping[str, Any]) -> FakeEvent:
    return FakeEvent(sample["name"], NOW, sample["extra"], sample["source_run_id"])


@pytest.mark.parametrize(
    ("release", "name"), each_sample("events.json", of=lambda sample: not is_waker(sample) and not is_resuming(sample))
)
def test_control_learns_how_runs_ended_before_the_release(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    sample = release.read("events.json")[name]
    run = OldRun("data_platform.control", "scheduled__1")
    run.events.events.append(emit(sample))
    plan = take(dags, run.dag_id, "plan")
    context = run.make_context(plan)
    for since in ("", (NOW - timedelta(minutes=5)).isoformat()):
        found, until = read_endings(context, plan.scope.fleet, since)
        assert until == NOW.isoformat()
        said = sample["extra"].get("ended")
        assert len(found) == (said is not None)
        if said is None:
            continue
        (ended,) = found
        outcome = ended.outcome
        assert (ended.slug, outcome.run_id, outcome.dag) == (
            said["slug"],
            said["outcome"]["run_id"],
            said["outcome"]["dag"],
        )
        assert (outcome.verb, outcome.state, outcome.commit) == (
            said["outcome"]["verb"],
            said["outcome"]["state"],
            said["outcome"].get("commit", ""),
        )
        assert outcome.at == datetime.fromisoformat(said["outcome"]["at"])
        assert (outcome.why, outcome.cause) == (said["outcome"].get("why", ""), said["outcome"].get("cause", ""))
        conflicts = said.get("conflicts")
        assert ended.conflicts == (
            conflicts and {int(pull): tuple(texts) for pull, texts in conflicts.items()} if conflicts else conflicts
        )


@pytest.mark.parametrize(("release", "name"), each_sample("events.json", of=is_waker))
def test_the_triggers_cursor_travels_from_its_event_to_the_store(release: Release, name: str) -> None:
    payload = release.read("events.json")[name]["extra"]["payload"]
    cursor = Cursor.model_validate(payload[CURSOR_KEY])
    assert [page.fingerprint for page in cursor.branches] == [
        each["fingerprint"] for each in payload["cursor"]["branches"]
    ]
    assert cursor.pull_requests == payload["cursor"]["pull_requests"]
    assert not has_changed(cursor, cursor)
    assert payload["reason"] in {"started", "changed", "due"}


@pytest.mark.parametrize(("release", "name"), each_sample("events.json", of=is_resuming))
def test_an_event_of_a_deferred_task_names_what_it_resumes(release: Release, name: str) -> None:
    sample = release.read("events.json")[name]
    resumed = [each for each in release.read("parked.json").values() if each["task_id"] == sample["resumes"]]
    assert resumed, "test_waiting plays it for each of these"
    assert sample["payload"].keys() & {"state", "runs"}


def test_every_kind_of_event_has_a_sample(release: Release) -> None:
    samples = release.read("events.json").values()
    assert all(any(is_kind(sample) for sample in samples) for is_kind in (has_ended, is_waker, is_resuming))
    resumed = {(sample["resumes"], sample["payload"].get("state", "ran")) for sample in samples if is_resuming(sample)}
    assert {("settle", state) for state in ("settled", "failed", "overtaken", "timeout")} <= resumed
    assert {("image", state) for state in ("found", "timeout", "refused")} <= resumed
    if release.is_sealing:
        assert {("verify", state) for state in ("seen", "unknown", "ran")} <= resumed
