"""What a task logged, as Airflow's API gives it: its end, as text, and in it the error that ended the task."""

from __future__ import annotations

from typing import Any

from include.deploy_ops.core.verification.smoke import take_lines
from include.deploy_ops.hooks.airflow.run_answers import LOG_CHARACTERS_MAX, parse_log
from include.deploy_ops.hooks.conversation import Ask

LOG = Ask("/dags/smoke/dagRuns/r/taskInstances/load/logs/1")


def fail(kind: str) -> dict[str, Any]:
    return {
        "event": "Task failed",
        "error_detail": [{"exc_type": kind, "exc_value": "no such warehouse", "frames": []}],
    }


def printed(count: int) -> list[dict[str, Any]]:
    return [{"event": f"line {number}", "logger": "task.stdout"} for number in range(count)]


def test_an_error_is_told_though_what_was_printed_before_it_stands_behind_it() -> None:
    lines = take_lines(parse_log(LOG, {"content": [fail("RuntimeError"), *printed(9)]}))
    assert lines[-3:] == ("line 8", "Task failed", "RuntimeError: no such warehouse")


def test_of_several_errors_the_last_one_comes_last_and_the_others_stay() -> None:
    content = [fail("KeyError"), *printed(1), fail("ValueError"), *printed(1)]
    told = parse_log(LOG, {"content": content}).splitlines()
    assert [each for each in told if each != "Task failed"] == [
        "KeyError: no such warehouse",
        "line 0",
        "line 0",
        "ValueError: no such warehouse",
    ]


def test_the_error_of_a_long_log_is_kept() -> None:
    told = parse_log(LOG, {"content": [fail("RuntimeError"), *printed(10_000)]})
    assert told.endswith("RuntimeError: no such warehouse")
    assert len(told) <= LOG_CHARACTERS_MAX
