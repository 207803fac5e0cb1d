"""The product's tables, read back: what a person reads in a column, the tour and other tests read, too."""

from __future__ import annotations

from demo.columns import read_columns, read_records
from include.deploy_ops.core.text.plain import lay_table


def test_what_the_product_lays_out_is_read_back() -> None:
    rows = [["dev-a", "deploy", "word " * 60], ["dev-b", "", "due"]]
    page = f"2 actions\n\n{lay_table(('environment', 'what', 'why'), rows, 3)}\n\nafter it"
    assert read_columns(page) == [["dev-a", "deploy", ("word " * 60).strip()], ["dev-b", "-", "due"]]
    assert read_columns(f"{page}\n\n{lay_table(('a', 'b'), [('1', '2')])}")[-1] == ["1", "2"]
    assert read_columns("nothing to do\n- at all") == []


def test_a_cell_is_found_by_its_heading_also_one_that_goes_on_below() -> None:
    row = ["1 EUR", *(letter * 14 for letter in "abcdefg")]
    table = lay_table(("estimated cost so far", *"abcdefg"), [row])
    assert table.splitlines()[1] == "cost so far"
    (record,) = read_records(f"two\n\n{table}\n\n{lay_table(('a',), [])}")
    assert record["estimated cost so far"] == "1 EUR"
    assert read_records("nothing to do") == []
