"""Kept passes decided again, by whatever policy: what each did, and what it would have done. Pure, and offline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.passes.alternative import alter
from include.deploy_ops.core.passes.answer import Change, Steps, find_changes, list_steps, make_change
from include.deploy_ops.core.passes.decision import Decision, decide
from include.deploy_ops.core.passes.rules import Rules
from include.deploy_ops.core.passes.snapshot import Snapshot, name_policy, recall_states
from include.deploy_ops.core.text.plain import lay_table, write_items
from include.deploy_ops.core.text.schema import format_location

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.text.schema import Location


@dataclass(frozen=True, slots=True)
class Replayed:
    """One pass again. `changes` are where it would have decided otherwise than it did; `unknown` as in `Altered`.

    `is_same_policy`: the policy says of the project what it said then.
    """

    snapshot: Snapshot
    decision: Decision
    changes: tuple[Change, ...]
    unknown: tuple[str, ...]
    is_same_policy: bool
    then: Steps
    now: Steps


def replay(snapshot: Snapshot, project: Project, control_plane: str, targets: frozenset[str]) -> Replayed:
    """Decide a kept pass by this policy.

    :param targets: the targets' Deployments of all projects by this policy; where files of it could not be read then,
        those that were known count, too.
    """
    known = snapshot.targets if snapshot.new_name_ban else frozenset()
    rules = Rules(project, control_plane, targets | known, snapshot.new_name_ban)
    reading = replace(snapshot.facts.reading, targets=recall_states(snapshot, project))
    altered = alter(reading, snapshot.words, project)
    decision = decide(rules, replace(snapshot.facts, reading=altered.reading))
    then = list_steps(project, snapshot.plan, snapshot.due)
    now = list_steps(project, decision.plan, decision.due)
    return Replayed(
        snapshot,
        decision,
        find_changes(project, project, then, now),
        altered.unknown,
        snapshot.policy == name_policy(project),
        then,
        now,
    )


def render_replays(
    replays: Sequence[Replayed],
    only: str = "",
    tell: Callable[[Location], str] = format_location,
    show: Callable[[str], str] = str,
) -> str:
    """Return the table of all passes.

    :param only: an environment of which each pass is told, whether or not anything is otherwise there.
    :param show: what becomes of each cell, as where names are hashed.
    """
    rows = [tuple(map(show, row)) for each in replays for row in _list_rows(each, only, tell)]
    same = sum(not each.changes for each in replays)
    ours = sum(each.is_same_policy for each in replays)
    head = f"{_count(len(replays))}, of which {same} would have decided the same; {ours} of them by this very policy"
    unknown = sorted({line for each in replays for line in each.unknown})
    lines = [
        head,
        *(["", "Not known, since nobody read it then:", *write_items(map(show, unknown))] if unknown else []),
    ]
    if rows:
        lines += ["", lay_table(("pass, UTC", "environment", "it did", "by this policy", "why"), rows)]
    return "\n".join(lines)


def _count(number: int) -> str:
    return "1 pass" if number == 1 else f"{number} passes"


def _list_rows(replayed: Replayed, only: str, tell: Callable[[Location], str]) -> list[tuple[str, str, str, str, str]]:
    at = f"{replayed.snapshot.at:%Y-%m-%d %H:%M:%S}"
    changes = replayed.changes if not only else _list_all(replayed, only)
    return [
        (
            at,
            each.step.environment,
            each.today.said if each.today else "-",
            each.then.said if each.then else "-",
            "; ".join(filter(None, [each.step.reason, tell(each.step.rule) if each.step.rule else ""])),
        )
        for each in changes
    ]


def _list_all(replayed: Replayed, only: str) -> list[Change]:
    """Return all that was said of one environment, and would be."""
    keys = sorted(replayed.then.keys() | replayed.now.keys())
    found = [make_change(replayed.then.get(key), replayed.now.get(key)) for key in keys]
    return [each for each in found if only in {each.step.environment, each.step.slug}]
