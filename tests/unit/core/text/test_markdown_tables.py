"""Tables of what others wrote, and spans of time as people say them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.deploy_ops.core.text.markdown import describe_span, quote_reason, quote_text, render_table


def test_no_cell_of_a_strangers_makes_another_cell_or_line() -> None:
    nasty = "a|b\\|c`d\ne\x00<img src=x>"
    table = render_table(("one", "two"), [[quote_text(nasty), quote_reason(nasty * 200)]])
    heading, rule, row = table.splitlines()
    assert (heading, rule) == ("| one | two |", "| --- | --- |")
    assert row.count("|") == heading.count("|")
    assert row.count("`") == len(("open", "close")) * len(("one", "two"))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (None, "-"),
        (timedelta(), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=2, seconds=3), "2h"),
        (timedelta(hours=2, minutes=3, seconds=4), "2h 3m"),
        (timedelta(days=14, hours=23, minutes=59), "14d 23h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(span: timedelta | None, said: str) -> None:
    assert describe_span(span) == said
