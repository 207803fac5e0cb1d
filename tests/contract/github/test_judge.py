"""The judge itself: what is right passes, and each planted fault is found and named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.github.description import make_judge
from tests.contract.openapi.exchange import Exchange
from tests.contract.openapi.judge import Judge

SHA = "7638417db6d59f3c431d3e1f261cc637155684cd"
API = "https://api.github.com/repos/acme/pipes"
REF: dict[str, Any] = {
    "ref": "refs/heads/dev/a",
    "node_id": "MDM6UmVm",
    "url": f"{API}/git/refs/heads/dev/a",
    "object": {"type": "commit", "sha": SHA, "url": f"{API}/git/commits/{SHA}"},
}
SHOWN = Exchange(
    "GET",
    "/repos/acme/pipes/git/ref/heads/dev/a",
    "",
    b"",
    200,
    {"content-type": "application/json; charset=utf-8"},
    json.dumps(REF).encode(),
)
RULE: dict[str, Any] = {"type": "deletion", "ruleset_id": 1}
"""A shape of several parts, each of which names some of its fields."""


def answer_rule(**changes: Any) -> Exchange:
    """Answer with a rule that differs in the fields given."""
    received = json.dumps([RULE | changes]).encode()
    return replace(SHOWN, path="/repos/acme/pipes/rules/branches/main", received=received)


LISTED = replace(SHOWN, path="/repos/acme/pipes/pulls", query="state=all&per_page=100&head=acme%3Adev", received=b"[]")
CREATED = replace(
    SHOWN,
    method="POST",
    path="/repos/acme/pipes/git/refs",
    sent=json.dumps({"ref": "refs/heads/dev/a", "sha": SHA}).encode(),
    status=201,
)
MERGED = replace(SHOWN, path="/repos/acme/pipes/pulls/7/merge", status=204, headers={}, received=b"")
REFUSED = replace(SHOWN, status=404, received=json.dumps({"message": "Not Found", "status": "404"}).encode())


def answer(**changes: Any) -> Exchange:
    """Answer with a ref that differs in the fields given; None takes one away."""
    return replace(SHOWN, received=json.dumps({k: v for k, v in (REF | changes).items() if v is not None}).encode())


@pytest.mark.parametrize("exchange", [SHOWN, LISTED, CREATED, MERGED, REFUSED, answer_rule()])
def test_what_is_right_has_no_problems(exchange: Exchange, judge: Judge) -> None:
    assert judge.list_request_problems(exchange) == []
    assert judge.list_answer_problems(exchange) == []


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (answer(ref=None), "'ref' is a required property"),
        (answer(node_id=7), ".node_id: 7 is not of type 'string'"),
        (answer(object=REF["object"] | {"sha": SHA[:39]}), ".object.sha: "),
        (answer(object=REF["object"] | {"sha": None}), ".object.sha: None is not of type 'string'"),
        (answer(url="nowhere in particular"), ".url: 'nowhere in particular' is not a 'uri'"),
        (answer(head=SHA), "field 'head' is not in the description"),
        (answer(object=REF["object"] | {"name": "x"}), ".object: field 'name' is not in the description"),
        (answer_rule(kind="x"), "fits none of"),
        (answer_rule(ruleset_id="x"), "fits none of"),
        (replace(SHOWN, status=206), "status 206 is not in the description"),
        (replace(SHOWN, received=b"<html>"), "body is no JSON"),
        (replace(SHOWN, received=b""), "body is no JSON"),
        (replace(SHOWN, headers={"content-type": "text/html"}), "content type is 'text/html', not application/json"),
        (replace(SHOWN, headers={}), "content type is ''"),
        (replace(MERGED, received=b"{}"), "a body is answered, and the description has none"),
        (replace(REFUSED, received=b'{"error": "gone"}'), "field 'error' is not in the description"),
        (replace(REFUSED, status=401, received=b"[]"), "status 401"),
        (replace(LISTED, received=b"{}"), "is not of type 'array'"),
        (replace(SHOWN, path="/repos/acme/pipes/git/refs/heads/dev/a"), "has no such operation"),
    ],
)
def test_a_wrong_answer_is_found(exchange: Exchange, words: str, judge: Judge) -> None:
    (problem,) = judge.list_answer_problems(exchange)
    assert problem.startswith(str(exchange))
    assert words in problem


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (replace(SHOWN, path="/repos/acme/pipes/branch/dev"), "has no such operation"),
        (replace(SHOWN, path="/repos/acme/pipes/git/ref"), "has no such operation"),
        (replace(LISTED, method="DELETE"), "has no such operation"),
        (replace(LISTED, query="status=all"), "query status is not in the description"),
        (replace(LISTED, query="state=merged"), "query state.: 'merged' is not one of"),
        (replace(LISTED, query="per_page=many"), "query per_page.: 'many' is not of type 'integer'"),
        (replace(MERGED, path="/repos/acme/pipes/pulls/dev/merge"), "path pull_number.: 'dev' is not of type"),
        (replace(SHOWN, sent=b"{}"), "a body is sent, and the description has none"),
        (replace(CREATED, sent=b""), "sent body is no JSON"),
        (replace(CREATED, sent=b'{"ref": "refs/heads/a"}'), "'sha' is a required property"),
        (replace(CREATED, sent=b'{"ref": "refs/heads/a", "sha": 7}'), "sent .sha: 7 is not of type 'string'"),
        (replace(CREATED, sent=b'{"ref": "r", "sha": "s", "force": true}'), "sent .: field 'force' is not in"),
    ],
)
def test_a_wrong_request_is_found(exchange: Exchange, words: str, judge: Judge) -> None:
    (problem,) = judge.list_request_problems(exchange)
    assert problem.startswith(str(exchange))
    assert words in problem


def test_null_is_right_only_where_the_description_says_so(judge: Judge) -> None:
    label = {"id": 1, "node_id": "x", "url": API, "name": "n", "description": None, "color": "fff", "default": False}
    labels = replace(SHOWN, path="/repos/acme/pipes/issues/7/labels")
    assert judge.list_answer_problems(replace(labels, received=json.dumps([label]).encode())) == []
    (problem,) = judge.list_answer_problems(replace(labels, received=json.dumps([label | {"name": None}]).encode()))
    assert "[0].name: None is not of type 'string'" in problem


def test_of_several_shapes_the_nearest_is_named(judge: Judge) -> None:
    folder = [{"type": "dir", "size": 0, "name": "dags", "path": "dags"}]
    shown = replace(SHOWN, path="/repos/acme/pipes/contents/dags", received=json.dumps(folder).encode())
    (problem,) = judge.list_answer_problems(shown)
    assert "fits none of 4 shapes; of the nearest" in problem
    assert "is a required property" in problem


def test_without_the_table_its_exceptions_are_problems(judge: Judge) -> None:
    strict = make_judge(deviations=())
    paged = replace(SHOWN, path="/repos/acme/pipes/git/matching-refs/heads/", query="per_page=100", received=b"[]")
    assert judge.list_request_problems(paged) == []
    assert "query per_page is not in the description" in strict.list_request_problems(paged)[0]
    unchanged = replace(SHOWN, status=304, headers={}, received=b"")
    assert judge.list_answer_problems(unchanged) == []
    assert "status 304" in strict.list_answer_problems(unchanged)[0]
