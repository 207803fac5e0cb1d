"""'Needs you': each thing that only a person ends stands once, with the button that ends it by Airflow's API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page, expect

from include.deploy_ops.core.plan.work import Remedy
from include.deploy_ops.core.view.health import ASTRO, GITHUB, see_failing, see_well
from include.deploy_ops.core.view.needs import Need
from include.deploy_ops.core.view.row import Row, RowKind, State
from tests.browser.chromium import keep_picture
from tests.browser.fleet import PREVIEW_DAG, PROJECT, ago, make_few, make_preview, make_target
from tests.browser.test_reading import SOON_MS, find_row, look_again

if TYPE_CHECKING:
    from tests.browser.airflow_double import AirflowDouble

TEMPLATE = (
    "acme/shop/preview.yaml on main: deployment.configuration.scheduler_sise: unknown key; did you mean"
    f" 'scheduler_size'? {'x' * 300} the end"
)
OVERRIDDEN = "overridden by v1@8331752, forced by ann, until a person resumes it (its form, action 'resume')"
REQUEST = f"{PROJECT}.production.request"
RUN = "target.production~request~0a1b~2c~1"


def make_failed(branch: str = "dev-returns") -> Row:
    row = make_preview(branch, State.FAILED, 2)
    run = row.outcomes[-1].run_id
    return replace(row, needs=(Need("deploy", "failed: no image; push a fix", Remedy.RETRY, run, PREVIEW_DAG),))


def make_held(row: Row, why: str, remedy: Remedy = Remedy.MEND) -> Row:
    return replace(row, state=State.HELD, why=why, needs=(Need("deploy", why, remedy),))


def make_deploy_branch() -> Row:
    row = next(each for each in make_few() if each.kind is RowKind.DEPLOY_BRANCH)
    return make_held(row, "failed: astro_deploy is held at 0a1b ('x')", Remedy.ADOPT)


def find_needs(page: Page) -> Locator:
    return page.get_by_role("region", name="Needs you").get_by_role("listitem")


def press(page: Page, label: str, *, sure: str) -> None:
    """Press a button of the list, and the one that confirms: two clicks in all."""
    page.get_by_role("region", name="Needs you").get_by_role("button", name=label, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=sure, exact=True).click()


def test_nothing_is_said_where_nothing_waits(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    page.goto(airflow.page_url)
    expect(page.get_by_role("region", name="Needs you")).to_contain_text("Nothing waits for a person")
    expect(find_needs(page)).to_have_count(0)


def test_a_question_shows_its_head_and_leads_to_where_it_is_answered(airflow: AirflowDouble, page: Page) -> None:
    row = make_target("production", is_gated=True)
    airflow.show(PROJECT, [row])
    airflow.ask(REQUEST, RUN, "Deploy #88 to Production?")
    airflow.dags[f"{PROJECT}.cleanup"] = False
    airflow.ask(f"{PROJECT}.cleanup", "scheduled__1", "Delete 7 previews?")
    page.goto(airflow.page_url)
    needs = find_needs(page)
    expect(needs).to_contain_text(["production", "shop.cleanup"])
    expect(needs.first).to_contain_text(f"production {row.head[:7]}Deploy #88 to Production?")
    for number, (dag, run) in enumerate([(REQUEST, RUN), (f"{PROJECT}.cleanup", "scheduled__1")]):
        where = f"{airflow.prefix}/dags/{dag}/runs/{run}/tasks/approve/required_actions"
        expect(needs.nth(number).get_by_role("link", name="Open the question")).to_have_attribute("href", where)


def test_a_failed_run_is_cleared_by_two_clicks(airflow: AirflowDouble, page: Page) -> None:
    row = make_failed()
    airflow.show(PROJECT, [row])
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_contain_text("failed: no image; push a fix")
    press(page, "Retry dev-returns", sure="Retry")
    expect(find_row(page, "dev-returns")).to_contain_text("Deploying")
    expect(find_needs(page)).to_have_count(0)
    run = row.outcomes[-1].run_id
    assert airflow.cleared == [(PREVIEW_DAG, run, {"dry_run": False, "only_failed": False})]
    airflow.runs.clear()
    look_again(page)
    expect(find_needs(page)).to_contain_text("Asked; control looks again soon", timeout=SOON_MS)
    expect(find_needs(page).get_by_role("button")).to_have_count(0)
    airflow.show(PROJECT, [row], at=datetime.now(UTC))
    look_again(page)
    expect(find_needs(page).get_by_role("button", name="Retry dev-returns")).to_be_visible(timeout=SOON_MS)


def test_what_was_rejected_is_asked_again_by_clearing_its_request(airflow: AirflowDouble, page: Page) -> None:
    need = Need("request", "rejected by ann, because not on Friday", Remedy.RETRY, RUN, REQUEST)
    airflow.show(PROJECT, [replace(make_target("production", is_gated=True), state=State.HELD, needs=(need,))])
    page.goto(airflow.page_url)
    press(page, "Ask again production", sure="Ask again")
    expect(find_needs(page)).to_contain_text("Asked; control looks again soon")
    assert airflow.cleared == [(REQUEST, RUN, {"dry_run": False, "only_failed": False})]


def test_what_was_answered_and_waits_on_is_told_and_asked_again_by_two_clicks(
    airflow: AirflowDouble, page: Page
) -> None:
    row = replace(make_target("production", is_gated=True), state=State.APPROVAL, run_dag=REQUEST, run_id=RUN)
    airflow.show(PROJECT, [row])
    airflow.start_run(REQUEST, RUN)
    airflow.strand(REQUEST, RUN, "Deploy #88 to Production?")
    page.goto(airflow.page_url)
    words = "boris answered, and Airflow does not go on with it: it has to be asked again"
    shown = find_row(page, "production")
    expect(shown).to_contain_text("Needs approval")
    expect(shown).to_contain_text(words)
    where = f"{airflow.prefix}/dags/{REQUEST}/runs/{RUN}"
    expect(shown.get_by_role("link", name="Open the run")).to_have_attribute("href", where)
    expect(find_needs(page)).to_contain_text(words)
    press(page, "Ask again production", sure="Ask again")
    expect(find_needs(page)).to_have_count(0)
    assert airflow.cleared == [(REQUEST, RUN, {"dry_run": False, "only_failed": False})]
    airflow.ask(REQUEST, RUN, "Deploy #88 to Production?")
    look_again(page)
    expect(find_needs(page).get_by_role("link", name="Open the question")).to_be_visible(timeout=SOON_MS)
    expect(find_needs(page)).to_have_count(1)


def test_an_answer_to_cleanup_that_woke_nobody_is_asked_again_too(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    cleanup = f"{PROJECT}.cleanup"
    airflow.dags[cleanup] = False
    airflow.strand(cleanup, "scheduled__1", "Delete 7 previews?", who="")
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_contain_text("shop.cleanup")
    expect(find_needs(page)).to_contain_text("somebody answered")
    press(page, f"Ask again {cleanup}", sure="Ask again")
    expect(find_needs(page)).to_have_count(0)
    assert airflow.cleared == [(cleanup, "scheduled__1", {"dry_run": False, "only_failed": False})]


def test_an_override_is_ended_by_two_clicks_and_a_reason(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_held(make_target("production", is_gated=True), OVERRIDDEN, Remedy.RESUME)])
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_contain_text("forced by ann")
    page.get_by_role("button", name="Resume production").click()
    page.get_by_label("Reason").fill("INC-42 is over")
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("dialog")).to_contain_text("Airflow started the run")
    ((dag, body),) = airflow.posted
    assert dag == f"{PROJECT}.production"
    assert (body["conf"]["action"], body["conf"]["reason"]) == ("resume", "INC-42 is over")
    page.keyboard.press("Escape")
    expect(find_row(page, "production")).to_contain_text("Resuming")
    expect(find_needs(page)).to_have_count(0)


def test_each_form_that_ends_a_hold_opens_filled_for_its_environment(airflow: AirflowDouble, page: Page) -> None:
    taken = replace(make_preview("dev-taken"), deployment_id="")
    airflow.show(
        PROJECT,
        [
            make_held(taken, "a Deployment named 'shop-dev-taken' exists without our mark", Remedy.ADOPT),
            make_held(make_preview("dev-old"), "recreate it, Astro cannot change these: cluster", Remedy.DELETE),
            make_deploy_branch(),
        ],
    )
    page.goto(airflow.page_url)
    for label, title, dag in (
        ("Adopt dev-taken", "Adopt a Deployment: dev-taken", PREVIEW_DAG),
        ("Delete dev-old", "Delete the Deployment: dev-old", PREVIEW_DAG),
        ("Adopt astro_deploy", "Adopt the commit: astro_deploy", f"{PROJECT}.promotion"),
    ):
        page.get_by_role("button", name=label).click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        expect(page.get_by_role("dialog")).to_contain_text(f"Starts a run of {dag}")
        page.keyboard.press("Escape")


def test_a_broken_template_stands_once_with_its_advice_first_and_nothing_of_it_cut(
    airflow: AirflowDouble, page: Page
) -> None:
    airflow.show(PROJECT, [make_held(make_preview(f"dev-{number}"), TEMPLATE) for number in range(7)])
    page.goto(airflow.page_url)
    need = find_needs(page)
    expect(need).to_have_count(1)
    expect(need).to_contain_text("dev-0, dev-1, dev-2 and 4 others")
    words = need.locator(".words")
    expect(words).to_have_text(f"did you mean 'scheduler_size'? {TEMPLATE}")
    assert (
        words.evaluate("each => each.scrollHeight <= each.clientHeight && getComputedStyle(each).overflow") == "visible"
    )
    need.get_by_role("button", name="Details dev-0").click()
    expect(page.get_by_role("dialog")).to_contain_text("dev-0")


def test_what_is_wrong_and_what_to_do_stand_in_lines_of_their_own(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_held(make_preview("dev-a"), "2 import errors\npush a commit that mends it")])
    page.goto(airflow.page_url)
    words = find_needs(page).locator(".words")
    expect(words).to_be_visible()
    assert words.inner_text().splitlines() == ["2 import errors", "push a commit that mends it"]


def test_a_frozen_dag_is_unfrozen_by_two_clicks_and_stands_once(airflow: AirflowDouble, page: Page) -> None:
    rows = [replace(make_preview(f"dev-{name}", State.FROZEN), why="paused") for name in "abcde"]
    airflow.show(PROJECT, rows)
    airflow.dags[PREVIEW_DAG] = True
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(1)
    expect(find_needs(page)).to_contain_text(f"dev-a, dev-b, dev-c and 2 othersfrozen: {PREVIEW_DAG} is paused")
    press(page, f"Unfreeze {PREVIEW_DAG}", sure="Unfreeze")
    expect(find_needs(page)).to_have_count(0)
    assert airflow.paused == [(PREVIEW_DAG, {"is_paused": False})]
    assert airflow.dags[PREVIEW_DAG] is False


def test_an_environment_is_frozen_and_unfrozen_from_its_menu(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_target("staging"), make_preview("dev-a")])
    page.goto(airflow.page_url)
    for name, item, dag, said in (
        ("staging", "Freeze", f"{PROJECT}.staging", "Freeze: staging"),
        ("dev-a", "Freeze previews", PREVIEW_DAG, "Freeze: all previews of shop"),
    ):
        airflow.faults[f"dags/{dag}"] = (403, "no")
        page.get_by_role("button", name=f"Actions for {name}").click()
        page.get_by_role("menuitem", name=item).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(said)
        expect(dialog).to_contain_text("You may look at this, but not change it")
        assert not airflow.dags[dag]
        airflow.faults.clear()
        dialog.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name=f"Actions for {name}").click()
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("button", name=f"Unfreeze {dag}")).to_be_visible()
        assert airflow.dags[dag]
    page.get_by_role("button", name="Actions for staging").click()
    page.get_by_role("menuitem", name="Unfreeze").click()
    expect(page.get_by_role("button", name=f"Unfreeze {PROJECT}.staging")).to_have_count(0)
    assert [(dag, body["is_paused"]) for dag, body in airflow.paused] == [
        (f"{PROJECT}.staging", True),
        (PREVIEW_DAG, True),
        (f"{PROJECT}.staging", False),
    ]


REFUSALS = [
    (403, "no", "You may look at this, but not change it"),
    (401, "no", "Your session has ended."),
    (404, "no", "Airflow has no such DAG or run any more"),
    (409, "the run is running", "Airflow refused it: the run is running"),
    (500, "oh", "Airflow failed: oh."),
]


def test_what_airflow_refuses_is_told_and_nothing_is_taken_for_done(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_failed()])
    page.goto(airflow.page_url)
    page.get_by_role("button", name="Retry dev-returns").click()
    for status, detail, words in REFUSALS:
        airflow.faults["/clear"] = (status, detail)
        page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        expect(page.get_by_role("alert")).to_contain_text(words)
    page.keyboard.press("Escape")
    expect(find_needs(page).get_by_role("button", name="Retry dev-returns")).to_be_focused()
    assert airflow.cleared == []


def test_many_needs_are_counted_and_shown_when_asked(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_failed(f"dev-{number}") for number in range(9)])
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(6)
    page.get_by_role("button", name="and 3 more").click()
    expect(find_needs(page)).to_have_count(9)
    page.get_by_role("button", name="Show fewer").click()
    expect(find_needs(page)).to_have_count(6)


def test_what_is_in_flight_needs_nobody(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_failed()])
    airflow.start_run(PREVIEW_DAG, "dev-returns~deploy~0a1b2c3d4e5f~01234567~9")
    page.goto(airflow.page_url)
    expect(find_row(page, "dev-returns")).to_contain_text("Deploying")
    expect(find_needs(page)).to_have_count(0)


def test_what_is_needed_is_never_markup(airflow: AirflowDouble, page: Page) -> None:
    bad = "<img src=x onerror=alert(1)> did you mean '<b>'?"
    airflow.show(PROJECT, [make_held(replace(make_preview("dev-a"), environment=bad), bad)])
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_contain_text(bad)
    expect(page.locator("img, b")).to_have_count(0)


def test_pictures_of_a_bad_day(airflow: AirflowDouble, page: Page) -> None:
    rows = make_few()
    held = make_held(make_target("staging"), OVERRIDDEN, Remedy.RESUME)
    broken = [
        make_held(make_preview(f"dev-{number}", number=number), TEMPLATE.partition(" xx")[0]) for number in range(4)
    ]
    airflow.show(PROJECT, [rows[0], held, make_deploy_branch(), make_failed(), *broken, *rows[9:12]])
    airflow.ask(REQUEST, rows[0].run_id, "Deploy pull request #88 to Production?")
    airflow.dags[PREVIEW_DAG] = True
    failing = see_failing(GITHUB, see_well(ago(minutes=4)), "GET /repos/acme/shop: HTTP 503", ago(minutes=3))
    airflow.see(PROJECT, **{GITHUB: replace(failing, next_at=datetime.now(UTC)), ASTRO: see_well(ago(seconds=40))})
    page.goto(airflow.page_url)
    expect(find_needs(page)).to_have_count(6)
    keep_picture(page, "light-needs")
    page.get_by_role("button", name="Resume staging").click()
    keep_picture(page, "light-needs-resume")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Retry dev-returns").click()
    keep_picture(page, "light-needs-retry")
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="dark")
    keep_picture(page, "dark-needs")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    keep_picture(page, "phone-needs")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
