"""The question what another policy would do: answered by a pass's own reading, and without any effect."""

from __future__ import annotations

import builtins
import copy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowFailException

from dags.what_if import make_what_if_dag
from include.deploy_ops.operators.control import what_if
from tests.worlds.doubles.airflow import FakeStores, FakeTaskInstance
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.policy_file import put_policy
from tests.worlds.stages.stage import WRITES, close_hooks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Stage


@pytest.fixture
def policy(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the text of the policy in force, which lies in a file."""
    return put_policy(stage, tmp_path, monkeypatch)


def ask(stage: Stage, text: str) -> Any:
    """Run the question; return its task."""
    task: Any = make_what_if_dag(stage.scope).task_dict["weigh"]
    context: Any = {
        "ti": FakeTaskInstance(stage.airflow, {}, "weigh", 1),
        "dag_run": SimpleNamespace(run_id="manual__1", run_type="manual", conf={}),
        "asset_state_store": FakeStores(stage.stores, task),
        "params": {"policy": text},
    }
    try:
        task.numbers = task.execute(context)
    finally:
        close_hooks(task)
    return task


def copy_stores(stage: Stage) -> dict[str, Any]:
    return copy.deepcopy({name: store.values for name, store in stage.stores.items()})


def play(stage: Stage) -> None:
    for run in stage.plan():
        assert "failed" not in run.play().values()


def test_it_answers_by_effectless_reading_of_what_a_pass_reads(stage: Stage, policy: str) -> None:
    for branch in ("dev-a", "dev-legacy-1", "dev-legacy-2"):
        stage.push(branch)
    play(stage)
    stage.forget_requests()
    assert stage.plan() == []
    passes = [set(stage.list_requests(face, ("GET",))) for face in ("github", "astro")]
    before, runs = copy_stores(stage), dict(stage.airflow.states)
    stage.forget_requests()
    task = ask(stage, policy.replace("[develop]", '[develop, "dev-legacy*"]'))
    assert task.numbers == ["would hold 2 previews: exclude matches dev-legacy*"]
    assert copy_stores(stage) == before
    assert stage.airflow.states == runs
    for face, known in zip(("github", "astro"), passes, strict=True):
        assert stage.list_requests(face, WRITES) == []
        assert set(stage.list_requests(face, ("GET",))) <= known
    assert "the text:9" in task.answer
    assert "| hold | dev-legacy-1 | anything |" in fold_page(task.by_this_text)
    assert "dev-legacy-1" not in task.today


def test_the_policy_in_force_changes_nothing(stage: Stage, policy: str) -> None:
    stage.push("dev-a")
    stage.push("dev-b")
    task = ask(stage, policy)
    assert task.numbers == []
    assert task.answer.startswith("nothing would be otherwise\n")
    assert fold_page(task.today).count("| start | dev-") == 2


def test_what_another_pattern_would_make_is_counted_and_not_made(stage: Stage, policy: str) -> None:
    stage.push("fix-1")
    stage.push("fix-2")
    task = ask(stage, policy.replace('["dev*"]', '["dev*", "fix*"]'))
    assert task.numbers == ["would create 2 previews: branches matches fix*"]
    assert stage.list_deployments() == []


def test_another_template_override_would_update_previews(stage: Stage, policy: str) -> None:
    stage.push("dev-a")
    play(stage)
    changed = policy.replace("delete_after: 14d", "overrides: {configuration: {scheduler_size: MEDIUM}}")
    assert ask(stage, changed).numbers == ["would update 1 preview: previews.template"]
    other = policy.replace("deployments/preview.yaml", "deployments/other.yaml")
    stage.forget_requests()
    task = ask(stage, other)
    assert "previews.template: what previews would be updated to was not read" in " ".join(task.answer.split())
    assert not [path for path in stage.list_requests("github") if "other.yaml" in path]


def test_shorter_ages_tell_what_cleanup_would_decide(
    stage: Stage, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> datetime:  # type: ignore[override]  # a plain time, as all others are
            return datetime.now(tz) + timedelta(days=5)

    stage.push("dev-a")
    play(stage)
    assert stage.plan() == []  # a quiet pass learns when the commit was made
    monkeypatch.setattr(what_if, "datetime", Later)
    shorter = policy.replace("delete_after: 14d", "delete_after: 3d")
    assert ask(stage, shorter).numbers == ["would delete 1 preview: previews.delete_after 14d → 3d"]
    assert ask(stage, policy).numbers == []
    assert stage.memory.verdicts.read() == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("control_plane: acme-test", "control_plane: other", "control_plane: not as in force"),
        ("acme/data-platform\n", "acme/other\n", "repository: not as in force"),
        ("    limits:", "    github_conn_id: other\n    limits:", "github_conn_id: not as in force"),
        ("    limits:", "    notify: [{notifier: os.system}]\n    limits:", "notify: not as in force"),
        ("branches: ", "branchs: ", "unknown key; did you mean 'branches'?"),
    ],
)
def test_what_may_not_be_said_is_refused_before_anything_is_asked(
    stage: Stage, policy: str, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is read for a text that is refused")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(Variable, "get", refuse)
    stage.forget_requests()
    with pytest.raises(AirflowFailException, match=said.replace("?", r"\?")):
        ask(stage, policy.replace(old, new))
    assert stage.list_requests("github") + stage.list_requests("astro") == []


def test_a_notifier_of_the_text_is_never_imported(stage: Stage, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = builtins.__import__, []

    def watch(name: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", watch)
    text = policy.replace("    limits:", "    notify: [{notifier: evil_module.Bomb}]\n    limits:")
    with pytest.raises(AirflowFailException, match="notify"):
        ask(stage, text)
    assert not [name for name in seen if name.startswith("evil_module")]
