"""The settle trigger against a scripted Astro over HTTP: one event, in time, whatever Astro answers on the way."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import TriggerEvent

from include.deploy_ops.hooks import patience
from include.deploy_ops.triggers import settled
from include.deploy_ops.triggers.deferral import FIRST_EVENT_S
from include.deploy_ops.triggers.settled import DeploySettledTrigger
from tests.worlds.doubles.astro import AstroDouble, Reply, make_deploy, make_deployment, not_found, serve_list

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOYMENT, DEPLOYS = "deployments/cldep1", "deployments/cldep1/deploys"
ASK = {"astro_conn_id": "astro_default", "deployment_id": "cldep1", "needle": "run=r5 try=1 ", "kind": "dags"}


def make_trigger(seconds: float = 5, **changes: Any) -> DeploySettledTrigger:
    now = datetime.now(UTC)
    times = {"started_at": (now - timedelta(seconds=30)).isoformat()}
    times["deadline"] = (now + timedelta(seconds=seconds)).isoformat()
    return DeploySettledTrigger(**{**ASK, **times, "woke": False, "poll_interval_s": 0.05, **changes})


def run(trigger: DeploySettledTrigger) -> dict[str, Any]:
    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(collect())
    payload: dict[str, Any] = event.payload
    return payload


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "FIRST_EVENT_S", 0.0)
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)


@pytest.fixture
def astro(monkeypatch: pytest.MonkeyPatch) -> Iterator[AstroDouble]:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        double.say(DEPLOYMENT, Reply(make_deployment()))
        double.say(DEPLOYS, serve_list("deploys", [make_deploy(5)]))
        yield double


def test_serialize_gives_back_every_argument() -> None:
    arguments: dict[str, Any] = {
        **ASK,
        "started_at": "2026-01-01T00:00:00+00:00",
        "deadline": "2026-01-01T00:10:00+00:00",
        "woke": True,
        "poll_interval_s": 3,
    }
    expected = ("include.deploy_ops.triggers.settled.DeploySettledTrigger", arguments)
    assert DeploySettledTrigger(**arguments).serialize() == expected
    del arguments["poll_interval_s"]
    assert DeploySettledTrigger(**arguments).serialize()[1]["poll_interval_s"] == 1


def test_settled_event_carries_the_record(astro: AstroDouble) -> None:
    assert astro.asked == []
    event = run(make_trigger())
    assert 30 <= event.pop("seconds") < 35
    assert event == {
        "state": "settled",
        "detail": "Astro's record cldeploy5 is deployed, and the Deployment shows it",
        "deploy_id": "cldeploy5",
        "image_tag": "deploy-1",
        "dag_version": "v1",
    }


def test_it_waits_until_the_deployment_shows_the_deploy(astro: AstroDouble) -> None:
    waits = [{"status": "DEPLOYING"}, {"dagTarballVersion": "v0"}, {"desiredDagTarballVersion": "v0"}]
    astro.say(DEPLOYMENT, *(Reply(make_deployment(**each)) for each in waits), Reply(make_deployment()))
    assert run(make_trigger())["state"] == "settled"
    assert len(astro.asked) == 8


@pytest.mark.parametrize(
    ("records", "state", "detail"),
    [
        ([make_deploy(5, status="FAILED")], "failed", "says FAILED"),
        ([make_deploy(5), make_deploy(6)], "overtaken", "deploy cldeploy6 came after it (run=r6 try=1 )"),
        ([make_deploy(5, type="IMAGE_ONLY")], "failed", "has no DAGs"),
    ],
)
def test_other_ends(astro: AstroDouble, records: list[dict[str, Any]], state: str, detail: str) -> None:
    astro.say(DEPLOYS, serve_list("deploys", records))
    event = run(make_trigger())
    assert (event["state"], event["deploy_id"]) == (state, "cldeploy5")
    assert detail in event["detail"]


def test_a_deployment_that_is_gone_is_a_failure(astro: AstroDouble) -> None:
    astro.say(DEPLOYMENT, not_found())
    event = run(make_trigger())
    assert (event["state"], event["detail"], event["deploy_id"]) == ("failed", "the Deployment is gone", None)


def test_no_record_until_the_deadline_is_a_failure(astro: AstroDouble) -> None:
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(4)]))
    event = run(make_trigger(0.3))
    assert event["state"] == "failed"
    assert event["detail"] == "the Astro CLI said that it succeeded, but Astro has no record of this deploy"


def test_the_deadline_ends_it_whatever_the_status(astro: AstroDouble) -> None:
    astro.say(DEPLOYMENT, Reply(make_deployment(status="UNHEALTHY", statusReason="scheduler down")))
    began = time.monotonic()
    event = run(make_trigger(0.4))
    assert 0.3 < time.monotonic() - began < 3
    assert (event["state"], event["deploy_id"]) == ("timeout", "cldeploy5")
    assert event["detail"] == "the Deployment is UNHEALTHY (scheduler down)"


def test_a_deadline_in_the_past_still_looks_once(astro: AstroDouble) -> None:
    assert astro.asked == []
    assert run(make_trigger(-1))["state"] == "settled"


def test_an_outage_is_sat_out(astro: AstroDouble) -> None:
    outage = [Reply({}, 500)] * 5 + [Reply(b"<html>"), Reply({"id": 1}), Reply(is_dropped=True)]
    astro.say(DEPLOYMENT, *outage, Reply(make_deployment()))
    assert run(make_trigger())["state"] == "settled"


def test_an_outage_until_the_deadline_is_a_timeout_with_its_cause(astro: AstroDouble) -> None:
    astro.say(DEPLOYMENT, Reply({"message": "bad token"}, 401))
    event = run(make_trigger(0.3))
    assert event["state"] == "timeout"
    assert "bad token" in event["detail"]
    assert "astro_default" in event["detail"]


def test_a_repaired_connection_counts(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_once(_: Any) -> Reply:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", astro.connection(password="new-token"))  # noqa: S106
        return Reply({"message": "no"}, 401)

    astro.say(DEPLOYMENT, refuse_once, Reply(make_deployment()))
    assert run(make_trigger())["state"] == "settled"
    assert astro.asked[-1].headers["authorization"] == "Bearer new-token"


def test_a_silent_astro_does_not_hold_it_beyond_a_look(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "LOOK_TIMEOUT_S", 0.2)

    def keep_silent(_: Any) -> Reply:
        time.sleep(0.6)
        return Reply(is_dropped=True)

    astro.say(DEPLOYMENT, keep_silent)
    event = run(make_trigger(0.1))
    assert event["state"] == "timeout"
    assert "no answer in 0 s" in event["detail"]


def test_no_event_comes_before_its_time(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FIRST_EVENT_S >= 7
    monkeypatch.setattr(settled, "FIRST_EVENT_S", 0.4)
    began = time.monotonic()
    assert run(make_trigger())["state"] == "settled"
    assert time.monotonic() - began > 0.4
    assert len(astro.asked) == 2  # what it tells is no older than the event


def test_looks_that_wait_come_ever_later_up_to_a_bound(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr("asyncio.sleep", note)
    waits = [Reply(make_deployment(status="DEPLOYING"))] * 12
    astro.say(DEPLOYMENT, *waits, Reply(make_deployment()))
    assert run(make_trigger(1800, poll_interval_s=1))["state"] == "settled"
    waited = [pause_s for pause_s in pauses if pause_s >= 1]  # without those that spare Astro
    assert waited[:4] == pytest.approx([1, 1.3, 1.69, 2.197])
    assert waited[-2:] == [10, 10]


def look(trigger: DeploySettledTrigger) -> dict[str, Any] | None:
    return asyncio.run(trigger.look_briefly())


def test_a_deploy_that_settles_soon_is_seen_before_anything_parks(
    astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "BRIEF_S", 5.0)
    monkeypatch.setattr(settled, "BRIEF_PAUSE_S", 0.01)
    astro.say(DEPLOYMENT, *[Reply(make_deployment(status="DEPLOYING"))] * 2, Reply(make_deployment()))
    event = look(make_trigger())
    assert event is not None
    assert (event["state"], event["deploy_id"]) == ("settled", "cldeploy5")
    assert len(astro.asked) == 4, "while the Deployment changes, its records tell nothing new"


def test_what_no_dags_prove_is_not_believed_so_soon(astro: AstroDouble) -> None:
    """For a while Astro may call a Deployment HEALTHY, with the image that it is to have, and not have begun."""
    astro.say(DEPLOYMENT, Reply(make_deployment(isDagDeployEnabled=False)))
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(5, type="IMAGE_AND_DAG", dagTarballVersion=None)]))
    assert look(make_trigger(kind="image-and-dags")) is None
    assert len(astro.asked) == 2
    assert run(make_trigger(kind="image-and-dags"))["state"] == "settled"


def test_looking_before_parking_asks_seldom(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Astro takes 25 reads a second of a token; in a burst each of eight slots looks at once."""
    pauses: list[float] = []

    async def note(pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr(settled, "BRIEF_S", 60.0)  # however busy the machine is
    monkeypatch.setattr(asyncio, "sleep", note)
    astro.say(DEPLOYMENT, *[Reply(make_deployment(status="DEPLOYING"))] * 5, Reply(make_deployment()))
    assert look(make_trigger()) is not None
    waited = [pause_s for pause_s in pauses if pause_s >= settled.BRIEF_PAUSE_S]  # without those that spare Astro
    assert len(waited) == 5
    assert 8 * (len(astro.asked) - 1) / sum(waited) < 25


@pytest.mark.parametrize("seconds", [1800, 0.1])
def test_looking_before_parking_ends_soon(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    assert settled.BRIEF_S < FIRST_EVENT_S, "parking would be told sooner"
    monkeypatch.setattr(settled, "BRIEF_S", 0.4 if seconds > 1 else 60)
    astro.say(DEPLOYMENT, Reply(make_deployment(status="DEPLOYING")))
    began = time.monotonic()
    assert look(make_trigger(seconds)) is None
    assert time.monotonic() - began < 3


def test_an_astro_that_does_not_tell_is_left_to_the_trigger(
    astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "BRIEF_S", 0.2)
    astro.say(DEPLOYMENT, Reply({"message": "bad token"}, 401))
    assert look(make_trigger()) is None

    def keep_silent(_: Any) -> Reply:
        time.sleep(0.6)
        return Reply(is_dropped=True)

    astro.say(DEPLOYMENT, keep_silent)
    assert look(make_trigger()) is None
