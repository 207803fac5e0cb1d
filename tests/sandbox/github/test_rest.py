"""What every REST request keeps: who may ask, how often, ETags, paging, error bodies."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from sandbox.github.rest import has_etag
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.github.conftest import Hub


@pytest.mark.parametrize("authorization", [f"token {GITHUB_TOKEN}", f"Bearer {GITHUB_TOKEN}", f"bearer {GITHUB_TOKEN}"])
def test_the_token_opens_it_in_either_scheme(hub: Hub, authorization: str) -> None:
    hub.send("GET", hub.api_url, status=200, headers={"authorization": authorization})


@pytest.mark.parametrize("authorization", ["token wrong", "Basic !!!", "Basic eDp5", f"Digest {GITHUB_TOKEN}", "token"])
def test_anything_else_is_refused_in_githubs_words(hub: Hub, authorization: str) -> None:
    body = hub.send("GET", "/branches", status=401, headers={"authorization": authorization})
    assert body == {"message": "Bad credentials", "documentation_url": body["documentation_url"], "status": "401"}


def test_no_credentials_are_refused_before_anything_is_looked_up(hub: Hub) -> None:
    answer = httpx.post(f"{hub.api_url}/git/refs", json={"ref": "refs/heads/x", "sha": hub.read_heads()["main"]})
    assert answer.status_code == 401
    assert "x" not in hub.read_heads()


def test_what_is_not_there_is_not_found(hub: Hub) -> None:
    assert hub.send("GET", "/nonsense", status=404)["message"] == "Not Found"
    hub.send("DELETE", "/branches", status=404)
    hub.send("GET", f"{hub.url}/github/api/v3/repos/acme/other", status=404)
    hub.send("GET", "/pulls/0x1", status=404)
    hub.send("GET", "/contents/a%00b", status=404)


def test_a_broken_body_is_named(hub: Hub) -> None:
    assert hub.send("POST", "/git/refs", status=400, content=b"{")["message"] == "Problems parsing JSON"
    assert hub.send("POST", "/git/refs", status=400, content=b"[]")["message"] == "Body should be a JSON object"


def test_an_unchanged_answer_is_304_and_costs_nothing(hub: Hub) -> None:
    first = hub.api.get("/branches")
    again = hub.api.get("/branches", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"] == "4999"


def test_a_changed_answer_is_sent_whole(hub: Hub) -> None:
    etag = hub.api.get("/branches").headers["etag"]
    hub.send("POST", "/git/refs", status=201, json={"ref": "refs/heads/dev-a", "sha": hub.read_heads()["main"]})
    changed = hub.api.get("/branches", headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_an_error_carries_no_etag(hub: Hub) -> None:
    assert "etag" not in hub.api.get("/pulls/9").headers


@pytest.mark.parametrize(
    ("header", "is_named"), [('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False)]
)
def test_if_none_match_is_compared_weakly(header: str, is_named: bool) -> None:
    assert has_etag(header, 'W/"a"') is is_named


def test_pages_are_linked_and_hold_everything_once(hub: Hub) -> None:
    for n in range(7):
        hub.send("POST", "/git/refs", status=201, json={"ref": f"refs/heads/dev-{n}", "sha": hub.read_heads()["main"]})
    names, address = [], f"{hub.api_url}/branches?per_page=4"
    rels = []
    while address:
        answer = hub.api.get(address)
        names += [branch["name"] for branch in answer.json()]
        links = {rel: url for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["link"])}
        rels.append(sorted(links))
        address = links.get("next", "")
    assert len(names) == len(set(names)) == 10
    assert rels == [["last", "next"], ["first", "last", "next", "prev"], ["first", "prev"]]


def test_one_page_has_no_link(hub: Hub) -> None:
    assert "link" not in hub.api.get("/branches").headers


def test_the_settings_bound_the_page(hub: Hub) -> None:
    hub.settings.page_limit = 2
    assert len(hub.send("GET", "/branches?per_page=100", status=200)) == 2


def test_nonsense_in_paging_means_the_defaults(hub: Hub) -> None:
    assert len(hub.send("GET", "/branches?per_page=x&page=-1", status=200)) == 3


def test_the_rate_limit_is_counted_told_and_kept(hub: Hub) -> None:
    hub.settings.rate_limit = 3
    remaining = [hub.api.get("/branches").headers["x-ratelimit-remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    refused = hub.api.get("/branches")
    assert refused.status_code == 403
    assert "API rate limit exceeded" in refused.json()["message"]
    rate = hub.send("GET", f"{hub.url}/github/api/v3/rate_limit", status=200)["rate"]
    assert (rate["limit"], rate["remaining"], str(rate["reset"])) == (3, 0, refused.headers["x-ratelimit-reset"])


def test_asking_for_the_rate_limit_costs_nothing(hub: Hub) -> None:
    for _ in range(2):
        rate = hub.send("GET", f"{hub.url}/github/api/v3/rate_limit", status=200)["rate"]
        assert rate["used"] == 0


def test_no_answer_names_the_token(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev-a")
    assert GITHUB_TOKEN not in json.dumps(pull)
    assert GITHUB_TOKEN not in hub.api.get(pull["html_url"]).text
