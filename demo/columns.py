"""Tables in columns, as Airflow shows those of the product under Rendered Templates, back into rows of cells."""

from __future__ import annotations

import re


def read_columns(text: str) -> list[list[str]]:
    """Return the rows of each table in the text, what goes on below joined again. No character of it may be wide."""
    rows: list[list[str]] = []
    columns: list[slice] = []
    for line in text.splitlines():
        if line and not set(line) - {"-", " "}:  # the rule below the headings
            starts = [place.start() for place in re.finditer("-+", line)]
            columns = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
        elif not line or line.startswith("…"):
            columns = []
        elif columns:
            cells = [line[column].strip() for column in columns]
            if all(cells):
                rows.append(cells)
            else:
                rows[-1] = [f"{cell} {more}".strip() for cell, more in zip(rows[-1], cells, strict=True)]
    return rows
