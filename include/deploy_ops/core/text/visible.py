"""Characters that show nothing, or change how others are shown: people see that they are there, and which.

An escape that colours a log, a mark that turns a name around or a space without width makes a text look like another
one. Pure.
"""

from __future__ import annotations

import unicodedata

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# Letters, marks and symbols by their category, of which nothing is seen (Unicode's Default_Ignorable_Code_Point), and
# the blank Braille pattern. Those that choose between a character's pictures (FE00 to FE0F) only belong to it.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_TAGS = range(0xE0100, 0xE01F0)


def reveal(text: str) -> str:
    """Return the text with `<U+202E>` for each such character; tabs and line feeds stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"<U+{ord(each):04X}>" if _is_hidden(each) else each for each in text)


def _is_hidden(each: str) -> bool:
    if each in "\n\t":
        return False
    return unicodedata.category(each) in _HIDDEN_CATEGORIES or each in _UNSEEN or ord(each) in _TAGS
