"""The checks on a commit as GitHub shows them, page by page and conditionally, and which of them a branch requires.

Judges nothing. What we say of a commit ourselves is left out: it is no proof of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.target.gates import is_own
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.rule_answers import list_statuses, parse_protected_checks, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

PAGES_MAX = 10
"""Pages that are read of one listing: 1,000 checks of one commit. Of a longer one nothing is known."""

States = tuple[tuple[str, str], ...]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a later release may have written more


class CheckPage(_Stored):
    """One page of a listing: the state of each check on it. `etag` is None where an equal page proves nothing."""

    url: str
    etag: str | None
    next_url: str | None
    states: States


class CommitChecks(_Stored):
    """What was read of one commit."""

    pages: tuple[CheckPage, ...] = ()

    @property
    def states(self) -> States:
        """Each check's name and state, sorted; several of one name each for themselves."""
        return tuple(sorted(pair for page in self.pages for pair in page.states))


def read_commit_checks(hook: DeployOpsGithubHook, sha: str, known: CommitChecks) -> CommitChecks:
    """Read what there is of a commit: a conditional request for each page that is known.

    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: an answer is missing, malformed or refused, or there are more pages than are read.
    """
    before = {page.url: page for page in known.pages}
    commit = f"/repos/{quote(hook.repository)}/commits/{sha}"
    first = f"{commit}/status?per_page={PAGE_SIZE}"
    return CommitChecks(pages=tuple(_read_pages(hook, first, before, list_statuses)))


def read_required_checks(hook: DeployOpsGithubHook, branch: str) -> frozenset[str]:
    """Read which checks are required on a branch, by its protection and by rulesets.

    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: as `read_commit_checks`, or there is no such branch.
    """
    repository, name = f"/repos/{quote(hook.repository)}", quote(branch, safe="")
    required = parse_protected_checks(hook.read(f"{repository}/branches/{name}"))
    first = f"{repository}/rules/branches/{name}?per_page={PAGE_SIZE}"
    url = first
    for _ in range(PAGES_MAX):
        answer = hook.read(url)
        required |= parse_rules(answer).checks
        if answer.next_url is None:
            return required
        url = answer.next_url
    raise _refuse_more(first)


def _refuse_more(first: str) -> ObservationError:
    return ObservationError(f"GET {first}: it goes on after {PAGES_MAX} pages, which are all that is read of it")


def _read_pages(
    hook: DeployOpsGithubHook, first: str, known: dict[str, CheckPage], parse: Callable[[GithubAnswer], States]
) -> Iterator[CheckPage]:
    url = first
    for _ in range(PAGES_MAX):
        page = _read_page(hook, url, known.get(url), parse)
        yield page
        if page.next_url is None:
            return
        url = page.next_url
    raise _refuse_more(first)


def _read_page(
    hook: DeployOpsGithubHook, url: str, known: CheckPage | None, parse: Callable[[GithubAnswer], States]
) -> CheckPage:
    answer = hook.read(url, etag=known.etag if known else None)
    if known is not None and answer.is_unchanged:
        return known
    found = parse(answer)
    # A full last page: the one after it shows in a header alone, which a 304 may lack.
    is_end_certain = answer.next_url is not None or len(found) < PAGE_SIZE
    states = tuple((name, state) for name, state in found if not is_own(name))
    return CheckPage(url=url, etag=answer.etag if is_end_certain else None, next_url=answer.next_url, states=states)
