"""What was last seen of a repository, small enough to store, and whether it differs from what is there now.

Wakes nobody and keeps nothing: the caller holds the cursor. It carries ETags, so that looking again costs no quota
where nothing changed, and fingerprints, so that a comment or a label is not taken for a change.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.hooks.github.answers import is_end_certain, parse_branches
from include.deploy_ops.hooks.github.pull_answers import parse_pull_requests

if TYPE_CHECKING:
    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

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
    """What was seen: the pages of branches in order, and a fingerprint by number of pull requests, newest first."""

    branches: tuple[BranchPage, ...] = ()
    pull_requests_etag: str | None = None
    pull_requests: dict[str, str] = Field(default_factory=dict)


def read_cursor(hook: DeployOpsGithubHook, trunk: str, known: Cursor) -> Cursor:
    """Look at all branches and at the newest page of pull requests: one conditional request each, if nothing changed.

    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: an answer is missing or malformed, or the listing of branches lacks trunk.
    """
    etag, pull_requests = _read_pull_requests(hook, known)
    branches = _read_branches(hook, trunk, {page.url: page for page in known.branches})
    return Cursor(branches=branches, pull_requests_etag=etag, pull_requests=pull_requests)


def has_changed(known: Cursor, current: Cursor) -> bool:
    """Tell whether a branch appeared, moved or went, or a pull request's state, head, base or merge is another."""
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
