"""Which environments the change of a merged pull request has reached, by the commits that a pass sees anyway. Pure.

Asks nobody. What no pass sees at the right moment is told with the next release that holds it; nothing is told that no
pass saw.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.view.row import Followed, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.core.policy.keys import Project, Target
    from include.deploy_ops.core.target.comparison import TargetState
    from include.deploy_ops.core.view.pass_record import PassRecord

FOLLOWED_FOR = timedelta(days=30)
"""How long a merged pull request is followed, counted from its last change on GitHub."""

TIPS_MAX = 20
"""Former tips of the deploy branch of which it is known what they hold: a release takes a while."""

DIGITS = 12
"""Digits of a commit by which rows tell what an environment holds."""


def follow_merged(record: PassRecord, targets: Iterable[Row], deploy_branch: Row | None) -> list[Row]:
    """Return the rows of targets and of the deploy branch with the merged pull requests that they have, or will get."""
    since = f"{record.now - FOLLOWED_FOR:%Y-%m-%dT%H:%M:%SZ}"
    merged = [pull for pull in record.snapshot.merged if pull.updated_at >= since]
    if deploy_branch is not None:
        deploy_branch = _follow_to_deploy_branch(record, deploy_branch, merged)
    held = _list_held(record, merged, deploy_branch)
    states = {slug_target(each.name): each for each in record.targets}
    rows = [_follow_to_target(record, row, states[row.slug], merged, held) for row in targets]
    return [*rows, *([deploy_branch] if deploy_branch else [])]


def _is_release(record: PassRecord, pull: PullRequest) -> bool:
    """Whether it brings one of the project's own branches on, and no branch of somebody's work."""
    return pull.head_ref in record.project.named_branches


def _follow_to_deploy_branch(record: PassRecord, row: Row, pulls: Iterable[PullRequest]) -> Row:
    """Return its row: it has what it had when that was merged, and whatever a promotion that began later found."""
    promotion = record.project.promotion
    coming = [pull for pull in pulls if promotion is not None and pull.base_ref == promotion.into]
    told = [each for each in record.ended if each.promoted is not None]
    newest = max((each.outcome.at - timedelta(seconds=each.outcome.seconds) for each in told), default=None)
    before = record.before.get(row.slug)
    carried = dict(before.carried) if before is not None else {}
    carried |= {pull: head[:DIGITS] for each in told[-1:] for pull, head in (each.promoted or {}).items()}
    found = []
    for entry in _begin(record, row, coming):
        is_there = carried.get(entry.pull) == entry.head or (newest is not None and newest >= entry.at)
        found.append(_arrive(record, row, entry) if is_there else entry)
    tips = before.tips if before is not None else ()
    tip = row.head[:DIGITS]
    return replace(row, followed=tuple(found), tips=tips if tip in tips or not tip else (*tips, tip)[-TIPS_MAX:])


def _list_held(record: PassRecord, merged: Sequence[PullRequest], deploy_branch: Row | None) -> Mapping[str, set[int]]:
    """Return which merged pull requests the commits hold that targets may run, by the commits' first digits."""
    held: defaultdict[str, set[int]] = defaultdict(set)
    tips = {pull.number: record.heads.get(pull.base_ref, "")[:DIGITS] for pull in merged}
    for pull in merged:  # pull requests are read before branches: the tip is at least as new
        held[tips[pull.number]].add(pull.number)
    if deploy_branch is not None:
        place = {tip: number for number, tip in enumerate(deploy_branch.tips)}
        there = [each for each in deploy_branch.followed if each.commit]
        for tip, number in place.items():
            held[tip] |= {each.pull for each in there if place.get(each.commit[:DIGITS], -1) <= number}
    for release in merged:  # also one that a person merged brings what its head holds
        if _is_release(record, release):
            held[tips[release.number]] |= held.get(release.head_sha[:DIGITS], set())
    held.pop("", None)
    return held


def _follow_to_target(
    record: PassRecord,
    row: Row,
    state: TargetState,
    merged: Sequence[PullRequest],
    held: Mapping[str, set[int]],
) -> Row:
    """Return its row: it has what the commit holds that it runs, and what the base holds onto which that was merged."""
    before = record.before.get(row.slug)
    carried = dict(before.carried) if before is not None and before.deployed == row.deployed else {}
    there = {pull for sha in (row.deployed, state.deployed_base) if sha for pull in held.get(sha[:DIGITS], ())}
    bases = _list_bases(record.project, state.target)
    found = []
    for entry in _begin(record, row, (pull for pull in merged if pull.base_ref in bases)):
        is_there = entry.pull in there or carried.get(entry.pull) == entry.head
        found.append(_arrive(record, row, entry) if is_there else entry)
    release = state.target.pull_request
    ways = {(release.source, release.into)} if release is not None else set()
    numbers = sorted(pull.number for pull in merged if (pull.head_ref, pull.base_ref) in ways)
    return replace(row, followed=tuple(found), merged=tuple(numbers))


def _list_bases(project: Project, target: Target) -> set[str]:
    """Return the branches from which a merge finds its way to the target."""
    promotion = project.promotion
    is_fed = promotion is not None and not target.branches.isdisjoint({promotion.deploy_branch, project.trunk})
    return {*target.branches, *([promotion.into] if promotion is not None and is_fed else [])}


def _begin(record: PassRecord, row: Row, pulls: Iterable[PullRequest]) -> Iterable[Followed]:
    """Yield what is known in this environment of the pull requests of somebody's work, in order of number."""
    before = record.before.get(row.slug)
    known = {each.pull: each for each in before.followed} if before is not None else {}
    for pull in sorted((each for each in pulls if not _is_release(record, each)), key=lambda each: each.number):
        yield known.get(pull.number) or Followed(pull.number, pull.head_sha[:DIGITS], record.now)


def _arrive(record: PassRecord, row: Row, entry: Followed) -> Followed:
    """Return it as there, if it was not before: what was seen first stays as it is."""
    if entry.commit or not row.deployed:
        return entry
    return replace(entry, commit=row.deployed, at=row.deployed_at or record.now)
