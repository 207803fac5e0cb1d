"""A target's source, read of GitHub: a branch's tip, or what merging the open pull request would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.model import MergeState
from include.deploy_ops.targets import Source, find_release

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github_pulls import GithubPullsHook
    from include.deploy_ops.model import PullRequest
    from include.deploy_ops.policy import Target


def read_source(github: GithubPullsHook, target: Target) -> Source | None:
    """Return what the target should run now; None while there is no open pull request."""
    if target.followed_branch is not None:
        return make_tip(target.followed_branch, github.get_branch(target.followed_branch).head)
    release = target.pull_request
    pulls = github.list_pull_requests_from(release.source) if release else ()
    pull = find_release(target, pulls)
    return read_release(github, pull) if pull else None


def make_tip(branch: str, head: str | None) -> Source:
    """Return a branch as a source; without a head there is no such branch."""
    if head is None:
        return Source(branch, "0" * 40, problem=f"there is no branch '{branch}'; push it, or correct the policy")
    return Source(branch, head)


def read_release(github: GithubPullsHook, pull: PullRequest) -> Source | None:
    """Return an open pull request as a source: its test merge onto its base; None if it is open no more."""
    merge = github.read_merge(pull.number)
    if merge.state in {MergeState.CLOSED, MergeState.MERGED}:
        return None
    return Source(
        ref=pull.head_ref,
        head=merge.pull.head_sha,
        commit=merge.commit,
        pull=pull.number,
        base=merge.base,
        problem=merge.reason and f"pull request #{pull.number}: {merge.reason}",
        is_brief=merge.state is MergeState.PENDING,
    )
