"""What was last seen of a repository, small enough to store, and whether it differs from what is there now.

Wakes nobody and keeps nothing: the caller holds the cursor. It carries ETags, so that looking again costs no quota
where nothing changed, and fingerprints, so that a comment or a label is not taken for a change. A comment that speaks
to us is one.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.feedback.commands import read_asked
from include.deploy_ops.hooks.github.answers import is_end_certain, parse_branches
from include.deploy_ops.hooks.github.comment_answers import parse_said
from include.deploy_ops.hooks.github.pull_answers import parse_pull_requests

if TYPE_CHECKING:
    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

log = logging.getLogger(__name__)

KEPT_PULL_REQUESTS = 200  # two pages: one that a comment brings back to the first page is still known
FINGERPRINT_DIGITS = 12


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a later release may have written more


class BranchPage(_Stored):
    """One page of the listing of branches. `etag` is None where an equal page would not mean an equal listing."""

    url: str
    etag: str | None
    next_url: str | None
    fingerprint: str
    has_trunk: bool


class Cursor(_Stored):
    """What was seen: the pages of branches in order, and a fingerprint by number of pull requests, newest first.

    `words` are the ids of comments that speak to us, as far as somebody listens.
    """

    branches: tuple[BranchPage, ...] = ()
    pull_requests_etag: str | None = None
    pull_requests: dict[str, str] = Field(default_factory=dict)
    comments_etag: str | None = None
    words: tuple[int, ...] = ()


def read_cursor(hook: DeployOpsGithubHook, trunk: str, known: Cursor, *, is_listening: bool = False) -> Cursor:
    """Look at all branches and at the newest page of pull requests: one conditional request each, if nothing changed.

    :param is_listening: look at the newest page of comments, too, whose address is the same each time.
    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: an answer is missing or malformed, or the listing of branches lacks trunk.
    """
    etag, pull_requests = _read_pull_requests(hook, known)
    branches = _read_branches(hook, trunk, {page.url: page for page in known.branches})
    comments_etag, words = _read_words(hook, known) if is_listening else (None, ())
    return Cursor(
        branches=branches,
        pull_requests_etag=etag,
        pull_requests=pull_requests,
        comments_etag=comments_etag,
        words=words,
    )


def has_changed(known: Cursor, current: Cursor) -> bool:
    """Tell whether a branch appeared, moved or went, a pull request's state, head, base or merge is another, or a word.

    What is in the newest page of comments again, since others were deleted, counts once more: a pass looks in vain.
    """
    if not set(current.words) <= set(known.words):
        return True
    if [page.fingerprint for page in known.branches] != [page.fingerprint for page in current.branches]:
        return True
    return not current.pull_requests.items() <= known.pull_requests.items()


def _read_pull_requests(hook: DeployOpsGithubHook, known: Cursor) -> tuple[str | None, dict[str, str]]:
    answer = hook.read(hook.pull_requests_url, etag=known.pull_requests_etag)
    if answer.is_unchanged:
        return known.pull_requests_etag, known.pull_requests
    seen = {str(pull.number): _fingerprint_pull_request(pull) for pull in parse_pull_requests(answer)}
    older = {number: value for number, value in known.pull_requests.items() if number not in seen}
    return answer.etag, dict(list((seen | older).items())[:KEPT_PULL_REQUESTS])


def _read_words(hook: DeployOpsGithubHook, known: Cursor) -> tuple[str | None, tuple[int, ...]]:
    try:
        answer = hook.read(hook.comments_url, etag=known.comments_etag)
        said = () if answer.is_unchanged else parse_said(answer)
    except ObservationError as error:
        # A token that may not read comments keeps nothing else up; each pass asks for them, too, and tells of it.
        log.debug("comments are not read: %s", error)
        return None, known.words
    if answer.is_unchanged:
        return known.comments_etag, known.words
    return answer.etag, tuple(each.id for each in said if each.is_person and read_asked(each.body) is not None)


def _read_branches(hook: DeployOpsGithubHook, trunk: str, known: dict[str, BranchPage]) -> tuple[BranchPage, ...]:
    pages: list[BranchPage] = []
    url: str | None = hook.branches_url
    while url is not None:
        page = _read_branch_page(hook, trunk, url, known.get(url))
        # The listing moved between two pages, so that a branch may be missing from it: nothing follows from it.
        if any(page.url == other.url or page.fingerprint == other.fingerprint for other in pages):
            raise ObservationError(f"GET {url} repeats an earlier page of the listing of branches")
        pages.append(page)
        url = page.next_url
    if not any(page.has_trunk for page in pages):
        raise ObservationError(
            f"GET {hook.branches_url}: the listing lacks trunk {trunk!r}; check the policy's `trunk`"
        )
    return tuple(pages)


def _read_branch_page(hook: DeployOpsGithubHook, trunk: str, url: str, known: BranchPage | None) -> BranchPage:
    answer = hook.read(url, etag=known.etag if known else None)
    return known if known and answer.is_unchanged else _make_branch_page(trunk, url, answer)


def _make_branch_page(trunk: str, url: str, answer: GithubAnswer) -> BranchPage:
    branches = parse_branches(answer)
    return BranchPage(
        url=url,
        etag=answer.etag if is_end_certain(answer) else None,
        next_url=answer.next_url,
        fingerprint=_fingerprint(*(f"{branch.name} {branch.head}" for branch in branches)),
        has_trunk=any(branch.name == trunk for branch in branches),
    )


def _fingerprint_pull_request(pull: PullRequest) -> str:
    facts = (pull.is_open, pull.is_merged, pull.head_repo_id, pull.head_ref, pull.head_sha, pull.base_ref)
    # Only where it is so: what is stored of others stays what it was.
    return _fingerprint(*map(str, facts), *(["draft"] if pull.is_draft else []))


def _fingerprint(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:FINGERPRINT_DIGITS]
