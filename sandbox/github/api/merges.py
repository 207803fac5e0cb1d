"""Merging a pull request: merge, squash, rebase, and every refusal. Makes no commit itself (merging.py does)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.api.pulls import require_pull
from sandbox.github.merging import sign, write_merge, write_rebase, write_squash
from sandbox.github.objects import read_commits
from sandbox.github.refs import HEADS, move_ref
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_not_found
from sandbox.github.shapes.accounts import EMAIL_HOST

if TYPE_CHECKING:
    from sandbox.github.pulls import PullRequest


def merge_pull(call: Call) -> Answer:
    """PUT /repos/{owner}/{repo}/pulls/{number}/merge: `merge_method`, and `sha` that the head must still have."""
    repository, pull = call.repository, require_pull(call)
    _require_mergeable(call, pull)
    base_sha = repository.heads[pull.base]
    merged = _write_result(call, pull, base_sha)
    if merged is None:
        raise ApiError(405, "Pull Request is not mergeable")
    if not move_ref(repository.git, HEADS + pull.base, merged, base_sha):
        raise ApiError(409, "Base branch was modified. Review and try the merge again.")
    pull.finish(merged, base_sha, call.user)
    repository.publish_movements()
    return Answer({"sha": merged, "merged": True, "message": "Pull Request successfully merged"})


def _require_mergeable(call: Call, pull: PullRequest) -> None:
    if not pull.is_open:
        raise ApiError(405, "Pull Request is not mergeable")
    if pull.is_draft:
        raise ApiError(405, "Pull Request is still a draft")
    if call.fields.get("sha") not in (None, pull.head_sha):
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")


def _require_method(call: Call, base: str, method: str) -> None:
    repository = call.repository
    if method == "merge" and not repository.allows_merge_commits:
        raise ApiError(405, "Merge commits are not allowed on this repository.")
    ruleset = repository.rulesets.get(base)
    if ruleset is not None and (ban := ruleset.find_merge_ban(method)):
        raise ApiError(405, ban)


def _write_result(call: Call, pull: PullRequest, base_sha: str) -> str | None:
    git, method = call.repository.git, call.read_text("PullRequest", "merge_method", "merge")
    _require_method(call, pull.base, method)
    author = sign(call.user, f"{call.user}@{EMAIL_HOST}")
    if method == "rebase":
        return write_rebase(git, base_sha, pull.head_sha)
    if method == "squash":
        return write_squash(git, base_sha, pull.head_sha, _write_squash_message(call, pull, base_sha), author)
    if method == "merge":
        branch = f"{pull.source.owner}/{pull.source.branch}"
        title = call.read_text("PullRequest", "commit_title", f"Merge pull request #{pull.number} from {branch}")
        return write_merge(git, base_sha, pull.head_sha, _join(title, _read_message(call, pull.title)), author)
    raise ApiError(422, f"For 'properties/merge_method', {method} is not a member of ['merge', 'squash', 'rebase']")


def _write_squash_message(call: Call, pull: PullRequest, base_sha: str) -> str:
    """Write what GitHub proposes: a single commit's own words, else a list of the commits' messages."""
    commits = read_commits(call.repository.git, "--reverse", "--no-merges", f"{base_sha}..{pull.head_sha}", "--")
    title, listed = pull.title, "\n\n".join(f"* {commit.message}" for commit in commits)
    if len(commits) == 1:
        title, _, listed = commits[0].message.partition("\n")
    title = call.read_text("PullRequest", "commit_title", f"{title} (#{pull.number})")
    return _join(title, _read_message(call, listed.strip()))


def _read_message(call: Call, default: str) -> str:
    return call.read_text("PullRequest", "commit_message", default)


def _join(title: str, message: str) -> str:
    return f"{title}\n\n{message}" if message else title


def show_merged(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{number}/merge: 204 if it was merged, else 404."""
    if require_pull(call).merged_at is None:
        raise build_not_found()
    return Answer(status=204)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/pulls/{number}/merge", show_merged),
    ("PUT", "/pulls/{number}/merge", merge_pull),
]
