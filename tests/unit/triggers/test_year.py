"""The repository trigger lives for long, with faults, on a simulated clock: nothing is missed, and nothing grows.

`DEPLOY_OPS_DAYS=365 DEPLOY_OPS_HASTE=1` plays a year as it usually goes, `SEED` another one.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from datetime import UTC, datetime

import pytest

from include.deploy_ops.hooks.patience import WAIT_MAX_S
from include.deploy_ops.run.sights import HEALTH_KEY
from include.deploy_ops.triggers.repository import PROBE_INTERVAL_S, RepositoryTrigger
from tests.worlds.doubles.lived_services import take_place
from tests.worlds.doubles.simulated_time import play, start_clock
from tests.worlds.stages.year import DAY_S, Life

DAYS = float(os.environ.get("DEPLOY_OPS_DAYS", "1"))
HASTE = float(os.environ.get("DEPLOY_OPS_HASTE", "20"))
SEED = int(os.environ.get("SEED", "3"))
START = datetime(2027, 12, 31, 12, tzinfo=UTC)  # a year ends soon


@pytest.fixture(scope="module")
def life() -> Life:
    """Play it once, and have what came of it looked at."""
    with pytest.MonkeyPatch.context() as patch:
        began_s = time.process_time()
        random.seed(SEED)  # of the product's own pauses
        patch.setattr(RepositoryTrigger, "log", logging.getLogger("lived"))
        patch.setattr(logging.root.manager, "disable", logging.WARNING)  # or pytest would keep every line
        clock = start_clock(patch, START)
        lived = Life(clock, patch, SEED, DAYS * DAY_S, haste=HASTE)
        take_place(patch, lived.github, lived.astro)
        play(clock, lived.live())
        lived.cpu_s = time.process_time() - began_s
    logging.getLogger(__name__).warning("%s", json.dumps(lived.sum_up(), indent=1))
    return lived


def test_each_change_is_told_in_time_and_nothing_else_is(life: Life) -> None:
    assert life.ledger.wrong == [], "\n".join(life.ledger.wrong)
    assert life.events["changed"] > 0
    assert life.events.total() <= life.credit.total()


def test_no_pause_that_was_told_is_broken(life: Life) -> None:
    assert (life.github.asked_in_a_pause, life.astro.asked_in_a_pause) == ({}, {})


def test_requests_stay_within_what_is_promised(life: Life) -> None:
    assert life.github.most_in_a_minute <= 300
    assert life.astro.most_in_an_hour <= 4 * 3600 / (PROBE_INTERVAL_S / 2)


def test_no_wait_is_longer_than_a_rate_limits(life: Life) -> None:
    assert PROBE_INTERVAL_S / 2 <= life.waits[0] <= WAIT_MAX_S + 1


def test_what_is_stored_is_written_now_and_then(life: Life) -> None:
    usual = 3 * life.clock.now_s / PROBE_INTERVAL_S  # of GitHub each half minute, of Astro each minute
    assert life.store.writes[HEALTH_KEY] <= 1.2 * usual + 20 * life.faults.total()
    assert life.store.writes.keys() == {HEALTH_KEY}


def test_nothing_grows_with_what_was(life: Life) -> None:
    assert life.cursor_length_max < 10_000
    first, last = life.censuses[0], life.censuses[-1]
    assert len(life.censuses) >= 0.8 * DAYS  # none is taken while something is wrong
    assert last.tasks <= first.tasks
    assert last.timers <= first.timers + 3
    assert last.files <= first.files
    assert last.objects <= first.objects * 1.05
