"""Load the last hour's orders."""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.sdk import Asset, dag, task

ORDERS = Asset("warehouse://orders")
UPSERT = Path(__file__).parent / "sql" / "upsert_orders.sql"


@dag(schedule="@hourly", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, tags=["orders"])
def load_orders():
    @task
    def extract() -> list[dict]:
        return [{"country": "DE", "amount_cents": 1250}, {"country": "FR", "amount_cents": 990}]

    @task(outlets=[ORDERS])
    def load(orders: list[dict]) -> int:
        print(UPSERT.read_text())
        return len(orders)

    load(extract())


load_orders()
