"""One triggerer's process with hundreds of deploys that settle, on a simulated clock: what they ask, hear and hold."""

from __future__ import annotations

import asyncio
import bisect
import gc
import json
import logging
import tracemalloc
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.hooks.astro.http import REQUESTS_PER_S_MAX
from include.deploy_ops.triggers.settled import DeploySettledTrigger
from tests.worlds.doubles.astro import make_deploy, make_deployment
from tests.worlds.doubles.lived_services import LivedAstro, LivedGithub, Said, take_place
from tests.worlds.doubles.simulated_time import SimulatedClock, play, start_clock
from tests.worlds.stages.year import say_connections

if TYPE_CHECKING:
    import httpx

START = datetime(2027, 12, 31, 12, tzinfo=UTC)
WAITS = 300
DONE_S = 90.0
"""When Astro is done with all of these deploys at once: the worst that hundreds can do."""
TOLD_S = 30.0
"""In which each of them hears of that: two requests each, 20 a second, and the pause before."""
BYTES_MAX = 100_000
"""What one wait holds, without TLS."""


@dataclass
class BusyAstro(LivedAstro):
    """A workspace in which each Deployment gets a deploy, and all are done in one moment."""

    asked_at: list[float] = field(default_factory=list)

    async def _answer(self, request: httpx.Request) -> Said:
        self.asked_at.append(self.clock.now_s)
        name, _, below = request.url.path.rpartition("/deployments/")[2].partition("/")
        status = "DEPLOYED" if self.clock.now_s >= DONE_S else "DEPLOYING"
        if not below:
            return Said(200, {}, json.dumps(make_deployment(id=name, workspaceId="clws")).encode())
        records = [make_deploy(int(name), deploymentId=name, status=status)]
        return Said(200, {}, json.dumps({"deploys": records, "limit": 50, "offset": 0, "totalCount": 1}).encode())


@pytest.fixture
def astro(monkeypatch: pytest.MonkeyPatch) -> BusyAstro:
    monkeypatch.setattr(logging.root.manager, "disable", logging.WARNING)
    clock = start_clock(monkeypatch, START)
    github, lived = LivedGithub(clock, "ghp_0"), BusyAstro(clock, "astro-token")
    take_place(monkeypatch, github, lived)
    say_connections(monkeypatch, github, lived)
    return lived


def make_wait(number: int) -> DeploySettledTrigger:
    return DeploySettledTrigger(
        astro_conn_id="astro_default",
        deployment_id=str(number),
        needle=f"run=r{number} try=1 ",
        kind=ChangeType.DAGS.value,
        started_at=START.isoformat(),
        deadline=(START + timedelta(hours=1)).isoformat(),
        woke=False,
    )


async def hear(clock: SimulatedClock, number: int) -> tuple[str, float]:
    """Return how a wait ends, and how long after its deploy was done."""
    (payload,) = [event.payload async for event in make_wait(number).run()]
    return payload["state"], clock.now_s - DONE_S


async def measure(clock: SimulatedClock) -> int:
    """Return the bytes that are held once all have waited for some minutes."""
    await asyncio.sleep(DONE_S / 2)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def count_in_a_second(times: list[float]) -> int:
    """Return the most that were asked in any second."""
    return max(at + 1 - bisect.bisect_left(times, time_s - 0.999) for at, time_s in enumerate(times))


def test_one_process_carries_hundreds_of_waits(astro: BusyAstro) -> None:
    async def wait_for_all() -> tuple[list[Any], int]:
        waits = [asyncio.create_task(hear(astro.clock, number)) for number in range(WAITS)]
        held = await measure(astro.clock)
        return await asyncio.gather(*waits), held

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        ends, held = play(astro.clock, wait_for_all())
    finally:
        tracemalloc.stop()
    assert {state for state, _ in ends} == {"settled"}
    assert max(late_s for _, late_s in ends) <= TOLD_S
    assert count_in_a_second(astro.asked_at) <= REQUESTS_PER_S_MAX
    assert (held - before) / WAITS < BYTES_MAX


def test_a_few_waits_are_held_up_by_nobody(astro: BusyAstro) -> None:
    async def wait_for_all() -> list[tuple[str, float]]:
        return await asyncio.gather(*(hear(astro.clock, number) for number in range(5)))

    ends = play(astro.clock, wait_for_all())
    assert {state for state, _ in ends} == {"settled"}
    assert max(late_s for _, late_s in ends) <= 11  # the pause between two looks that only wait
