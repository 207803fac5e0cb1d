"""Take secrets out of texts and streams, in every spelling that programs give them.

Which values are secret callers say; besides, it knows what the tokens of some services look like, whoever's they are.
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

CUT = "…"
"""What stands where a text of others was cut."""

_SHORTEST_FRAGMENT = 8  # characters; a shorter piece of a secret would blot out ordinary words

_LOGIN = re.compile(r"(https?://|://[^\s/?#:@\"<>]*:)[^\s/?#\"<>]+@", re.IGNORECASE)
"""What stands before a URL's host; of a scheme that is no web's, the password alone: `ssh://git@` hides nothing."""

_PERCENT = re.compile(r"%[0-9A-F]{2}")
_GO_ESCAPED = re.compile(r"[<>&\u2028\u2029]")
_JSON_LEVELS = 3
"""A connection with a JSON extra, in the JSON of a request, which an answer repeats in its own."""

# Each begins with what nothing else begins with, and repeats one class of characters. Where something must follow, it
# is repeated a bounded number of times: a text of many beginnings would take the square of its length.
_SHAPES = (
    re.compile(r"\b(?:gh[opsru]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})"),
    re.compile(r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}|xox[abeoprs]-[A-Za-z0-9-]{10,})"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,1000}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s]*"),
)
_NAMED = (
    re.compile(
        r"([?&][\w.%-]{0,40}(?:token|secret|passw|signature|credential|api_?key|sig)[\w.%-]{0,40}=)[^&#\s\"'<>]+",
        re.IGNORECASE,
    ),
    re.compile(r"(aws_secret_access_key\W{1,4})[A-Za-z0-9/+=]{30,}", re.IGNORECASE),
    re.compile(r"(http-basic\S{0,200}[ \t]+\S{1,200}[ \t]+)\S+"),
    re.compile(r"(\b(?:Bearer|Basic)[ \t]+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
)

_KEPT_LENGTH = 1 << 20  # characters of each stream, its end
_LONGEST_LINE = 1 << 16  # characters; a longer line is cut


def redact(text: str, secrets: Sequence[str]) -> str:
    """Return `text` with `***` for each secret: as it is, and as URLs, JSON and base64 write it, also within more."""
    return replace_forms(text, list_forms(secrets))


def redact_error(error: Exception, secrets: Sequence[str]) -> None:
    """Take secrets out of an error's text; it stays the same error. Whoever answers us may repeat what we sent."""
    error.args = (redact(str(error), secrets), *error.args[1:])


def list_forms(secrets: Sequence[str]) -> list[str]:
    """Return every text that a secret may appear as, the longest first, so that no rest of one stays."""
    forms = {form for secret in secrets if secret.strip() for form in _spell_secret(secret)}
    return sorted(forms, key=len, reverse=True)


def replace_forms(text: str, forms: Sequence[str]) -> str:
    """Return `text` with `***` for each of `forms`, taken in their order."""
    for form in forms:
        text = text.replace(form, "***")
    return text


def redact_cut(text: str, forms: Sequence[str]) -> str:
    """Return `text` with `***` for each of `forms`, and for a piece of one where it may be cut: at its ends and at `…`.

    :param forms: what `list_forms` made of the secrets.
    """
    return CUT.join(_redact_ends(part, forms) for part in replace_forms(text, forms).split(CUT))


def _redact_ends(text: str, forms: Sequence[str]) -> str:
    for form in forms:
        longest = min(len(form) - 1, len(text))
        for length in range(longest, _SHORTEST_FRAGMENT - 1, -1):
            if text.startswith(form[-length:]):
                text = f"***{text[length:]}"
                break
        for length in range(min(longest, len(text)), _SHORTEST_FRAGMENT - 1, -1):
            if text.endswith(form[:length]):
                text = f"{text[:-length]}***"
                break
    return text


def redact_urls(text: str) -> str:
    """Return `text` with `***` for the credentials in its URLs, whoever's they are."""
    return _LOGIN.sub(r"\1***@", text)


def redact_shapes(text: str) -> str:
    """Return `text` with `***` for what looks like a token of a service that we know, or is named like a secret."""
    for shape in _SHAPES:
        text = shape.sub("***", text)
    for named in _NAMED:
        text = named.sub(r"\1***", text)
    return text


class RedactedStream:
    """Turns bytes into redacted lines as they come, and keeps the last of them; its memory is bounded.

    :param forms: what `list_forms` made of the secrets.
    :param hides_shapes: whether what merely looks like a token is hidden as well.
    """

    def __init__(self, forms: Sequence[str], *, hides_shapes: bool = True) -> None:
        self._hides_shapes = hides_shapes
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
        line = redact_shapes(line) if self._hides_shapes else line
        self._kept.append(line + ending)
        self._kept_length += len(line) + len(ending)
        while self._kept_length > _KEPT_LENGTH and len(self._kept) > 1:
            self._kept_length -= len(self._kept.popleft())
        return line.removesuffix("\r")


def _spell_secret(secret: str) -> Iterator[str]:
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (quoted, _PERCENT.sub(lambda code: code[0].lower(), quoted))
    yield from _spell_json(secret)
    for line in secret.splitlines():  # output is redacted by line, and a private key has many
        if len(line.strip()) >= _SHORTEST_FRAGMENT:
            yield line
    yield from _spell_base64(secret.encode())


def _spell_json(secret: str) -> Iterator[str]:
    """Yield it as JSON writes it, also within JSON that stands in JSON; Go writes some signs by their numbers."""
    for is_ascii in (True, False):
        forms = {secret}
        for _ in range(_JSON_LEVELS):
            escaped = {json.dumps(form, ensure_ascii=is_ascii)[1:-1] for form in forms}
            forms = escaped | {_GO_ESCAPED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", form) for form in escaped}
            yield from forms


def _spell_base64(secret: bytes) -> Iterator[str]:
    """Yield what of a base64 text depends on the secret alone, for its three places within a group of three bytes."""
    for offset in range(3):
        data = bytes(offset) + secret
        first, last = -(-offset * 8 // 6), len(data) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(data).decode()[first:last]
            if len(core) >= _SHORTEST_FRAGMENT:
                yield core
