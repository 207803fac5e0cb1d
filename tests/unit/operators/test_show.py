"""What a pass leaves to look at: a preview's row through its life, as page and feedback find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.feedback import digest_view
from include.deploy_ops.model import ChangeType
from include.deploy_ops.operators.memory import Memory, shard_row
from include.deploy_ops.view import Row, State
from tests.unit.feedback_examples import make_live
from tests.unit.operators.doubles import DictStore

if TYPE_CHECKING:
    from tests.unit.operators.stage import Stage

BRANCH = "dev-x"


def read_row(stage: Stage) -> Row:
    """Return the branch's row."""
    return stage.memory.read_rows()[BRANCH]


def settle(stage: Stage) -> None:
    """Make passes, and play the runs that they start, until nothing starts any more."""
    while runs := stage.plan():
        for run in runs:
            run.play()


def test_a_preview_is_shown_from_its_creation_to_its_end(stage: Stage) -> None:
    head = stage.push(BRANCH)
    (run,) = stage.plan()
    row = read_row(stage)
    assert (row.state, row.verb, row.run_id, row.head) == (State.DEPLOYING, "create", run.run_id, head)
    run.play()
    settle(stage)
    row = read_row(stage)
    assert (row.state, row.deployed, row.deployment_name) == (State.LIVE, head, "shop-dev-x")
    (outcome,) = row.outcomes
    assert (outcome.run_id, outcome.state, outcome.kind, outcome.commit) == (
        run.run_id,
        "success",
        ChangeType.IMAGE.value,
        head,
    )
    assert outcome.push_s > 0
    assert row.author == stage.author.git("log", "-1", "--format=%an", head)
    stage.author.delete(BRANCH)
    settle(stage)
    row = read_row(stage)
    assert (row.state, row.why, row.deployment_id) == (State.REMOVED, "the branch is gone", "")
    assert [each.verb for each in row.outcomes] == ["create", "delete"]


def test_a_failure_is_shown_with_its_cause(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.push_more(BRANCH, {"dags/typo.py": "load = (\n"})
    settle(stage)
    row = read_row(stage)
    assert row.state is State.FAILED
    assert "dags/typo.py" in row.why
    assert row.outcomes[-1].is_permanent
    assert "dags/typo.py" in row.outcomes[-1].cause


def test_the_summary_tells_which_shard_changed(stage: Stage) -> None:
    stage.plan()
    first, before = stage.memory.read_summary(), stage.memory.read_rows()
    stage.push(BRANCH)
    stage.plan()
    second = stage.memory.read_summary()
    assert first is not None
    assert second is not None
    shard = f"{shard_row(BRANCH):02x}"
    changed = {each for each, digest in second.digests.items() if first.digests.get(each) != digest}
    assert changed == {shard}
    assert set(second.digests) == {shard} | {f"{shard_row(slug):02x}" for slug in before}
    assert (second.live, second.max_live, second.repository) == (0, 20, "acme/data-platform")
    assert second.repository_url.endswith("/acme/data-platform")


def test_a_shard_that_became_empty_is_written_over_and_changes_what_is_to_be_told() -> None:
    store = DictStore()
    memory, row = Memory(store), make_live()
    key = f"{shard_row(row.slug):02x}"
    full = memory.write_rows({}, {row.slug: row})
    empty = memory.write_rows({row.slug: row}, {})
    assert (list(full), list(empty)) == ([key], [])
    assert store.get(f"view.rows.{key}") == {}
    assert digest_view(full, "p") != digest_view(empty, "p")


def test_a_pass_that_sees_nothing_new_writes_no_row(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    stage.plan()
    store = stage.stores[stage.scope.fleet.name]
    before = {key: value for key, value in store.values.items() if key.startswith("view.rows.")}
    stage.plan()
    assert {key: value for key, value in store.values.items() if key.startswith("view.rows.")} == before


def test_endings_are_read_again_after_a_crash_and_counted_once(stage: Stage) -> None:
    stage.push(BRANCH)
    settle(stage)
    kept = read_row(stage)
    summary = stage.memory.read_summary()
    assert summary is not None
    store = stage.stores[stage.scope.fleet.name]
    for key in [each for each in store.values if each.startswith("view.")]:
        store.delete(key)
    stage.plan()
    assert read_row(stage).outcomes == kept.outcomes
    stage.plan()
    assert read_row(stage).outcomes == kept.outcomes
