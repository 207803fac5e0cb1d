"""Runs of cleanup beside each other: verdicts are merged, questions are known by run, a dry store keeps to itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.operators.cleanup.review import merge_verdicts
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.questions import QUESTIONS_MAX, Questions
from include.deploy_ops.run.store import DryStore
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def make(key: str, standing: Standing = Standing.DUE) -> Verdict:
    return Verdict("delete", key, key, key, "h", "", NOW, NOW, NOW, "idle", "run", standing)


def test_a_run_changes_what_it_decided_and_leaves_what_others_wrote_meanwhile() -> None:
    before = {key: make(key) for key in ("dropped", "changed", "released", "gone")}
    after = {
        "changed": make("changed", Standing.ASKED),
        "released": make("released", Standing.ASKED),
        "gone": make("gone", Standing.ASKED),
        "new": make("new"),
        "raced": make("raced"),
    }
    current = {
        "dropped": before["dropped"],
        "changed": before["changed"],
        "released": make("released", Standing.RELEASED),
        "raced": make("raced", Standing.REFUSED),
        "others": make("others"),
    }
    merged = merge_verdicts(before, after, current)
    assert {key: verdict.standing.value for key, verdict in merged.items()} == {
        "changed": "asked",
        "released": "released",
        "raced": "refused",
        "others": "due",
        "new": "due",
    }


def open_questions(store: Any, **states: str) -> Questions:
    task_instance: Any = FakeTaskInstance(FakeAirflow(**states), {}, "find", 1)
    return Questions(store, "questions", Runs(task_instance, "shop.cleanup"))


def test_what_another_living_run_asks_is_known() -> None:
    store = DictStore()
    questions = open_questions(store, living="running", over="success", mine="running")
    for run_id, name in (("living", "a"), ("over", "b"), ("mine", "c")):
        questions.note(run_id, [name], NOW)
    assert questions.find_asking(but="mine") == {"a": "living"}
    assert questions.list_names("mine") == {"c"}
    assert questions.list_names("unknown") == frozenset()


def test_a_run_asks_about_one_list_only_in_any_order() -> None:
    questions = open_questions(DictStore(), mine="running")
    questions.note("mine", ["a", "b"], NOW)
    questions.note("mine", ["b", "a"], NOW + timedelta(hours=1))
    with pytest.raises(PermanentError, match="asked about another list before"):
        questions.note("mine", ["a"], NOW)


def test_old_and_unreadable_questions_are_forgotten() -> None:
    store = DictStore()
    questions = open_questions(store)
    for number in range(QUESTIONS_MAX + 5):
        questions.note(f"run{number}", ["a"], NOW + timedelta(minutes=number))
    assert len(questions.read()) == QUESTIONS_MAX
    assert "run4" not in questions.read()
    store.set("questions", "nonsense")
    assert questions.read() == {}


def test_a_dry_store_reads_through_and_writes_nowhere() -> None:
    below = DictStore()
    below.set("a", 1)
    below.set("b", 2)
    dry = DryStore(below)
    dry.set("a", 3)
    dry.delete("b")
    assert (dry.get("a"), dry.get("b"), dry.get("b", 5), dry.get("c", 6)) == (3, None, 5, 6)
    assert below.values == {"a": 1, "b": 2}
