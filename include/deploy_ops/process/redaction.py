"""Take secrets out of texts and streams, in every spelling that programs give them.

It does not know which values are secret: callers say so.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHORTEST_FRAGMENT = 8  # characters; a shorter piece of a secret would blot out ordinary words

_LOGIN = re.compile(r"(https?://|://[^\s/?#:@\"<>]*:)[^\s/?#\"<>]+@", re.IGNORECASE)
"""What stands before a URL's host; of a scheme that is no web's, the password alone: `ssh://git@` hides nothing."""

_KEPT_LENGTH = 1 << 20  # characters of each stream, its end
_LONGEST_LINE = 1 << 16  # characters; a longer line is cut


def redact(text: str, secrets: Sequence[str]) -> str:
    """Return `text` with `***` for each secret: as it is, and as URLs, JSON and base64 write it, also within more."""
    return replace_forms(text, list_forms(secrets))


def list_forms(secrets: Sequence[str]) -> list[str]:
    """Return every text that a secret may appear as, the longest first, so that no rest of one stays."""
    forms = {form for secret in secrets if secret.strip() for form in _spell_secret(secret)}
    return sorted(forms, key=len, reverse=True)


def replace_forms(text: str, forms: Sequence[str]) -> str:
    """Return `text` with `***` for each of `forms`, taken in their order."""
    for form in forms:
        text = text.replace(form, "***")
    return text


def redact_urls(text: str) -> str:
    """Return `text` with `***` for the credentials in its URLs, whoever's they are."""
    return _LOGIN.sub(r"\1***@", text)


class RedactedStream:
    """Turns bytes into redacted lines as they come, and keeps the last of them; its memory is bounded.

    :param forms: what `list_forms` made of the secrets.
    """

    def __init__(self, forms: Sequence[str]) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._forms = forms
        self._overlap = max(map(len, forms), default=0)
        self._partial = ""
        self._kept: deque[str] = deque()
        self._kept_length = 0

    @property
    def text(self) -> str:
        """The last 2^20 characters of what came, redacted."""
        return "".join(self._kept)

    def take(self, data: bytes) -> Iterator[str]:
        """Yield the lines that `data` completes, without their ends."""
        *lines, self._partial = (self._partial + self._decode(data)).split("\n")
        for line in lines:
            yield self._keep(line, "\n")
        if len(self._partial) > _LONGEST_LINE + self._overlap:
            yield self._cut()

    def finish(self) -> Iterator[str]:
        """Yield the last line if it had no end."""
        rest, self._partial = self._partial + self._decode(b"", final=True), ""
        if rest:
            yield self._keep(rest, "")

    def _cut(self) -> str:
        """Give an endless line away, except for an end that may be the beginning of a secret."""
        partial = replace_forms(self._partial, self._forms)
        end = max(1, len(partial) - self._overlap)
        self._partial = partial[end:]
        return self._keep(partial[:end], "")

    def _keep(self, line: str, ending: str) -> str:
        line = replace_forms(line, self._forms)
        self._kept.append(line + ending)
        self._kept_length += len(line) + len(ending)
        while self._kept_length > _KEPT_LENGTH and len(self._kept) > 1:
            self._kept_length -= len(self._kept.popleft())
        return line.removesuffix("\r")


def _spell_secret(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    for line in secret.splitlines():  # output is redacted by line, and a private key has many
        if len(line.strip()) >= _SHORTEST_FRAGMENT:
            yield line
    yield from _spell_base64(secret.encode())


def _spell_base64(secret: bytes) -> Iterator[str]:
    """Yield what of a base64 text depends on the secret alone, for its three places within a group of three bytes."""
    for offset in range(3):
        data = bytes(offset) + secret
        first, last = -(-offset * 8 // 6), len(data) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(data).decode()[first:last]
            if len(core) >= _SHORTEST_FRAGMENT:
                yield core
