"""Gitignore rules and a path → the rule that ignores the path, exactly as Git decides it; reads no files.

Written out here because the libraries for it compile a pattern together with everything below what it matches, which
lets negated rules re-include what Git keeps ignored. Source: gitignore(5), and Git's dir.c and wildmatch.c.

Paths come from whoever pushes, and from `.airflowignore` rules as well: whatever both hold, the time of a match grows
with the path's length alone. No star but the last gives back what it took.
"""

from __future__ import annotations

import enum
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.model import RULE_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLASSES = {
    b"alnum": (string.ascii_letters + string.digits).encode(),
    b"alpha": string.ascii_letters.encode(),
    b"blank": b" \t",
    b"cntrl": bytes(range(32)) + b"\x7f",
    b"digit": string.digits.encode(),
    b"graph": bytes(range(33, 127)),
    b"lower": string.ascii_lowercase.encode(),
    b"print": bytes(range(32, 127)),
    b"punct": string.punctuation.encode(),
    b"space": b" \t\n\r",
    b"upper": string.ascii_uppercase.encode(),
    b"xdigit": string.hexdigits.encode(),
}
_NEVER = b"(?!)"

_LITERAL = re.compile(rb"[^*?\[\\]*")
# One wildcard, escape or plain byte. A doubled star counts as such only between slashes; elsewhere it is one star.
_TOKEN = re.compile(
    rb"(?P<folders>(?:^|(?<=/))\*{2,}(?:/|$|(?=\\/)))|(?P<star>\*+)|(?P<any>\?)|(?P<set>\[)|\\?(?P<byte>.)", re.DOTALL
)
# One member of a bracket expression: a class, a range, or a byte. `?+` never gives a backslash back as a plain byte.
_SET_ITEM = re.compile(rb"\[:(?P<name>[^\]]*):\]|\\?+(?P<low>.)-(?!\])\\?+(?P<high>.)|\\?+(?P<one>.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Rule:
    text: str
    matcher: re.Pattern[bytes]
    is_negated: bool
    is_for_folders: bool
    is_for_names: bool

    def is_match(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether the rule speaks of exactly this path; what lies below a match is the caller's affair."""
        if self.is_for_folders and not is_folder:
            return False
        subject = path.rpartition(b"/")[2] if self.is_for_names else path
        return self.matcher.fullmatch(subject) is not None


class _Gap(enum.Enum):
    """A wildcard of any length, as a regular expression that takes as much as it can."""

    NONE = b""
    STAR = b"[^/]*"
    FOLDERS = b"(?:.*/)?"  # a doubled star and its slash
    ANY = b".*"  # a doubled star at the end

    @property
    def shortest(self) -> bytes:
        """The same, taking as little as it can."""
        return {_Gap.NONE: b"", _Gap.STAR: b"[^/]*?", _Gap.FOLDERS: b"(?:.*?/)??", _Gap.ANY: b".*?"}[self]


class IgnoreRules:
    """The rules of a gitignore file, as one pattern per entry; the last rule that matches decides.

    :param patterns: gitignore patterns, relative to the folder that `find_rule`'s paths are relative to. A pattern of
        several lines, or of over `RULE_LENGTH_MAX` bytes, raises PolicyError. Comments, blanks and malformed patterns
        match nothing, as in Git.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = tuple(rule for pattern in patterns for rule in _read_rule(pattern))
        self._folders: dict[bytes, str | None] = {b"": None}  # what was decided of folders, so that each is judged once

    def find_rule(self, path: str, *, is_folder: bool) -> str | None:
        """Return the pattern that ignores the path or one of the folders above it; None if it is not ignored.

        What lies below an ignored folder cannot be re-included. A submodule counts as a folder. The path has no slash
        at either end; bytes that are no UTF-8 are expected as surrogate escapes.
        """
        whole = path.encode("utf-8", "surrogateescape")
        if is_folder:
            return self._find_for_folder(whole)
        return self._find_for_folder(whole.rpartition(b"/")[0]) or self._decide(whole, is_folder=False)

    def _find_for_folder(self, folder: bytes) -> str | None:
        """Return what ignores the folder or one above it; it is remembered for the paths below."""
        unknown: list[bytes] = []
        while folder not in self._folders:
            unknown.append(folder)
            folder = folder.rpartition(b"/")[0]
        rule = self._folders[folder]
        for each in reversed(unknown):
            rule = self._folders[each] = rule or self._decide(each, is_folder=True)
        return rule

    def _decide(self, path: bytes, *, is_folder: bool) -> str | None:
        for rule in reversed(self._rules):
            if rule.is_match(path, is_folder=is_folder):
                return None if rule.is_negated else rule.text
        return None


def _read_rule(text: str) -> Iterator[_Rule]:
    if "\n" in text:
        raise PolicyError(f"ignore: {text!r} has several lines; write one gitignore pattern per entry")
    pattern = _trim(text.removesuffix("\r").encode("utf-8", "surrogateescape"))  # CRLF ends a line, too
    if len(pattern) > RULE_LENGTH_MAX:
        raise PolicyError(
            f"ignore: a rule has {len(pattern)} bytes, the most is {RULE_LENGTH_MAX}; write a shorter one"
        )
    if not pattern or pattern.startswith(b"#"):
        return
    is_negated = pattern.startswith(b"!")
    pattern = pattern[is_negated:]
    is_for_folders = pattern.endswith(b"/")
    pattern = pattern[:-1] if is_for_folders else pattern
    is_for_names = b"/" not in pattern
    matcher = re.compile(_translate(pattern.removeprefix(b"/")), re.DOTALL)
    yield _Rule(text, matcher, is_negated, is_for_folders, is_for_names)


def _trim(pattern: bytes) -> bytes:
    """Cut trailing spaces, unless a backslash keeps the first of them."""
    kept = re.match(rb"(?:\\.|[^\\ ]|\\$| ++(?!$))*+", pattern, re.DOTALL)
    return kept[0] if kept else b""


def _translate(pattern: bytes) -> bytes:
    """Return the regular expression for a path; Git compares the part before the first wildcard literally."""
    literal = _LITERAL.match(pattern)
    prefix = literal[0] if literal else b""
    *blocks, (last_gap, last) = _group(re.escape(prefix), _list_parts(pattern[len(prefix) :]))
    settled = b"".join(_settle(gap, _join_stars(chunks, is_last=False)) for gap, chunks in blocks)
    return settled + last_gap.value + _join_stars(last, is_last=True)


def _settle(gap: _Gap, block: bytes) -> bytes:
    """Return a doubled star and what stands behind it, up to the next one: it ends at the first place, for good.

    A later place would give the next doubled star nothing more: it takes all that lies between.
    """
    return b"(?>%b%b)" % (gap.shortest, block)


def _join_stars(chunks: list[bytes], *, is_last: bool) -> bytes:
    """Return fixed parts with stars between; each but the pattern's last ends at its first place, likewise."""
    first, *others = chunks
    ends = [b"[^/]*%b" % others.pop()] if is_last and others else []
    return b"".join([first, *(b"(?>[^/]*?%b)" % chunk for chunk in others), *ends])


def _group(prefix: bytes, parts: Iterable[bytes | _Gap]) -> list[tuple[_Gap, list[bytes]]]:
    """Return the pattern's blocks: what begins each of them, and its fixed parts between single stars."""
    blocks = [(_Gap.NONE, [prefix])]
    for part in parts:
        if part is _Gap.STAR:
            blocks[-1][1].append(b"")
        elif isinstance(part, _Gap):
            blocks.append((part, [b""]))
        else:
            blocks[-1][1][-1] += part
    return blocks


def _list_parts(pattern: bytes) -> Iterator[bytes | _Gap]:
    at = 0
    while token := _TOKEN.match(pattern, at):
        at = token.end()
        if token["set"]:
            members, at = _read_set(pattern, at)
            yield b"[%b]" % b"".join(map(re.escape, members)) if members else _NEVER
        elif token["folders"]:
            yield _Gap.FOLDERS if token[0].endswith(b"/") else _Gap.ANY
        elif token["star"]:
            yield _Gap.STAR
        else:
            yield b"[^/]" if token["any"] else re.escape(token["byte"])
            if token[0] == b"\\":
                yield _NEVER


def _read_set(pattern: bytes, at: int) -> tuple[list[bytes], int]:
    """Return the bytes that a bracket expression takes, and where it ends; none and the pattern's end if malformed."""
    is_negated = pattern[at : at + 1] in {b"!", b"^"}
    first = at = at + is_negated
    members: set[int] = set()
    while pattern[at : at + 1] != b"]" or at == first:
        item = _SET_ITEM.match(pattern, at)
        if item is None or (item["name"] is not None and item["name"] not in _CLASSES):
            return [], len(pattern)
        members.update(_list_members(item))
        at = item.end()
    taken = (set(range(256)) - members if is_negated else members) - {ord("/")}
    return [bytes([byte]) for byte in sorted(taken)], at + 1


def _list_members(item: re.Match[bytes]) -> Iterable[int]:
    if item["name"] is not None:
        return _CLASSES[item["name"]]
    if item["one"] is not None:
        return item["one"]
    return {item["low"][0], *range(item["low"][0], item["high"][0] + 1)}  # a backward range still takes its start
