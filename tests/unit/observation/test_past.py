"""Branches whose previews are over cost a pass nothing, come back when they move, and are forgotten when they go."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.plan.remembered import Remembered, Removal
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.observation.past import FORGOTTEN_MAX, PastPreviews, find_past
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.scope import Scope
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, merged, sha

if TYPE_CHECKING:
    from collections.abc import Collection

    from include.deploy_ops.core.model import PullRequest

HEAD, OTHER = sha("a"), sha("b")


class CountedStore(DictStore):
    """Counts its calls and the bytes that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: Counter[str] = Counter()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value."""
        self.spent["calls"] += 1
        self.spent["bytes"] += len(json.dumps(self.values.get(key)))
        return super().get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write the value."""
        self.spent["calls"] += 1
        super().set(key, value, retention=retention)


@dataclass
class World:
    """A repository of branches, what is remembered, and passes over it.

    `removed` are the branches of which a pass finds, by asking what is remembered, that they get no preview.
    """

    heads: dict[str, str] = field(default_factory=dict)
    pulls: list[PullRequest] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    store: CountedStore = field(default_factory=CountedStore)
    project: Any = field(default_factory=make_project)

    @property
    def memory(self) -> Memory:
        return Memory(self.store)

    def look(self) -> PastPreviews:
        branches = (Branch("main", HEAD), *(Branch(name, head) for name, head in self.heads.items()))
        snapshot = RepositorySnapshot(branches, tuple(self.pulls))
        self.desired = derive_previews(self.project, snapshot)
        observed = Observed(tuple(make_deployment(name) for name in sorted(self.live)), {})
        scope = Scope(PLANE, is_dry=False, project=self.project, targets=frozenset())
        return find_past(scope, self.memory, self.desired, snapshot, observed)

    def run(self, shown: Collection[str] = (), dropped: Collection[str] = ()) -> set[str]:
        """Make a pass; return the names of what it looked at."""
        past = self.look()
        desired = past.leave_out(self.desired)
        ended = self.removed & desired.wanted.keys() - self.live
        past.note(self.memory, ended, set(map(slug_branch, shown)), set(map(slug_branch, dropped)), self.forget)
        return {*desired.wanted, *desired.ended}

    def forget(self, slug: str) -> bool:
        if slug in self.busy:
            return False
        self.memory.forget_environment(slug)
        return True


def make_world(count: int) -> World:
    """Return a world in which each second branch was merged, and the others are remembered as removed."""
    world = World({f"dev-{number}": HEAD for number in range(count)})
    world.pulls = [merged(make_pull(number + 1, f"dev-{number}", HEAD)) for number in range(0, count, 2)]
    world.removed = {f"dev-{number}" for number in range(1, count, 2)}
    for name in world.removed:
        world.memory.environment(name).write(Remembered(removal=Removal(HEAD, "idle")))
    return world


def test_what_is_over_is_left_out_from_the_next_pass_on() -> None:
    world = make_world(10)
    assert world.run() == world.heads.keys()
    assert world.run() == set()
    world.pulls.clear()  # merged pull requests of what is over are not kept
    assert world.run() == set()


def test_a_quiet_pass_costs_the_same_whatever_is_over() -> None:
    spent = []
    for count in (10, 1_000, 5_000):
        world = make_world(count)
        world.live.add("dev-live")
        world.heads["dev-live"] = HEAD
        world.run()
        world.store.spent.clear()
        assert world.run() == {"dev-live"}
        spent.append(dict(world.store.spent))
        assert max(len(json.dumps(value)) for value in world.store.values.values()) < 48 * 1024
    assert [each["calls"] for each in spent] == [1, 1, 1]
    assert max(each["bytes"] for each in spent) < 700


def test_one_that_moves_is_looked_at_again_and_costs_its_shard() -> None:
    world = make_world(1_000)
    world.run()
    world.heads["dev-7"] = OTHER
    world.removed.discard("dev-7")
    world.store.spent.clear()
    assert world.run() == {"dev-7"}
    assert world.store.spent["calls"] <= 5
    assert world.run() == {"dev-7"}


def test_one_that_is_spoken_of_is_looked_at_as_long_as_somebody_does() -> None:
    world = make_world(4)
    world.run()
    world.pulls.append(make_pull(9, "dev-1", HEAD))
    assert world.run() == {"dev-1"}
    world.pulls.append(make_pull(10, "dev-3", HEAD, head_repo_id=99))  # a fork's branch of that name is another
    assert world.run() == {"dev-1"}
    world.pulls.clear()
    world.removed.add("dev-1")
    world.run()
    assert world.run() == set()


def test_one_that_was_forced_and_lost_its_deployment_by_hand_is_due_again() -> None:
    world = make_world(2)
    world.run()
    world.live.add("dev-1")
    world.removed.discard("dev-1")
    assert world.run(shown={"dev-1"}) == {"dev-1"}
    world.live.clear()
    assert world.run(shown={"dev-1"}) == {"dev-1"}


def test_other_rules_about_merges_have_everything_looked_at() -> None:
    world = make_world(4)
    world.run()
    world.project = make_project(previews={"merged_into": ("release",)})
    assert world.run() == world.heads.keys()


@pytest.mark.parametrize("damage", ["shard", "digests"])
def test_notes_that_cannot_be_read_have_everything_looked_at(damage: str) -> None:
    world = make_world(4)
    world.run()
    for key in list(world.store.values):
        if key.startswith("control.past") and (key == "control.past") == (damage == "digests"):
            world.store.values[key] = {"version": 1, "value": 7}
    if damage == "shard":  # believed by its digest, and found out as soon as something of it moves
        assert world.run() == set()
        world.heads = dict.fromkeys(world.heads, OTHER)
    assert world.run() == world.heads.keys()


def test_what_is_remembered_of_a_branch_that_goes_is_forgotten() -> None:
    world = make_world(8)
    world.run()
    for name in world.heads:
        world.memory.environment(name).write(Remembered(removal=Removal(HEAD, "idle")))
    world.busy.add("dev-3")
    gone = {"dev-1", "dev-2", "dev-3"}
    for name in gone:
        del world.heads[name]
    world.run()
    left = {key.split(".")[1] for key in world.store.values if key.startswith("environment.")}
    assert left == {*world.heads, "dev-3"}
    world.busy.clear()
    world.run()
    assert "environment.dev-3.remembered" not in world.store.values


def test_one_that_is_shown_is_forgotten_when_it_is_shown_no_more() -> None:
    world = make_world(2)
    world.run()
    del world.heads["dev-1"]
    world.run(shown={"dev-1"})
    assert "environment.dev-1.remembered" in world.store.values
    world.run(dropped={"dev-1"})
    assert "environment.dev-1.remembered" not in world.store.values


def test_one_that_is_shown_no_more_and_matches_no_more_is_forgotten_with_its_branch() -> None:
    world = World({"dev-1": HEAD})
    world.project = make_project(previews={"branches": ("feature*",)})
    world.memory.environment("dev-1").write(Remembered(removal=Removal(HEAD, "idle")))
    world.run(dropped={"dev-1"})
    world.run()
    assert "environment.dev-1.remembered" in world.store.values
    world.heads.clear()
    world.run()
    assert "environment.dev-1.remembered" not in world.store.values


def test_a_pass_forgets_only_so_many_and_the_next_ones_go_on() -> None:
    count = 2 * FORGOTTEN_MAX + 5
    world = make_world(2 * count)
    world.run()
    world.heads.clear()
    left = []
    for _ in range(5):
        world.run()
        left.append(sum(key.startswith("environment.") for key in world.store.values))
    assert left[-1] == 0
    assert max(before - after for before, after in zip([count, *left], left, strict=False)) <= FORGOTTEN_MAX


def test_a_merge_of_another_head_ends_nothing() -> None:
    world = World({"dev-1": OTHER}, [merged(make_pull(1, "dev-1", HEAD))])
    assert world.run() == {"dev-1"}
    assert world.run() == {"dev-1"}
    world.pulls = [replace(world.pulls[0], head_sha=OTHER)]
    world.run()
    assert world.run() == set()
