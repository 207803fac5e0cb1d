"""Markdown tables of what others wrote, and times as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.release import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

REASON_LENGTH_MAX = 300
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table; the cells are Markdown already (`quote_text` makes it of somebody's words)."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def quote_reason(text: str) -> str:
    """Return a reason as a cell: longer than a name may be."""
    return quote_text(text, REASON_LENGTH_MAX)


def describe_span(span: timedelta | None) -> str:
    """Return the time in its two largest units, such as 3d 4h; a dash where it is unknown."""
    if span is None:
        return "-"
    left, parts = int(span.total_seconds()), []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        parts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count) or "0s"
