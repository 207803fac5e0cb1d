"""What the person sees and answers: lines, tables and questions. It decides nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 5


def say(text: str, end: str = "\n") -> None:
    """Print on stdout at once, so that the output of children comes in order."""
    print(text, end=end, flush=True)


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, each cell padded to the longest of its column and five more."""
    widths = [max(len(cell) for cell in column) + _GAP for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        say(" " + "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def ask(question: str) -> bool:
    """Print the question and return whether the line on stdin says yes; its end means no."""
    say(question, end="")
    return sys.stdin.readline().strip() in {"y", "Y"}
