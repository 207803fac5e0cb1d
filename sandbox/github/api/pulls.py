"""Pull requests: list, create, show, update, their commits and files. Merging stands in merges.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.diffs import count_apart, find_merge_base, list_changed_files
from sandbox.github.objects import read_commits
from sandbox.github.pulls import PullRequest, Source
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found, paginate
from sandbox.github.shapes.commits import build_commit, build_file
from sandbox.github.shapes.pulls import build_full_pull, build_pull

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMIT_LIMIT, FILE_LIMIT = 250, 3000  # GitHub lists no more of either


def list_pulls(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls: `state`, `head=owner:branch`, `base`, `sort`, `direction`."""
    repository, query = call.repository, call.query
    repository.publish_pulls()  # a test merge may be due
    sort = query.get("sort", "created")
    key = {"updated": lambda pull: (pull.updated_at, pull.number)}.get(sort, lambda pull: (pull.number,))
    # GitHub's default direction is descending only when sorted by creation.
    direction = query.get("direction") or ("desc" if sort == "created" else "asc")
    chosen = sorted(_select(call, repository.pulls.values()), key=key, reverse=direction == "desc")
    return paginate(call, chosen, lambda pull: build_pull(repository, pull))


def _select(call: Call, pulls: Iterable[PullRequest]) -> list[PullRequest]:
    state, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    # GitHub takes `head` only with its owner; a bare branch name filters nothing there either.
    label = _fold_owner(head) if head and ":" in head else None
    return [
        pull
        for pull in pulls
        if state in {"all", pull.state}
        and base in {None, "", pull.base}
        and label in {None, _fold_owner(pull.source.label)}
    ]


def _fold_owner(label: str) -> str:
    """Return `owner:branch` with the owner in any case of letters; a branch's letters count."""
    owner, _, branch = label.partition(":")
    return f"{owner.casefold()}:{branch}"


def require_pull(call: Call) -> PullRequest:
    """Find the pull request that the path names."""
    pull = call.repository.pulls.get(call.read_number("number"))
    if pull is None:
        raise build_not_found()
    return pull


def show_pull(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{number}."""
    call.repository.publish_pulls()  # a test merge may be due
    return Answer(build_full_pull(call.repository, require_pull(call)))


def create_pull(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls: `head` is `branch` or `owner:branch`, of a fork where the owner differs.

    The sandbox has no forks of its own: a fork's branch stands where ours of that name stands now, and stays there.
    """
    repository, title = call.repository, call.read_text("PullRequest", "title")
    source, base = _read_source(call), call.read_text("PullRequest", "base")
    head_sha, base_sha = repository.heads.get(source.branch), repository.heads.get(base)
    if head_sha is None:
        raise build_invalid("PullRequest", "head")
    if base_sha is None:
        raise build_invalid("PullRequest", "base")
    _require_new(call, source, base)
    if find_merge_base(repository.git, base_sha, head_sha) is None:
        raise ApiError(422, f"The {source.branch} branch has no history in common with {base}")
    if not count_apart(repository.git, base_sha, head_sha)[0]:
        raise build_invalid("PullRequest", "base", f"No commits between {base} and {source.branch}")
    pull = PullRequest(
        number=len(repository.pulls) + 1,
        title=title,
        body=call.fields.get("body"),
        source=source,
        head_sha=head_sha,
        base=base,
        base_sha=base_sha,
        user=call.user,
        is_draft=bool(call.fields.get("draft")),
    )
    repository.pulls[pull.number] = pull
    repository.publish_pulls()
    return Answer(build_full_pull(repository, pull), 201)


def _read_source(call: Call) -> Source:
    repository = call.repository
    owner, colon, branch = call.read_text("PullRequest", "head").rpartition(":")
    if not colon or owner == repository.owner:
        return Source(repository.owner, repository.name, branch)
    return Source(owner, call.read_text("PullRequest", "head_repo", repository.name), branch, is_fork=True)


def _require_new(call: Call, source: Source, base: str) -> None:
    for pull in call.repository.pulls.values():
        if pull.is_open and pull.source == source and pull.base == base:
            raise build_invalid("PullRequest", "", f"A pull request already exists for {source.label}.")


def update_pull(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/pulls/{number}: `title`, `body`, `state`, `base`."""
    repository, pull, fields = call.repository, require_pull(call), call.fields
    if "base" in fields:
        _retarget(call, pull, call.read_text("PullRequest", "base"))
    if "title" in fields:
        pull.title = call.read_text("PullRequest", "title")
    if "body" in fields:
        pull.body = fields["body"]
    if fields.get("state", pull.state) != pull.state:
        _change_state(call, pull, call.read_text("PullRequest", "state"))
    pull.touch()
    repository.publish_pulls()
    return Answer(build_full_pull(repository, pull))


def _retarget(call: Call, pull: PullRequest, base: str) -> None:
    base_sha = call.repository.heads.get(base)
    if base_sha is None:
        raise build_invalid("PullRequest", "base")
    if not pull.is_open:
        raise build_invalid("PullRequest", "base", "Cannot change the base branch of a closed pull request.")
    pull.base, pull.base_sha = base, base_sha


def _change_state(call: Call, pull: PullRequest, state: str) -> None:
    if state not in {"open", "closed"}:
        raise build_invalid("PullRequest", "state")
    if state == "closed":
        pull.close()
        return
    heads = call.repository.heads
    head_sha = pull.head_sha if pull.source.is_fork else heads.get(pull.source.branch)
    if pull.merged_at or head_sha is None or pull.base not in heads:
        raise build_invalid("PullRequest", "state", "state cannot be changed. The branch was merged or is gone.")
    pull.reopen(head_sha, heads[pull.base])


def list_pull_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{number}/commits, oldest first."""
    repository, pull = call.repository, require_pull(call)
    commits = read_commits(repository.git, "--reverse", f"{pull.base_sha}..{pull.head_sha}", "--")
    return paginate(call, commits[:COMMIT_LIMIT], lambda commit: build_commit(repository.urls, commit))


def list_pull_files(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{number}/files: from the merge base."""
    repository, pull = call.repository, require_pull(call)
    start = find_merge_base(repository.git, pull.base_sha, pull.head_sha) or pull.base_sha
    files = list_changed_files(repository.git, start, pull.head_sha)[:FILE_LIMIT]
    return paginate(call, files, lambda file: build_file(repository.urls, pull.head_sha, file))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/pulls", list_pulls),
    ("POST", "/pulls", create_pull),
    ("GET", "/pulls/{number}", show_pull),
    ("PATCH", "/pulls/{number}", update_pull),
    ("GET", "/pulls/{number}/commits", list_pull_commits),
    ("GET", "/pulls/{number}/files", list_pull_files),
]
