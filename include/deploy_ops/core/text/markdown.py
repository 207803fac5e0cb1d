"""Other people's words in our Markdown, for the two readers that render it: they say what they say, and do nothing.

Branch names, file names, errors and reasons come from whoever pushes. None of them may break out of its place, turn
into a link, an image or HTML, ping a person or a team, or leave a reference on another pull request. Readers differ, so
the escapes do: each stands below its reader, with the reason. Pure; what is said is decided elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from include.deploy_ops.core.text.visible import reveal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def cut(text: str, length: int) -> str:
    """Return the text in at most `length` characters; an ellipsis says that it goes on."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]], more: int = 0) -> str:
    """Return the table; both readers take it. The cells are Markdown already.

    :param more: rows that are left out; a last row says how many.
    """
    lines = [_write_row(headings), f"|{'---|' * len(headings)}", *map(_write_row, rows)]
    if more > 0:
        lines.append(_write_row([f"… and {more} more", *[""] * (len(headings) - 1)]))
    return "\n".join(lines)


def _write_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


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


# --- Airflow's approval page -----------------------------------------------------------------------------------------
# It renders Markdown, tables and links in the browser of whoever may approve. Each text stands in a code span, where
# Markdown and HTML mean nothing, and is cut: a page has a bound, and no branch can change what the page says. Its
# dialect gives no escape that holds in a span in a cell (see `quote_text`), so what would end either is replaced.

TEXT_LENGTH_MAX = 120
"""Characters of a name, a title or a path."""

REASON_LENGTH_MAX = 600
"""Characters of a reason that stands in a sentence."""

CELL_REASON_LENGTH_MAX = 300
"""Characters of a reason that stands in one cell among many rows."""

URL_LENGTH_MAX = 300

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+")


def quote_text(text: str, length_max: int = TEXT_LENGTH_MAX) -> str:
    """Return somebody's text as a code span for a sentence or a cell: one line, cut, meaning nothing to Markdown.

    A pipe becomes `¦`: behind a backslash no escape keeps it from ending a table's cell.
    """
    line = cut(flatten(text).replace("`", "'").replace("|", "¦"), length_max)
    return f"`{line}`" if line else "-"


def quote_reason(text: str) -> str:
    """Return a reason as a cell: longer than a name may be."""
    return quote_text(text, CELL_REASON_LENGTH_MAX)


def quote_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table of somebody's texts, each quoted."""
    return render_table(headings, ([quote_reason(cell) for cell in row] for row in rows))


def write_plain_link(label: str, url: str) -> str:
    """Return a Markdown link; the label alone where the address is long or holds a sign that would need an escape.

    :param label: Markdown of ours.
    """
    is_plain = len(url) <= URL_LENGTH_MAX and _URL.fullmatch(url)
    return f"[{label}]({url})" if is_plain else label


# --- GitHub ----------------------------------------------------------------------------------------------------------
# It renders everything, and acts on it: a mention pings, a number or an address leaves a reference on what it names.
# It honours a backslash before any punctuation, also in a cell, so the words stay as they were written.

MUTE = "\u200b"  # ZERO WIDTH SPACE: behind it GitHub takes neither `@ann` for a mention nor `#7` for a reference
LINK_SCHEMES = frozenset({"http", "https"})

_MEANING = re.compile(r"([\\`*_{}\[\]()<>#+\-=!|~$^&])")
_NUMBERED = re.compile(r"^(\d+)(?=[.)])")
_AUTOLINK = re.compile(r"(?i)\b(www|https?|ftp|mailto|xmpp)(?=[.:])")
_REFERENCE = re.compile(r"@|\\#|\b[Gg][Hh](?=\\-)")
_BACKTICKS = re.compile(r"`+")
_SPACES = re.compile(r"\s+")
_SAFE_IN_URL = ":/?#[]@!$&'*+,;=~%-._"


def clean(text: str) -> str:
    """Return the text with what shows nothing, or turns others around, made visible; line ends are line feeds."""
    return reveal(text.replace("\r\n", "\n"))


def flatten(text: str) -> str:
    """Return the text on one line, with what `clean` makes visible."""
    return _SPACES.sub(" ", clean(text)).strip()


def write_words(text: str) -> str:
    """Return Markdown of one line that shows the text and does nothing, also in the cell of a table."""
    escaped = _MEANING.sub(r"\\\1", flatten(text))
    escaped = _REFERENCE.sub(rf"\g<0>{MUTE}", escaped)
    return _NUMBERED.sub(rf"\1{MUTE}", _AUTOLINK.sub(rf"\1{MUTE}", escaped))


def write_code(text: str) -> str:
    """Return Markdown of a code span of one line, also for the cell of a table: nothing in a span means anything."""
    span = flatten(text) or " "
    fence = _find_fence(span, 1)
    pad = " " if span[0] == "`" or span[-1] == "`" else ""
    return f"{fence}{pad}{span}{pad}{fence}".replace("|", "\\|")


def write_block(text: str, lines_max: int, length_max: int) -> str:
    """Return Markdown of a fenced block with the first lines that say something, whatever they hold."""
    lines = [line.rstrip() for line in clean(text).expandtabs(4).splitlines() if line.strip()]
    block = cut("\n".join(lines[:lines_max]), length_max)
    if len(lines) > lines_max:
        block += f"\n… {len(lines) - lines_max} lines more"
    fence = _find_fence(block, 3)
    return f"{fence}text\n{block or ' '}\n{fence}"


def _find_fence(text: str, least: int) -> str:
    """Return the backticks between which the text can stand: more in a row than any that it holds."""
    return "`" * max(least, max((len(run) for run in _BACKTICKS.findall(text)), default=0) + 1)


def write_link(label: str, url: str) -> str:
    """Return a Markdown link, or the label alone where the address is no web address.

    :param label: Markdown of ours.
    """
    try:
        is_web = urlsplit(url).scheme in LINK_SCHEMES
    except ValueError:
        is_web = False
    return f"[{label}](<{quote(url, safe=_SAFE_IN_URL)}>)" if is_web else label


def write_quotation(text: str) -> str:
    """Return Markdown of a quotation that shows somebody's lines and does nothing."""
    return "\n".join(f"> {write_words(line)}" for line in clean(text).split("\n"))
