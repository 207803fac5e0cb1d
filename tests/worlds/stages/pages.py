"""Pages of Rendered Templates as tests ask of them: each row of a table on one line, wherever its columns broke it."""

from __future__ import annotations

from demo.columns import read_columns


def fold_page(text: str) -> str:
    """Return the page with its tables' rows as `| a | b |`."""
    parts = text.split("\n\n")
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in read_columns(part)) or part for part in parts)
