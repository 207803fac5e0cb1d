"""What the page shows of what it read, and that it says so where it could not read, or where things stand still."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from include.deploy_ops.core.view.row import Cost, State
from include.deploy_ops.run import store
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.store import shard_row
from tests.browser.fleet import PREVIEW_DAG, PROJECT, ago, make_few, make_preview, make_target
from tests.browser.written import (
    HEAD,
    MERGE,
    NEXT,
    OLD,
    OPEN,
    end_forced,
    end_run,
    record,
    record_ours,
    record_override,
    write_production,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from include.deploy_ops.core.view.row import Row
    from tests.browser.airflow_double import AirflowDouble

SOON_MS = 15_000
"""Until the page must have read again: it does every 5 s, and more slowly after a failure."""


def find_row(page: Page, name: str) -> Locator:
    button = page.locator("button.name", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator("tr.row", has=button)


def look_again(page: Page) -> None:
    """Come back to the window: the page reads at once what it would read within seconds."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_row_says_what_runs_where_who_did_it_and_what_comes_next(airflow: AirflowDouble, page: Page) -> None:
    row = next(each for each in make_few() if each.branch == "dev-old")
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    shown = find_row(page, "dev-old")
    for words in (
        "#109",
        row.pull_title,
        row.author,
        "Asleep",
        row.deployed[:7],
        "newest commit",
        "DAG-only deploy",
        "in 14 s",
    ):
        expect(shown).to_contain_text(words)
    expect(shown).to_contain_text("Deleted in 20 h")
    reason = shown.get_by_title("idle since 2026-11-12 21:28 UTC; told yesterday")
    expect(reason).to_have_text("idle since 2026-11-12 21:28 UTC")
    expect(shown.get_by_role("link", name="#109")).to_have_attribute(
        "href", "https://github.example/acme/shop/pull/109"
    )
    expect(shown.get_by_role("link", name="Airflow of dev-old")).to_have_attribute("href", row.airflow_url)
    expect(shown.get_by_role("link", name="dev-old in Astro")).to_have_attribute("href", row.astro_url)
    run = f"{airflow.prefix}/dags/{PREVIEW_DAG}/runs/{row.outcomes[-1].run_id}"
    expect(shown.get_by_role("link", name="Newest run of dev-old")).to_have_attribute("href", run)
    marks = shown.get_by_role("list", name="Last runs of dev-old").get_by_role("link")
    expect(marks).to_have_count(6)
    expect(marks.last).to_have_attribute("href", run)
    expect(marks.last).to_have_attribute("title", "DAG-only deploy succeeded in 14 s, 1 h ago: dags/ differs")


def test_what_previews_cost_is_called_an_estimate_and_shown_only_where_there_is_one(
    airflow: AirflowDouble, page: Page
) -> None:
    said, total = "12.40 USD in 2026-11", "99.10 <b>USD</b> in 2026-11, 7.00 USD saved by hibernation"
    plain, priced = make_preview("dev-a", State.LIVE, 1), make_preview("dev-b", State.LIVE, 2)
    airflow.show(PROJECT, [plain, replace(priced, cost=Cost(said, ago(hours=1)))])
    page.goto(airflow.page_url)
    expect(find_row(page, "dev-a")).to_be_visible()
    expect(page.get_by_text("stimated cost")).to_have_count(0)
    memory = Memory(airflow.stores[PROJECT])
    summary = memory.summary.read()
    assert summary is not None
    memory.summary.write(replace(summary, cost=total))
    look_again(page)
    expect(page.get_by_text(f"Estimated cost of {PROJECT}: {total}")).to_be_visible(timeout=SOON_MS)
    find_row(page, "dev-b").get_by_role("button", name="dev-b", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Estimated cost{said}")
    page.get_by_role("button", name="Close").click()
    find_row(page, "dev-a").get_by_role("button", name="dev-a", exact=True).click()
    expect(page.get_by_role("dialog")).not_to_contain_text("stimated cost")


def test_what_is_deployed_behind_shows_both_commits(airflow: AirflowDouble, page: Page) -> None:
    row = make_preview("dev-behind", State.WAITING)
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    commits = find_row(page, "dev-behind").get_by_role("link", name="commit")
    for place, commit in enumerate((row.deployed, row.head)):
        expect(commits.nth(place)).to_have_text(commit[:7])


def test_everything_is_told_at_a_glance(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    airflow.ask(
        f"{PROJECT}.production.request",
        "target.production~request~0a1b2c3d4e5f~01234567~1",
        "Deploy #88 to Production?",
    )
    page.goto(airflow.page_url)
    glance = page.get_by_role("region", name="At a glance")
    for title, words in (
        ("Being deployed now", "dev-orders creating for"),
        ("Failed", "dev-returns for"),
        ("Failed", "Astro gave no usable answer"),
        ("Deleted next", "dev-old in 20 h"),
    ):
        panel = glance.locator("section").filter(has=page.get_by_role("heading", name=title))
        expect(panel).to_contain_text(words)
    expect(page.get_by_role("region", name="Needs you")).to_contain_text("Deploy #88 to Production?")
    counts = page.get_by_role("group", name="State").get_by_role("button")
    expect(counts).to_have_text(
        [
            *("15 All", "5 Live", "1 In progress", "1 Needs approval", "3 Failed"),
            *("2 Held", "1 Waiting", "1 Asleep", "1 To be deleted", "1 Removed"),
        ]
    )


def test_a_run_that_control_has_not_seen_yet_is_in_progress_and_leads_there(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a"), make_preview("dev-b", number=1), make_target("staging")])
    form = {"branch": "dev-b", "action": "delete", "reason": "no longer needed"}
    airflow.start_run(PREVIEW_DAG, "manual__1", run_type="manual", conf=form, triggering_user_name="ada")
    airflow.start_run(f"{PROJECT}.staging", "manual__2", "queued", run_type="manual", conf={"action": "deploy"})
    page.goto(airflow.page_url)
    row = find_row(page, "dev-b")
    expect(row).to_contain_text("Deleting")
    expect(row).to_contain_text("by ada: no longer needed")
    expect(row.get_by_role("link", name="Watch the run")).to_have_attribute(
        "href", f"{airflow.prefix}/dags/{PREVIEW_DAG}/runs/manual__1"
    )
    expect(find_row(page, "dev-a")).to_contain_text("Live")
    expect(find_row(page, "staging")).to_contain_text("Deploying")


def test_only_a_run_of_ours_that_began_a_while_ago_can_have_ended_since_the_last_pass(
    airflow: AirflowDouble, page: Page
) -> None:
    ended = replace(make_preview("dev-a", State.DEPLOYING), verb="deploy", run_id="dev-a~x~1", run_dag=PREVIEW_DAG)
    astros = replace(make_preview("dev-b", State.DEPLOYING), why="Astro rolls it out")
    new = replace(ended, slug="dev-c", environment="dev-c", branch="dev-c", run_id="dev-c~x~1", state_at=ago(seconds=3))
    airflow.show(PROJECT, [ended, astros, new])
    page.goto(airflow.page_url)
    expect(find_row(page, "dev-a")).to_contain_text("Finishing")
    expect(find_row(page, "dev-b")).to_contain_text("Deploying")
    expect(find_row(page, "dev-b")).to_contain_text("Astro rolls it out")
    expect(find_row(page, "dev-c")).to_contain_text("Deploying")


REPEATED = """row => {
    const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT), texts = [];
    while (walker.nextNode()) {
        const said = walker.currentNode.textContent.trim();
        if (said.length > 3 && !walker.currentNode.parentElement.closest("time")) texts.push(said);
    }
    const isAgain = (said, other) => other === said || (said.includes(" ") && other.includes(said));
    return texts.filter((said, at) => texts.some((other, place) => place !== at && isAgain(said, other)));
}"""
"""What stands in a row again: words in a place of their own, or several of them within others. Moments may agree."""


def test_a_row_says_nothing_twice(airflow: AirflowDouble, page: Page) -> None:
    held = "delete dev-twice held: idle since 2026-11-12 21:28 UTC"
    rows = [
        *make_few(),
        replace(make_preview("dev-twice", State.HELD), why="", holds=(held,)),
        replace(make_target("qa", is_gated=True), state=State.FROZEN, why=f"deploy: {PROJECT}.qa is paused"),
    ]
    airflow.show(PROJECT, rows)
    airflow.dags[f"{PROJECT}.qa"] = True
    airflow.dags[PREVIEW_DAG] = True
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(len(rows))
    for row in page.locator("tr.row").all():
        assert row.evaluate(REPEATED) == [], row.text_content()
    live = find_row(page, "staging")
    expect(live.get_by_role("cell").nth(2).locator("time")).to_have_count(1)
    expect(live.get_by_role("cell").nth(3)).to_have_text("DAG-only deployin 14 s")
    expect(live.get_by_role("link", name="Its DAG is paused")).to_have_count(0)
    expect(find_row(page, "qa").get_by_role("link", name="Open the DAG")).to_have_count(1)
    expect(find_row(page, "dev-twice")).to_contain_text("delete: idle since 2026-11-12 21:28 UTC")
    page.get_by_role("button", name="dev-twice", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("delete dev-twice held")).to_have_count(0)


def test_a_question_hides_no_override(airflow: AirflowDouble, page: Page) -> None:
    row = write_production([record_ours(5, MERGE, HEAD), record_override(2, OLD)], [end_forced(2, OLD)], source=OPEN)
    airflow.show(PROJECT, [row])
    airflow.ask(row.request_dag, "manual__1", "Deploy v2 to Production?")
    page.goto(airflow.page_url)
    expect(find_row(page, "production")).to_contain_text("Deploy v2 to Production?")
    page.get_by_role("button", name="production", exact=True).click()
    held = page.get_by_role("dialog").locator("dt", has_text=re.compile("^Held$")).locator("+ dd")
    expect(held).to_have_text(f"overridden by {OLD[:7]}, by ann, because INC-42, until resumed")


NOBODY_KNOWS = record(1, "", rollback_from_id="d0", git_commit=None)
WRITTEN: dict[str, tuple[Row, str, str, str]] = {  # what state, commit and last deploy say
    "a release that we deployed": (
        write_production([record_ours(2, MERGE, HEAD)], [end_run(2, MERGE, HEAD)], source=OPEN),
        "for 2 h",
        f"{HEAD[:7]} 2 h agonewest commit",
        "DAG-only deployin 1 min",
    ),
    "somebody's deploy after ours, by Astro's CLI": (
        write_production([record_ours(5, MERGE, HEAD), record(1, OLD)], [end_run(5, MERGE, HEAD)], source=OPEN),
        f"overridden by {OLD[:7]}, by somebody else's deploy d1 of Jo Doe, until resumed",
        f"{OLD[:7]} 1 h agonewest {HEAD[:7]} 1 h ago",
        "DAG-only deploy",
    ),
    "a rollback in Astro to what nobody knows": (
        write_production([record_ours(5, MERGE, HEAD), NOBODY_KNOWS], [end_run(5, MERGE, HEAD)], source=OPEN),
        "overridden by an unknown commit, by a rollback to d0 (deploy d1) of Jo Doe, until resumed",
        f"an unknown commit 1 h agonewest {HEAD[:7]} 1 h ago",
        "DAG-only deploy",
    ),
    "an override while no pull request is open": (
        write_production([record_ours(5, MERGE, HEAD), record_override(2, OLD)], [end_forced(2, OLD)]),
        f"overridden by {OLD[:7]}, by ann, because INC-42, until resumed",
        f"{OLD[:7]} 2 h ago",
        "DAG-only deployin 1 min by annbecause INC-42",
    ),
    "one that was resumed then": (
        write_production([record_override(2, OLD)], [end_forced(2, OLD)], resumed="d2"),
        "resumed, and stays as it is until a pull request is open",
        f"{OLD[:7]} 2 h ago",
        "DAG-only deployin 1 min by annbecause INC-42",
    ),
    "a forced deploy that failed before it was known what kind it is": (
        write_production(
            [record_ours(5, MERGE, HEAD)],
            [end_run(5, MERGE, HEAD), end_forced(1.5, "", state="failed", kind="", cause="nearest: 'main'")],
            source=OPEN,
        ),
        "deploy by ann: nearest: 'main'",
        f"{HEAD[:7]} 5 h agonewest commit",
        "Deployfailed in 1 min, 1 h ago by annbecause INC-42",
    ),
    "a deploy that was superseded": (
        write_production(
            [record_ours(5, MERGE, HEAD)],
            [end_run(5, MERGE, HEAD), end_run(1.5, NEXT, state="superseded")],
            source=OPEN,
        ),
        "for 5 h",
        f"{HEAD[:7]} 5 h agonewest commit",
        "DAG-only deployin 1 min",
    ),
    "nothing yet": (
        write_production([], source=OPEN),
        "",
        f"nothing yetnewest {HEAD[:7]}",
        "none yet",
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_since_when_which_commit_and_by_what_agree_or_are_left_out(
    airflow: AirflowDouble, page: Page, case: str
) -> None:
    row, state, runs, deploy = WRITTEN[case]
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    cells = find_row(page, "production").get_by_role("cell")
    expect(cells.nth(1)).to_contain_text(state)
    expect(cells.nth(2)).to_have_text(runs)
    expect(cells.nth(3)).to_have_text(deploy)
    page.get_by_role("button", name="production", exact=True).click()
    told = page.get_by_role("dialog").locator("dt", has_text=re.compile("^Runs$")).locator("+ dd").all_text_contents()
    assert told == [runs.partition("newest")[0].strip()] * (row.deployed_at is not None)


def test_of_what_is_removed_the_row_promises_nothing(airflow: AirflowDouble, page: Page) -> None:
    gone = next(each for each in make_few() if each.state is State.REMOVED)
    airflow.show(PROJECT, [gone, replace(gone, slug="dev-x", environment="dev-x", branch="dev-x", outcomes=())])
    page.goto(airflow.page_url)
    for name in ("dev-gone", "dev-x"):
        row = find_row(page, name)
        expect(row.get_by_role("cell").nth(2)).to_have_text("\N{EN DASH}")
        expect(row).not_to_contain_text("yet")


def test_whoever_keeps_a_preview_is_named_as_the_decision_has_it(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [replace(make_preview("dev-a"), kept="by ann: a demo")])
    page.goto(airflow.page_url)
    expect(page.get_by_title("by ann: a demo")).to_have_text("by ann: a demo")
    expect(page.locator("tr.row")).not_to_contain_text("by by")


def test_a_question_leads_to_where_it_is_answered(airflow: AirflowDouble, page: Page) -> None:
    dag, run = f"{PROJECT}.production.request", "target.production~request~0a1b~2c~1"
    airflow.show(PROJECT, [make_target("production", is_gated=True)])
    airflow.ask(dag, run, "Deploy #88 to Production?")
    airflow.dags[f"{PROJECT}.cleanup"] = False
    airflow.ask(f"{PROJECT}.cleanup", "scheduled__1", "Delete 7 previews?")
    page.goto(airflow.page_url)
    row = find_row(page, "production")
    expect(row).to_contain_text("Needs approval")
    where = f"{airflow.prefix}/dags/{dag}/runs/{run}/tasks/approve/required_actions"
    expect(row.get_by_role("link", name="Open the question")).to_have_attribute("href", where)
    expect(page.get_by_role("region", name="Needs you")).to_contain_text("shop.cleanupDelete 7 previews?")


def test_a_void_question_is_none(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_target("production", is_gated=True)], at=ago(seconds=0))
    airflow.ask(f"{PROJECT}.production.request", "target.production~request~old~1", "Deploy #77?")
    airflow.approvals[0]["created_at"] = ago(hours=5).isoformat()
    page.goto(airflow.page_url)
    expect(find_row(page, "production")).to_contain_text("Live")
    expect(page.get_by_role("region", name="Needs you")).to_contain_text("Nothing waits for a person")


def test_a_request_that_was_answered_since_the_last_pass_no_longer_asks(airflow: AirflowDouble, page: Page) -> None:
    dag, run = f"{PROJECT}.production.request", "target.production~request~0a1b~2c~1"
    row = replace(make_target("production", is_gated=True), state=State.APPROVAL, run_dag=dag, run_id=run)
    airflow.show(PROJECT, [row])
    airflow.start_run(dag, run)
    page.goto(airflow.page_url)
    expect(find_row(page, "production")).to_contain_text("Needs approval")
    airflow.runs.clear()
    look_again(page)
    expect(find_row(page, "production")).to_contain_text("Finishing for")
    expect(find_row(page, "production")).to_contain_text("its run has ended")


AGED = [
    (7, False, "shop: its last finished pass was 7 min ago, and one is due every 5 min."),
    (7, True, "shop.control is paused: nothing is planned, and this is how things were 7 min"),
    (5, False, ""),
]


def test_old_data_says_that_it_is_old(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    page.goto(airflow.page_url)
    notices = page.get_by_role("status", name="Notices")
    for minutes, is_paused, words in AGED:
        airflow.show(PROJECT, [make_preview("dev-a")], at=ago(minutes=minutes))
        airflow.dags[f"{PROJECT}.control"] = is_paused
        look_again(page)
        expect(notices).to_contain_text(words) if words else expect(notices).to_be_empty()
        expect(page.locator("tr.row")).to_have_count(1)


def test_a_project_without_a_pass_is_named_and_the_others_are_shown(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.dags["books.control"] = False
    airflow.dags["tools.control"] = True
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("books has nothing to show yet: books.control has not finished a pass.")
    expect(notices).to_contain_text(
        "tools.control is paused: nothing is shown of the project until it runs. Unpause it."
    )


def test_environments_whose_dag_the_user_may_not_see_are_left_out(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.show("secret", [make_preview("dev-secret")])
    for dag in [f"{PROJECT}.production", *(dag for dag in airflow.dags if dag.startswith("secret."))]:
        del airflow.dags[dag]
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(14)
    expect(page.get_by_role("status", name="Notices")).to_contain_text("1 DAG that you may not see")
    expect(page.locator("body")).not_to_contain_text("secret")
    expect(page.locator("body")).not_to_contain_text(f"{PROJECT}.production")
    assert "GET assets/1/state-store/view.summary" not in airflow.asked


def test_an_empty_installation_says_what_to_do(airflow: AirflowDouble, page: Page) -> None:
    page.goto(airflow.page_url)
    expect(page.locator("#empty")).to_contain_text("Name a project in include/deploy_ops.yaml")
    airflow.show(PROJECT, [])
    look_again(page)
    expect(page.locator("#empty")).to_contain_text("Push a branch", timeout=SOON_MS)


def test_what_was_written_before_values_had_a_version_is_shown(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    values = airflow.stores[PROJECT].values
    bare = {key: stored["value"] for key, stored in values.items()}
    assert bare.keys() >= {"view.summary"}
    values.update(bare)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)


def test_rows_that_lie_in_several_parts_are_shown(
    airflow: AirflowDouble, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "VALUE_BYTES_MAX", 4_000)
    airflow.show(PROJECT, make_few())
    assert any(key.startswith("view.rows.") and key.count(".") == 3 for key in airflow.stores[PROJECT].values)
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)


def test_plan_mode_is_told(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few(), mode="plan")
    page.goto(airflow.page_url)
    expect(page.get_by_role("status", name="Notices")).to_contain_text("shop is in plan mode")


def test_a_missing_pool_is_told_until_it_is_made(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.pools.clear()
    page.goto(airflow.page_url)
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("Airflow has no pool deploy_ops_cli")
    expect(notices).to_contain_text("airflow pools set deploy_ops_cli 3")
    airflow.pools.add("deploy_ops_cli")
    look_again(page)
    expect(notices).to_be_empty(timeout=SOON_MS)


REFUSALS = [(401, "Your session has ended."), (403, "You may not see this"), (500, "Airflow failed: the moon")]


def test_what_airflow_refuses_is_told_and_what_was_read_stays(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    notices = page.get_by_role("status", name="Notices")
    for status, words in REFUSALS:
        airflow.faults["*"] = (status, "the moon")
        look_again(page)
        expect(notices).to_contain_text(words, timeout=SOON_MS)
        expect(page.locator("tr.row")).to_have_count(15)
        airflow.faults.clear()
        look_again(page)
        expect(notices).to_be_empty(timeout=2 * SOON_MS)


def test_an_airflow_that_does_not_answer_is_told_with_the_age_of_what_is_shown(
    airflow: AirflowDouble, page: Page
) -> None:
    airflow.show(PROJECT, make_few())
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    page.route("**/api/v2/**", lambda route: route.abort())
    look_again(page)
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("Airflow does not answer. What you see is", timeout=SOON_MS)
    expect(notices).to_contain_text("Trying again in 10 s")


def test_what_may_not_be_read_is_named_and_the_rest_is_shown(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.faults["hitlDetails"] = (403, "no")
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_have_count(15)
    expect(page.get_by_role("status", name="Notices")).to_contain_text("You may not read what waits for approval")


def test_a_project_that_cannot_be_read_hides_no_other(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    airflow.show("books", [make_preview("dev-books")])
    airflow.faults["assets/1/state-store/view.summary"] = (403, "no")
    page.goto(airflow.page_url)
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("books: you may not read its environments. They are not shown.")
    expect(page.locator("tr.row")).to_have_count(1)
    airflow.faults.clear()
    look_again(page)
    expect(page.locator("tr.row")).to_have_count(2, timeout=SOON_MS)
    expect(notices).to_be_empty()
    airflow.show(PROJECT, [make_preview("dev-a"), make_preview("dev-b")])
    airflow.show("books", [make_preview("dev-books", State.FAILED)])
    airflow.faults[f"assets/1/state-store/view.rows.{shard_row('dev-books'):02x}"] = (500, "the moon")
    look_again(page)
    words = re.compile(r"books: its environments cannot be read: the moon. What you see of it is \d+ s old\.")
    expect(notices).to_contain_text(words, timeout=SOON_MS)
    expect(find_row(page, "dev-b")).to_contain_text("Live")
    expect(find_row(page, "dev-books")).to_contain_text("Live")


def test_names_and_titles_are_never_markup(airflow: AirflowDouble, page: Page) -> None:
    bad = "<img src=x onerror=alert(1)>"
    row = replace(
        make_preview("dev-a", number=1),
        environment=bad,
        branch=bad,
        author=bad,
        pull_title=bad,
        why=bad,
        holds=(bad,),
        airflow_url="javascript:alert(1)",
        astro_url="data:text/html,x",
    )
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    expect(page.locator("tr.row")).to_contain_text(bad)
    page.locator("button.name").click()
    expect(page.get_by_role("dialog")).to_contain_text(bad)
    expect(page.locator("img")).to_have_count(0)
    for url in page.locator("a").evaluate_all("links => links.map((link) => link.protocol)"):
        assert url in {"http:", "https:"}


def test_drift_is_a_word_in_the_row_and_a_list_where_that_is_opened(airflow: AirflowDouble, page: Page) -> None:
    told = ("scheduler_size MEDIUM in Astro, SMALL here", "environment_variables.STAGE differs")
    airflow.show(PROJECT, [replace(make_preview("dev-drift"), drift=told), make_preview("dev-same")])
    page.goto(airflow.page_url)
    badge = find_row(page, "dev-drift").get_by_text("drift", exact=True)
    expect(badge).to_have_attribute("title", "; ".join(told))
    expect(find_row(page, "dev-same").get_by_text("drift", exact=True)).to_have_count(0)
    page.get_by_role("button", name="dev-drift", exact=True).click()
    facts = page.get_by_role("dialog")
    for each in told:
        expect(facts.get_by_role("listitem").filter(has_text=each)).to_be_visible()
