"""The decision record of a promotion as a Markdown page: what took part, what was laid and told, what was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.model import ChangeDecision
from include.deploy_ops.core.plan.work import Plan
from include.deploy_ops.core.text.markdown import escape_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.core.policy.file import Promotion
    from include.deploy_ops.core.promotion.derived_tree import DerivedTree

ROWS_MAX = 200
"""Rows of a table that are shown; the last one says how many more there are."""


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
    pulls = [(f"#{pull.number} {pull.title}", pull.head_ref, pull.head_sha[:12], pull.author) for pull in record.pulls]
    laid = [(each.path, f"#{each.number}", _describe(each.entry is None)) for each in derived.laid]
    conflicts = [(each.path, f"#{each.number}", each.reason) for each in derived.conflicts]
    overlaps = [
        (each.path, ", ".join(f"#{number}" for number in each.numbers), f"#{each.numbers[-1]}")
        for each in derived.overlaps
    ]
    return "\n".join(
        [
            *_render_head(record),
            *_render_table("Pull requests", ("pull request", "branch", "head", "by"), pulls),
            *_render_table("Conflicts, not laid", ("path", "pull request", "why"), conflicts),
            *_render_table("Contested paths", ("path", "changed by", "the later wins"), overlaps),
            *_render_table("Laid over it", ("path", "from", "what"), laid),
        ]
    )


def _describe(is_removed: bool) -> str:
    return "removed" if is_removed else "laid"


def _render_head(record: PromotionRecord) -> Iterator[str]:
    derived, promotion = record.derived, record.promotion
    yield f"**{_describe_work(record)}**"
    yield ""
    yield f"`{promotion.into}` at `{derived.into.commit}`, copy: {promotion.copy_mode}, tree `{derived.tree or '?'}`"


def _describe_work(record: PromotionRecord) -> str:
    name = record.promotion.deploy_branch
    on = f"made again on `{record.parent[:12]}`" if record.is_missing else f"on top of `{record.parent[:12]}`"
    if record.made is None:
        return f"{name}: not written, {on}"
    if record.made:
        return f"{name}: commit `{record.made}`, {on}"
    return f"{name}: {on}" if record.is_missing else f"{name}: nothing to commit {on}"


def _render_table(title: str, columns: Sequence[str], rows: Sequence[Iterable[str]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"{title}: {len(rows)}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}")
    shown = rows if len(rows) <= ROWS_MAX else rows[: ROWS_MAX - 1]
    for row in shown:
        yield f"| {' | '.join(escape_cell(cell) for cell in row)} |"
    if len(rows) > len(shown):
        yield f"| … and {len(rows) - len(shown)} more |" + " |" * (len(columns) - 1)


def render_decision(decision: ChangeDecision) -> str:
    """Return the decision record as a Markdown page: bases, verdict, and per changed path the verdict and its rule."""
    lines = [
        f"**{decision.change_type.value}**: {decision.reason}",
        "",
        f"`{decision.commit}`, image from `{decision.image_base or '?'}`, DAGs from `{decision.dags_base or '?'}`",
    ]
    if decision.paths:
        lines += ["", "| path | verdict | rule |", "|---|---|---|"]
        lines += [
            f"| `{escape_cell(path.path)}` | {path.verdict.value} | {escape_cell(path.rule)} |"
            for path in decision.paths
        ]
    return "\n".join(lines)


def render_plan(plan: Plan, now: datetime) -> str:
    """Return the plan as a Markdown table: what starts, what is held, and why."""
    lines = [
        f"{len(plan.actions)} actions, {len(plan.holds)} holds, {plan.live} previews live, {now:%Y-%m-%d %H:%M:%S} UTC"
    ]
    if plan.actions or plan.holds:
        lines += ["", "| | environment | what | why |", "|---|---|---|---|"]
    for action in plan.actions:
        work = action.work
        what = f"{work.verb.value} at `{work.head[:12]}`"
        lines.append(f"| start | `{escape_cell(work.environment)}` | {what} | {escape_cell(work.reason)} |")
    lines += [
        f"| hold | `{escape_cell(hold.environment)}` | {hold.what} | {escape_cell(hold.reason)} |"
        for hold in plan.holds
    ]
    return "\n".join(lines)
