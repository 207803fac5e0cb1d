"""The pure path of a pass: derive what should be, compare it with what is, schedule; seconds and peak memory.

Every world is measured in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.memory import read_resident_mb
from bench.table import print_table
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, Deployment, PullRequest
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Ending, Remembered
from include.deploy_ops.core.plan.schedule import Circumstances, schedule
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from tests.worlds.values.examples import FINGERPRINT, PLANE, make_deployment, make_mark, make_project, make_pull, merged

if TYPE_CHECKING:
    from include.deploy_ops.core.plan.work import Difference
    from include.deploy_ops.core.policy.keys import Project

WORLDS = (("usual", 1_000), ("usual", 10_000), ("usual", 20_000), ("upheaval", 10_000))
"""The day and its branches; there are half as many Deployments and as many pull requests."""

REPEATS = 5
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
POLICY = "0123456789ab"


def main() -> None:
    """Measure every size and print the table."""
    rows = []
    for day, size in WORLDS:
        argv = [sys.executable, "-m", "bench.planner", day, str(size)]
        done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(make_row(day, json.loads(done.stdout)))
    columns = (
        "day",
        "branches",
        "Deployments",
        "pull requests",
        "start + held",
        "derive",
        "compare",
        "schedule",
        "together",
    )
    print_table("Planning a pass", (*columns, "peak memory", "imports", "the world"), rows)


def make_row(day: str, found: dict[str, Any]) -> list[str]:
    """Return the table's row of one world."""
    seconds = [found[step] for step in ("derive_s", "compare_s", "schedule_s")]
    memory = [found[name] for name in ("peak_mb", "imports_mb", "world_mb")]
    return [
        day,
        *(f"{found[name]:,}" for name in ("branches", "deployments", "pulls")),
        f"{found['actions']:,} + {found['holds']:,}",
        *(f"{each:.3f} s" for each in (*seconds, sum(seconds))),
        *(f"{each:.0f} MB" for each in memory),
    ]


def measure(day: str, size: int) -> dict[str, Any]:
    """Plan in this process; return the medians of the steps' seconds, how much there was, and where the memory went."""
    imports_mb = read_resident_mb()
    world = make_world(day, size)
    world_mb = read_resident_mb() - imports_mb
    passes = [plan(world) for _ in range(REPEATS)]
    return {
        **{name: statistics.median(each[name] for each in passes) for name in passes[0]},
        "branches": len(world.branches),
        "deployments": len(world.deployments),
        "pulls": len(world.pulls),
        "imports_mb": imports_mb,
        "world_mb": world_mb,
        "peak_mb": read_resident_mb(peak=True),
    }


def plan(world: World) -> dict[str, float]:
    """Plan once, as the plan step does; return each step's seconds, and how much starts and is held."""
    snapshot = RepositorySnapshot(tuple(world.branches), tuple(world.pulls))
    observed = Observed(tuple(world.deployments), world.histories)
    times = [time.perf_counter()]
    desired = derive_previews(world.project, snapshot)
    times.append(time.perf_counter())
    difference = compare(
        world.project,
        control_plane=PLANE,
        policy=POLICY,
        targets=frozenset(),
        desired=desired,
        observed=observed,
        template=TemplateState(FINGERPRINT, {}, {}),
    )
    times.append(time.perf_counter())
    given = make_circumstances(difference)
    times.append(time.perf_counter())
    found = schedule(difference, given, world.project.limits, max_live=difference.live + 100)
    times.append(time.perf_counter())
    return {
        "derive_s": times[1] - times[0],
        "compare_s": times[2] - times[1],
        "schedule_s": times[4] - times[3],
        "actions": len(found.actions),
        "holds": len(found.holds),
    }


@dataclass
class World:
    """A repository and a workspace."""

    project: Project = field(default_factory=make_project)
    branches: list[Branch] = field(default_factory=lambda: [Branch("main", hash_text("main", 40))])
    pulls: list[PullRequest] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    histories: dict[str, DeployHistory] = field(default_factory=dict)

    def add_branch(self, name: str, *, is_merged: bool = False) -> Branch:
        """Add a branch and its pull request."""
        branch = Branch(name, hash_text(name, 40))
        self.branches.append(branch)
        pull = make_pull(len(self.pulls) + 1, branch.name, branch.head)
        self.pulls.append(merged(pull) if is_merged else pull)
        return branch

    def add_preview(self, branch: str, commit: str, *, template: str = FINGERPRINT, stranger: str = "") -> None:
        """Add a branch's preview, which runs the commit."""
        deployment = make_deployment(branch, make_mark(branch, template))
        self.deployments.append(deployment)
        self.histories[deployment.id] = DeployHistory(hash_text(branch, 24), commit, commit, commit, stranger)


def add_in_sync(world: World, name: str) -> None:
    """Add a preview that runs its branch's head."""
    world.add_preview(name, world.add_branch(name).head)


def add_pushed(world: World, name: str) -> None:
    """Add a preview whose branch moved."""
    world.add_branch(name)
    world.add_preview(name, hash_text("before", 40))


def add_outdated(world: World, name: str) -> None:
    """Add a preview of an older template."""
    world.add_preview(name, world.add_branch(name).head, template="abcdef012345")


def add_overridden(world: World, name: str) -> None:
    """Add a preview that somebody else deployed."""
    world.add_preview(name, world.add_branch(name).head, stranger="somebody else's deploy")


def add_merged(world: World, name: str) -> None:
    """Add a preview whose branch was merged."""
    world.add_preview(name, world.add_branch(name, is_merged=True).head)


def add_gone(world: World, name: str) -> None:
    """Add a preview whose branch is gone, and a branch outside the policy, which keeps the numbers round."""
    world.add_branch(f"feature/{name}")
    world.add_preview(name, hash_text("before", 40))


def add_foreign(world: World, name: str) -> None:
    """Add another control plane's Deployment, and a branch outside the policy."""
    world.add_branch(f"feature/{name}")
    world.deployments.append(make_deployment(name, make_mark(name, control_plane="acme-other")))


def add_new(world: World, name: str) -> None:
    """Add a branch that has no preview yet."""
    world.add_branch(name)


def add_left_over(world: World, name: str) -> None:
    """Add a branch that was merged, lost its preview and was never deleted."""
    world.add_branch(name, is_merged=True)


USUAL = {
    add_in_sync: 43,
    add_pushed: 1,
    add_outdated: 1,
    add_overridden: 1,
    add_merged: 1,
    add_gone: 1,
    add_foreign: 2,
    add_new: 2,
    add_left_over: 48,
}
"""How many of a hundred branches are in each situation on a usual day."""

UPHEAVAL = {add_gone: 50, add_new: 50}
"""The same when nothing is as it was: every preview lost its branch, every other branch is new."""

SHARES = {"usual": USUAL, "upheaval": UPHEAVAL}


def make_world(day: str, size: int) -> World:
    """Return a world of so many branches, and half as many Deployments."""
    world = World()
    deck = [add for add, share in SHARES[day].items() for _ in range(share)]
    for number in range(size):
        deck[number % len(deck)](world, f"dev/team-{number % 40}/ticket-{number}")
    return world


def make_circumstances(difference: Difference) -> Circumstances:
    """Return what is remembered: of each piece of work an older attempt; a tenth is at work, another waits."""
    works = difference.works
    endings = [
        Ending(work.name, NOW - timedelta(minutes=number % 10), is_failure=True) for number, work in enumerate(works)
    ]
    return Circumstances(
        now=NOW,
        policy=POLICY,
        in_flight={work.branch: f"{work.name}~1" for work in works[::10]},
        remembered={
            work.branch: Remembered({work.verb.value: ending}) for work, ending in zip(works, endings, strict=True)
        },
        finished={work.name: 1 for work in works},
        committed_at={work.head: NOW for work in works},
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
