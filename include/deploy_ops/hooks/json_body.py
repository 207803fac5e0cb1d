"""Read the JSON of an HTTP answer's body, or say in one way why it is none; what it means is for the caller.

Stricter than Python's own reader: what could not be sent, hashed or stored is refused here, not where it first hurts.
NUL alone is replaced, since one commit's message must not hide a whole listing.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

_NUL = "\\u0000"
"""How JSON writes it: PostgreSQL takes it in no JSON, so it would fail the task that hands it on."""

_VALUES_MAX = 2_000_000
"""Values in one body, about: each takes up to a hundred times the bytes in memory that it has in the body."""

_DIGITS_MAX = 20
"""Of a whole number, its sign included: one with more fits into no field of a database."""


def read_json(body: str | bytes) -> Any:
    """Return the value of a body in UTF-8, with U+FFFD in place of NUL.

    :raises ValueError: it is no JSON, or nested too deeply, or holds too much, a key twice, what is no number that can
        be, or half a character; quotes nothing of it.
    """
    text = body if isinstance(body, str) else body.decode()
    if sum(map(text.count, ",[{")) > _VALUES_MAX:
        raise ValueError("it holds too many values")
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_read_int,
            parse_float=_read_float,
            object_pairs_hook=_make_object,
        )
        if _SURROGATE.search(text):  # two of them make a character, one makes a text that nothing takes
            json.dumps(value, ensure_ascii=False).encode()
        if _NUL in text:
            value = _replace_nul(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a character") from None
    return value


def _replace_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case list():
            return [_replace_nul(each) for each in value]
        case dict():
            return _make_object([(_replace_nul(key), _replace_nul(each)) for key, each in value.items()])
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _read_int(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise ValueError("a number in it is too long")
    return int(digits)


def _read_float(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError("a number in it is too large")
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):  # readers differ in which of the two they take
        raise ValueError("an object in it has a key twice")
    return made
