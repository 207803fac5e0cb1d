"""Check every morning that orders are not older than they may be."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag, task

MAX_AGE_HOURS = 3


@dag(schedule="0 6 * * *", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, tags=["quality"])
def check_freshness():
    @task
    def check_orders(newest: str) -> None:
        age = pendulum.now("UTC") - pendulum.parse(newest)
        if age.in_hours() > MAX_AGE_HOURS:
            raise ValueError(f"the newest order is {age.in_words()} old, more than {MAX_AGE_HOURS} hours")

    check_orders("{{ data_interval_end }}")


check_freshness()
