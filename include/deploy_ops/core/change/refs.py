"""What a person typed as a ref → how to look it up, in which order, and the nearest names where nothing is found.

Asks nobody. A name wins over a commit's short id and a branch over a tag of the same name, as the form shows branches
first; what else it could have meant is told. All 40 digits are always the commit, as in Git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NEAREST_MAX = 5
NAME_SHOWN_MAX = 60
"""Characters of a name that an error shows; the middle of a longer one is left out."""

_LIKENESS_MIN = 0.6  # of 1: below, two names have nothing to do with each other
_COMPARED_MAX = 120  # characters, of longer names the first
_MEASURED_MAX = 200
# What git-check-ref-format(1) forbids, and HEAD, which is no ref of a repository's own.
_ILLEGAL = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^[./]|[./]$|\.lock(?:/|$)|^(?:@|HEAD)?$")
_BLANK = " \t\r\n"  # what people copy along; Git's names may end in other blanks
_COMMIT = re.compile(r"[0-9a-fA-F]{7,40}")
_COMMIT_DIGITS = 40


class RefKind(Enum):
    """What a ref turned out to be."""

    BRANCH = "branch"
    TAG = "tag"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One thing that the text may mean; a commit's `name` is its id in small letters, perhaps shortened."""

    kind: RefKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} '{shorten_name(self.name)}'"


@dataclass(frozen=True, slots=True)
class ResolvedRef:
    """What a ref stands for now.

    :param name: the branch's or tag's name; of a commit, its id.
    :param commit: the 40-digit id; of an annotated tag, that of the commit behind it.
    :param told: what a person should know of the choice, empty where there was none.
    """

    kind: RefKind
    name: str
    commit: str
    told: str = ""


def plan_lookups(text: str) -> tuple[Lookup, ...]:
    """Return what the text may mean, most likely first: the first that exists is meant.

    `refs/heads/x` and `refs/tags/x` leave no choice. `origin/x` is a branch of that name, or else `x`: that is how
    `git branch --all` lists it. Raises PermanentError for a text that can mean nothing.
    """
    text = text.strip(_BLANK)
    for prefix, kind in (
        ("refs/heads/", RefKind.BRANCH),
        ("refs/remotes/origin/", RefKind.BRANCH),
        ("refs/tags/", RefKind.TAG),
    ):
        if text.startswith(prefix):
            return (Lookup(kind, _check_name(text, text.removeprefix(prefix))),)
    name = _check_name(text, text)
    names = [Lookup(kind, name) for kind in (RefKind.BRANCH, RefKind.TAG)]
    if name.startswith("origin/") and name != "origin/":
        names.append(Lookup(RefKind.BRANCH, name.removeprefix("origin/")))
    if not _COMMIT.fullmatch(name):
        return tuple(names)
    commit = Lookup(RefKind.COMMIT, name.lower())
    return (commit, *names) if len(name) == _COMMIT_DIGITS else (*names, commit)


def _check_name(text: str, name: str) -> str:
    is_known = name != text or not text.startswith("refs/")  # refs/pull/7/head is a name, and none of ours
    if is_known and not _ILLEGAL.search(name):
        return name
    said = f"ref: '{shorten_name(text)}' is no branch, tag or commit" if text else "ref: it is empty"
    raise PermanentError(f"{said}; write a branch, a tag, or a commit's id of 7 to 40 hexadecimal digits")


def explain_choice(chosen: Lookup, others: Collection[Lookup]) -> str:
    """Return a sentence about what else exists under the name, or may: empty where the name is unambiguous.

    :param others: what was found besides, in order.
    """
    said = ""
    for other in others:
        full = f"refs/{'heads' if other.kind is RefKind.BRANCH else 'tags'}/{other.name}"
        said += f"; for the {other} write {full}"
    if chosen.kind is not RefKind.COMMIT and _COMMIT.fullmatch(chosen.name):
        said += "; for a commit of that id write all 40 digits"
    return f"taken as the {chosen}{said}" if said else ""


def explain_missing(text: str, repository: str, branches: Iterable[str], tags: Iterable[str]) -> str:
    """Return the error's text for a ref that does not exist, with the nearest names of those that do."""
    text = text.strip(_BLANK)
    kinds = dict.fromkeys(branches, "")
    kinds = {name: "tag " for name in tags if name not in kinds} | kinds
    bare = re.sub(r"^(refs/(heads|tags|remotes/origin)/|origin/)", "", text)
    nearest = [f"{kinds[name]}'{shorten_name(name)}'" for name in find_nearest(bare, kinds)]
    said = f"nearest: {', '.join(nearest)}" if nearest else "no branch or tag has a name like it"
    return f"ref: there is no branch, tag or commit '{shorten_name(text)}' in {repository}; {said}"


def find_nearest(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return at most `NEAREST_MAX` names that a person may have meant, nearest first; equally near ones by name."""
    wanted = _fold(text)
    matcher = SequenceMatcher(isjunk=None, b=wanted, autojunk=False)
    bounded = sorted((-_rate(matcher, wanted, _fold(name), is_quick=True), name) for name in set(names))
    nearest: list[tuple[float, str]] = []
    # Measuring costs the square of the length, and a repository may have thousands of refs: only what can still come
    # among the nearest is measured, and where very many are made of the same letters, not all of them.
    for bound, name in bounded[:_MEASURED_MAX]:
        least = -nearest[-1][0] if len(nearest) == NEAREST_MAX else _LIKENESS_MIN
        if -bound < least:
            break
        likeness = _rate(matcher, wanted, _fold(name))
        if likeness >= least:
            nearest = sorted([*nearest, (-likeness, name)])[:NEAREST_MAX]
    return tuple(name for _, name in nearest)


def _fold(name: str) -> str:
    """Return the name without what people get wrong first: case, and which sign separates its words."""
    return re.sub(r"[-_/. ]+", "-", name[:_COMPARED_MAX].casefold())


def _rate(matcher: SequenceMatcher[str], wanted: str, name: str, *, is_quick: bool = False) -> float:
    """Return how alike two names are, from 0 to 1; quickly a bound by the letters alone, which is never less.

    A name that holds the other is always likely: the nearer, the less it adds.

    :param matcher: holds `wanted` as its second sequence, which it has analysed once for all names.
    """
    matcher.set_seq1(name)
    likeness = matcher.quick_ratio() if is_quick else matcher.ratio()
    if not wanted or not name or not (wanted in name or name in wanted):
        return likeness
    share = min(len(name), len(wanted)) / max(len(name), len(wanted))
    return max(likeness, _LIKENESS_MIN + (1 - _LIKENESS_MIN) * share)


def shorten_name(name: str) -> str:
    """Return the name for an error's text: without control characters, and the middle left out of a long one."""
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
    if len(shown) <= NAME_SHOWN_MAX:
        return shown
    half = NAME_SHOWN_MAX // 2
    return f"{shown[:half]}…{shown[1 - half :]}"
