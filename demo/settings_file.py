"""`airflow_settings.yaml` → Airflow's connections, pools and variables, with the sandbox's port put in.

The one source of what a local Airflow needs: the Astro CLI loads the same file for local development.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from demo.ports import Ports

DEFAULT_SANDBOX = "127.0.0.1:8900"


def read_settings(path: Path, ports: Ports) -> dict[str, Any]:
    """Return the file's `airflow` section with the sandbox's address as it is in this stack."""
    text = path.read_text(encoding="utf-8").replace(DEFAULT_SANDBOX, f"127.0.0.1:{ports.sandbox}")
    return dict(yaml.safe_load(text)["airflow"])


def load_settings(api: httpx.Client, settings: dict[str, Any]) -> None:
    """Write connections, pools and variables through Airflow's public API; the stack's database is new."""
    for connection in settings["connections"]:
        api.post("/api/v2/connections", json=_connection(connection)).raise_for_status()
    for pool in settings["pools"]:
        body = {"name": pool["pool_name"], "slots": pool["pool_slot"], "description": pool["pool_description"]}
        api.post("/api/v2/pools", json={**body, "include_deferred": False}).raise_for_status()
    for variable in settings["variables"]:
        body = {"key": variable["variable_name"], "value": variable["variable_value"]}
        api.post("/api/v2/variables", json=body).raise_for_status()


def _connection(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the file's entry as the API takes it. Source: the Astro CLI's airflow_settings.yaml keys."""
    names = {"conn_host": "host", "conn_login": "login", "conn_password": "password", "conn_schema": "schema"}
    body = {"connection_id": entry["conn_id"], "conn_type": entry["conn_type"]}
    body |= {ours: entry[theirs] for theirs, ours in names.items() if entry.get(theirs)}
    if entry.get("conn_extra"):
        extra = entry["conn_extra"]
        body["extra"] = extra if isinstance(extra, str) else json.dumps(extra)
    return body
