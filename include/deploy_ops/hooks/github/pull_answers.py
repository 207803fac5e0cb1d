"""What GitHub answers about pull requests, their commits, merges and comments, in our own values.

Asks GitHub nothing. Field names and shapes are those of GitHub's OpenAPI description (pulls, issues).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import StringConstraints

from include.deploy_ops.core.model import PullCommit, PullRequest
from include.deploy_ops.hooks.github.validation import Json, Many, Sha, doubt, shorten, validate

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.http import GithubAnswer

_Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]  # so texts order as times


class _Repository(Json):
    id: int


class _BaseRepository(_Repository):
    allow_merge_commit: bool | None = None  # who may not push is not told


class _Base(Json):
    ref: str
    repo: _BaseRepository


class _Head(Json):
    ref: str
    sha: Sha
    repo: _Repository | None  # None when the fork was deleted


class _User(Json):
    login: str


class _Label(Json):
    name: str


class _Pull(Json):
    number: int
    state: Literal["open", "closed"]
    title: str
    html_url: str
    updated_at: _Instant
    merged_at: str | None
    user: _User | None  # None when the account was deleted
    labels: Many[_Label]
    head: _Head
    base: _Base
    draft: bool = False


class _ShownPull(_Pull):
    mergeable: bool | None  # None while GitHub computes it
    merge_commit_sha: Sha | None
    mergeable_state: str = ""


class _Login(Json):
    login: str | None = None  # GitHub shows an unknown author as {}


class _Author(Json):
    name: str = ""


class _Written(Json):
    message: str
    author: _Author | None


class _PullCommit(Json):
    sha: Sha
    html_url: str
    commit: _Written
    author: _Login | None


class _PullText(Json):
    number: int
    title: str
    body: str | None
    html_url: str


class _Comment(Json):
    html_url: str
    body: str | None = None


class _Merged(Json):
    sha: Sha
    merged: Literal[True]


def parse_pull_requests(answer: GithubAnswer) -> tuple[PullRequest, ...]:
    """Read a page of pull requests, in GitHub's order. :raises ObservationError: malformed."""
    return tuple(_to_pull_request(pull) for pull in validate(list[_Pull], answer))


def shorten_pull_requests(answer: GithubAnswer) -> Any:
    """Return what `parse_pull_requests` reads of the page, as JSON; raises as that does."""
    return shorten(list[_Pull], answer)


@dataclass(frozen=True, slots=True)
class SinglePull:
    """A pull request as GitHub shows it alone. `merge_commit` may belong to an older base or head.

    `standing` and `allows_merge_commits` as in `MergeResult`.
    """

    pull: PullRequest
    is_mergeable: bool | None
    merge_commit: str | None
    standing: str = ""
    allows_merge_commits: bool | None = None


def parse_pull_request(answer: GithubAnswer, number: int) -> SinglePull:
    """Read one pull request. :raises ObservationError: malformed, or another one than `number`."""
    found = validate(_ShownPull, answer)
    if found.number != number:
        raise doubt(answer, f"another pull request, {found.number}")
    return SinglePull(
        _to_pull_request(found),
        found.mergeable,
        found.merge_commit_sha,
        found.mergeable_state,
        found.base.repo.allow_merge_commit,
    )


@dataclass(frozen=True, slots=True)
class PullText:
    """What a pull request says: title and text; its number and page where GitHub has it already."""

    title: str
    body: str
    number: int = 0
    url: str = ""

    def says(self, other: PullText) -> bool:
        """Whether both say the same; GitHub may give lines other ends."""
        return self.title == other.title and _fold(self.body) == _fold(other.body)


def _fold(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def parse_pull_text(answer: GithubAnswer) -> PullText:
    """Read what one pull request says. :raises ObservationError: malformed."""
    found = validate(_PullText, answer)
    return PullText(found.title, found.body or "", found.number, found.html_url)


def parse_pull_commits(answer: GithubAnswer) -> tuple[PullCommit, ...]:
    """Read a page of a pull request's commits, oldest first. :raises ObservationError: malformed."""
    return tuple(
        PullCommit(
            sha=each.sha,
            message=each.commit.message,
            author=(each.author.login if each.author else None)
            or (each.commit.author.name if each.commit.author else ""),
            url=each.html_url,
            login=(each.author.login if each.author else None) or "",
        )
        for each in validate(list[_PullCommit], answer)
    )


def parse_comment(answer: GithubAnswer) -> str:
    """Read the page's address of a comment that was made. :raises ObservationError: malformed."""
    return validate(_Comment, answer).html_url


def parse_comment_texts(answer: GithubAnswer) -> tuple[tuple[str, str], ...]:
    """Read a page of comments, oldest first: each one's address and text. :raises ObservationError: malformed."""
    return tuple((comment.html_url, comment.body or "") for comment in validate(list[_Comment], answer))


def parse_merged(answer: GithubAnswer) -> str:
    """Read the commit that a merge made. :raises ObservationError: malformed."""
    return validate(_Merged, answer).sha


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
        is_draft=pull.draft,
    )
