"""Tables in columns, as Airflow shows those of the product under Rendered Templates, back into rows of cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class _Table:
    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)


def read_columns(text: str) -> list[list[str]]:
    """Return the rows of each table in the text, what goes on below joined again. No character of it may be wide."""
    return [row for table in _read_tables(text) for row in table.rows]


def read_records(text: str) -> list[dict[str, str]]:
    """Return the same rows, each cell by the heading of its column: a column more moves none."""
    return [dict(zip(table.headings, row, strict=True)) for table in _read_tables(text) for row in table.rows]


def _read_tables(text: str) -> list[_Table]:
    tables: list[_Table] = []
    above: list[str] = []
    columns: list[slice] = []
    for line in text.splitlines():
        if line and not set(line) - {"-", " "}:  # the rule below the headings
            starts = [place.start() for place in re.finditer("-+", line)]
            columns = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
            tables.append(_Table(_join(_cut(each, columns) for each in above)))
        elif not line or line.startswith("…"):
            above, columns = [], []
        elif columns:
            _add_line(tables[-1].rows, _cut(line, columns))
        else:
            above.append(line)
    return tables


def _cut(line: str, columns: list[slice]) -> list[str]:
    return [line[column].strip() for column in columns]


def _add_line(rows: list[list[str]], cells: list[str]) -> None:
    """Begin a row with the line, or go on with the last one: only a row's first line has something in each cell."""
    if all(cells):
        rows.append(cells)
    else:
        rows[-1] = _join([rows[-1], cells])


def _join(lines: Iterable[list[str]]) -> list[str]:
    return [" ".join(filter(None, parts)) for parts in zip(*lines, strict=True)]
