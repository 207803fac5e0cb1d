"""Report revenue per country, whenever new orders are there."""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, dag, task


@dag(schedule=[Asset("warehouse://orders")], start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), tags=["revenue"])
def report_revenue():
    @task
    def summarize() -> dict[str, int]:
        from include.orders import sum_by_country

        return sum_by_country([{"country": "DE", "amount_cents": 1250}, {"country": "DE", "amount_cents": 750}])

    @task
    def publish(totals: dict[str, int]) -> None:
        for country, cents in sorted(totals.items()):
            print(f"{country}: {cents / 100:.2f}")

    publish(summarize())


report_revenue()
