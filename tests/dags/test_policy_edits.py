"""How soon a mistake in the policy is told: when Airflow parses again, by its own code, and what we take of that."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager, DagFileStat

from tests.dags.test_dags import find_error, make_policy

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

INTERVAL_S = 30.0
"""Airflow's `[dag_processor] min_file_process_interval`, which the pages tell."""
PARSE_S = 3.0
"""Of the CPU, on any machine that runs Airflow: on a free one it is a tenth of that."""


def test_a_typo_is_told_by_the_next_parse_and_is_over_with_the_one_after_it(parse: Parse) -> None:
    """The modules stay imported in between, as in a process that forks one for each file."""
    projects: list[dict[str, Any]] = [{"name": f"project_{number}", "root": f"p{number}"} for number in range(50)]
    typo = [*projects[:-1], {**projects[-1], "poll_intervall_s": 5}]
    assert parse(make_policy(*projects), "policy_errors.py").import_errors == {}
    start_s = time.process_time()
    bag = parse(make_policy(*typo), "policy_errors.py")
    took_s = time.process_time() - start_s
    assert "projects[49].poll_intervall_s" in find_error(bag, "policy_errors.py")
    assert took_s < PARSE_S
    assert parse(make_policy(*projects), "policy_errors.py").import_errors == {}


@pytest.mark.parametrize(("ago_s", "is_due"), [(INTERVAL_S - 10, False), (INTERVAL_S, True)])
def test_airflow_parses_again_after_its_interval_though_no_dag_file_changed(
    tmp_path: Path, ago_s: float, *, is_due: bool
) -> None:
    file = DagFileInfo(Path("policy_errors.py"), "dags", tmp_path)
    file.absolute_path.touch()
    os.utime(file.absolute_path, (0, 0))
    manager = DagFileProcessorManager(max_runs=-1)
    parsed_at = datetime.now(UTC) - timedelta(seconds=ago_s)
    manager._file_stats[file] = DagFileStat(last_finish_time=parsed_at)
    manager.prepare_file_queue({"dags": {file}})
    assert ([*manager._file_queue] == [file]) is is_due
