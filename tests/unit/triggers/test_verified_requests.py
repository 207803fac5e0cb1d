"""What a verification asks for: each page of both lists at each look, and ever fewer looks, until its time is over."""

from __future__ import annotations

import math

import pytest

from include.deploy_ops.hooks.airflow.api import FAULTS_MAX, PAGE_SIZE
from tests.worlds.stages.verification import LOOKS_MAX, TIMEOUT, prove
from tests.worlds.values.dag_processor import DagProcessor, Source

NEVER_S = 10**6


@pytest.mark.parametrize(("dags", "faults"), [(1, 0), (450, 0), (1, 250)])
def test_a_parse_that_never_comes_costs_so_many_requests_and_no_more(dags: int, faults: int) -> None:
    broken = {f"broken_{number}.py": Source(is_broken=True) for number in range(faults)}
    folder = {"many.py": Source(frozenset(f"dag_{number}" for number in range(dags))), **broken}
    processor = DagProcessor(folder)
    processor.run(2 * len(folder) + 60)
    processor.deploy({**folder, "many.py": Source(seconds=NEVER_S)})
    proving = prove(processor, {"many.py"})
    assert (proving.event["state"], proving.seconds) == ("unknown", TIMEOUT.total_seconds())
    pages = math.ceil(dags / PAGE_SIZE) + max(1, math.ceil(min(faults, FAULTS_MAX) / PAGE_SIZE))
    assert 1 < proving.looks <= LOOKS_MAX
    assert proving.to_airflow == pages * proving.looks
    assert proving.to_astro == proving.looks + 1


def test_what_is_parsed_soon_costs_a_few_looks() -> None:
    folder = {f"dag_{number}.py": Source(frozenset({f"dag_{number}"})) for number in range(10)}
    processor = DagProcessor(folder)
    processor.run(100)
    processor.deploy({**folder, "dag_0.py": Source(frozenset({"dag_0", "dag_new"}))})
    proving = prove(processor, {"dag_0.py"})
    assert proving.event["state"] == "seen"
    assert proving.looks <= 6
    assert proving.seconds < 60
