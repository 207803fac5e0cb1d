"""What GitHub answers about refs, commits, trees and files, in our own values, or what is wrong with it.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (git database).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from include.deploy_ops.core.change.change_type import Snapshot, hash_tree
from include.deploy_ops.core.model import FOLDER_MODE, Branch, TreeEntry
from include.deploy_ops.hooks.github.validation import Json, Many, Sha, check_sha, doubt, shorten, validate

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.hooks.github.http import GithubAnswer

PAGE_SIZE = 100
"""Items of a listing's page that we ask for: GitHub's largest. Its listing of refs ignores it and answers them all."""

BRANCH_PREFIX = "refs/heads/"
TAG_PREFIX = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as Git holds it: root tree, parents in order, time, message, who wrote it.

    `subject` is the message's first line.
    """

    sha: str
    tree: str
    parents: tuple[str, ...]
    committed_at: datetime
    subject: str
    message: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """Which repository answers: GitHub's number of it, which outlives renames, and its present name, owner/name.

    `is_public`: whether anybody may read it; also where GitHub does not tell.
    """

    id: int
    name: str
    is_public: bool = True


class _Repository(Json):
    id: int
    full_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]
    private: bool = False


class _Object(Json):
    sha: Sha


class _Ref(Json):
    ref: Annotated[str, StringConstraints(pattern=r"^refs/heads/.")]
    object: _Object


class _Target(Json):
    type: Literal["commit", "tag", "tree", "blob"]
    sha: Sha


class _AnyRef(Json):
    ref: Annotated[str, StringConstraints(pattern=r"^refs/.")]
    object: _Target


class _Tag(Json):
    sha: Sha
    object: _Target


class _Standing(Json):
    status: Literal["ahead", "behind", "diverged", "identical"]


class _Committer(Json):
    date: Annotated[AwareDatetime, Field(strict=False)]  # an ISO text


class _Writer(Json):
    name: str


class _Commit(Json):
    sha: Sha
    message: str
    tree: _Object
    parents: Many[_Object]
    author: _Writer | None = None  # nothing is decided by it
    committer: _Committer


class _Content(Json):
    tree: _Object


class _Compared(Json):
    sha: Sha
    commit: _Content


class _Comparison(Json):
    base_commit: _Compared
    merge_base_commit: _Compared


class _Entry(Json):
    path: Annotated[str, StringConstraints(min_length=1)]
    mode: Annotated[str, StringConstraints(pattern=r"^[0-7]{6}$")]
    sha: Sha


class _Tree(Json):
    sha: Sha
    tree: Many[_Entry]
    truncated: bool


class _Blob(Json):
    sha: Sha
    encoding: Literal["base64"]
    content: str


def parse_repository(answer: GithubAnswer) -> RepositoryName:
    """Return which repository it is. :raises ObservationError: the answer is malformed."""
    found = validate(_Repository, answer)
    return RepositoryName(found.id, found.full_name, not found.private)


def shorten_repository(answer: GithubAnswer) -> Any:
    """Return what `parse_repository` reads of the answer, as JSON; raises as that does."""
    return shorten(_Repository, answer)


def parse_branch(answer: GithubAnswer, name: str) -> Branch:
    """Read one ref. :raises ObservationError: malformed, or another ref than the branch `name`."""
    branch = _to_branch(validate(_Ref, answer))
    if branch.name != name:
        raise doubt(answer, f"another ref, {BRANCH_PREFIX}{branch.name}")
    return branch


def is_end_certain(answer: GithubAnswer) -> bool:
    """Whether the same page, read again, means that the listing still ends or goes on where it did.

    An exactly full last page does not: a page after it shows in the `Link` header, and a 304 may come without one.
    More than a page means that the server does not page at all.
    """
    return answer.next_url is not None or not isinstance(answer.data, list) or len(answer.data) != PAGE_SIZE


def shorten_branch(answer: GithubAnswer) -> Any:
    """Return what `parse_branch` reads of the answer, as JSON; raises as that does."""
    return shorten(_Ref, answer)


def parse_branches(answer: GithubAnswer) -> tuple[Branch, ...]:
    """Read a page of refs below refs/heads/, in GitHub's order. :raises ObservationError: malformed."""
    branches = tuple(_to_branch(ref) for ref in validate(list[_Ref], answer))
    if len({branch.name for branch in branches}) != len(branches):
        raise doubt(answer, "a page that repeats a branch")
    return branches


def parse_ref_target(answer: GithubAnswer, name: str) -> tuple[str, str]:
    """Read what a ref points to, its kind and id. :raises ObservationError: malformed, or another ref than `name`."""
    found = validate(_AnyRef, answer)
    if found.ref != name:
        raise doubt(answer, f"another ref, {found.ref}")
    return found.object.type, found.object.sha


def parse_tag_target(answer: GithubAnswer, sha: str) -> tuple[str, str]:
    """Read what an annotated tag names. :raises ObservationError: malformed, or another tag than `sha`."""
    found = validate(_Tag, answer)
    check_sha(answer, found.sha, sha)
    return found.object.type, found.object.sha


def parse_tag_names(answer: GithubAnswer) -> tuple[str, ...]:
    """Read the names of a page of tags, in GitHub's order. :raises ObservationError: malformed, or no tags."""
    refs = [ref.ref for ref in validate(list[_AnyRef], answer)]
    if stranger := next((ref for ref in refs if not ref.startswith(TAG_PREFIX)), None):
        raise doubt(answer, f"a ref that is no tag, {stranger}")
    return tuple(ref.removeprefix(TAG_PREFIX) for ref in refs)


def parse_commit_id(answer: GithubAnswer, short: str) -> str:
    """Read the whole id of a commit. :raises ObservationError: malformed, or one that does not begin with `short`."""
    found = validate(_Object, answer).sha
    if not found.startswith(short):
        raise doubt(answer, f"another commit, {found}")
    return found


def parse_relation(answer: GithubAnswer) -> str:
    """Read how the head of a comparison stands to its base: ahead, behind, diverged or identical.

    :raises ObservationError: malformed.
    """
    return validate(_Standing, answer).status


def parse_commit(answer: GithubAnswer, sha: str) -> Commit:
    """Read one commit. :raises ObservationError: malformed, or another commit than `sha`."""
    found = validate(_Commit, answer)
    check_sha(answer, found.sha, sha)
    parents = tuple(parent.sha for parent in found.parents)
    subject, author = found.message.partition("\n")[0], found.author.name if found.author else ""
    return Commit(sha, found.tree.sha, parents, found.committer.date, subject, found.message, author)


def write_commit(commit: Commit) -> dict[str, Any]:
    """Return the JSON that `parse_commit` reads as this commit."""
    return {
        "sha": commit.sha,
        "message": commit.message,
        "tree": {"sha": commit.tree},
        "parents": [{"sha": parent} for parent in commit.parents],
        "author": {"name": commit.author},
        "committer": {"date": commit.committed_at.isoformat()},
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two commits beside each other: the first one, and the merge base of both."""

    first: Snapshot
    merge_base: Snapshot


def parse_comparison(answer: GithubAnswer, first: str) -> Comparison:
    """Read a comparison. :raises ObservationError: malformed, or of another commit than `first`."""
    found = validate(_Comparison, answer)
    check_sha(answer, found.base_commit.sha, first)
    sides = (Snapshot(each.sha, each.commit.tree.sha) for each in (found.base_commit, found.merge_base_commit))
    return Comparison(*sides)


def parse_made(answer: GithubAnswer) -> str:
    """Read the id of a tree or commit that was made. :raises ObservationError: malformed."""
    return validate(_Object, answer).sha


def parse_tree(answer: GithubAnswer, sha: str) -> tuple[TreeEntry, ...]:
    """Read one level of a tree, sorted. :raises ObservationError: malformed, truncated, or another tree than `sha`.

    Bytes that are no UTF-8 arrive as U+FFFD, so that such a name alone may stand for several entries.
    """
    found = validate(_Tree, answer)
    check_sha(answer, found.sha, sha)
    if found.truncated:
        raise doubt(answer, "a truncated tree")
    names = [entry.path for entry in found.tree if "\ufffd" not in entry.path]
    if len(set(names)) != len(names):
        raise doubt(answer, "a tree that names an entry twice")
    return tuple(sorted(TreeEntry(entry.path, entry.mode, entry.sha) for entry in found.tree))


def parse_trees(answer: GithubAnswer, sha: str) -> dict[str, tuple[TreeEntry, ...]]:
    """Read a tree and those below it, by id: each that is there as a whole, as its id proves.

    Missing are what a truncated answer cuts, and folders with a name that is no UTF-8. :raises ObservationError:
    malformed, or another tree than `sha`.
    """
    found = validate(_Tree, answer)
    check_sha(answer, found.sha, sha)
    inside: dict[str, list[TreeEntry]] = {"": []}
    ids = {"": sha}
    for entry in found.tree:
        folder, _, name = entry.path.rpartition("/")
        inside.setdefault(folder, []).append(TreeEntry(name, entry.mode, entry.sha))
        if entry.mode == FOLDER_MODE:
            ids[entry.path] = entry.sha
            inside.setdefault(entry.path, [])
    listed = ((ids[path], tuple(sorted(entries))) for path, entries in inside.items() if path in ids)
    return {each: entries for each, entries in listed if _is_whole(each, entries)}


def _is_whole(sha: str, entries: tuple[TreeEntry, ...]) -> bool:
    try:
        return hash_tree(entries) == sha
    except UnicodeEncodeError:
        return False


def parse_blob(answer: GithubAnswer, sha: str) -> bytes:
    """Read a file's bytes. :raises ObservationError: malformed, or not the bytes that `sha` is the hash of."""
    found = validate(_Blob, answer)
    try:
        content = base64.b64decode(found.content.replace("\n", ""), validate=True)
    except binascii.Error as error:
        raise doubt(answer, f"content that is not base64 ({error})") from error
    header = b"blob %d\0" % len(content)
    check_sha(answer, hashlib.sha1(header + content, usedforsecurity=False).hexdigest(), sha)
    return content


def _to_branch(ref: _Ref) -> Branch:
    return Branch(ref.ref.removeprefix(BRANCH_PREFIX), ref.object.sha)
