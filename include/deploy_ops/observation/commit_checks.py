"""The checks on one commit, as GitHub shows them: commit statuses, check runs, and which the branch's rules require."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.target.gates import Checks

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook

UNREAD = "checks are not read yet"


def read_checks(github: GithubPullsHook, sha: str, branch: str) -> Checks:  # noqa: ARG001 - nothing is asked yet
    """Return what is known of the checks on a commit, and which of them the branch requires: nothing."""
    return Checks(blind=UNREAD, unread=UNREAD)
