"""Commits as people read them: commits, and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.diffs import count_apart, find_merge_base, list_changed_files
from sandbox.github.git import EMPTY_TREE
from sandbox.github.objects import read_commit, read_commits
from sandbox.github.refs import resolve_commit
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_not_found, paginate
from sandbox.github.shapes.commits import build_commit, build_commit_with_files, build_file

if TYPE_CHECKING:
    from sandbox.github.objects import Commit

COMPARED_FILES = 300  # GitHub lists no more, whatever the page


def list_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits, newest first; `sha`, `path`, `since` and `until` narrow it."""
    repository, name = call.repository, call.query.get("sha") or "HEAD"
    sha = resolve_commit(repository.git, name)
    if sha is None:
        raise build_not_found()
    limits = [f"--{bound}={call.query[bound]}" for bound in ("since", "until") if call.query.get(bound)]
    paths = [call.query["path"].strip("/")] if call.query.get("path") else []
    walk = [*limits, sha, "--", *paths]
    commits = read_commits(repository.git, f"--skip={call.offset}", f"--max-count={call.per_page}", *walk)
    total = int(repository.git.run_text("rev-list", "--count", *walk))
    return Answer([build_commit(repository.urls, commit) for commit in commits], total=total)


def show_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}."""
    repository, commit = call.repository, require_commit(call, call.path["ref"])
    old = commit.parents[0] if commit.parents else EMPTY_TREE
    return Answer(build_commit_with_files(repository.urls, commit, list_changed_files(repository.git, old, commit.sha)))


def require_commit(call: Call, name: str) -> Commit:
    """Read the commit that a path names; GitHub's 422 where there is none."""
    sha = resolve_commit(call.repository.git, name)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {name}")
    return read_commit(call.repository.git, sha)


def compare_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/compare/{base}...{head}: from the merge base, at most 300 files."""
    repository = call.repository
    git, urls = repository.git, repository.urls
    base_name, dots, head_name = call.path["basehead"].partition("...")
    base, head = resolve_commit(git, base_name), resolve_commit(git, head_name)
    if not dots or base is None or head is None:
        raise build_not_found()
    start = find_merge_base(git, base, head)
    if start is None:
        raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.")
    ahead, behind = count_apart(git, base, head)
    files = list_changed_files(git, start, head)[:COMPARED_FILES] if call.page == 1 else []
    commits = read_commits(git, "--reverse", f"{base}..{head}", "--")
    page = paginate(call, commits, lambda commit: build_commit(urls, commit))
    html = urls.build_html("compare", call.path["basehead"])
    data = {
        "url": urls.build_api("compare", call.path["basehead"]),
        "html_url": html,
        "permalink_url": urls.build_html("compare", f"{base}...{head}"),
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": build_commit(urls, read_commit(git, base)),
        "merge_base_commit": build_commit(urls, read_commit(git, start)),
        "status": _name_relation(ahead, behind),
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": page.data,
        "files": [build_file(urls, head, file) for file in files],
    }
    return Answer(data, total=page.total)


def _name_relation(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/commits", list_commits),
    ("GET", "/commits/{ref:path}", show_commit),
    ("GET", "/compare/{basehead:path}", compare_commits),
]
