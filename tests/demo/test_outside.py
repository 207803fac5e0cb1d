"""What an outsider reads of Airflow's asset state store: all its pages, and the rows among its keys."""

from __future__ import annotations

import json
from typing import cast

import httpx
import pytest

from demo.outside import Outside
from demo.ports import Ports


def make_outside(states: dict[str, object]) -> Outside:
    entries = [{"key": key, "value": value} for key, value in sorted(states.items())]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v2/assets":
            assert request.url.params["name_pattern"] == "deploy_ops.p.fleet"
            return httpx.Response(200, json={"assets": [{"id": 3}]})
        assert request.url.path == "/api/v2/assets/3/state-store"
        offset, limit = (int(request.url.params[name]) for name in ("offset", "limit"))
        page = {"asset_state_store": entries[offset : offset + limit], "total_entries": len(entries)}
        return httpx.Response(200, content=json.dumps(page))

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://airflow.test")
    return Outside(cast("Ports", None), client, client, "organization", "token")


@pytest.mark.parametrize("is_bare", [True, False])
def test_rows_of_all_shards_are_read_past_the_first_page(*, is_bare: bool) -> None:
    states: dict[str, object] = {f"environment.{number:03}": {"claim": 1} for number in range(150)}
    states |= {"view.summary": {"live": 2}, "view.rows.00": {}}
    states["view.rows.0a"] = {"dev-a": {"environment": "dev-a", "state": "live"}}
    states["view.rows.1f"] = {"target.staging": {"environment": "staging", "state": "held"}}
    stored: dict[str, object] = (
        states if is_bare else {key: {"version": 1, "value": value} for key, value in states.items()}
    )
    rows = make_outside(stored).read_rows("p")
    assert {name: row["state"] for name, row in rows.items()} == {"dev-a": "live", "staging": "held"}


@pytest.mark.parametrize("states", [{}, {"view.summary": {}}])
def test_before_the_first_pass_there_are_no_rows(states: dict[str, object]) -> None:
    assert make_outside(states).read_rows("p") == {}


def test_a_previews_own_airflow_is_asked_with_the_token_at_the_address_that_astro_tells() -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers["Authorization"]))
        if request.url.path.endswith("/deployments"):
            deployment = {
                "description": "x branch=dev-a y",
                "webServerAirflowApiUrl": "127.0.0.1:1/astro/airflow/a/api/v2",
            }
            return httpx.Response(200, json={"deployments": [deployment]})
        return httpx.Response(200, json={"dags": []})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://astro.test")
    outside = Outside(cast("Ports", None), client, client, "organization", "token")
    assert outside.ask_airflow("dev-a", "dags?limit=1") == {"dags": []}
    assert asked[-1] == ("http://127.0.0.1:1/astro/airflow/a/api/v2/dags?limit=1", "Bearer token")
    with pytest.raises(ValueError, match="dev-b has no Deployment"):
        outside.ask_airflow("dev-b", "dags")
