"""A ref that a person typed → the commit it stands for, or the nearest names; and whether a commit lies below another.

Reads through `DeployOpsGithubHook`; what a text may mean, and in which order, is `refs.py`'s affair.

GitHub serves the commits of every fork by their ids, so an id alone proves nothing: a commit is accepted only where a
head of this repository contains it. Branches and tags are the repository's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from include.deploy_ops.core.change.refs import (
    Lookup,
    RefKind,
    ResolvedRef,
    explain_ambiguity,
    explain_choice,
    explain_missing,
    list_names,
    plan_lookups,
    shorten_name,
)
from include.deploy_ops.core.errors import CommitMissingError, PermanentError
from include.deploy_ops.core.model import COMMIT_ID
from include.deploy_ops.hooks.github.answers import (
    parse_commit_id,
    parse_comparison,
    parse_ref_target,
    parse_relation,
    parse_tag_names,
    parse_tag_target,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.deploy_ops.core.change.change_type import Snapshot
    from include.deploy_ops.hooks.github.http import GithubAnswer
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

_TAGS_DEEP_MAX = 10  # a tag may name a tag; nobody nests them this deep
_CONTAINED = {"behind", "identical"}


def resolve_ref(hook: DeployOpsGithubHook, text: str, *, trunk: str, heads: Sequence[str]) -> ResolvedRef:
    """Return what the text stands for now.

    :param text: a branch, a tag, or a commit's id of 7 digits or more, as a person writes it.
    :param trunk: the project's trunk, to tell a repository that lost its refs from a ref that is not there.
    :param heads: where a commit may lie: branches, or 40-digit ids of heads or deployed commits; asked in this order.
    :raises PermanentError: there is no such ref, a tag of it is no commit, or none of `heads` contains the commit.
    :raises ObservationError: GitHub's answers cannot be used.
    """
    lookups = plan_lookups(text)
    for lookup in lookups:
        commit = _find(hook, lookup)
        if commit is not None:
            break
    else:
        raise _miss(hook, text, trunk)
    if lookup.kind is RefKind.COMMIT:
        _check_own(hook, commit, heads)
        return ResolvedRef(RefKind.COMMIT, commit, commit)
    twin = Lookup(RefKind.TAG, lookup.name)
    twins = [twin] if lookup.kind is RefKind.BRANCH and twin in lookups and _find_tag(hook, twin.name) else []
    return ResolvedRef(lookup.kind, lookup.name, commit, explain_choice(lookup, twins))


def resolve_plain_ref(hook: DeployOpsGithubHook, text: str, *, trunk: str, heads: Sequence[str]) -> ResolvedRef:
    """Return what the text stands for now, if it can stand for one commit only: for targets.

    Parameters and errors as of `resolve_ref`; also PermanentError where the text is ambiguous.
    """
    lookups = plan_lookups(text)
    places = [(each, _find(hook, each)) for each in list_names(lookups)]
    found = [ResolvedRef(lookup.kind, lookup.name, commit) for lookup, commit in places if commit is not None]
    if said := explain_ambiguity(text, found):
        raise PermanentError(said)
    if found:
        return found[0]
    commit = _find(hook, lookups[-1]) if lookups[-1].kind is RefKind.COMMIT else None
    if commit is None:
        raise _miss(hook, text, trunk)
    _check_own(hook, commit, heads)
    return ResolvedRef(RefKind.COMMIT, commit, commit)


def _miss(hook: DeployOpsGithubHook, text: str, trunk: str) -> PermanentError:
    branches = [branch.name for branch in hook.list_branches(trunk)]
    return PermanentError(explain_missing(text, hook.repository, branches, _list_tags(hook)))


def is_ancestor(hook: DeployOpsGithubHook, commit: str, head: str) -> bool:
    """Whether `head` is or contains the commit, both 40-digit ids: deploying it instead of the head is a rollback.

    :raises CommitMissingError: one of them is not there.
    :raises ObservationError: anything else than an answer.
    """
    answer = _compare(hook, head, commit)
    return answer is not None and parse_relation(answer) in _CONTAINED


def find_merge_base(hook: DeployOpsGithubHook, one: str, other: str) -> Snapshot | None:
    """Return the commit from which the two parted; None where they have none in common. Raises as `is_ancestor`."""
    answer = _compare(hook, one, other)
    return parse_comparison(answer, one).merge_base if answer is not None else None


def _compare(hook: DeployOpsGithubHook, base: str, head: str) -> GithubAnswer | None:
    """Return GitHub's comparison of two commits; None where they have no ancestor in common."""
    # The second page lists no files, and of the commits one: what we ask for is in its head.
    answer = hook.ask(f"/compare/{base}...{head}?per_page=1&page=2")
    if not answer.is_absent:
        return answer
    if "No common ancestor" in answer.data["message"]:
        return None
    raise CommitMissingError(f"{answer.request} answered HTTP 404: one of the commits is not in {hook.repository}")


def _find(hook: DeployOpsGithubHook, lookup: Lookup) -> str | None:
    if lookup.kind is RefKind.BRANCH:
        branch = hook.find_branch(lookup.name)
        return branch.head if branch else None
    return _find_tag(hook, lookup.name) if lookup.kind is RefKind.TAG else _find_commit(hook, lookup.name)


def _find_tag(hook: DeployOpsGithubHook, name: str) -> str | None:
    answer = hook.ask(f"/git/ref/tags/{quote(name)}")
    if answer.is_absent:
        return None
    kind, sha = parse_ref_target(answer, f"refs/tags/{name}")
    for _ in range(_TAGS_DEEP_MAX):
        if kind != "tag":
            break
        kind, sha = parse_tag_target(hook.ask(f"/git/tags/{sha}", is_required=True), sha)
    if kind != "commit":
        raise PermanentError(f"ref: tag '{shorten_name(name)}' in {hook.repository} names a {kind}, not a commit")
    return sha


def _find_commit(hook: DeployOpsGithubHook, sha: str) -> str | None:
    if COMMIT_ID.fullmatch(sha):
        try:
            return hook.get_commit(sha).sha
        except CommitMissingError:
            return None
    answer = hook.ask(f"/commits/{sha}?per_page=1")
    return None if answer.is_absent else parse_commit_id(answer, sha)


def _list_tags(hook: DeployOpsGithubHook) -> tuple[str, ...]:
    return parse_tag_names(hook.ask("/git/matching-refs/tags/", is_required=True))


def _check_own(hook: DeployOpsGithubHook, commit: str, heads: Sequence[str]) -> None:
    for name in heads:
        sha = name if COMMIT_ID.fullmatch(name) else _find(hook, Lookup(RefKind.BRANCH, name))
        if sha is not None and (sha == commit or _is_known_ancestor(hook, commit, sha)):
            return
    asked = ", ".join(f"'{shorten_name(name)}'" for name in heads)
    raise PermanentError(
        f"ref: commit {commit} is not in the history of {asked} of {hook.repository}; GitHub serves the commits of"
        " forks, too, so an id alone is not enough: push it to a branch and write the branch, or tag it"
    )


def _is_known_ancestor(hook: DeployOpsGithubHook, commit: str, head: str) -> bool:
    """Ask the same of a head that may be gone: what was deployed once need not be there any more."""
    try:
        return is_ancestor(hook, commit, head)
    except CommitMissingError:
        return False
