"""A preview that is not to be made after all takes no room from others, and is asked about once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from include.deploy_ops.core.model import Branch, PullRequest
from include.deploy_ops.core.plan.schedule import Circumstances, schedule
from include.deploy_ops.core.plan.work import Difference, HoldKind, Plan, Verb, Work
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.observation.creates import GONE_FOR, REJECTED_MAX, CreateCheck
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_project, make_pull, merged, sha
from tests.worlds.values.works import make_work

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Github:
    """A GitHub that answers by name alone, and counts who was asked for."""

    heads: dict[str, str]
    pulls: dict[str, list[PullRequest]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def find_branch_beside(self, name: str, trunk: str) -> Branch | None:
        self.asked.append(name)
        return Branch(name, self.heads[name]) if name in self.heads else None

    def list_pull_requests_from(self, branch: str) -> tuple[PullRequest, ...]:
        return tuple(self.pulls.get(branch, ()))


@dataclass
class World:
    """Branches without a preview, some of which were merged before anybody looked."""

    github: Github
    project: Project = field(default_factory=make_project)
    memory: Memory = field(default_factory=lambda: Memory(DictStore()))
    known: tuple[PullRequest, ...] = ()
    now: datetime = NOW

    def list_works(self) -> list[Work]:
        return [make_work(name, Verb.CREATE, head) for name, head in LISTED.items()]

    def plan(self, works: list[Work], max_live: int = 1) -> Plan:
        """Make one pass as control does, whose newest heads come first."""
        difference = Difference(tuple(works), (), 0)
        scope: Any = SimpleNamespace(project=self.project)
        github: Any = self.github
        self.github.asked.clear()
        check = CreateCheck(scope, github, self.memory, RepositorySnapshot((), self.known), difference, self.now)
        ages = {work.head: self.now - timedelta(minutes=number) for number, work in enumerate(works, 1)}
        given = Circumstances(now=self.now, policy="p", committed_at=ages)
        while True:
            plan = schedule(check.hold_rejected(difference), given, self.project.limits, max_live)
            if not check.check(plan):
                return check.defer_unasked(plan)


LISTED = {"dev-old": sha("a"), "dev-\ufffd": sha("c"), "dev-x": sha("b")}


def make_world() -> World:
    old = merged(make_pull(7, "dev-old", sha("a")))
    return World(Github({"dev-old": sha("a"), "dev-x": sha("b")}, {"dev-old": [old]}))


def list_started(plan: Plan) -> list[str]:
    return [action.work.branch for action in plan.actions]


def test_the_room_of_what_is_rejected_goes_to_the_next() -> None:
    world = make_world()
    plan = world.plan(world.list_works())
    assert list_started(plan) == ["dev-x"]
    assert {(hold.environment, hold.reason, hold.kind) for hold in plan.holds} == {
        ("dev-old", "pull request #7 was merged into main, at this head", HoldKind.ENDED),
        ("dev-\ufffd", "the branch is gone, at this head", HoldKind.ENDED),
    }


def test_what_was_rejected_is_not_asked_about_again_until_something_moves() -> None:
    world = make_world()
    first = world.plan(world.list_works())
    assert world.github.asked == ["dev-old", "dev-\ufffd", "dev-x"]
    assert world.plan(world.list_works()) == first
    assert world.github.asked == ["dev-x"]
    world.now += GONE_FOR
    world.plan(world.list_works())
    assert world.github.asked == ["dev-\ufffd", "dev-x"], "a listing may have been late"
    world.github.heads["dev-old"] = sha("d")
    moved = make_work("dev-old", Verb.CREATE, sha("d"))
    assert list_started(world.plan([moved, *world.list_works()[1:]])) == ["dev-old"]


def test_a_pull_request_that_is_opened_from_a_merged_head_makes_it_wanted() -> None:
    world = make_world()
    world.plan(world.list_works())
    opened = make_pull(8, "dev-old", sha("a"))
    world.github.pulls["dev-old"].append(opened)
    world.known = (opened,)
    assert list_started(world.plan(world.list_works())) == ["dev-old"]


def test_a_head_that_moved_since_the_listing_is_rejected_for_this_pass_alone() -> None:
    world = make_world()
    world.github.heads["dev-old"] = sha("e")
    world.github.pulls["dev-old"] = [merged(make_pull(7, "dev-old", sha("e")))]
    assert list_started(world.plan(world.list_works())) == ["dev-x"]
    world.github.heads["dev-old"] = sha("a")
    assert list_started(world.plan(world.list_works())) == ["dev-old"]


def test_a_pass_asks_about_so_many_and_the_next_goes_on() -> None:
    names = [f"dev-{number:03}" for number in range(REJECTED_MAX + 5)]
    world = World(Github({"dev-x": sha("b")}))
    works = [make_work(name, Verb.CREATE, sha("a")) for name in [*names, "dev-x"]]
    first = world.plan(works, max_live=10)
    assert list_started(first) == []
    assert len(world.github.asked) == REJECTED_MAX
    assert {hold.reason for hold in first.holds if hold.kind is HoldKind.WAITING} == {
        f"{REJECTED_MAX} others were found to be over; the next pass goes on"
    }
    assert list_started(world.plan(works, max_live=10)) == ["dev-x"]
    assert len(world.github.asked) == 6


def test_what_needs_no_preview_any_more_is_forgotten() -> None:
    world = make_world()
    world.plan(world.list_works())
    assert len(world.memory.rejections.read()) == 2
    world.plan([])
    assert len(world.memory.rejections.read()) == 2, "no create is due, so nothing was read"
    world.plan(world.list_works()[2:])
    assert world.memory.rejections.read() == {}
