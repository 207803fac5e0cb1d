"""Pages that read as they are written: columns stay under their headings, and no letter is lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.text.plain import (
    LINE_WIDTH_MAX,
    lay_table,
    measure_width,
    wrap,
    write_items,
    write_plain,
)

HEADINGS = ("name", "why")
WORDS = st.text("ab|`*\\ \n\t_é日本🙂e\u0301\u202e", max_size=300)


def cut_columns(line: str, starts: list[int]) -> list[str]:
    """Return what stands in each column: `starts` are columns of letters, of which a wide character takes two."""
    cells, column = ["" for _ in starts], 0
    for each in line:
        cells[sum(start <= column for start in starts) - 1] += each
        column += measure_width(each)
    return [cell.strip() for cell in cells]


def test_a_wide_character_takes_two_columns_and_a_mark_over_another_none() -> None:
    assert [measure_width(each) for each in ("abc", "日本", "🙂", "e\u0301", "é")] == [3, 4, 2, 1, 1]


def test_a_table_stands_in_columns() -> None:
    assert lay_table(("what", "日本", "why"), [("deploy", "a", "it is due"), ("", "語語語", "x|y")]).splitlines() == [
        "what    日本    why",
        "------  ------  ---------",
        "deploy  a       it is due",
        "-       語語語  x|y",
    ]
    assert lay_table(HEADINGS, [("a", "b")], 3).splitlines()[-1] == "… and 3 more"
    assert lay_table(HEADINGS, [("a", "b")], 0).splitlines()[-1] == "a     b"


def test_a_long_text_goes_on_below_in_its_own_column() -> None:
    table = lay_table(HEADINGS, [("dev-x", "held since the template is wrong " * 5), ("dev-y", "due")]).splitlines()
    assert [line[:5].strip() for line in table[2:]] == ["dev-x", "", "dev-y"]
    assert all(line.startswith(" " * 7) for line in table[3:-1])
    assert max(map(measure_width, table)) <= LINE_WIDTH_MAX


def test_a_commits_id_is_not_parted_beside_other_long_texts() -> None:
    row = ("start", "dev-" + "x" * 40, f"deploy at {'0123456789' * 4}, the head of branch dev-x", "its head moved " * 9)
    assert "0123456789" * 4 in lay_table(("", "environment", "what", "why"), [row])


def test_what_airflows_page_takes_for_a_lines_end_is_none() -> None:
    assert write_plain("dags\\new.py\n\u202e") == "dags<U+005C>new.py <U+202E>"
    assert (write_plain(" \n"), write_plain("abcd", 3)) == ("-", "ab…")


def test_items_are_indented_below_their_first_line() -> None:
    lines = write_items(["a", "word " * 40])
    assert lines[:2] == ["- a", "- " + ("word " * 20).strip()]
    assert all(line.startswith("  word") for line in lines[2:])


def test_a_word_is_parted_only_where_it_is_wider_than_the_line() -> None:
    assert wrap("to be parted", 7) == ["to be", "parted"]
    assert wrap("abcdefgh 日本語", 5) == ["abcde", "fgh", "日本", "語"]
    assert wrap("", 5) == [""]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_every_text_stands_whole_in_its_column(rows: list[tuple[str, str]]) -> None:
    table = lay_table(HEADINGS, rows)
    _, rule, *lines = table.splitlines()
    assert max(map(measure_width, table.splitlines())) <= LINE_WIDTH_MAX
    starts = [place.start() for place in re.finditer("-+", rule)]
    found = ["".join(parts) for parts in zip(*(cut_columns(line, starts) for line in lines), strict=True)]
    for column, said in enumerate(found):
        told = "".join(write_plain(row[column]) for row in rows)
        assert re.sub(r"\s", "", said) == re.sub(r"\s", "", told)


@given(WORDS, st.integers(2, 40))
def test_no_line_is_wider_and_no_letter_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert max(map(measure_width, lines)) <= width
    assert "".join(lines).replace(" ", "") == "".join(text.split())
