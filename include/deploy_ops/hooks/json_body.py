"""Read the JSON of an HTTP answer's body, or say in one way why it is none; what it means is for the caller.

Stricter than Python's own reader: what could not be sent, hashed or stored is refused here, not where it first hurts.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(body: str | bytes) -> Any:
    """Return the value of a body in UTF-8.

    :raises ValueError: it is no JSON, or nested too deeply, or holds NaN or half a character; quotes nothing of it.
    """
    text = body if isinstance(body, str) else body.decode()
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):  # two of them make a character, one makes a text that nothing takes
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a character") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
