"""Whoever pushes may nest folders without end, of which nothing counts: a pass reads so many, and the next goes on."""

from __future__ import annotations

from include.deploy_ops.core.change.change_type import CONCERNED_FOLDERS_MAX
from include.deploy_ops.core.plan.work import Verb, Work
from include.deploy_ops.observation.concerns import TREES_MAX, UNCHANGED
from tests.unit.observation.test_concerns import START, World
from tests.worlds.values.works import make_work

BRANCHES = 30


def push_nested(world: World, number: int, depth: int) -> Work:
    """Return what is due at a branch that changes an ignored file in each of so many folders in one another."""
    files = {f"etl/{'/'.join(['x'] * level)}/a.md": f"{number}" for level in range(1, depth + 1)}
    return make_work(f"dev-{number:02}", Verb.CREATE, world.github.commit(f"nested {number}", {**START, **files}))


def count_trees(world: World) -> int:
    """Return how many folders the last pass read."""
    return sum(name.startswith("tree ") for name in world.github.asked)


def test_a_branch_that_nests_folders_without_end_is_not_looked_through() -> None:
    world = World()
    deep = push_nested(world, 0, CONCERNED_FOLDERS_MAX * 3)
    assert world.check(deep).works == (deep,), "what is not looked through gets its preview, as it did before"
    assert count_trees(world) <= 2 * CONCERNED_FOLDERS_MAX + 4


def test_many_of_them_spend_a_bounded_part_of_the_quota_and_each_pass_gets_on() -> None:
    world = World()
    works = [push_nested(world, number, CONCERNED_FOLDERS_MAX - 10) for number in range(BRANCHES)]
    known = 0
    for _ in range(BRANCHES):
        found = world.check(*works)
        assert count_trees(world) <= TREES_MAX + 2 * CONCERNED_FOLDERS_MAX + 4
        decided = sum(hold.reason == UNCHANGED for hold in found.holds)
        assert decided > known
        known = decided
        if known == BRANCHES:
            break
    assert known == BRANCHES
