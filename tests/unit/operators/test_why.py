"""What each run says of why: the rule, with the file and line of the policy's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds.stages.cleanup import CleanupStage
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.policy_file import put_policy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.stage import Run, Stage

BRANCHES = "previews.branches[0], include/policy.yaml:8"


@pytest.fixture(autouse=True)
def _policy(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_policy(stage, tmp_path, monkeypatch)


def read_page(run: Run, task: str) -> str:
    shown: Any = run.tasks[task]
    return str(shown.decision)


def plan(stage: Stage) -> tuple[str, list[Run]]:
    """Make a pass; return its page and the runs that it starts, played."""
    task = stage.make_plan_task()
    runs = [stage.start_dispatched(each) for each in stage.run_plan(task)]
    for run in runs:
        assert "failed" not in run.play().values()
    return fold_page(task.plan), runs


def test_a_preview_names_its_pattern_from_plan_to_delete(stage: Stage) -> None:
    stage.push("dev-x")
    page, (run,) = plan(stage)
    assert f"| {BRANCHES} | dev-x |" in page
    assert read_page(run, "claim").endswith(f"Decided by\n- {BRANCHES}")
    stage.push_more("dev-x", {"README.md": "more\n", "dags/more.py": "# more\n"})
    page, (run,) = plan(stage)
    assert read_page(run, "claim").startswith("deploy dev-x: in place of ")
    assert read_page(run, "change_type").endswith(f"Decided by\n- {BRANCHES}\n- ignore[0], include/policy.yaml:5")
    stage.merge("dev-x")
    page, (run,) = plan(stage)
    place = "previews.merged_into, include/policy.yaml:11"
    assert f"| {place} | dev-x |" in page
    assert read_page(run, "claim").endswith(f"Decided by\n- {place}")


def test_a_full_fleet_names_its_limit(stage: Stage) -> None:
    stage.change_project(previews={"max_live": 1})
    stage.push("dev-x")
    stage.push("dev-y")
    page, _ = plan(stage)
    assert "| previews.max_live, by default | dev-" in page


def test_cleanup_names_its_ages_beside_the_verdicts(stage: Stage) -> None:
    run = CleanupStage(stage, {}).run()
    shown: Any = run.tasks["find"]
    assert "- previews.delete_after, include/policy.yaml:12\n- previews.delete_notice, by default" in shown.table
