"""Cleanup's findings in words: the table of a run, the page of its question, its summary. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.expiry import DELETE, HIBERNATE, KEEP, REPORT, TOLD, IdleFinding
from include.deploy_ops.core.text.markdown import describe_span, quote_reason, quote_text, render_table
from include.deploy_ops.core.text.plain import lay_table, write_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from include.deploy_ops.core.cleanup.verdict import Verdict
    from include.deploy_ops.core.plan.outcome import Outcome
    from include.deploy_ops.core.plan.work import Work

ORDER = (DELETE, TOLD, HIBERNATE, REPORT, KEEP)
"""What is about to happen comes first, since a long table may be cut."""

FINDINGS_SHOWN = 200
"""Previews that a table names: Airflow cuts a rendered field after 100,000 characters."""

KEPT_SHOWN = 20
"""Kept previews that a summary names; the table of the same run has them all."""

FINDING_HEADINGS = ("Deployment", "branch", "author", "age", "idle", "verdict", "reason")
COST_HEADING = "estimated cost"


@dataclass(frozen=True, slots=True)
class AskedWork:
    """A delete that control's brake holds, as far as a question shows it; `name` and `subject` as `Work` has them."""

    name: str
    subject: str
    branch: str
    deployment_id: str
    deployment_name: str
    reason: str


def list_asked_works(works: Iterable[Work]) -> tuple[AskedWork, ...]:
    """Return of each piece of work what a question needs."""
    return tuple(
        AskedWork(work.name, work.subject, work.branch, work.deployment_id, work.deployment_name, work.reason)
        for work in works
    )


def sort_findings(findings: Iterable[IdleFinding]) -> tuple[IdleFinding, ...]:
    """Return the findings, what is about to happen first and, among equals, the longest idle."""

    def rank(finding: IdleFinding) -> tuple[int, float, str, str]:
        idle_s = finding.idle.total_seconds() if finding.idle else 0.0
        return ORDER.index(finding.verdict), -idle_s, finding.branch, finding.deployment_id

    return tuple(sorted(findings, key=rank))


def render_findings(findings: Sequence[IdleFinding]) -> str:
    """Return the table of what was found and decided."""
    if not findings:
        return "There are no previews to look at."
    shown = sort_findings(findings)[:FINDINGS_SHOWN]
    has_costs = any(each.cost for each in findings)
    headings = (*FINDING_HEADINGS, COST_HEADING) if has_costs else FINDING_HEADINGS
    cells = ([*_list_cells(each), *([each.cost] if has_costs else [])] for each in shown)
    return lay_table(headings, cells, more=len(findings) - len(shown))


def _list_cells(finding: IdleFinding) -> list[str]:
    return [
        finding.deployment_name,
        finding.branch,
        finding.author,
        describe_span(finding.age),
        describe_span(finding.idle),
        finding.verdict,
        finding.reason,
    ]


def count_verdicts(findings: Iterable[IdleFinding]) -> str:
    """Return how many there are of each verdict, such as "2 told, 1 hibernate, 9 keep"."""
    counts = Counter(finding.verdict for finding in findings)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict]) or "nothing"


def render_question(verdicts: Sequence[Verdict], works: Sequence[AskedWork], findings: Iterable[IdleFinding]) -> str:
    """Return the page of a question: exactly the deletes that a yes releases."""
    known = {finding.deployment_id: finding for finding in findings if finding.verdict != REPORT}
    rows = [
        [
            f"{quote_text(each.deployment_name)} ({each.deployment_id})",
            quote_text(each.branch),
            quote_text(known[each.deployment_id].author if each.deployment_id in known else ""),
            describe_span(known[each.deployment_id].idle if each.deployment_id in known else None),
            f"not before {each.due_at:%Y-%m-%d %H:%M} UTC",
            quote_reason(each.reason),
        ]
        for each in verdicts
    ]
    rows += [
        [
            f"{quote_text(work.deployment_name)} ({work.deployment_id})",
            quote_text(work.branch),
            "-",
            "-",
            "at once, the brake holds it",
            quote_reason(work.reason),
        ]
        for work in works
    ]
    return render_table(("Deployment", "branch", "author", "idle", "deleted", "reason"), rows)


def render_summary(
    findings: Sequence[IdleFinding], outcomes: Sequence[tuple[str, Outcome]], notes: Sequence[str]
) -> str:
    """Return what a run comes to: what was found, what happens with it, what is kept and why, and what became of it.

    `outcomes` are control's runs of late that let a preview hibernate or deleted one, with its branch.
    """
    ordered = sort_findings(findings)
    sections = [f"Found {count_verdicts(ordered)}.", *notes]
    for title, verdicts in (
        ("Hibernates", {HIBERNATE}),
        ("Is deleted", {DELETE, TOLD}),
        ("To be looked at", {REPORT}),
        ("Kept", {KEEP}),
    ):
        sections.append(_list_group(title, [each for each in ordered if each.verdict in verdicts]))
    sections.append(_list_outcomes(outcomes))
    return "\n\n".join(filter(None, sections))


def _list_group(title: str, findings: Sequence[IdleFinding]) -> str:
    if not findings:
        return ""
    shown = findings[:KEPT_SHOWN] if title == "Kept" else findings[:FINDINGS_SHOWN]
    lines = write_items(f"{each.deployment_name}: {each.reason}" for each in shown)
    if len(findings) > len(shown):
        lines.append(f"- … and {len(findings) - len(shown)} more, in the table of find")
    return "\n".join([f"{title} ({len(findings)})", *lines])


def _list_outcomes(outcomes: Sequence[tuple[str, Outcome]]) -> str:
    if not outcomes:
        return ""
    lines = write_items(
        f"{outcome.at:%Y-%m-%d %H:%M} UTC {outcome.verb} of {branch}: {outcome.state}"
        + (f", {outcome.cause or outcome.why}" if outcome.cause or outcome.why else "")
        for branch, outcome in outcomes
    )
    return "\n".join(["Done in the last day", *lines])


def pick_outcomes(rows: Iterable[tuple[str, Sequence[Outcome]]], since: datetime) -> list[tuple[str, Outcome]]:
    """Return the hibernations and deletes of late, oldest first, with their environments."""
    found = [
        (environment, outcome)
        for environment, outcomes in rows
        for outcome in outcomes
        if outcome.verb in {HIBERNATE, DELETE} and outcome.at >= since
    ]
    return sorted(found, key=lambda item: item[1].at)
