"""The parts of `make faults` that need no Airflow: which faults there are, their bounds, and the verdict on a round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import httpx
import psutil
import pytest

from bench.faults.__main__ import main
from bench.faults.bounds import RETRY_S, SHORT, make_environment, read_defaults
from bench.faults.scene import Scene
from bench.faults.strikes import FAULTS
from bench.faults.verdict import Found, Wanted, judge, tell_counts
from include.deploy_ops.operators.base import STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.witness import Witness

A, B, C = (letter * 40 for letter in "abc")
WANTED = Wanted({"dev-x": [A, B], "Staging": [C]}, frozenset({"dev-gone"}), 2)
FOUND = Found({"dev-x": 1}, {"dev-x": [B, A], "Staging": [C]}, 2)


class Patient:
    """A witness that awaits by asking again at once."""

    def await_true(self, _: str, look: Callable[[], Any]) -> tuple[Any, float]:
        while not (found := look()):
            pass
        return found, 0.0


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no"), psutil.NoSuchProcess(1), ProcessLookupError(3, "No such process")]
)
def test_what_ends_while_it_is_looked_at_ends_no_measurement(error: Exception) -> None:
    seen: list[Exception] = []

    def look() -> bool:
        if seen:
            return True
        seen.append(error)
        raise error

    assert Scene(cast("Witness", Patient())).await_calmly("it to be there", look) is True


def test_every_part_of_airflow_that_can_be_lost_is() -> None:
    assert list(FAULTS) == [
        *("triggerer", "worker", "scheduler", "dag-processor", "api-server"),
        *("redis", "postgres", "disk", "redelivery"),
    ]


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("triggerer", "30 s: 30 (`triggerer_health_check_threshold`)"),
        ("worker", "325 s: 300 (`task_instance_heartbeat_timeout`) + 10 ("),
        ("scheduler", "330 s: 30 (`scheduler_health_check_threshold`) + 300 (`orphaned_tasks_check_interval`)"),
        ("redis", "720 s: 600 (`task_queued_timeout`) + 120 (`task_queued_timeout_check_interval`)"),
        ("disk", "75 s"),
        ("redelivery", "0 s"),
    ],
)
def test_bounds_are_those_of_airflows_own_settings(name: str, bound: str) -> None:
    assert FAULTS[name].bound.tell(read_defaults()).startswith(bound)


def test_the_product_tries_again_as_soon_as_the_bounds_say() -> None:
    assert STEP["retry_delay"].total_seconds() == RETRY_S


def test_the_short_settings_are_shorter_and_reach_airflow() -> None:
    assert all(SHORT[name] < seconds for name, seconds in read_defaults().items())
    assert make_environment(SHORT)["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "30"


def test_a_round_in_which_all_was_done_once_is_told_by_its_counts() -> None:
    assert judge(WANTED, FOUND) == []
    assert tell_counts(WANTED, FOUND) == "2/2 made, 1/1 Deployments, 3/3 deploys, 0 left"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"deployments": {"dev-x": 2}}, "dev-x has 2 Deployments instead of 1"),
        ({"deployments": {"dev-x": 0}}, "dev-x has 0 Deployments instead of 1"),
        ({"deployments": {"dev-x": 1, "dev-gone": 1}}, "dev-gone has 1 Deployments instead of 0"),
        ({"deploys": {"dev-x": [A, B, A], "Staging": [C]}}, f"{A[:12]} was deployed 2 times to dev-x"),
        ({"deploys": {"dev-x": [A, B], "Staging": []}}, f"{C[:12]} was deployed 0 times to Staging"),
        ({"deploys": {"dev-x": [A, B, C], "Staging": [C]}}, f"{C[:12]}, which nobody pushed, is in dev-x"),
        ({"created": 3}, "3 Deployments were made instead of 2"),
        ({"open_runs": ["r"]}, "the run r is left"),
        ({"open_tasks": ["t"]}, "the task t is left"),
        ({"processes": ["7: astro"]}, "the process 7: astro is left"),
    ],
)
def test_what_is_twice_or_lost_or_left_is_told(change: dict[str, Any], wrong: str) -> None:
    assert judge(WANTED, replace(FOUND, **change)) == [wrong]


def test_a_fault_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ONLY", "worker wroker")
    assert main() == 2
    assert "ONLY names wroker; there are triggerer, worker" in capsys.readouterr().err
