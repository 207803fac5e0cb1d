"""Sums per country."""

from include.orders import sum_by_country


def test_amounts_of_one_country_are_added():
    orders = [{"country": "DE", "amount_cents": 100}, {"country": "DE", "amount_cents": 50}]
    assert sum_by_country(orders) == {"DE": 150}
