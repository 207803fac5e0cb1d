"""Prints one benchmark's table, in Markdown, so that it can stand in docs/measured.md as it is."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print the title, where it was measured, and the rows under their columns."""
    print(f"\n{title} ({os.cpu_count()} cores, Python {platform.python_version()})\n")
    print(f"| {' | '.join(columns)} |")
    print(f"|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
