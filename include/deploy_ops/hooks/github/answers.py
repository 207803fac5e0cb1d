"""Turn the JSON of GitHub's REST API into our values, or say what is wrong with it.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (git database, pulls).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.errors import NOTHING_FOLLOWS, ObservationError
from include.deploy_ops.core.model import Branch, PullCommit, PullRequest, TreeEntry

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.hooks.github.http import GithubAnswer

PAGE_SIZE = 100
"""Items of a listing's page that we ask for: GitHub's largest. Its listing of refs ignores it and answers them all."""

BRANCH_PREFIX = "refs/heads/"
TAG_PREFIX = "refs/tags/"

T = TypeVar("T")
_Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
_Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]  # so texts order as times


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


class _Json(BaseModel):
    """Strict: a number in quotes is as wrong as a missing field. Fields that we do not name are GitHub's affair."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Object(_Json):
    sha: _Sha


class _Ref(_Json):
    ref: Annotated[str, StringConstraints(pattern=r"^refs/heads/.")]
    object: _Object


class _Target(_Json):
    type: Literal["commit", "tag", "tree", "blob"]
    sha: _Sha


class _AnyRef(_Json):
    ref: Annotated[str, StringConstraints(pattern=r"^refs/.")]
    object: _Target


class _Tag(_Json):
    sha: _Sha
    object: _Target


class _Standing(_Json):
    status: Literal["ahead", "behind", "diverged", "identical"]


class _Repository(_Json):
    id: int


class _Base(_Json):
    ref: str
    repo: _Repository


class _Head(_Json):
    ref: str
    sha: _Sha
    repo: _Repository | None  # None when the fork was deleted


class _User(_Json):
    login: str


class _Label(_Json):
    name: str


class _Pull(_Json):
    number: int
    state: Literal["open", "closed"]
    title: str
    html_url: str
    updated_at: _Instant
    merged_at: str | None
    user: _User | None  # None when the account was deleted
    labels: list[_Label]
    head: _Head
    base: _Base


class _ShownPull(_Pull):
    mergeable: bool | None  # None while GitHub computes it
    merge_commit_sha: _Sha | None


class _Login(_Json):
    login: str | None = None  # GitHub shows an unknown author as {}


class _Author(_Json):
    name: str = ""


class _Written(_Json):
    message: str
    author: _Author | None


class _PullCommit(_Json):
    sha: _Sha
    html_url: str
    commit: _Written
    author: _Login | None


class _Comment(_Json):
    html_url: str
    body: str | None = None


class _Merged(_Json):
    sha: _Sha
    merged: Literal[True]


class _Committer(_Json):
    date: Annotated[AwareDatetime, Field(strict=False)]  # an ISO text


class _Writer(_Json):
    name: str


class _Commit(_Json):
    sha: _Sha
    message: str
    tree: _Object
    parents: list[_Object]
    author: _Writer | None = None  # nothing is decided by it
    committer: _Committer


class _Content(_Json):
    tree: _Object


class _Compared(_Json):
    sha: _Sha
    commit: _Content


class _Comparison(_Json):
    base_commit: _Compared
    merge_base_commit: _Compared


class _Entry(_Json):
    path: Annotated[str, StringConstraints(min_length=1)]
    mode: Annotated[str, StringConstraints(pattern=r"^[0-7]{6}$")]
    sha: _Sha


class _Tree(_Json):
    sha: _Sha
    tree: list[_Entry]
    truncated: bool


class _Blob(_Json):
    sha: _Sha
    encoding: Literal["base64"]
    content: str


_REF = TypeAdapter(_Ref)
_REFS = TypeAdapter(list[_Ref])
_ANY_REF = TypeAdapter(_AnyRef)
_ANY_REFS = TypeAdapter(list[_AnyRef])
_TAG = TypeAdapter(_Tag)
_OBJECT = TypeAdapter(_Object)
_STANDING = TypeAdapter(_Standing)
_PULLS = TypeAdapter(list[_Pull])
_PULL = TypeAdapter(_ShownPull)
_PULL_COMMITS = TypeAdapter(list[_PullCommit])
_COMMENT = TypeAdapter(_Comment)
_COMMENTS = TypeAdapter(list[_Comment])
_MERGED = TypeAdapter(_Merged)
_COMMIT = TypeAdapter(_Commit)
_COMPARISON = TypeAdapter(_Comparison)
_MADE = TypeAdapter(_Object)
_TREE = TypeAdapter(_Tree)
_BLOB = TypeAdapter(_Blob)


def parse_branch(answer: GithubAnswer, name: str) -> Branch:
    """Read one ref. :raises ObservationError: malformed, or another ref than the branch `name`."""
    branch = _to_branch(_validate(_REF, answer))
    if branch.name != name:
        raise _doubt(answer, f"another ref, {BRANCH_PREFIX}{branch.name}")
    return branch


def is_end_certain(answer: GithubAnswer) -> bool:
    """Whether the same page, read again, means that the listing still ends or goes on where it did.

    An exactly full last page does not: a page after it shows in the `Link` header, and a 304 may come without one.
    More than a page means that the server does not page at all.
    """
    return answer.next_url is not None or not isinstance(answer.data, list) or len(answer.data) != PAGE_SIZE


def parse_branches(answer: GithubAnswer) -> tuple[Branch, ...]:
    """Read a page of refs below refs/heads/, in GitHub's order. :raises ObservationError: malformed."""
    branches = tuple(_to_branch(ref) for ref in _validate(_REFS, answer))
    if len({branch.name for branch in branches}) != len(branches):
        raise _doubt(answer, "a page that repeats a branch")
    return branches


def parse_ref_target(answer: GithubAnswer, name: str) -> tuple[str, str]:
    """Read what a ref points to, its kind and id. :raises ObservationError: malformed, or another ref than `name`."""
    found = _validate(_ANY_REF, answer)
    if found.ref != name:
        raise _doubt(answer, f"another ref, {found.ref}")
    return found.object.type, found.object.sha


def parse_tag_target(answer: GithubAnswer, sha: str) -> tuple[str, str]:
    """Read what an annotated tag names. :raises ObservationError: malformed, or another tag than `sha`."""
    found = _validate(_TAG, answer)
    _check_sha(answer, found.sha, sha)
    return found.object.type, found.object.sha


def parse_tag_names(answer: GithubAnswer) -> tuple[str, ...]:
    """Read the names of a page of tags, in GitHub's order. :raises ObservationError: malformed, or no tags."""
    refs = [ref.ref for ref in _validate(_ANY_REFS, answer)]
    if stranger := next((ref for ref in refs if not ref.startswith(TAG_PREFIX)), None):
        raise _doubt(answer, f"a ref that is no tag, {stranger}")
    return tuple(ref.removeprefix(TAG_PREFIX) for ref in refs)


def parse_commit_id(answer: GithubAnswer, short: str) -> str:
    """Read the whole id of a commit. :raises ObservationError: malformed, or one that does not begin with `short`."""
    found = _validate(_OBJECT, answer).sha
    if not found.startswith(short):
        raise _doubt(answer, f"another commit, {found}")
    return found


def parse_relation(answer: GithubAnswer) -> str:
    """Read how the head of a comparison stands to its base: ahead, behind, diverged or identical.

    :raises ObservationError: malformed.
    """
    return _validate(_STANDING, answer).status


def parse_pull_requests(answer: GithubAnswer) -> tuple[PullRequest, ...]:
    """Read a page of pull requests, in GitHub's order. :raises ObservationError: malformed."""
    return tuple(_to_pull_request(pull) for pull in _validate(_PULLS, answer))


@dataclass(frozen=True, slots=True)
class SinglePull:
    """A pull request as GitHub shows it alone. `merge_commit` may belong to an older base or head."""

    pull: PullRequest
    is_mergeable: bool | None
    merge_commit: str | None


def parse_pull_request(answer: GithubAnswer, number: int) -> SinglePull:
    """Read one pull request. :raises ObservationError: malformed, or another one than `number`."""
    found = _validate(_PULL, answer)
    if found.number != number:
        raise _doubt(answer, f"another pull request, {found.number}")
    return SinglePull(_to_pull_request(found), found.mergeable, found.merge_commit_sha)


def parse_pull_commits(answer: GithubAnswer) -> tuple[PullCommit, ...]:
    """Read a page of a pull request's commits, oldest first. :raises ObservationError: malformed."""
    return tuple(
        PullCommit(
            sha=each.sha,
            message=each.commit.message,
            author=(each.author.login if each.author else None)
            or (each.commit.author.name if each.commit.author else ""),
            url=each.html_url,
        )
        for each in _validate(_PULL_COMMITS, answer)
    )


def parse_comment(answer: GithubAnswer) -> str:
    """Read the page's address of a comment that was made. :raises ObservationError: malformed."""
    return _validate(_COMMENT, answer).html_url


def parse_comments(answer: GithubAnswer) -> tuple[tuple[str, str], ...]:
    """Read a page of comments, oldest first: each one's address and text. :raises ObservationError: malformed."""
    return tuple((comment.html_url, comment.body or "") for comment in _validate(_COMMENTS, answer))


def parse_merged(answer: GithubAnswer) -> str:
    """Read the commit that a merge made. :raises ObservationError: malformed."""
    return _validate(_MERGED, answer).sha


def parse_commit(answer: GithubAnswer, sha: str) -> Commit:
    """Read one commit. :raises ObservationError: malformed, or another commit than `sha`."""
    found = _validate(_COMMIT, answer)
    _check_sha(answer, found.sha, sha)
    parents = tuple(parent.sha for parent in found.parents)
    subject = found.message.partition("\n")[0]
    return Commit(
        sha,
        found.tree.sha,
        parents,
        found.committer.date,
        subject,
        found.message,
        found.author.name if found.author else "",
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two commits beside each other: the first one, and the merge base of both."""

    first: Snapshot
    merge_base: Snapshot


def parse_comparison(answer: GithubAnswer, first: str) -> Comparison:
    """Read a comparison. :raises ObservationError: malformed, or of another commit than `first`."""
    found = _validate(_COMPARISON, answer)
    _check_sha(answer, found.base_commit.sha, first)
    sides = (Snapshot(each.sha, each.commit.tree.sha) for each in (found.base_commit, found.merge_base_commit))
    return Comparison(*sides)


def parse_made(answer: GithubAnswer) -> str:
    """Read the id of a tree or commit that was made. :raises ObservationError: malformed."""
    return _validate(_MADE, answer).sha


def parse_tree(answer: GithubAnswer, sha: str) -> tuple[TreeEntry, ...]:
    """Read one level of a tree, sorted. :raises ObservationError: malformed, truncated, or another tree than `sha`.

    Bytes that are no UTF-8 arrive as U+FFFD, so that such a name alone may stand for several entries.
    """
    found = _validate(_TREE, answer)
    _check_sha(answer, found.sha, sha)
    if found.truncated:
        raise _doubt(answer, "a truncated tree")
    names = [entry.path for entry in found.tree if "\ufffd" not in entry.path]
    if len(set(names)) != len(names):
        raise _doubt(answer, "a tree that names an entry twice")
    return tuple(sorted(TreeEntry(entry.path, entry.mode, entry.sha) for entry in found.tree))


def parse_blob(answer: GithubAnswer, sha: str) -> bytes:
    """Read a file's bytes. :raises ObservationError: malformed, or not the bytes that `sha` is the hash of."""
    found = _validate(_BLOB, answer)
    try:
        content = base64.b64decode(found.content.replace("\n", ""), validate=True)
    except binascii.Error as error:
        raise _doubt(answer, f"content that is not base64 ({error})") from error
    header = b"blob %d\0" % len(content)
    _check_sha(answer, hashlib.sha1(header + content, usedforsecurity=False).hexdigest(), sha)
    return content


def _validate(shape: TypeAdapter[T], answer: GithubAnswer) -> T:
    try:
        return shape.validate_python(answer.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = _describe_location(first["loc"])
        raise _doubt(answer, f"no usable {where}: {first['msg']}") from error


def _doubt(answer: GithubAnswer, what: str) -> ObservationError:
    return ObservationError(f"{answer.request} answered with {what}; {NOTHING_FOLLOWS}")


def _describe_location(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location) or "body"


def _check_sha(answer: GithubAnswer, found: str, wanted: str) -> None:
    if found != wanted:
        raise _doubt(answer, f"another object, {found}")


def _to_branch(ref: _Ref) -> Branch:
    return Branch(ref.ref.removeprefix(BRANCH_PREFIX), ref.object.sha)


def _to_pull_request(pull: _Pull) -> PullRequest:
    return PullRequest(
        number=pull.number,
        head_ref=pull.head.ref,
        head_sha=pull.head.sha,
        head_repo_id=pull.head.repo.id if pull.head.repo else None,
        base_ref=pull.base.ref,
        base_repo_id=pull.base.repo.id,
        is_open=pull.state == "open",
        is_merged=pull.merged_at is not None,
        updated_at=pull.updated_at,
        title=pull.title,
        author=pull.user.login if pull.user else "",
        url=pull.html_url,
        labels=tuple(sorted(label.name for label in pull.labels)),
    )
