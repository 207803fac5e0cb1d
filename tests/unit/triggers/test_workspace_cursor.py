"""Where control would see a difference between two looks at a workspace, the trigger does, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from include.deploy_ops.triggers.workspace_cursor import fingerprint_deployments
from tests.worlds.values.examples import make_deployment

ONE, TWO = make_deployment("dev-a"), make_deployment("dev-b")
BEFORE = fingerprint_deployments([ONE, TWO])


def test_order_and_the_time_of_the_last_change_do_not_count() -> None:
    assert fingerprint_deployments([TWO, replace(ONE, updated_at="2026-11-30T12:00:00Z")]) == BEFORE


def test_a_configuration_that_somebody_changed_counts() -> None:
    sizes = [{"configuration": {"scheduler_size": size}} for size in ("SMALL", "MEDIUM")]
    found = {fingerprint_deployments([replace(ONE, settings=each), TWO]) for each in ({}, *sizes)}
    assert len(found) == 3
