"""Whether anything was done twice, got lost, or is left over, from what was pushed and what is there. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Deploys = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was pushed, and so has to be there.

    :param deploys: of each environment, the commits that were to be deployed to it, each once.
    :param gone: branches that were deleted.
    :param created: how many Deployments were to be made.
    """

    deploys: Deploys
    gone: frozenset[str]
    created: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is there when all is done.

    :param deployments: how many Deployments each branch has.
    :param deploys: the commits of each environment's deploys that came to their end.
    :param created: how many Deployments Astro was asked for, and made.
    :param open_runs: runs that have not ended.
    :param open_tasks: tasks of ended runs that have not.
    :param processes: commands that still run.
    """

    deployments: Mapping[str, int]
    deploys: Deploys
    created: int
    open_runs: Sequence[str] = ()
    open_tasks: Sequence[str] = ()
    processes: Sequence[str] = ()


def judge(wanted: Wanted, found: Found) -> list[str]:
    """Return what is wrong, each in words; nothing where all was done once."""
    branches = wanted.gone | set(found.deployments)
    wrong = [
        f"{branch} has {found.deployments.get(branch, 0)} Deployments instead of {int(branch not in wanted.gone)}"
        for branch in sorted(branches)
        if found.deployments.get(branch, 0) != int(branch not in wanted.gone)
    ]
    for environment, commits in wanted.deploys.items():
        done = Counter(found.deploys.get(environment, ()))
        wrong += [
            f"{commit[:12]} was deployed {done[commit]} times to {environment}"
            for commit in commits
            if done[commit] != 1
        ]
        wrong += [f"{commit[:12]}, which nobody pushed, is in {environment}" for commit in done.keys() - set(commits)]
    if found.created != wanted.created:
        wrong.append(f"{found.created} Deployments were made instead of {wanted.created}")
    for what, left in (("run", found.open_runs), ("task", found.open_tasks), ("process", found.processes)):
        wrong += [f"the {what} {each} is left" for each in left]
    return wrong


def tell_counts(wanted: Wanted, found: Found) -> str:
    """Return the counts of a round in which nothing is wrong, each beside what it has to be."""
    deploys = sum(map(len, wanted.deploys.values()))
    made = sum(len(found.deploys.get(environment, ())) for environment in wanted.deploys)
    live = sum(found.deployments.values())
    left = len(found.open_runs) + len(found.open_tasks) + len(found.processes)
    parts = (
        f"{found.created}/{wanted.created} made",
        f"{live}/{len(found.deployments)} Deployments",
        f"{made}/{deploys} deploys",
        f"{left} left",
    )
    return ", ".join(parts)
