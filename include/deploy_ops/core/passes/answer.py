"""Two decisions about one pass, today's and another one → what would become otherwise, with numbers first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.passes.why import describe_match, find_rule
from include.deploy_ops.core.plan.work import HoldKind, Verb
from include.deploy_ops.core.text.markdown import describe_span
from include.deploy_ops.core.text.plain import lay_table, write_items
from include.deploy_ops.core.text.schema import Location, format_location

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from include.deploy_ops.core.cleanup.expiry import Expiry
    from include.deploy_ops.core.plan.work import Plan
    from include.deploy_ops.core.policy.keys import Project

STEPS_SHOWN = 200
"""Environments that the table names."""

START, LATER, HELD = "starts", "later", "held"
_COMES = frozenset({HoldKind.WAITING, HoldKind.FLIGHT, HoldKind.FROZEN, HoldKind.FAILING})
"""Holds of work that comes all the same: room, a turn, a time, or a person who lets go on what is frozen."""

_WORDS = {
    Verb.CREATE: "create",
    Verb.DELETE: "delete",
    Verb.HIBERNATE: "let hibernate",
    Verb.DEPLOY: "redeploy",
    Verb.UPDATE: "update",
    Verb.REQUEST: "ask for",
    Verb.MERGE: "merge",
    Verb.PROMOTE: "promote",
}
_PLURALS = {"preview": "previews", "target": "targets", "deploy branch": "deploy branches"}


@dataclass(frozen=True, slots=True)
class Step:
    """What a decision says of one environment and verb. `when` is one of "starts", "later", "held"."""

    environment: str
    slug: str
    what: str
    when: str
    reason: str
    rule: Location

    @property
    def is_coming(self) -> bool:
        """Whether it is done, now or later."""
        return self.when != HELD

    @property
    def said(self) -> str:
        """What it says in a cell."""
        return f"{self.what}, {self.when}" if self.is_coming else f"held: {self.reason}"


Steps = Mapping[tuple[str, str], Step]
"""What is said by environment (slug) and verb."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is otherwise at one environment; None where nothing is to be done there. `step` tells why."""

    today: Step | None
    then: Step | None
    step: Step
    cause: str = ""


def make_change(today: Step | None, then: Step | None) -> Change:
    """Return the change, with the step that tells why: what holds work back, where one of the two starts it."""
    is_freed = then is not None and then.when == START and today is not None
    step = today if is_freed else then or today
    if step is None:
        raise ValueError("nothing is said of it on either side")
    return Change(today, then, step)


def list_steps(project: Project, plan: Plan, due: Container[tuple[str, str]]) -> Steps:
    """Return all that a plan says.

    :param due: what is due, by slug and verb: of that a hold may be one that ends by itself.
    """
    steps: dict[tuple[str, str], Step] = {}
    for work in (action.work for action in plan.actions):
        key = work.slug, work.verb.value
        steps[key] = Step(work.environment, *key, START, work.reason, find_rule(project, work))
    for hold in plan.holds:
        key = hold.home, hold.what
        when = LATER if hold.kind in _COMES and key in due else HELD
        steps.setdefault(key, Step(hold.environment, *key, when, hold.reason, find_rule(project, hold)))
    return steps


def list_expiry(expiry: Expiry | None) -> Steps:
    """Return what cleanup would decide of its own, beside what it decided before."""
    steps: dict[tuple[str, str], Step] = {}
    if expiry is None:
        return steps
    for verdict in expiry.verdicts.values():
        if verdict.deployment_id in expiry.fresh:
            slug = slug_branch(verdict.branch)
            rule: Location = ("previews", f"{verdict.verb}_after")
            reason = f"cleanup decides it: {verdict.reason}"
            steps[slug, verdict.verb] = Step(verdict.branch, slug, verdict.verb, LATER, reason, rule)
    return steps


def find_changes(before: Project, after: Project, ours: Steps, theirs: Steps) -> tuple[Change, ...]:
    """Return what would be otherwise, what is deleted first."""
    made = (
        make_change(ours.get(key), theirs.get(key))
        for key in ours.keys() | theirs.keys()
        if _tell(ours.get(key)) != _tell(theirs.get(key))
    )
    changes = (replace(each, cause=_find_cause(before, after, each.step)) for each in made)
    return tuple(sorted(changes, key=_rank))


def _tell(step: Step | None) -> tuple[str, str] | None:
    """Return what makes it another step: what comes comes by whatever reason, and what is held by one."""
    return None if step is None else (step.when, "" if step.is_coming else step.reason)


def _rank(change: Change) -> tuple[int, int, str]:
    step = change.step
    verbs = [each.value for each in Verb]
    is_gone = change.then is None or not change.then.is_coming
    return int(is_gone), verbs.index(step.what) if step.what in verbs else len(verbs), step.environment


def _find_cause(before: Project, after: Project, step: Step) -> str:
    """Return what of the policy makes the difference, as shortly as it can be told."""
    is_branch = step.slug == slug_branch(step.environment)
    if is_branch and (then := describe_match(after, step.environment)) != describe_match(before, step.environment):
        return then
    rule = step.rule
    if rule and (moved := _tell_moved(before, after, rule)):
        return moved
    return format_location(rule) if rule else step.reason


def _tell_moved(before: Project, after: Project, rule: Location) -> str:
    old, new = _look_up(before, rule), _look_up(after, rule)
    if old == new:
        return ""
    told = [_tell_value(each) for each in (old, new)]
    return f"{format_location(rule)} {' → '.join(told)}" if all(told) else f"{format_location(rule)} differs"


def _tell_value(value: object) -> str:
    """Return a plain value in words; empty for what has none."""
    if isinstance(value, timedelta):
        return describe_span(value)
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float | str) else ""


def _look_up(project: Project, rule: Location) -> object:
    found: object = project
    for key in rule:
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(key, int):
            found = found[key] if isinstance(found, tuple) and key < len(found) else None
        else:
            found = getattr(found, key, None)
    return found


def count_changes(changes: Iterable[Change]) -> list[str]:
    """Return the numbers, a line for each kind of change and cause: `would delete 14 previews: …`."""
    counts = Counter((*_name_kind(change), _name_thing(change.step), change.cause) for change in changes)
    return [
        f"{words.format(thing if number == 1 else _PLURALS[thing], number=number)}: {cause}"
        for (_, words, thing, cause), number in sorted(counts.items())
    ]


def _name_thing(step: Step) -> str:
    if step.what == Verb.PROMOTE.value:
        return "deploy branch"
    return "preview" if step.slug == slug_branch(step.environment) else "target"


def _name_kind(change: Change) -> tuple[int, str]:
    """Return the rank and the words of the line in which the change is counted."""
    today, then = change.today, change.then
    if then is not None and then.is_coming:
        was = today is not None and today.is_coming
        return _order(then), f"would {_word(then)} {{number}} {{}}{' at another time' if was else ''}"
    if today is not None and today.is_coming:
        return 100 + _order(today), f"would not {_word(today)} {{number}} {{}}{', but hold it' if then else ''}"
    if then is not None:
        return 200, f"would hold {{number}} {{}}{' for another reason' if today else ''}"
    return 300, "would hold {number} {} no longer"


def _order(step: Step) -> int:
    verbs = [each.value for each in Verb]
    return verbs.index(step.what) if step.what in verbs else len(verbs)


def _word(step: Step) -> str:
    verb = next((each for each in Verb if each.value == step.what), None)
    return _WORDS.get(verb, step.what) if verb is not None else step.what


def render_answer(
    changes: Sequence[Change],
    today: Plan,
    then: Plan,
    *,
    unknown: Sequence[str] = (),
    tell: Callable[[Location], str] = format_location,
) -> str:
    """Return the page: numbers, what is not known, and each environment beside what today's policy says.

    :param tell: names a key of the policy that is asked about, with its place.
    """
    lines = count_changes(changes) or ["nothing would be otherwise"]
    lines += ["", f"today:        {_sum_up(today)}", f"by this text: {_sum_up(then)}"]
    if unknown:
        lines += ["", "Not known, since nothing is asked for this answer:", *write_items(unknown)]
    if changes:
        rows = [_list_cells(each, tell) for each in changes[:STEPS_SHOWN]]
        headings = ("environment", "today", "by this text", "why")
        lines += ["", lay_table(headings, rows, len(changes) - STEPS_SHOWN)]
    return "\n".join(lines)


def _list_cells(change: Change, tell: Callable[[Location], str]) -> tuple[str, str, str, str]:
    sides = [each.said if each is not None else "-" for each in (change.today, change.then)]
    place = tell(change.step.rule) if change.step.rule else ""
    return change.step.environment, sides[0], sides[1], "; ".join(filter(None, [change.cause, place]))


def _sum_up(plan: Plan) -> str:
    return f"{len(plan.actions)} start, {len(plan.holds)} held, {plan.live} previews live"
