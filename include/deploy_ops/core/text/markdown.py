"""Other people's words in our Markdown on GitHub: they say what they say, and can do nothing else. Pure.

Branch names, file names, errors and reasons come from whoever pushes. None of them may break out of its place, turn
into a link, an image or HTML, ping a person or a team, or leave a reference on another pull request.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta


MUTE = "\u200b"  # ZERO WIDTH SPACE: behind it GitHub takes neither `@ann` for a mention nor `#7` for a reference
LINK_SCHEMES = frozenset({"http", "https"})

_MEANING = re.compile(r"([\\`*_{}\[\]()<>#+\-=!|~$^&])")
_NUMBERED = re.compile(r"^(\d+)(?=[.)])")
_AUTOLINK = re.compile(r"(?i)\b(www|https?|ftp|mailto|xmpp)(?=[.:])")
_REFERENCE = re.compile(r"@|\\#|\b[Gg][Hh](?=\\-)")
_BACKTICKS = re.compile(r"`+")
_SPACES = re.compile(r"\s+")
_SAFE_IN_URL = ":/?#[]@!$&'*+,;=~%-._"


def cut(text: str, length: int) -> str:
    """Return the text in at most `length` characters; an ellipsis says that it goes on."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def clean(text: str) -> str:
    """Return the text without characters that show nothing or turn others around; tabs and line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        each for each in kept if each in "\n\t" or unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )


def flatten(text: str) -> str:
    """Return the text on one line, without what `clean` removes."""
    return _SPACES.sub(" ", clean(text)).strip()


def write_words(text: str) -> str:
    """Return Markdown of one line that shows the text and does nothing, also in the cell of a table."""
    escaped = _MEANING.sub(r"\\\1", flatten(text))
    escaped = _REFERENCE.sub(rf"\g<0>{MUTE}", escaped)
    return _NUMBERED.sub(rf"\1{MUTE}", _AUTOLINK.sub(rf"\1{MUTE}", escaped))


def write_code(text: str) -> str:
    """Return Markdown of a code span of one line, also for the cell of a table: nothing in a span means anything."""
    shown = flatten(text) or " "
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(shown)), default=0) + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def write_block(text: str, lines_max: int, length_max: int) -> str:
    """Return Markdown of a fenced block with the first lines that say something, whatever they hold."""
    lines = [line.rstrip() for line in clean(text).expandtabs(4).splitlines() if line.strip()]
    shown = cut("\n".join(lines[:lines_max]), length_max)
    if len(lines) > lines_max:
        shown += f"\n… {len(lines) - lines_max} lines more"
    fence = "`" * max(3, max((len(run) for run in _BACKTICKS.findall(shown)), default=0) + 1)
    return f"{fence}text\n{shown or ' '}\n{fence}"


def write_link(label: str, url: str) -> str:
    """Return a Markdown link, or the label alone where the address is no web address.

    :param label: Markdown of ours.
    """
    try:
        is_web = urlsplit(url).scheme in LINK_SCHEMES
    except ValueError:
        is_web = False
    return f"[{label}](<{quote(url, safe=_SAFE_IN_URL)}>)" if is_web else label


TEXT_LENGTH_MAX = 120


REASON_LENGTH_MAX = 600


URL_LENGTH_MAX = 300


# Line breaks, other controls, and the marks that turn the direction of what follows.
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+")


def link(label: str, url: str) -> str:
    """Return a Markdown link; the label alone where the address is none that we would follow."""
    is_plain = len(url) <= URL_LENGTH_MAX and _URL.fullmatch(url)
    return f"[{label}]({url})" if is_plain else label


def quote_text(text: str, length_max: int = TEXT_LENGTH_MAX) -> str:
    """Return somebody's text as a code span for a sentence or a cell: one line, cut, meaning nothing to Markdown.

    A pipe becomes `¦`: behind a backslash no escape keeps it from ending a table's cell.
    """
    line = _UNPRINTED.sub(" ", text).replace("`", "'").replace("|", "¦").strip()
    if len(line) > length_max:
        line = f"{line[: length_max - 1]}…"
    return f"`{line}`" if line else "-"


_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table; the cells are Markdown already (`quote_text` makes it of somebody's words)."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


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


def escape_cell(text: str) -> str:
    """Return the text as the content of one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("`", "'").replace("\n", "\\n")


CELL_REASON_LENGTH_MAX = 300


def quote_reason(text: str) -> str:
    """Return a reason as a cell: longer than a name may be."""
    return quote_text(text, CELL_REASON_LENGTH_MAX)
