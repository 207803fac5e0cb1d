"""Passes that control kept, decided again: by the policy of then each gives the plan that it gave."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.passes.replay import replay
from include.deploy_ops.core.passes.snapshot import Snapshot, load_snapshot
from include.deploy_ops.run import snapshots as ring
from include.deploy_ops.run.snapshots import INDEX_KEY, Snapshots
from tests.worlds.stages.fixtures import find_secrets
from tests.worlds.stages.pages import fold_page

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

KEPT = 10


def read_kept(stage: Stage) -> list[Snapshot]:
    store = stage.stores[stage.scope.fleet.name]
    found = [load_snapshot(each, "it") for each in Snapshots(store, KEPT).read()]
    assert None not in found
    return [each for each in found if each is not None]


def play(stage: Stage) -> None:
    for run in stage.plan():
        assert "failed" not in run.play().values()


def test_each_kept_pass_gives_its_plan_again(stage: Stage) -> None:
    stage.change_project(snapshots=KEPT)
    for branch in ("dev-a", "dev-b", "dev-c"):
        stage.push(branch)
    play(stage)
    stage.merge("dev-b")
    stage.author.git("push", "--quiet", "origin", "--delete", "dev-a")
    stage.author.git("push", "--quiet", "origin", "--delete", "dev-c")
    task = stage.make_plan_task()
    assert len(stage.run_plan(task)) == 2  # the brake
    kept = read_kept(stage)
    assert len(kept) == 2
    for snapshot in kept:
        again = replay(snapshot, stage.scope.project, stage.scope.control_plane, stage.scope.targets)
        assert again.is_same_policy
        assert again.changes == ()
        assert again.decision.plan == snapshot.plan
    shown = fold_page(task.plan)
    assert all(f"| {hold.environment} | {hold.what} |" in shown for hold in kept[-1].plan.holds)
    wider = stage.scope.project.model_copy(
        update={"limits": stage.scope.project.limits.model_copy(update={"max_deletes": 9, "max_delete_fraction": 1.0})}
    )
    (change,) = replay(kept[-1], wider, stage.scope.control_plane, stage.scope.targets).changes
    assert (change.today.when, change.then.when) == ("later", "starts")  # type: ignore[union-attr]
    assert not find_secrets(repr(kept))


def test_what_github_said_of_a_branch_is_kept_with_the_pass(stage: Stage) -> None:
    stage.change_project(snapshots=KEPT, previews={"when": "changed"})
    stage.push("dev-docs", {"docs/more.md": "more\n"})
    stage.push("dev-code")
    assert len(stage.plan()) == 1
    (snapshot,) = read_kept(stage)
    assert [bar.slug for bar in snapshot.facts.bars] == ["dev-docs"]
    again = replay(snapshot, stage.scope.project, stage.scope.control_plane, stage.scope.targets)
    assert again.decision.plan == snapshot.plan


def test_by_default_nothing_is_kept(stage: Stage) -> None:
    stage.push("dev-a")
    stage.plan()
    assert INDEX_KEY not in stage.stores[stage.scope.fleet.name].values


def test_a_pass_that_cannot_be_kept_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("no room")

    monkeypatch.setattr(ring, "make_snapshot", fail)
    stage.change_project(snapshots=KEPT)
    stage.push("dev-a")
    assert len(stage.plan()) == 1


def test_a_pass_that_decides_the_same_writes_none(stage: Stage) -> None:
    stage.change_project(snapshots=KEPT, previews={"delete_after": timedelta(days=14)})
    stage.push("dev-a")
    play(stage)
    assert stage.plan() == []
    count = len(read_kept(stage))
    store = stage.stores[stage.scope.fleet.name]
    store.written.clear()
    assert stage.plan() == []
    assert len(read_kept(stage)) == count
    assert not [key for key in store.written if key.startswith("control.snapshot")]
