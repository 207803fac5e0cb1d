"""What the Deploys page asks of Airflow when somebody opens it, asked likewise: `plugins/deployments_page/snapshot.js`.

Six requests at a time, as browsers have it.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

AT_ONCE = 6
PAGE = 100
MISSING = 404


@dataclass(frozen=True, slots=True)
class Load:
    """How many requests it took, and how long."""

    requests: int
    seconds: float


class PageLoad:
    """One opening of the page, by who has no cache."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self._requests = 0

    def measure(self) -> Load:
        """Ask for all that the page shows first."""
        start = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            dags = [dag["dag_id"] for dag in self._read_all("dags?tags=deploy-ops", "dags")]
            self._get("pools/deploy_ops_cli")
            assets = self._read_all("assets?name_pattern=deploy_ops.%25", "assets")
            fleets = [each["id"] for each in assets if re.fullmatch(r"deploy_ops\..+\.fleet", each["name"])]
            shards = [shard for found in pool.map(self._list_shards, fleets) for shard in found]
            rows = [row for found in pool.map(self._read_shard, shards) for row in found]
            pool.submit(self._read_runs, {row["dag"] for row in rows if row.get("dag") in dags}).result()
            self._read_all("dags/~/dagRuns/~/hitlDetails?state=awaiting_input", "hitl_details")
        return Load(self._requests, time.monotonic() - start)

    def _list_shards(self, asset: int) -> list[tuple[int, str]]:
        summary = self._get(f"assets/{asset}/state-store/view.summary")
        digests: Iterable[str] = summary["value"]["value"]["digests"] if summary else ()
        return [(asset, shard) for shard in digests if "." not in shard]

    def _read_shard(self, shard: tuple[int, str]) -> list[dict[str, Any]]:
        asset, name = shard
        first = self._get(f"assets/{asset}/state-store/view.rows.{name}")
        if first is None:
            return []
        more = range(1, int(first["value"].get("parts", 1)))
        parts = [first, *(self._get(f"assets/{asset}/state-store/view.rows.{name}.{number}") for number in more)]
        return [row for part in parts if part for row in part["value"]["value"].values()]

    def _read_runs(self, dags: set[str]) -> None:
        if dags:
            wanted = {"dag_ids": sorted(dags), "states": ["running", "queued"], "page_limit": PAGE}
            self._requests += 1
            self._api.post("/api/v2/dags/~/dagRuns/list", json=wanted).raise_for_status()

    def _read_all(self, path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = self._get(f"{path}&limit={PAGE}&offset={len(found)}")
            page = answer[name] if answer else []
            found += page
            if not page or len(found) >= answer["total_entries"]:
                return found

    def _get(self, path: str) -> Any:
        self._requests += 1
        answer = self._api.get(f"/api/v2/{path}")
        if answer.status_code == MISSING:
            return None
        return answer.raise_for_status().json()
