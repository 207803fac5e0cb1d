"""The settings file: the sandbox's address is put in, and the API gets what it takes."""

from __future__ import annotations

import json
from typing import Any

import httpx

from demo.ports import Ports
from demo.settings_file import load_settings, read_settings
from demo.stack import ROOT
from sandbox import identity

PORTS = Ports(airflow=1, sandbox=2345, execution=3, worker_log=4, trigger_log=5)


def load() -> list[tuple[str, dict[str, Any]]]:
    posted: list[tuple[str, dict[str, Any]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posted.append((request.url.path, json.loads(request.content)))
        return httpx.Response(201)

    with httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer)) as api:
        load_settings(api, read_settings(ROOT / "airflow_settings.yaml", PORTS))
    return posted


def test_connections_and_pool_are_loaded_with_the_stacks_port() -> None:
    posted = load()
    connections = {body["connection_id"]: body for path, body in posted if path == "/api/v2/connections"}
    assert set(connections) == {"github_default", "astro_default", "preview_warehouse"}
    assert connections["astro_default"]["host"] == "http://127.0.0.1:2345/astro"
    assert ("/api/v2/pools", "deploy_ops_cli") in [(path, body.get("name")) for path, body in posted]


def test_the_tokens_are_the_sandboxs() -> None:
    connections = {body["connection_id"]: body for path, body in load() if path == "/api/v2/connections"}
    assert connections["github_default"]["password"] == identity.GITHUB_TOKEN
    assert connections["astro_default"]["password"] == identity.ASTRO_TOKEN
    extra = json.loads(connections["astro_default"]["extra"])
    assert extra == {"organization_id": identity.ORGANIZATION_ID, "workspace_id": identity.WORKSPACE_ID}
