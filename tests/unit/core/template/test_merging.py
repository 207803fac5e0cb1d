"""A three-way merge: what production changed is laid, what trunk changed stays, and who changed both is told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.template.fields import Fields, Gap, find_field, read_fields, write_document
from include.deploy_ops.core.template.merging import lay_fields, merge_fields

PATHS = (
    ("configuration", "scheduler_size"),
    ("configuration", "remote_execution", "enabled"),
    ("environment_variables", "STAGE"),
    ("environment_variables", "MODE"),
    ("worker_queues", "default", "max_worker_count"),
    ("worker_queues", "heavy", "max_worker_count"),
    ("hibernation_schedules",),
)


def make_fields(*, size: str = "SMALL", stage: str = "", count: int = 5, **more: Any) -> Fields:
    """Return the fields of a small template."""
    return {
        "configuration": {"scheduler_size": size, "executor": "CELERY"},
        "environment_variables": {"STAGE": {"value": stage, "is_secret": False}},
        "worker_queues": {"default": {"max_worker_count": count, "worker_type": "A5"}},
        **more,
    }


def test_what_production_changed_is_laid_and_nothing_else() -> None:
    before, production, trunk = make_fields(), make_fields(size="MEDIUM"), make_fields(stage="preview", count=2)
    merge = merge_fields(before, production, trunk)
    assert [(each.path, each.production, each.trunk) for each in merge.laid] == [
        (("configuration", "scheduler_size"), "MEDIUM", "SMALL")
    ]
    assert merge.kept == ()
    assert lay_fields(trunk, merge.laid) == make_fields(size="MEDIUM", stage="preview", count=2)


def test_where_both_changed_a_field_differently_trunks_stays_and_is_told() -> None:
    merge = merge_fields(make_fields(), make_fields(size="LARGE"), make_fields(size="MEDIUM"))
    assert merge.laid == ()
    assert [(each.path, each.production, each.trunk) for each in merge.kept] == [
        (("configuration", "scheduler_size"), "LARGE", "MEDIUM")
    ]


def test_where_both_changed_a_field_alike_nothing_is_to_be_done() -> None:
    merge = merge_fields(make_fields(), make_fields(size="LARGE"), make_fields(size="LARGE"))
    assert (merge.laid, merge.kept) == ((), ())


def test_a_variable_is_one_field_so_a_value_of_trunk_never_becomes_a_secret() -> None:
    production = make_fields()
    production["environment_variables"]["STAGE"] = {"value": "", "is_secret": True}
    merge = merge_fields(make_fields(), production, make_fields(stage="preview"))
    assert [each.path for each in merge.kept] == [("environment_variables", "STAGE")]
    assert merge.laid == ()


def test_a_queue_that_trunk_edited_does_not_go_by_halves() -> None:
    production = make_fields()
    del production["worker_queues"]["default"]
    merge = merge_fields(make_fields(), production, make_fields(count=2))
    assert [(each.path, each.production) for each in merge.kept] == [(("worker_queues", "default"), Gap.ABSENT)]


def test_without_a_snapshot_nothing_is_laid_and_all_that_differs_is_told() -> None:
    merge = merge_fields(None, make_fields(size="LARGE"), make_fields(stage="preview"))
    assert merge.laid == ()
    assert {each.path for each in merge.kept} == {
        ("configuration", "scheduler_size"),
        ("environment_variables", "STAGE"),
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"executor": "CeleryExecutor"}, {"executor": "CELERY"}),
        ({"deployment_type": "HOSTED_SHARED"}, {"deployment_type": "STANDARD"}),
        ({"scheduler_size": "small", "cloud_provider": "aws"}, {"scheduler_size": "SMALL", "cloud_provider": "AWS"}),
        ({"name": "x", "description": "d", "workspace_name": "w", "workload_identity": ""}, {}),
    ],
)
def test_what_the_cli_reads_alike_is_equal(written: dict[str, str], read: dict[str, str]) -> None:
    assert read_fields({"deployment": {"configuration": written}})["configuration"] == read


@st.composite
def fields(draw: st.DrawFn) -> Fields:
    found: Fields = {"configuration": {"executor": "CELERY"}, "environment_variables": {}, "worker_queues": {}}
    if draw(st.booleans()):
        found["configuration"]["scheduler_size"] = draw(st.sampled_from(["SMALL", "MEDIUM", "LARGE"]))
    if draw(st.booleans()):
        found["configuration"]["remote_execution"] = {"enabled": draw(st.booleans())}
    for key in draw(st.sets(st.sampled_from(["STAGE", "MODE"]))):
        found["environment_variables"][key] = {"value": draw(st.sampled_from(["", "a"])), "is_secret": False}
    for name in draw(st.sets(st.sampled_from(["default", "heavy"]))):
        found["worker_queues"][name] = {"max_worker_count": draw(st.integers(1, 2)), "worker_type": "A5"}
    if draw(st.booleans()):
        found["hibernation_schedules"] = [{"hibernate_at": draw(st.sampled_from(["0 1 * * *", "0 2 * * *"]))}]
    return found


@given(fields(), fields())
def test_a_production_that_did_not_move_changes_nothing(production: Fields, trunk: Fields) -> None:
    merge = merge_fields(production, production, trunk)
    assert (merge.laid, merge.kept) == ((), ())


@given(fields(), fields())
def test_a_trunk_that_did_not_move_becomes_production(before: Fields, production: Fields) -> None:
    merge = merge_fields(before, production, before)
    assert lay_fields(before, merge.laid) == production
    assert merge.kept == ()


@given(fields(), fields(), fields())
def test_nothing_that_trunk_changed_is_lost(before: Fields, production: Fields, trunk: Fields) -> None:
    kept = copy.deepcopy(trunk)
    merge = merge_fields(before, production, trunk)
    laid = lay_fields(trunk, merge.laid)
    assert trunk == kept
    for path in PATHS:
        was, here, now = (find_field(each, path) for each in (before, trunk, laid))
        if here != was:
            assert now == here, path
    told = {each.path for each in (*merge.laid, *merge.kept)}
    for path in PATHS:
        is_told = any(path[: len(each)] == each for each in told)
        moved, agrees = (find_field(each, path) for each in (production, laid))
        assert moved in (find_field(before, path), agrees) or is_told, path


@given(fields())
def test_fields_come_back_from_the_file_that_they_make(found: Fields) -> None:
    assert read_fields(write_document(found)) == found
