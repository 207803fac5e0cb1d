"""Other people's words in our Markdown on GitHub: they say what they say, and can do nothing else. Pure.

Branch names, file names, errors and reasons come from whoever pushes. None of them may break out of its place, turn
into a link, an image or HTML, ping a person or a team, or leave a reference on another pull request.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, urlsplit

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
