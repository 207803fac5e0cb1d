"""What waits for one thing, for hours and in vain, on a simulated clock: it ends at its deadline, and asks seldom."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.triggers.image import ImageAvailableTrigger
from include.deploy_ops.triggers.settled import LOOK_TIMEOUT_S, DeploySettledTrigger
from tests.worlds.doubles.astro import make_deployment
from tests.worlds.doubles.lived_services import Fault, LivedAstro, LivedGithub, take_place
from tests.worlds.doubles.simulated_time import SimulatedClock, play, start_clock
from tests.worlds.stages.year import HOUR_S, say_connections

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

START = datetime(2027, 12, 31, 12, tzinfo=UTC)
WAIT_S = 3 * HOUR_S
DEADLINE = (START + timedelta(seconds=WAIT_S)).isoformat()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    monkeypatch.setattr(logging.root.manager, "disable", logging.WARNING)
    return start_clock(monkeypatch, START)


@pytest.fixture
def astro(clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch) -> LivedAstro:
    lived = LivedAstro(clock, "astro-token")
    lived.deployments["cldep1"] = make_deployment()
    return lived


@pytest.fixture
def github(clock: SimulatedClock, astro: LivedAstro, monkeypatch: pytest.MonkeyPatch) -> LivedGithub:
    """Return who answers python-requests: GitHub, and as long as it fails, any registry."""
    lived = LivedGithub(clock, "ghp_0")
    take_place(monkeypatch, lived, astro)
    say_connections(monkeypatch, lived, astro)
    return lived


def wait(clock: SimulatedClock, trigger: BaseTrigger) -> dict[str, Any]:
    """Return the payload of the one event."""

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = play(clock, run())
    return dict(payload)


@pytest.mark.usefixtures("github")
@pytest.mark.parametrize("kind", ["503", "silent", "hanging", "dropped", "expired"])
def test_a_deploy_of_which_astro_tells_nothing_is_given_up_at_its_deadline(
    kind: str, clock: SimulatedClock, astro: LivedAstro
) -> None:
    astro.fault = Fault(kind, WAIT_S * 2)
    if kind == "expired":
        astro.token = "another"  # noqa: S105 - opens nothing
    trigger = DeploySettledTrigger(
        astro_conn_id="astro_default",
        deployment_id="cldep1",
        needle="run=r1",
        kind=ChangeType.DAGS.value,
        started_at=START.isoformat(),
        deadline=DEADLINE,
        woke=False,
    )
    assert wait(clock, trigger)["state"] == "timeout"
    assert WAIT_S <= clock.now_s <= WAIT_S + LOOK_TIMEOUT_S + 1
    assert 0 < astro.asked.total() <= 4 * WAIT_S / 30  # four tries each half minute at most


@pytest.mark.parametrize("kind", ["503", "silent", "dropped", "429"])
def test_an_image_of_which_the_registry_tells_nothing_is_given_up_at_its_deadline(
    kind: str, clock: SimulatedClock, github: LivedGithub
) -> None:
    github.fault = Fault(kind, WAIT_S * 2)
    trigger = ImageAvailableTrigger(registry_conn_id=None, candidates=["ghcr.example/acme/pipes:1"], deadline=DEADLINE)
    assert wait(clock, trigger)["state"] == "timeout"
    assert WAIT_S <= clock.now_s <= WAIT_S + 180
    assert 0 < github.asked.total() <= 6 * WAIT_S / 30
