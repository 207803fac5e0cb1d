"""What a person typed as a ref → how to look it up, in which order, and the nearest names where nothing is found.

Asks nobody. At a preview a name wins over a commit's short id and a branch over a tag of the same name, and what else
it could have meant is told. At a target nothing wins: whoever may push a branch could otherwise choose what is released
by the branch's name. All 40 digits are the commit and nothing else, as in Git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import COMMIT_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

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


_SHORT_STARTS = {
    "heads/": RefKind.BRANCH,
    "tags/": RefKind.TAG,
    "remotes/origin/": RefKind.BRANCH,
    "origin/": RefKind.BRANCH,
}


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

    @property
    def full(self) -> str:
        """The text that means this and nothing else: `refs/heads/x`, `refs/tags/x`, or the commit's 40 digits."""
        return _write_full(self.kind, self.name) if self.kind is not RefKind.COMMIT else self.commit


def _write_full(kind: RefKind, name: str) -> str:
    return f"refs/{'heads' if kind is RefKind.BRANCH else 'tags'}/{name}"


def read_kind(ref: str) -> tuple[str, str]:
    """Return kind and name of a ref that is written in full, as `ResolvedRef.full` is; no kind for any other text."""
    for kind in (RefKind.BRANCH, RefKind.TAG):
        start = _write_full(kind, "")
        if ref.startswith(start):
            return kind.value, ref.removeprefix(start)
    return (RefKind.COMMIT.value if COMMIT_ID.fullmatch(ref) else ""), ref


def plan_lookups(text: str) -> tuple[Lookup, ...]:
    """Return what the text may mean, most likely first: at a preview, the first that exists is meant.

    `refs/heads/x`, `refs/tags/x` and 40 digits leave no choice. `origin/x` is a branch of that name, or else `x`: that
    is how `git branch --all` lists it; `heads/x` and `tags/x` likewise, as Git shortens refs. Raises PermanentError for
    a text that can mean nothing.
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
    if is_whole_id(name):
        return (Lookup(RefKind.COMMIT, name.lower()),)
    names = [Lookup(kind, name) for kind in (RefKind.BRANCH, RefKind.TAG)]
    for start, kind in _SHORT_STARTS.items():
        if name.startswith(start) and name != start:
            names.append(Lookup(kind, name.removeprefix(start)))
    return (*names, Lookup(RefKind.COMMIT, name.lower())) if is_like_id(name) else tuple(names)


def list_names(lookups: Iterable[Lookup]) -> tuple[Lookup, ...]:
    """Return the branches and tags among what a text may mean, and those that its short id would be taken for.

    An id is asked for in small letters, and GitHub looks for branches and tags first: `DECADE5` meets a `decade5`.
    """
    known = tuple(lookups)
    names = [each for each in known if each.kind is not RefKind.COMMIT]
    shadows = [
        Lookup(kind, each.name)
        for each in known
        for kind in (RefKind.BRANCH, RefKind.TAG)
        if each.kind is RefKind.COMMIT and not is_whole_id(each.name)
    ]
    return tuple(dict.fromkeys([*names, *shadows]))


def is_like_id(name: str) -> bool:
    """Whether the name could be a commit's id, whole or shortened."""
    return _COMMIT.fullmatch(name) is not None


def is_whole_id(name: str) -> bool:
    """Whether the name is a whole id, in letters of any case: no repository on GitHub has a branch or tag like it."""
    return is_like_id(name) and len(name) == _COMMIT_DIGITS


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
        said += f"; for the {other} write {_write_full(other.kind, other.name)}"
    if chosen.kind is not RefKind.COMMIT and is_like_id(chosen.name):
        said += "; for a commit of that id write all 40 digits"
    return f"taken as the {chosen}{said}" if said else ""


def explain_ambiguity(text: str, found: Sequence[ResolvedRef]) -> str:
    """Return the error's text where branches and tags of one text are different commits; empty where they are one.

    A branch or tag that is called like a short id is always ambiguous: GitHub answers a question about that id with the
    branch, so nobody can tell whether there is such a commit.
    """
    text = text.strip(_BLANK)
    is_id = bool(found) and is_like_id(text)
    if not is_id and len({each.commit for each in found}) <= 1:
        return ""
    means = [f"the {Lookup(each.kind, each.name)} at {each.commit}" for each in found]
    means += ["perhaps a commit whose id begins so"] if is_id else []
    ways = [shorten_name(each.full) for each in found]
    said = f"ref: '{shorten_name(text)}' is ambiguous: {', or '.join(means)}"
    return f"{said}; write {', '.join(ways)}, or all 40 digits of the commit that is meant"


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
