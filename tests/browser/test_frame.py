"""The page inside Airflow's UI: its address, its theme, and the ways out of a sandboxed frame."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from airflow.api_fastapi.core_api.security import get_user
from playwright.sync_api import Page, expect

from plugins.deployments_page import PREFIX, DeploymentsPage, compute_version, make_app, read_files
from tests.browser.fleet import GITHUB, PREVIEW_DAG, PROJECT, make_few, make_preview

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator

    from tests.browser.airflow_double import AirflowDouble

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Return a client; making one costs more than what it asks."""
    with httpx.Client() as made:
        yield made


def open_ui(airflow: AirflowDouble, page: Page, path: str = "") -> FrameLocator:
    airflow.show(PROJECT, make_few())
    page.goto(f"{airflow.url}/plugin/deployments{path}")
    frame = page.frame_locator("iframe")
    expect(frame.locator("tr.row")).to_have_count(15)
    return frame


def test_a_link_to_airflow_goes_there_without_loading_the_ui_again(airflow: AirflowDouble, page: Page) -> None:
    frame = open_ui(airflow, page)
    page.evaluate("window.isSame = true")
    frame.get_by_role("link", name="Newest run of dev-invoices").click()
    expect(page).to_have_url(re.compile(rf"{airflow.url}/dags/{PREVIEW_DAG}/runs/dev-invoices~deploy~"))
    expect(page.locator("#where")).to_contain_text("/runs/dev-invoices~deploy~")
    assert page.evaluate("window.isSame")


def test_a_link_elsewhere_opens_another_tab_although_the_sandbox_has_no_popups(
    airflow: AirflowDouble, page: Page
) -> None:
    frame = open_ui(airflow, page)
    page.context.route(f"{GITHUB}/**", lambda route: route.fulfill(body=f"at {route.request.url}"))
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="#107").first.click()
    expect(opened.value).to_have_url(f"{GITHUB}/pull/107")
    assert opened.value.evaluate("window.opener") is None
    run = frame.get_by_role("link", name="Newest run of dev-invoices")
    for how in ("ControlOrMeta", "middle"):
        with page.context.expect_page() as opened:
            run.click(button="middle") if how == "middle" else run.click(modifiers=["ControlOrMeta"])
        expect(opened.value).to_have_url(re.compile("/runs/dev-invoices~deploy~"))
    expect(page).to_have_url(re.compile("/plugin/deployments"))


def test_whoever_is_logged_out_is_led_to_the_login(airflow: AirflowDouble, page: Page) -> None:
    frame = open_ui(airflow, page)
    page.evaluate("window.isSame = true")
    airflow.faults["*"] = (401, "Not authenticated")
    frame.locator("html").evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    frame.get_by_role("link", name="Log in again").click()
    page.wait_for_load_state()
    expect(page.frame_locator("iframe").get_by_role("status", name="Notices")).to_contain_text("Your session has ended")
    assert page.evaluate("window.isSame") is None


def test_a_deep_link_of_the_ui_reaches_the_page_and_the_pages_query_reaches_the_ui(
    airflow: AirflowDouble, page: Page
) -> None:
    frame = open_ui(airflow, page, "?state=failed")
    expect(frame.locator("tr.row:visible")).to_have_count(3)
    frame.get_by_role("searchbox").fill("fraud")
    inner = f"{airflow.prefix}/deploy-ops/page?q=fraud&state=failed"
    expect(page).to_have_url(f"{airflow.url}/plugin/deployments{inner}")
    page.reload()
    expect(page.frame_locator("iframe").locator("tr.row:visible")).to_have_count(1)


def test_alone_in_a_window_the_systems_theme_counts(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, [make_preview("dev-a")])
    page.emulate_media(color_scheme="dark")
    page.goto(airflow.page_url)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_nothing_moves_for_those_who_want_it_still(airflow: AirflowDouble, page: Page) -> None:
    airflow.show(PROJECT, make_few())
    airflow.start_run(PREVIEW_DAG, "dev-orders~create~0a1b2c3d4e5f~01234567~1")
    page.goto(airflow.page_url)
    mark = page.locator(".mark.flying")
    expect(mark).to_have_count(1)
    assert mark.evaluate("mark => getComputedStyle(mark).animationName") == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert mark.evaluate("mark => getComputedStyle(mark).animationName") == "breathe"


def test_files_are_kept_for_ever_under_their_version_and_nothing_outside_is_allowed(
    airflow: AirflowDouble, client: httpx.Client
) -> None:
    page = client.get(airflow.page_url)
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert client.get(airflow.page_url, headers={"If-None-Match": page.headers["ETag"]}).status_code == 304
    files = f"{airflow.url}/{PREFIX}"
    for name in read_files():
        found = client.get(f"{files}/{compute_version()}/{name}")
        assert found.status_code == (404 if name == "index.html" else 200)
        assert found.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert "immutable" in found.headers["Cache-Control"] or name == "index.html"
    assert client.get(f"{files}/0123456789abcdef/main.js").headers["Cache-Control"] == "no-store"
    assert client.get(f"{files}/{compute_version()}/..%2fdeployments_page.py").status_code == 404


def test_whoever_is_not_logged_in_gets_nothing(
    airflow: AirflowDouble, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(make_app().dependency_overrides, get_user)
    for path in ("page", "me", f"{compute_version()}/main.js", "nothing/such"):
        assert client.get(f"{airflow.url}/{PREFIX}/{path}").status_code == 401


def test_its_own_server_tells_a_name_and_the_kind_of_a_database_and_nothing_else(
    airflow: AirflowDouble, client: httpx.Client
) -> None:
    assert client.get(f"{airflow.url}/{PREFIX}/me").json().keys() == {"name"}
    assert client.get(f"{airflow.url}/{PREFIX}/database").json() == {"kind": airflow.database}
    airflow.may_configure = False
    assert client.get(f"{airflow.url}/{PREFIX}/database").status_code == 403
    found = {path for each in make_app().routes for path in [getattr(each, "path", None)]}
    assert found == {"/page", "/me", "/database", "/{version}/{name}"}


def test_the_plugin_costs_tasks_no_web_framework() -> None:
    """Airflow imports plugins in many processes; only its API server needs the application."""
    stub = "import sys, types; sys.modules['airflow.plugins_manager'] = types.SimpleNamespace(AirflowPlugin=object); "
    code = "import plugins.deployments_page; print({name.split('.')[0] for name in sys.modules} - before)"
    found = f"{stub} before = {{*sys.stdlib_module_names, *sys.modules, 'airflow'}}; {code}"
    said = subprocess.run([sys.executable, "-c", found], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "{'plugins'}"


def test_the_entrys_icons_are_among_the_files(airflow: AirflowDouble, client: httpx.Client) -> None:
    (entry,) = DeploymentsPage.external_views
    for icon in (entry["icon"], entry["icon_dark_mode"]):
        assert client.get(f"{airflow.url}/{icon}").headers["Content-Type"].startswith("image/svg+xml")


def test_the_navigation_names_the_page_by_a_word_that_it_shows_whole() -> None:
    (entry,) = DeploymentsPage.external_views
    name = str(entry["name"])
    assert name == "Deploys"
    assert len(name) <= len("Required")  # Airflow cuts a longer one: "Deploym…"
    assert f"<title>{name}</title>".encode() in read_files()["index.html"]
    assert f"<h1>{name}</h1>".encode() in read_files()["index.html"]
