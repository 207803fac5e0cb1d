"""Which links are followed, and which are dead ends."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from demo.links import Links, find_links, list_written
from demo.outside import Outside
from demo.ports import Ports
from demo.witness import WitnessError

PORTS = Ports(airflow=1, sandbox=2, execution=3, worker_log=4, trigger_log=5)
HOME = f"{PORTS.sandbox_url}/github/acme/shop"
PAGES = {
    f"{PORTS.sandbox_url}/": '<a href="/github/acme/shop/pull/1">x</a> <a href="/sandbox/ci">y</a>',
    f"{HOME}/pull/1": f'<a class="button" href="{PORTS.airflow_url}/dags/p.x/runs/r~1?a=1&amp;b=2">Details</a>'
    '<a href="#issuecomment-1">z</a><a href="https://elsewhere.example/">w</a>',
    f"{HOME}/commit/abc": "",
}
ROW: dict[str, Any] = {
    "airflow_url": "",
    "astro_url": f"{PORTS.sandbox_url}/astro/d",
    "run_dag": "p.preview",
    "run_id": "dev~1",
    "head": "abc",
    "deployed": "abc",
    "pull": 1,
    "pulls": [1],
    "outcomes": [{"dag": "p.staging", "run_id": "s~1", "commit": "abc"}],
}


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    """Return links over these pages, and an Airflow that has what PATHS names."""

    def answer(request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        if url in PAGES:
            assert "text/html" in request.headers["accept"]
            assert "authorization" not in request.headers
            return httpx.Response(200, html=PAGES[url])
        if url == f"{PORTS.sandbox_url}/astro/d":
            return httpx.Response(410, html="It was deleted")
        if url.startswith(f"{PORTS.sandbox_url}/sandbox/") or url.endswith("/json"):
            return httpx.Response(200, json={})
        return httpx.Response(404)

    def have(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.url.path in PATHS else 404)

    transport, client = httpx.MockTransport(answer), httpx.Client
    monkeypatch.setattr(httpx, "get", lambda url, **how: client(transport=transport).get(url, headers=how["headers"]))
    airflow = client(base_url=PORTS.airflow_url, transport=httpx.MockTransport(have))
    return Links(Outside(PORTS, airflow, cast("httpx.Client", None), "o", "t"), HOME)


PATHS = {
    "/",
    "/api/v2/dags/p.x",
    "/api/v2/dags/p.x/dagRuns/r~1",
    "/api/v2/dags/p.x/dagRuns/r~1/taskInstances/approve",
    "/plugin/deployments",
}


def test_links_are_found_in_plain_text_and_markdown() -> None:
    text = "at http://127.0.0.1:1/a?b=c. See [x](http://127.0.0.1:1/dags/p~1), <http://127.0.0.1:2/>, `http://x/y`"
    assert find_links(text) == {
        "http://127.0.0.1:1/a?b=c",
        "http://127.0.0.1:1/dags/p~1",
        "http://127.0.0.1:2/",
        "http://x/y",
    }


def test_a_row_leads_to_runs_commits_pull_requests_and_its_deployment(links: Links) -> None:
    assert links.find_in_row(ROW) == {
        f"{PORTS.sandbox_url}/astro/d",
        f"{PORTS.airflow_url}/dags/p.preview/runs/dev~1",
        f"{PORTS.airflow_url}/dags/p.staging/runs/s~1",
        f"{HOME}/commit/abc",
        f"{HOME}/pull/1",
    }


def test_what_pages_lead_to_is_followed_too(links: Links) -> None:
    written = set(list_written([{"pull": 1}], links))
    assert f"{PORTS.airflow_url}/dags/p.x/runs/r~1?a=1&b=2" in written
    assert f"{PORTS.sandbox_url}/sandbox/ci" in written
    assert links.follow(written) == 4, "the start page, the pull request, its run and the list of builds"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/dags/p.x",
        "/dags/p.x/runs/r~1",
        "/dags/p.x/runs/r~1/tasks/approve/required_actions",
        "/plugin/deployments",
    ],
)
def test_airflows_pages_open_when_it_has_what_they_show(links: Links, path: str) -> None:
    assert links.follow([PORTS.airflow_url + path]) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"{PORTS.airflow_url}/dags/p.x/runs/gone", "HTTP 404"),
        (f"{PORTS.airflow_url}/dags/p.x/runs/r~1/tasks/gone", "HTTP 404"),
        (f"{PORTS.sandbox_url}/astro/airflow/x", "HTTP 404"),
        (f"{PORTS.sandbox_url}/astro/json", "it is no page"),
    ],
)
def test_a_dead_end_is_named(links: Links, url: str, why: str) -> None:
    with pytest.raises(WitnessError, match="1 of 2 links do not open") as caught:
        links.follow([url, f"{HOME}/pull/1", "https://elsewhere.example/"])
    assert f"{url}: {why}" in str(caught.value)
