"""Orders as plain values, so that the arithmetic can be tested without Airflow."""

from __future__ import annotations

from collections import defaultdict
from typing import TypedDict


class Order(TypedDict):
    """One order; the amount is in cents."""

    country: str
    amount_cents: int


def sum_by_country(orders: list[Order]) -> dict[str, int]:
    """Add up the amounts (cents) per country."""
    totals: defaultdict[str, int] = defaultdict(int)
    for order in orders:
        totals[order["country"]] += order["amount_cents"]
    return dict(totals)
