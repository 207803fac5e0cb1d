"""The product's tables, read back: what a person reads in a column, the tour and other tests read, too."""

from __future__ import annotations

from demo.columns import read_columns
from include.deploy_ops.core.text.plain import lay_table


def test_what_the_product_lays_out_is_read_back() -> None:
    rows = [["dev-a", "deploy", "word " * 60], ["dev-b", "", "due"]]
    page = f"2 actions\n\n{lay_table(('environment', 'what', 'why'), rows, 3)}\n\nafter it"
    assert read_columns(page) == [["dev-a", "deploy", ("word " * 60).strip()], ["dev-b", "-", "due"]]
    assert read_columns(f"{page}\n\n{lay_table(('a', 'b'), [('1', '2')])}")[-1] == ["1", "2"]
    assert read_columns("nothing to do\n- at all") == []
