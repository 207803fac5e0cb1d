"""The tour's policy, what it reads in cleanup's table, and which comment it takes for ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from demo import living, preview, proof, release
from demo.feedback import MARK, await_comment, find_comment, find_line
from demo.living import NOTICE_S, hasten_deletes, measure_delay, read_due, read_verdict
from demo.stack import POLICY
from demo.witness import Witness, WitnessError
from include.deploy_ops.core.cleanup.expiry import IdleFinding
from include.deploy_ops.core.cleanup.text import render_findings
from include.deploy_ops.core.feedback.values import Facts
from include.deploy_ops.core.plan.schedule import count_allowed_deletes
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.policy.keys import Feedback

TOURED = (preview.BRANCH, proof.BRANCH, living.BRANCH, release.FEATURE)
DELETED = (preview.BRANCH, living.BRANCH)
SHIPPED = POLICY.read_text(encoding="utf-8")


def test_the_tours_policy_differs_in_how_fast_it_deletes_alone() -> None:
    shipped, tours = yaml.safe_load(SHIPPED), yaml.safe_load(hasten_deletes(SHIPPED))
    assert shipped["projects"][0]["previews"].pop("delete_notice") == "1d"
    assert tours["projects"][0]["previews"].pop("delete_notice") == f"{NOTICE_S}s"
    assert tours["projects"][0]["limits"].pop("max_delete_fraction") > shipped["projects"][0]["limits"].pop(
        "max_delete_fraction"
    )
    assert shipped == tours


def test_the_tours_previews_may_go_one_after_the_other() -> None:
    limits = load_policy(hasten_deletes(SHIPPED), "the tour's policy").policy.projects[0].limits
    assert count_allowed_deletes(len(TOURED), limits) >= len(DELETED)


def test_a_policy_without_such_a_notice_is_no_tours_policy() -> None:
    with pytest.raises(ValueError, match="0 lines with `delete_notice: 1d`"):
        hasten_deletes(SHIPPED.replace("delete_notice: 1d", "delete_notice: 2d"))


def make_finding(branch: str, verdict: str, reason: str) -> IdleFinding:
    day = timedelta(days=1)
    return IdleFinding(branch, f"d-{branch}", f"data-platform-{branch}", "ada", day, day, verdict, reason)


@pytest.mark.parametrize("cost", ["", "about 12.30 EUR a month, 3.10 since Monday"])
def test_a_verdict_is_found_in_the_products_table(cost: str) -> None:
    """Also where the policy has prices, with which the table has a column more."""
    table = "2 told\n\n" + render_findings(
        [
            replace(make_finding("dev-a", "told", "idle | since " * 20), cost=cost),
            make_finding("dev-a-b", "keep", "active"),
        ]
    )
    assert read_verdict(table, "dev-a") == "told: " + " ".join(["idle | since"] * 20)
    assert read_verdict(table, "dev-a-b") == "keep: active"
    assert read_verdict(table, "dev") == ""


def make_witness(*comments: str) -> Witness:
    return cast("Witness", cast("Any", SimpleNamespace(author=SimpleNamespace(list_comments=lambda _number: comments))))


def test_our_comment_is_told_from_others_and_is_one() -> None:
    facts = Facts("p", "acme", Feedback(), "http://airflow.test", "http://github.test/acme/shop")
    ours = f"{facts.mark_comment(7)}\n\n| Preview `dev-a` | **live** |"
    assert find_comment(make_witness("looks fine, it is live", ours), 7) == ours
    assert find_comment(make_witness("looks fine"), 7) == ""
    with pytest.raises(WitnessError, match="#7 has 2 comments of ours"):
        find_comment(make_witness(ours, ours), 7)


def test_a_line_is_shown_without_addresses_and_is_not_the_hidden_mark() -> None:
    comment = f"{MARK}branch=live -->\n\n| `dev-a` | **live** | [`0a1b2c3`](<http://github.test/c>) |\n"
    assert find_line(comment, "live") == "`dev-a` | **live** | `0a1b2c3`"
    assert find_line("Preview dev\\-a: **removed**.", "removed") == "Preview dev-a: **removed**."
    assert find_line("nothing", "live") == ""


def test_a_delete_is_not_begun_before_it_is_due() -> None:
    due_at = read_due({"next_step": {"what": "delete", "at": "2026-02-01T05:00:00Z"}})
    assert measure_delay({"dag_run_id": "a", "start_date": "2026-02-01T05:00:03.500000Z"}, due_at) == 3.5
    with pytest.raises(WitnessError, match=r"run a began 0.5 s before it was due at 05:00:00 UTC"):
        measure_delay({"dag_run_id": "a", "start_date": "2026-02-01T04:59:59.500000Z"}, due_at)


def test_a_comment_is_read_without_its_escapes() -> None:
    ours = f"{MARK}x -->\n\nDAGs new: smoke\\_orders"
    witness = make_witness(ours)
    object.__setattr__(witness, "await_true", lambda _what, look: (look(), 0.0))
    assert await_comment(witness, 7, "DAGs new: smoke_orders") == ours
    assert await_comment(witness, 7, "DAGs gone") == ""
