"""Decisions as pages in Airflow's rendered fields: a plan, a change type, an image's source, a promotion.

Pure. Each page shows what was decided, and by which rule; what a person is asked to approve stands in `release`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.model import ChangeDecision, ChangeType, PullRequest
from include.deploy_ops.core.passes.why import find_rule
from include.deploy_ops.core.plan.work import Hold, Plan, Work
from include.deploy_ops.core.text.plain import lay_table, write_items, write_plain
from include.deploy_ops.core.text.schema import Location, format_location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from include.deploy_ops.core.policy.keys import Project, Promotion
    from include.deploy_ops.core.promotion.derived_tree import DerivedTree
    from include.deploy_ops.core.template.drift import Drifted

PAGE_ROWS_MAX = 200
"""Rows of a table that are shown; one more says how many there are besides."""


PAGE_NAMES_MAX = 40
"""Names in a line that are shown; it says how many there are besides."""

RULE_NAMES_MAX = 8
"""Environments that are named beside a key of the policy."""
DRIFT_HEADINGS = ("environment", "field", "in Astro", "here", "what becomes of it")


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """One promotion. `parent` is the deploy branch's tip, or what a missing branch is made on.

    `made` is the new commit, "" where none was needed, None while nothing was written.
    """

    promotion: Promotion
    derived: DerivedTree
    pulls: Sequence[PullRequest]
    parent: str
    is_missing: bool
    made: str | None = None


def render_promotion(record: PromotionRecord) -> str:
    """Return the page."""
    derived = record.derived
    pulls = [(f"#{pull.number} {pull.title}", pull.head_ref, pull.head_sha, pull.author) for pull in record.pulls]
    laid = [(each.path, f"#{each.number}", _describe(each.entry is None)) for each in derived.laid]
    conflicts = [(each.path, f"#{each.number}", each.reason) for each in derived.conflicts]
    overlaps = [
        (each.path, ", ".join(f"#{number}" for number in each.numbers), f"#{each.numbers[-1]}")
        for each in derived.overlaps
    ]
    return "\n".join(
        [
            *_render_head(record),
            *_render_section("Pull requests", ("pull request", "branch", "head", "by"), pulls),
            *_render_section("Conflicts, not laid", ("path", "pull request", "why"), conflicts),
            *_render_section("Contested paths", ("path", "changed by", "the later wins"), overlaps),
            *_render_section("Laid over it", ("path", "from", "what"), laid),
        ]
    )


def _describe(is_removed: bool) -> str:
    return "removed" if is_removed else "laid"


def _render_head(record: PromotionRecord) -> Iterator[str]:
    derived, promotion = record.derived, record.promotion
    yield _describe_work(record)
    yield f"{promotion.into} at {derived.into.commit}, copy: {promotion.copy_mode}, tree {derived.tree or '?'}"


def _describe_work(record: PromotionRecord) -> str:
    name = record.promotion.deploy_branch
    on = f"made again on {record.parent}" if record.is_missing else f"on top of {record.parent}"
    if record.made is None:
        return f"{name}: not written, {on}"
    if record.made:
        return f"{name}: commit {record.made}, {on}"
    return f"{name}: {on}" if record.is_missing else f"{name}: nothing to commit {on}"


def _render_section(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"\n{title}: {len(rows)}\n\n{_lay_first(headings, rows)}"


def _lay_first(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table of the first rows, and how many there are besides."""
    return lay_table(headings, rows[:PAGE_ROWS_MAX], len(rows) - PAGE_ROWS_MAX)


def render_decision(decision: ChangeDecision, rules: Sequence[str] = ()) -> str:
    """Return the decision record of a change type: bases, verdict, and per changed path the verdict and its rule.

    What asks for the dearest deploy comes first.

    :param rules: the keys of the policy that decided, with their places.
    """
    head = (
        f"{decision.change_type.value}: {write_plain(decision.reason)}\n{decision.commit}\n"
        f"image from {decision.image_base or '?'}\nDAGs from  {decision.dags_base or '?'}"
    )
    dearest = list(reversed(ChangeType))
    paths = sorted(decision.paths, key=lambda path: dearest.index(path.verdict))
    rows = [(path.verdict.value, path.path, path.rule) for path in paths]
    page = f"{head}\n\n{_lay_first(('verdict', 'path', 'rule'), rows)}" if rows else head
    return page + render_rules(rules)


def render_rules(rules: Sequence[str]) -> str:
    """Return what is added to a page where keys of the policy decided."""
    return "\n\nDecided by\n" + "\n".join(write_items(rules)) if rules else ""


def render_source(found: Mapping[str, Any]) -> str:
    """Return the decision record of an image: the source taken, and why not those before it."""
    taken = [f"{write_plain(found['source'])} for {found['commit']}"]
    taken += [
        f"{name}: {write_plain(str(found[key]))}"
        for key, name in (
            ("deployment", "image of the Deployment"),
            ("engine", "built by"),
            ("image", "image"),
            ("digest", "digest"),
            ("runtime_version", "Astro Runtime"),
        )
        if found.get(key)
    ]
    notes = write_items(found["notes"])
    return "\n".join([*taken, *(["", "Not taken:", *notes] if notes else [])])


def render_plan(
    plan: Plan,
    now: datetime,
    notes: Sequence[str] = (),
    drift: Sequence[Drifted] = (),
    *,
    project: Project | None = None,
    tell: Callable[[Location], str] = format_location,
) -> str:
    """Return the plan: what starts, what is held, and why; and what people should know beside that.

    :param drift: what differs in Astro from what was rendered.
    :param project: beside the plan stand the keys of its policy that decided; None: nothing of the policy.
    :param tell: names a key, with its place.
    """
    head = (
        f"{len(plan.actions)} actions, {len(plan.holds)} holds, {plan.live} previews live, {now:%Y-%m-%d %H:%M:%S} UTC"
    )
    if plan.over:
        over = _list_names(plan.over)
        head += f"\n\nNo preview, until the branch moves or someone forces it ({len(plan.over)}):\n{over}"
    head += "".join(f"\n\n{write_plain(note)}" for note in notes)
    works = [action.work for action in plan.actions]
    rows = [("start", work.environment, _describe_action(work), work.reason) for work in works]
    rows += [("hold", hold.environment, hold.what, hold.reason) for hold in plan.holds]
    tables = [lay_table(("", "environment", "what", "why"), rows)] if rows else []
    rules = _render_rules(project, [*works, *plan.holds], tell) if project is not None else []
    return "\n\n".join([head, *tables, *rules, *_render_drift(drift)])


def _render_rules(project: Project, decided: Sequence[Work | Hold], tell: Callable[[Location], str]) -> Iterator[str]:
    """Yield by which keys of the policy this was decided, each with where it stands, and of what."""
    names: defaultdict[Location, list[str]] = defaultdict(list)
    for each in decided:
        names[find_rule(project, each)].append(each.environment)
    rows = [(tell(rule), _join_names(told)) for rule, told in sorted(names.items(), key=_count_names) if rule]
    if rows:
        yield lay_table(("decided by", "of"), rows)


def _count_names(item: tuple[Location, Sequence[str]]) -> tuple[int, str]:
    return -len(item[1]), format_location(item[0])


def _join_names(names: Sequence[str]) -> str:
    more = len(names) - RULE_NAMES_MAX
    return ", ".join(names[:RULE_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def _render_drift(drift: Sequence[Drifted]) -> Iterator[str]:
    """Return the table of what differs in Astro, field by field."""
    rows = [(each.environment, *field.shown, field.fate.value) for each in drift for field in each.found]
    if rows:
        yield f"Drift, in Astro another value than was rendered: {len(rows)}\n\n{_lay_first(DRIFT_HEADINGS, rows)}"


def _list_names(names: Sequence[str]) -> str:
    """Return the first names, each on a line, and how many there are besides."""
    more = len(names) - PAGE_NAMES_MAX
    return "\n".join([*write_items(names[:PAGE_NAMES_MAX]), *([f"… and {more} more"] if more > 0 else [])])


def _describe_action(work: Work) -> str:
    """Return what is done to which branch's commit, by all its digits; of a merge, what it was made of."""
    if not work.commit or work.commit == work.head:
        return f"{work.verb.value} at {work.head}, the head of branch {work.branch}"
    return f"{work.verb.value} at {work.commit}, the merge of {work.head}, branch {work.branch}"
