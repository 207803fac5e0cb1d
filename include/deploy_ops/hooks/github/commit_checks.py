"""The checks on a commit as GitHub shows them, page by page and conditionally, and which of them a branch requires.

Judges nothing. What we say of a commit ourselves is left out: it is no proof of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError
from include.deploy_ops.core.target.gates import is_own
from include.deploy_ops.core.target.mergeability import BranchRules
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.rule_answers import (
    list_check_runs,
    list_jobs,
    list_statuses,
    list_workflow_runs,
    parse_protection,
    parse_rules,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

    Parse = Callable[[GithubAnswer], tuple[tuple[str, str, int], ...]]
    Pages = tuple["CheckPage", ...]

PAGES_MAX = 10
"""Pages that are read of one listing: 1,000 checks of one commit. Of a longer one nothing is known."""

WORKFLOW_RUNS_MAX = 20
"""Runs of GitHub Actions on one commit whose jobs are read where check runs cannot be: a request for each."""

BLIND = "the token may not read check runs, which a GitHub App may (docs/install.md)"
BLINDER = f"{BLIND}, nor GitHub Actions (Actions: read)"

States = tuple[tuple[str, str], ...]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a later release may have written more


class CheckPage(_Stored):
    """One page of a listing: name and state of each check on it; of workflow runs (`is_index`) their ids and states.

    `etag` is None where an equal page would not prove an equal end of the listing. `apps` tells from which app each
    check is, 0 where GitHub does not; none where it does of no check.
    """

    url: str
    etag: str | None
    next_url: str | None
    states: States = ()
    is_index: bool = False
    apps: tuple[int, ...] = ()


class CommitChecks(_Stored):
    """What was read of one commit; `blind` says why some of its checks cannot be seen."""

    pages: tuple[CheckPage, ...] = ()
    blind: str = ""

    @property
    def states(self) -> States:
        """Each check's name and state, sorted; several of one name each for themselves."""
        return tuple(sorted(pair for page in self.pages if not page.is_index for pair in page.states))

    @property
    def states_by_app(self) -> Iterator[tuple[tuple[str, int], str]]:
        """Name and app, and the state, of each check of which GitHub tells the app."""
        for page in self.pages:
            for (name, state), app in zip(page.states, page.apps, strict=False):
                if app:
                    yield (name, app), state


def read_commit_checks(
    hook: DeployOpsGithubHook, sha: str, known: CommitChecks, *, is_blind: bool = False
) -> CommitChecks:
    """Read what there is of a commit: a conditional request for each page that is known.

    :param is_blind: whether the token is known not to read check runs, so that nobody asks for them.
    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: an answer is missing or malformed, statuses are refused, or there is more than is read.
    """
    before = {page.url: page for page in known.pages}
    repository = f"/repos/{quote(hook.repository)}"
    commit = f"{repository}/commits/{sha}"
    statuses = _read_pages(hook, f"{commit}/status?per_page={PAGE_SIZE}", before, list_statuses)
    listing = f"{commit}/check-runs?filter=latest&per_page={PAGE_SIZE}"
    runs = None if is_blind else _unless_refused(lambda: _read_pages(hook, listing, before, list_check_runs))
    if runs is not None:
        return CommitChecks(pages=(*statuses, *runs))
    jobs = _unless_refused(lambda: _read_jobs(hook, f"{repository}/actions/runs", sha, before))
    return CommitChecks(pages=(*statuses, *(jobs or ())), blind=BLINDER if jobs is None else BLIND)


def _unless_refused(read: Callable[[], Pages]) -> Pages | None:
    """Return what was read, or None where the token may not read it."""
    try:
        return read()
    except ReadRefusedError:
        return None


def _read_jobs(hook: DeployOpsGithubHook, runs: str, sha: str, before: Mapping[str, CheckPage]) -> Pages:
    """Read the jobs of GitHub Actions, which have the names of their check runs."""
    query = f"{runs}?head_sha={sha}&per_page={PAGE_SIZE}"
    listing = _read_pages(hook, query, before, list_workflow_runs, is_index=True)
    ids = [each for page in listing for each, _ in page.states]
    if len(ids) > WORKFLOW_RUNS_MAX:
        raise ObservationError(f"GET {runs}: {len(ids)} workflow runs on {sha}, more than {WORKFLOW_RUNS_MAX}")
    queries = (f"{runs}/{each}/jobs?filter=latest&per_page={PAGE_SIZE}" for each in ids)
    return (*listing, *(page for query in queries for page in _read_pages(hook, query, before, list_jobs)))


def read_required_checks(hook: DeployOpsGithubHook, branch: str) -> BranchRules:
    """Read which checks are required on a branch, by its protection and by rulesets, and what else those say.

    :raises RateLimitError: GitHub wants a pause.
    :raises ObservationError: as `read_commit_checks`, or there is no such branch.
    """
    repository, name = f"/repos/{quote(hook.repository)}", quote(branch, safe="")
    found = [parse_protection(hook.read(f"{repository}/branches/{name}"))]
    url = f"{repository}/rules/branches/{name}?per_page={PAGE_SIZE}"
    for _ in range(PAGES_MAX):
        answer = hook.read(url)
        found.append(parse_rules(answer))
        if answer.next_url is None:
            return _join_rules(found)
        url = answer.next_url
    raise _refuse_more(url)


def _join_rules(rules: Sequence[BranchRules]) -> BranchRules:
    return BranchRules(
        any(each.has_queue for each in rules),
        frozenset(name for each in rules for name in each.checks),
        max(each.reviews for each in rules),
        frozenset(pair for each in rules for pair in each.bound),
    )


def _read_pages(
    hook: DeployOpsGithubHook, first: str, before: Mapping[str, CheckPage], parse: Parse, *, is_index: bool = False
) -> Pages:
    pages: list[CheckPage] = []
    url = first
    while len(pages) < PAGES_MAX:
        page = _read_page(hook, url, before.get(url), parse).model_copy(update={"is_index": is_index})
        pages.append(page)
        if page.next_url is None:
            return tuple(pages)
        url = page.next_url
    raise _refuse_more(url)


def _refuse_more(url: str) -> ObservationError:
    return ObservationError(f"GET {url} is page {PAGES_MAX + 1} of a listing, and no more than {PAGES_MAX} are read")


def _read_page(hook: DeployOpsGithubHook, url: str, known: CheckPage | None, parse: Parse) -> CheckPage:
    answer = hook.read(url, etag=known.etag if known else None)
    if known is not None and answer.is_unchanged:
        return known
    seen = parse(answer)
    # A full last page: the one after it shows in a header alone, which a 304 may lack.
    is_end_certain = answer.next_url is not None or len(seen) < PAGE_SIZE
    counting = [each for each in seen if not is_own(each[0])]
    return CheckPage(
        url=url,
        etag=answer.etag if is_end_certain else None,
        next_url=answer.next_url,
        states=tuple((name, state) for name, state, _ in counting),
        apps=tuple(app for _, _, app in counting) if any(app for _, _, app in counting) else (),
    )
