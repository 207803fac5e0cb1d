"""What a cleanup run says: the urgent first, long lists cut and told so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from include.deploy_ops.core.cleanup.expiry import DELETE, HIBERNATE, KEEP, REPORT, TOLD, IdleFinding
from include.deploy_ops.core.cleanup.text import (
    COST_HEADING,
    FINDING_HEADINGS,
    FINDINGS_SHOWN,
    KEPT_SHOWN,
    count_verdicts,
    pick_outcomes,
    render_findings,
    render_summary,
    sort_findings,
)
from include.deploy_ops.core.plan.outcome import Outcome

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FIELD_LENGTH_MAX = 100_000
"""Airflow's `max_templated_field_length`, as the image sets it."""


def find(branch: str, verdict: str, idle_h: int = 1, **changes: Any) -> IdleFinding:
    spans = {"age": timedelta(days=3), "idle": timedelta(hours=idle_h)}
    return IdleFinding(
        **{
            "branch": branch,
            "deployment_id": f"id-{branch}",
            "deployment_name": f"shop-{branch}",
            "author": "mira",
            "verdict": verdict,
            "reason": "since long",
            **spans,
            **changes,
        }
    )


def test_what_is_about_to_happen_comes_first_and_the_longest_idle_before_others() -> None:
    given = [
        find(f"{verdict}-{idle}", verdict, idle)
        for verdict in (KEEP, REPORT, HIBERNATE, TOLD, DELETE)
        for idle in (1, 2)
    ]
    order = [finding.branch for finding in sort_findings(given)]
    assert order == [f"{verdict}-{idle}" for verdict in (DELETE, TOLD, HIBERNATE, REPORT, KEEP) for idle in (2, 1)]
    assert count_verdicts(given) == "2 delete, 2 told, 2 hibernate, 2 report, 2 keep"
    assert count_verdicts([]) == "nothing"


def test_a_row_holds_every_column() -> None:
    table = render_findings([find("dev|x", TOLD, author="")])
    assert re.split("  +", table.splitlines()[-1]) == ["shop-dev|x", "dev|x", "-", "3d", "1h", "told", "since long"]
    assert table.splitlines()[0].split() == list(FINDING_HEADINGS)
    assert render_findings([]) == "There are no previews to look at."


def test_a_cost_has_its_column_where_there_is_one() -> None:
    table = render_findings([find("dev-x", TOLD, cost="12.40 USD in 2026-11"), find("dev-y", KEEP)])
    heading, _, first, second = table.splitlines()
    assert re.split("  +", heading) == [*FINDING_HEADINGS, COST_HEADING]
    assert re.split("  +", first)[-1] == "12.40 USD in 2026-11"
    assert re.split("  +", second)[-1] == "-"


def test_of_very_many_the_first_are_shown_and_the_field_is_never_cut_by_airflow() -> None:
    long = "x" * 500
    many = [find(f"{long}{number}", KEEP, reason=long) for number in range(FINDINGS_SHOWN + 7)]
    table = render_findings([*many, find("dev-last", DELETE)])
    assert "dev-last" in table
    assert table.splitlines()[-1] == "… and 8 more"
    usual = [find(f"dev-{number}-{'x' * 30}", KEEP, reason="y" * 80) for number in range(FINDINGS_SHOWN)]
    assert len(render_findings(usual)) < FIELD_LENGTH_MAX


def test_a_summary_names_what_happens_and_counts_what_is_kept() -> None:
    kept = [find(f"kept-{number:02}", KEEP) for number in range(KEPT_SHOWN + 3)]
    summary = render_summary([find("dev-a", TOLD), find("dev-b", HIBERNATE), *kept], [], ["Asked."])
    assert summary.splitlines()[0] == f"Found 1 told, 1 hibernate, {KEPT_SHOWN + 3} keep."
    assert "\n\nAsked.\n\nHibernates (1)\n- shop-dev-b: since long" in summary
    assert "Is deleted (1)\n- shop-dev-a" in summary
    assert "To be looked at" not in summary
    assert summary.count("shop-kept-") == KEPT_SHOWN
    assert summary.endswith("- … and 3 more, in the table of find")


def test_only_hibernations_and_deletes_of_late_are_told() -> None:
    def end(verb: str, hours: int) -> Outcome:
        return Outcome(f"{verb}{hours}", "shop.preview", verb, "success", NOW - timedelta(hours=hours))

    rows = [("dev-a", (end("delete", 1), end("delete", 30))), ("dev-b", (end("hibernate", 5), end("deploy", 2)))]
    found = pick_outcomes(rows, NOW - timedelta(days=1))
    assert [(branch, outcome.run_id) for branch, outcome in found] == [("dev-b", "hibernate5"), ("dev-a", "delete1")]
