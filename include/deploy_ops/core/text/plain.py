"""Pages that read as they are written: tables in columns and lists, for whoever shows a text and renders none of it.

That is Airflow's Rendered Templates. It shows lines in letters of one width, folds those that are longer than its
window, and takes a backslash and an `n`, wherever they stand, for a line's end. Pure.
"""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

from include.deploy_ops.core.text.markdown import REASON_LENGTH_MAX, cut, flatten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LINE_WIDTH_MAX = 104
"""Columns of letters in a line: what Airflow shows beside its grid in a window of 1440 pixels, without folding it."""

_GAP = "  "
_WORD_WIDTH_MAX = 40
"""A longer word may be parted even where there is room for it: a commit's id is none."""

_WIDE = frozenset("WF")
_OVER = frozenset(("Mn", "Me"))


def write_plain(text: str, length_max: int = REASON_LENGTH_MAX) -> str:
    """Return somebody's text on one line, cut; a dash where there is none. Nothing unseen stands in it."""
    return cut(flatten(text).replace("\\", "<U+005C>"), length_max) or "-"


def measure_width(text: str) -> int:
    """Return how many columns the text takes: a wide character two, a mark over another one none."""
    if text.isascii():
        return len(text)
    return sum(map(_measure, text))


def _measure(each: str) -> int:
    if unicodedata.category(each) in _OVER:
        return 0
    return 2 if unicodedata.east_asian_width(each) in _WIDE else 1


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most so many columns, parted between words; a longer word is parted itself."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if measure_width(joined) <= width:
            lines[-1:] = [joined]
        else:
            lines += _split(word, width)
    return lines or [""]


def _split(word: str, width: int) -> list[str]:
    pieces, used = [""], 0
    for each in word:
        used += _measure(each)
        if used > width and pieces[-1]:
            pieces.append("")
            used = _measure(each)
        pieces[-1] += each
    return pieces


def write_items(texts: Iterable[str]) -> list[str]:
    """Return the lines of a list of somebody's texts, the further lines of each indented."""
    return [
        f"{'  ' if number else '- '}{line}"
        for text in texts
        for number, line in enumerate(wrap(write_plain(text), LINE_WIDTH_MAX - 2))
    ]


def lay_table(headings: Sequence[str], rows: Iterable[Sequence[str]], more: int = 0) -> str:
    """Return the table in columns of at most `LINE_WIDTH_MAX` together; what is longer goes on below in its column.

    :param rows: somebody's texts.
    :param more: rows that are left out; a last line says how many.
    """
    cells = [[write_plain(cell) for cell in row] for row in rows]
    columns = list(zip(headings, *cells, strict=True))
    wanted = [max(map(measure_width, column)) for column in columns]
    words = [max(map(measure_width, " ".join(column).split()), default=0) for column in columns]
    widths = _share(wanted, [min(width, _WORD_WIDTH_MAX) for width in words])
    lines = [*_lay_row(headings, widths), _GAP.join("-" * width for width in widths)]
    lines += [line for row in cells for line in _lay_row(row, widths)]
    return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])


def _share(wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    """Return the columns' widths: the least of each, if there is room for it, and a fair part of what is left then.

    :param wanted: the widths in which each text stands on one line.
    :param least: those that keep words whole.
    """
    room, count = LINE_WIDTH_MAX - len(_GAP) * (len(wanted) - 1), len(wanted)
    widths = list(least) if sum(least) <= room else [0] * count
    lacks = [want - width for want, width in zip(wanted, widths, strict=True)]
    left = room - sum(widths)
    for number, index in enumerate(sorted(range(count), key=lacks.__getitem__)):
        more = min(lacks[index], left // (count - number))
        widths[index] += more
        left -= more
    return widths


def _lay_row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    parted = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return [
        _GAP.join(part + " " * (width - measure_width(part)) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*parted, fillvalue="")
    ]
