"""The health line: nothing that keeps the page from the truth is silent, and each thing is said with its cause."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect

from include.deploy_ops.core.view.health import ASTRO, GITHUB, Sight, see_failing, see_well
from include.deploy_ops.run.memory import Memory
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PROJECT, ago, make_few, make_preview
from tests.browser.test_reading import SOON_MS

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble

FILE = "include/deploy_ops.yaml"
TYPO = (
    "/usr/local/airflow/include/deploy_ops.yaml: projects[0].previews.max_lives: unknown key; did you mean 'max_live'?"
)
TRACE = f"""Traceback (most recent call last):
  File "/usr/local/airflow/dags/policy_errors.py", line 12, in <module>
    raise PolicyError(problems)
include.deploy_ops.core.errors.PolicyError: {TYPO}
/usr/local/airflow/include/deploy_ops.yaml: projects[1].name: it is missing; add it
"""


TIME = "2026-01-01T00:00:00Z"
BAD_TIMES = {"GitHub": {"looked_at": TIME, "well_at": "<img src=x>", "next_at": 5, "said": "<img src=x>"}}


def find_health(page: Page) -> Locator:
    return page.get_by_role("status", name="Health")


def look_well(airflow: AirflowDouble) -> None:
    airflow.see(PROJECT, **{GITHUB: see_well(ago(seconds=12)), ASTRO: see_well(ago(seconds=40))})


def test_what_is_well_is_said_in_one_line_with_when_it_was_seen(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    look_well(airflow)
    page.goto(airflow.page_url)
    health = find_health(page)
    words = r"Healthy · GitHub seen well 1\d s ago · Astro seen well 4\d s ago · Airflow is healthy"
    expect(health).to_have_text(re.compile(words))
    expect(health.get_by_role("listitem")).to_have_count(0)
    expect(page.locator("#fresh")).to_have_text("Up to date")


def test_an_outage_is_told_in_the_triggers_own_words_and_the_page_is_not_up_to_date(
    airflow: AirflowDouble, page: Page
) -> None:
    airflow.show(PROJECT, make_few())
    failing = see_failing(GITHUB, see_well(ago(minutes=4)), "GET /repos: HTTP 503", ago(minutes=3))
    airflow.see(PROJECT, **{GITHUB: replace(failing, next_at=datetime.now(UTC)), ASTRO: see_well(ago(seconds=40))})
    page.goto(airflow.page_url)
    health = find_health(page)
    expect(health).to_contain_text("1 problem · GitHub seen well 4 min ago")
    expect(health.get_by_role("listitem")).to_have_text(f"shop: {failing.said} (last seen well 4 min ago)")
    expect(page.locator("#fresh")).not_to_have_text("Up to date")
    keep_picture(page, "light-health-sick")


def test_a_failing_control_is_told_until_it_succeeds(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    look_well(airflow)
    failing = see_failing("shop.control", None, "the token sees no workspace", ago(minutes=2))
    airflow.fail_control(PROJECT, failing)
    page.goto(airflow.page_url)
    expect(find_health(page).get_by_role("listitem")).to_have_text(failing.said)
    airflow.stores[PROJECT].delete("control.failing")
    expect(find_health(page)).to_contain_text("Healthy", timeout=2 * SOON_MS)


def test_a_trigger_that_does_not_run_is_told_unless_control_is_paused(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    old = ago(minutes=9)
    airflow.see(PROJECT, **{GITHUB: replace(see_well(old), next_at=old + timedelta(seconds=60))})
    page.goto(airflow.page_url)
    expect(find_health(page)).to_contain_text(
        "shop: nobody has looked at GitHub for 9 min; look at Airflow's triggerer."
    )
    airflow.dags[f"{PROJECT}.control"] = True
    page.reload()
    expect(find_health(page)).to_contain_text("Healthy")
    airflow.dags[f"{PROJECT}.control"] = False
    waits = replace(see_failing(GITHUB, None, "GitHub asks to wait 1800 s", old), next_at=old + timedelta(minutes=30))
    airflow.see(PROJECT, **{GITHUB: waits})
    page.reload()
    expect(find_health(page)).to_contain_text("GitHub asks to wait 1800 s")
    expect(find_health(page)).not_to_contain_text("nobody has looked")


def test_an_error_of_the_policy_is_told_with_file_and_key_also_where_no_dag_is_left(
    airflow: AirflowDouble, page: Page
) -> None:
    airflow.errors += [
        {"import_error_id": 1, "filename": "dags/policy_errors.py", "stack_trace": TRACE},
        {"import_error_id": 2, "filename": "dags/another_teams.py", "stack_trace": "ValueError: not ours"},
        {"import_error_id": 3, "filename": "dags/target.py", "stack_trace": "in include/deploy_ops\nKeyError: 'x'\n"},
    ]
    page.goto(airflow.page_url)
    expect(find_health(page).get_by_role("listitem")).to_have_text(
        [
            f"The policy has an error at {FILE}: projects[0].previews.max_lives; DAGs of its project may be gone.",
            f"The policy has an error at {FILE}: projects[1].name; DAGs of its project may be gone.",
            "dags/target.py cannot be read: KeyError: 'x'",
        ]
    )
    needs = page.get_by_role("region", name="Needs you").get_by_role("listitem")
    expect(needs).to_have_count(2)
    expect(needs.first.locator(".advice")).to_have_text("did you mean 'max_live'?")
    expect(page.locator("body")).not_to_contain_text("not ours")


SICK: list[tuple[str, Any, str]] = [
    ("triggerer", "unhealthy", "Airflow's triggerer is not healthy: its last heartbeat was "),
    ("triggerer", None, "Airflow's triggerer is not healthy: "),
    ("scheduler", "unhealthy", "Airflow's scheduler is not healthy: "),
    ("dag_processor", "unhealthy", "Airflow's DAG processor is not healthy: "),
    ("metadatabase", "unhealthy", "Airflow's database is not healthy."),
]


def test_each_part_of_airflow_that_does_not_run_is_named(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    for part, status, words in SICK:
        well = airflow.health[part]
        airflow.health[part] = {**well, "status": status}
        page.goto(airflow.page_url)
        expect(find_health(page).get_by_role("listitem")).to_contain_text(words)
        expect(find_health(page)).not_to_contain_text("Airflow is healthy")
        airflow.health[part] = well
    airflow.health["dag_processor"]["status"] = None
    page.reload()
    expect(find_health(page)).to_contain_text("Airflow is healthy")


def test_dags_that_are_missing_or_paused_are_told(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    kept = Memory(airflow.stores[PROJECT]).summary
    summary = kept.read()
    assert summary is not None
    kept.write(replace(summary, dags=("shop.cleanup", "shop.control", "shop.preview")))
    airflow.dags["shop.preview"] = True
    page.goto(airflow.page_url)
    told = find_health(page).get_by_role("listitem")
    expect(told).to_have_text(
        ["shop: 1 DAG of the policy's 3 missing, or not to be seen by you.", "Paused: shop.preview."]
    )
    expect(told.get_by_role("link")).to_have_attribute("href", f"{airflow.prefix}/dags/shop.preview")


@pytest.mark.parametrize("end", ["monitor/health", "importErrors", "state-store/health"])
def test_what_of_health_cannot_be_read_hides_nothing_else(airflow: AirflowDouble, page: Page, end: str) -> None:
    airflow.show(PROJECT, make_few())
    look_well(airflow)
    airflow.faults[end] = (403, "no")
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    expect(find_health(page)).to_contain_text(
        "import errors are not shown to you" if end == "importErrors" else "Healthy"
    )


def test_what_others_wrote_over_the_store_breaks_nothing(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    look_well(airflow)
    store = airflow.seen[PROJECT]
    for bad in (5, [None], {"GitHub": None}, {"GitHub": {"looked_at": 5, "said": 7}}, BAD_TIMES):
        store.set("health", bad)
        airflow.stores[PROJECT].set("control.failing", bad)
        page.goto(airflow.page_url)
        expect(page.locator("tr.row")).to_have_count(15)
        expect(find_health(page)).to_contain_text("Airflow is healthy")
        expect(page.locator("img")).to_have_count(0)


def test_the_line_is_kept_right_while_time_goes_on(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.see(PROJECT, **{GITHUB: Sight(ago(seconds=58), well_at=ago(seconds=58), next_at=datetime.now(UTC))})
    page.goto(airflow.page_url)
    expect(find_health(page)).to_contain_text("GitHub seen well 1 min ago", timeout=SOON_MS)
