"""The pages for people: what they show, that everything is escaped, that nothing runs, and that every link opens."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

import httpx
import pytest

from include.deploy_ops.hooks.astro.answers import parse_deployment
from include.deploy_ops.hooks.astro.connection import AstroConnection
from include.deploy_ops.hooks.conversation import Ask
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.sandbox.conftest import Sandbox
from tests.sandbox.test_app import NEW_DEPLOYMENT, push_commit

BROWSER = {"Accept": "text/html"}
DEPLOYMENTS = f"/astro/v1/organizations/{ORGANIZATION_ID}/deployments"
ASTRO = {"Authorization": f"Bearer {ASTRO_TOKEN}"}
GITHUB = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
REPOSITORY = "/github/api/v3/repos/acme/data-platform"
ATTACK = "<script>alert(1)</script>"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt;"


def read(sandbox: Sandbox, path: str, status: int = 200) -> str:
    """Read a page as a browser does, without credentials."""
    answer = sandbox.client.get(path, headers=BROWSER)
    assert answer.status_code == status, path
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    return answer.text


def make_deployment(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    answer = sandbox.client.post(DEPLOYMENTS, json=NEW_DEPLOYMENT | fields, headers=ASTRO)
    return dict(answer.raise_for_status().json())


def write_path(deployment: dict[str, Any]) -> str:
    return f"/astro/{WORKSPACE_ID}/deployments/{deployment['id']}"


def crawl(sandbox: Sandbox) -> dict[str, httpx.Response]:
    """Return every answer that a browser gets that begins at the start page and opens all links of this sandbox."""
    answers: dict[str, httpx.Response] = {}
    waiting = [f"{sandbox.url}/"]
    while waiting:
        url = waiting.pop()
        if url in answers:
            continue
        answers[url] = sandbox.client.get(url, headers=BROWSER)
        if answers[url].headers["content-type"].startswith("text/html"):
            hrefs = (unescape(href) for href in re.findall(r'<a [^>]*href="([^"]*)"', answers[url].text))
            waiting += [found for href in hrefs if (found := urldefrag(urljoin(url, href)).url).startswith(sandbox.url)]
    return answers


def test_every_link_opens_and_no_text_is_markup(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.client.post("/sandbox/reset").raise_for_status()
    sandbox.client.post("/sandbox/settings", json={"ci_delay_s": 0}).raise_for_status()
    sha = push_commit(sandbox, tmp_path, "dev-x")
    pull = {"head": "dev-x", "base": "main", "title": ATTACK, "body": f"see #1, #2 and @ann {ATTACK}"}
    status = {"state": "success", "context": ATTACK, "description": ATTACK, "target_url": f"{sandbox.url}/"}
    variables = [{"key": "A", "value": ATTACK, "isSecret": False}]
    deployment = make_deployment(sandbox, description=ATTACK, environmentVariables=variables)
    deploys = f"{DEPLOYMENTS}/{deployment['id']}/deploys"
    git = {"provider": "GITHUB", "account": "acme", "repo": "data-platform", "branch": "dev-x", "commitSha": sha}
    for path, body, login in (
        (f"{REPOSITORY}/pulls", pull, GITHUB),
        (f"{REPOSITORY}/issues/1/comments", {"body": ATTACK}, GITHUB),
        (f"{REPOSITORY}/statuses/{sha}", status, GITHUB),
        (deploys, {"type": "DAG_ONLY", "description": ATTACK, "git": git}, ASTRO),
        (deploys, {"type": "IMAGE_ONLY", "description": f"[told commit={sha} here]"}, ASTRO),
    ):
        sandbox.client.post(path, json=body, headers=login).raise_for_status()

    answers = crawl(sandbox)

    assert [url for url, answer in answers.items() if answer.status_code != 200] == []
    assert f"{sandbox.url}{write_path(deployment)}" in answers
    assert f"{sandbox.url}/astro/airflow/{deployment['id'][-8:]}" in answers
    assert f"{sandbox.url}/github/acme/data-platform/pull/1" in answers
    assert f"{sandbox.url}/github/acme/data-platform/commit/{sha}" in answers
    pages = {url: answer.text for url, answer in answers.items() if "text/html" in answer.headers["content-type"]}
    assert [url for url, text in pages.items() if "<script" in text.lower()] == []
    assert SHOWN in pages[f"{sandbox.url}/"]
    page = pages[f"{sandbox.url}{write_path(deployment)}"]
    assert page.count(SHOWN) == 3
    assert page.count(f'href="{sandbox.url}/github/acme/data-platform/commit/{sha}"') == 2, "by Git, by its description"
    assert pages[f"{sandbox.url}/github/acme/data-platform/pull/1"].count(SHOWN) >= 4


def test_the_addresses_that_the_product_derives_are_pages(sandbox: Sandbox) -> None:
    connection = AstroConnection(
        conn_id="astro",
        domain="localhost",
        core_url=f"{sandbox.url}/astro",
        organization_id=ORGANIZATION_ID,
        workspace_id=WORKSPACE_ID,
        executable="astro",
        registry="",
        token=ASTRO_TOKEN,
    )
    found = parse_deployment(Ask("/deployments"), make_deployment(sandbox), connection)
    assert "<h1>Deployment dev-x</h1>" in read(sandbox, found.astro_url)
    assert "<h1>Airflow of dev-x</h1>" in read(sandbox, found.airflow_url)


def test_the_start_page_shows_all_that_there_is(sandbox: Sandbox) -> None:
    sandbox.client.post("/sandbox/reset").raise_for_status()
    page = read(sandbox, "/")
    for shown in ("acme/data-platform</a>", "astro_deploy</a>", "Staging</a>", "Production</a>", "HEALTHY", "sha256:"):
        assert shown in page
    assert "There is no pull request yet." in page


def test_a_deployment_shows_no_secret(sandbox: Sandbox) -> None:
    variables = [
        {"key": "OPEN", "value": "seen", "isSecret": False},
        {"key": "CLOSED", "value": "hidden-value", "isSecret": True},
    ]
    deployment = make_deployment(sandbox, environmentVariables=variables)
    page = read(sandbox, write_path(deployment))
    assert "CLOSED" in page
    assert "seen" in page
    assert "hidden-value" not in page


def test_a_deployments_airflow_says_where_it_is_asked_and_what_it_runs(sandbox: Sandbox) -> None:
    sandbox.client.post("/sandbox/reset").raise_for_status()
    listed = sandbox.client.get(DEPLOYMENTS, headers=ASTRO).json()["deployments"]
    staging = next(each for each in listed if each["name"] == "Staging")
    page = read(sandbox, "/" + staging["webServerUrl"].partition("/")[2])
    assert staging["webServerAirflowApiUrl"] in page
    assert "Nothing was parsed yet" in page
    files, _, others = page.partition("Other files: ")
    assert "<li>dags/orders/load_orders.py</li>" in files
    assert "<li>requirements.txt</li>" in others
    new = make_deployment(sandbox)
    assert "Last deploy: none yet." in read(sandbox, "/" + new["webServerUrl"].partition("/")[2])


def test_a_deleted_deployment_says_when_it_went(sandbox: Sandbox) -> None:
    deployment = make_deployment(sandbox)
    sandbox.client.delete(f"{DEPLOYMENTS}/{deployment['id']}", headers=ASTRO).raise_for_status()
    for path in (write_path(deployment), "/" + deployment["webServerUrl"].partition("/")[2]):
        assert re.search(r"deleted</span> at \d{4}-\d\d-\d\d ", read(sandbox, path, 410))
    sandbox.client.post("/sandbox/reset").raise_for_status()
    read(sandbox, write_path(deployment), 404)


@pytest.mark.parametrize(
    "path", ["/nothing", f"/astro/{WORKSPACE_ID}/deployments/nobody", "/astro/airflow/", "/astro/airflow/k"]
)
def test_what_is_not_there_leads_a_browser_back_and_tells_a_program_as_before(sandbox: Sandbox, path: str) -> None:
    assert '<a href="/">Sandbox</a>' in read(sandbox, path, 404)
    answer = sandbox.client.get(path)
    assert (answer.status_code, answer.text) == (404, "Not Found")


def test_programs_get_json_whatever_they_accept(sandbox: Sandbox) -> None:
    for path in (f"{DEPLOYMENTS}/nobody", "/astro/v1/nothing"):
        answer = sandbox.client.get(path, headers=ASTRO | BROWSER)
        assert (answer.status_code, answer.json()["statusCode"]) == (404, 404)
    assert sandbox.client.get(f"{REPOSITORY}/nothing", headers=GITHUB | BROWSER).json()["message"] == "Not Found"
