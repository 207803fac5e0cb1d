"""What a pass read + the policy → the difference and the plan. Pure: the same values give the same plan at any time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import compare_expiry
from include.deploy_ops.core.naming import slug_branch, slug_target
from include.deploy_ops.core.passes.reading import Bar, PassFacts, Reading
from include.deploy_ops.core.passes.rules import Rules
from include.deploy_ops.core.plan.schedule import schedule
from include.deploy_ops.core.plan.work import Action, Difference, Hold, Plan, Work
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import DesiredPreviews, derive_previews
from include.deploy_ops.core.promotion.comparison import compare_promotion
from include.deploy_ops.core.target.comparison import TargetState, compare_target
from include.deploy_ops.core.template.drift import Drifted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

NO_PREVIEWS = Difference((), (), 0)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a pass comes to: `difference` is all that is due and held, `plan` what of it starts now."""

    difference: Difference
    plan: Plan

    @property
    def due(self) -> frozenset[tuple[str, str]]:
        """What is due, whether it starts now or later, by slug and verb."""
        return frozenset((work.slug, work.verb.value) for work in self.difference.works)


def decide(rules: Rules, facts: PassFacts) -> Decision:
    """Decide the pass that read this, at the time at which it did, by these rules."""
    compared = compare_all(rules, facts.reading, facts.given.now)
    difference = apply_bars(compared, facts.bars)
    given = replace(facts.given, policy=rules.policy)
    plan = schedule(difference, given, rules.project.limits, rules.max_live)
    return Decision(difference, _defer(plan, facts.bars))


def compare_all(rules: Rules, reading: Reading, now: datetime) -> Difference:
    """Return what is due and what is held, of previews, targets and the deploy branch."""
    desired = derive_desired(rules, reading)
    previews = _compare_previews(rules, reading, desired)
    found = [
        *_compare_expiry(rules, reading, desired, now),
        *_compare_targets(rules, reading),
        *_compare_promotion(rules, reading),
    ]
    works = tuple(each for each in found if isinstance(each, Work))
    holds = tuple(each for each in found if not isinstance(each, Work))
    drift = [Drifted(slug_target(each.name), each.name, each.drift) for each in reading.targets if each.drift]
    return replace(
        previews,
        works=(*previews.works, *works),
        holds=(*previews.holds, *holds),
        drift=(*previews.drift, *drift),
        notes=(*previews.notes, *_tell_unknown(reading.targets)),
    )


def _tell_unknown(targets: Iterable[TargetState]) -> Iterator[str]:
    """Yield of which targets nobody knows whether they differ from their templates, and why."""
    for each in targets:
        if each.drift_problem:
            yield f"whether {each.name} differs in Astro from its template is not known: {each.drift_problem}"


def derive_desired(rules: Rules, reading: Reading) -> DesiredPreviews | None:
    """Return which previews should exist, without what is over; None without previews in the policy."""
    if rules.project.previews is None:
        return None
    desired = derive_previews(rules.project, reading.snapshot)
    if not reading.over:
        return desired
    return replace(
        desired,
        wanted={name: each for name, each in desired.wanted.items() if slug_branch(name) not in reading.over},
        ended={name: each for name, each in desired.ended.items() if slug_branch(name) not in reading.over},
    )


def _compare_previews(rules: Rules, reading: Reading, desired: DesiredPreviews | None) -> Difference:
    if desired is None or reading.template is None:
        return NO_PREVIEWS
    return compare(
        rules.project,
        control_plane=rules.control_plane,
        policy=rules.policy,
        targets=rules.targets,
        desired=desired,
        observed=reading.observed,
        template=replace(reading.template, guard=rules.new_name_ban or reading.template.guard),
    )


def _compare_expiry(
    rules: Rules, reading: Reading, desired: DesiredPreviews | None, now: datetime
) -> Iterable[Work | Hold]:
    if desired is None or reading.expiry is None or not reading.expiry.verdicts:
        return ()
    return compare_expiry(
        rules.project,
        control_plane=rules.control_plane,
        targets=rules.targets,
        desired=desired,
        observed=reading.observed,
        facts=reading.expiry,
        now=now,
    )


def _compare_targets(rules: Rules, reading: Reading) -> Iterator[Work | Hold]:
    for state in reading.targets:
        if (found := compare_target(state, rules.project.name, rules.policy)) is not None:
            yield found


def _compare_promotion(rules: Rules, reading: Reading) -> Iterator[Work | Hold]:
    if (found := compare_promotion(rules.project, reading.snapshot, reading.promoted)) is not None:
        yield found


def find_bars(before: Difference, after: Difference) -> tuple[Bar, ...]:
    """Return what took work out of the difference between the two, with the hold that stands in its place."""
    left, known = set(after.works), set(before.holds)
    added = {(hold.home, hold.what): hold for hold in after.holds if hold not in known}
    gone = (work for work in before.works if work not in left)
    return tuple(
        Bar(work.slug, work.verb.value, work.head, hold)
        for work in gone
        if (hold := added.get((work.slug, work.verb.value))) is not None
    )


def find_late_bars(before: Plan, after: Plan) -> tuple[Bar, ...]:
    """Return likewise what was taken out of a plan."""
    left, known = set(after.actions), set(before.holds)
    added = {(hold.home, hold.what): hold for hold in after.holds if hold not in known}
    gone = (action.work for action in before.actions if action not in left)
    return tuple(
        Bar(work.slug, work.verb.value, work.head, hold, is_late=True)
        for work in gone
        if (hold := added.get((work.slug, work.verb.value))) is not None
    )


def apply_bars(difference: Difference, bars: Iterable[Bar]) -> Difference:
    """Return the difference in which what is barred is held."""
    known = {(bar.slug, bar.verb, bar.head): bar.hold for bar in bars if not bar.is_late}
    found = {work: known.get((work.slug, work.verb.value, work.head)) for work in difference.works}
    works = tuple(work for work, hold in found.items() if hold is None)
    return replace(difference, works=works, holds=(*difference.holds, *filter(None, found.values())))


def _defer(plan: Plan, bars: Iterable[Bar]) -> Plan:
    known = {(bar.slug, bar.verb, bar.head): bar.hold for bar in bars if bar.is_late}
    if not known:
        return plan
    found = {action: known.get(_name(action)) for action in plan.actions}
    actions = tuple(action for action, hold in found.items() if hold is None)
    return replace(plan, actions=actions, holds=(*plan.holds, *filter(None, found.values())))


def _name(action: Action) -> tuple[str, str, str]:
    return action.work.slug, action.work.verb.value, action.work.head
