"""Pull requests, labels and comments in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.diffs import count_apart, find_merge_base, list_changed_files
from sandbox.github.records import REACTIONS
from sandbox.github.shapes.accounts import build_app, build_node_id, build_user, format_time
from sandbox.github.shapes.repositories import build_repository, build_source_repository

if TYPE_CHECKING:
    from sandbox.github.pulls import Label, PullRequest
    from sandbox.github.records import Comment, Reaction
    from sandbox.github.repository import Repository
    from sandbox.github.urls import Urls


def build_pull(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    """Build GitHub's `pull-request-simple`, as pull requests are listed."""
    urls, number = repository.urls, pull.number
    issue, api, html = (
        urls.build_api("issues", number),
        urls.build_api("pulls", number),
        urls.build_html("pull", number),
    )
    return {
        "url": api,
        "id": 900_000 + number,
        "node_id": build_node_id("PullRequest", number),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "number": number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": build_user(urls, pull.user),
        "body": pull.body,
        "created_at": format_time(pull.created_at),
        "updated_at": format_time(pull.updated_at),
        "closed_at": pull.closed_at and format_time(pull.closed_at),
        "merged_at": pull.merged_at and format_time(pull.merged_at),
        "merge_commit_sha": pull.merge_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [build_label(urls, label) for label in pull.labels],
        "milestone": None,
        "draft": pull.is_draft,
        "commits_url": f"{api}/commits",
        "review_comments_url": f"{api}/comments",
        "review_comment_url": f"{urls.build_api('pulls/comments')}{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": urls.build_api("statuses", pull.head_sha),
        "head": _build_head(repository, pull),
        "base": _build_base(repository, pull),
        "_links": _build_links(urls, pull),
        "author_association": "MEMBER",
        "auto_merge": None,
        "active_lock_reason": None,
    }


def build_full_pull(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    """Build GitHub's `pull-request`, as one is shown: with mergeability and counts."""
    git = repository.git
    start = find_merge_base(git, pull.base_sha, pull.head_sha) or pull.base_sha
    files = list_changed_files(git, start, pull.head_sha)
    return {
        **build_pull(repository, pull),
        "merged": pull.merged_at is not None,
        "mergeable": pull.mergeable,
        "rebaseable": pull.mergeable,
        "mergeable_state": _name_mergeable_state(pull),
        "merged_by": pull.merged_by and build_user(repository.urls, pull.merged_by),
        "comments": sum(comment.number == pull.number for comment in repository.comments.values()),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": count_apart(git, pull.base_sha, pull.head_sha)[0],
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
        "changed_files": len(files),
    }


def _name_mergeable_state(pull: PullRequest) -> str:
    if pull.mergeable is None:
        return "unknown"
    if not pull.mergeable:
        return "dirty"
    return "draft" if pull.is_draft else "clean"


def _build_head(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    source = pull.source
    return {
        "label": source.label,
        "ref": source.branch,
        "sha": pull.head_sha,
        "user": build_user(repository.urls, source.owner),
        "repo": build_source_repository(repository, source),
    }


def _build_base(repository: Repository, pull: PullRequest) -> dict[str, Any]:
    return {
        "label": f"{repository.owner}:{pull.base}",
        "ref": pull.base,
        "sha": pull.base_sha,
        "user": build_user(repository.urls, repository.owner),
        "repo": build_repository(repository),
    }


def _build_links(urls: Urls, pull: PullRequest) -> dict[str, Any]:
    issue, api = urls.build_api("issues", pull.number), urls.build_api("pulls", pull.number)
    addresses = {
        "self": api,
        "html": urls.build_html("pull", pull.number),
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{api}/comments",
        "review_comment": f"{urls.build_api('pulls/comments')}{{/number}}",
        "commits": f"{api}/commits",
        "statuses": urls.build_api("statuses", pull.head_sha),
    }
    return {name: {"href": address} for name, address in addresses.items()}


def build_label(urls: Urls, label: Label) -> dict[str, Any]:
    """Build GitHub's `label`."""
    return {
        "id": label.id,
        "node_id": build_node_id("Label", label.id),
        "url": urls.build_api("labels", label.name),
        "name": label.name,
        "color": label.color,
        "default": False,
        "description": "",
    }


def build_comment(urls: Urls, comment: Comment) -> dict[str, Any]:
    """Build GitHub's `issue-comment`."""
    api = urls.build_api("issues/comments", comment.id)
    signs = [reaction.content for reaction in comment.reactions]
    return {
        "id": comment.id,
        "node_id": build_node_id("IssueComment", comment.id),
        "url": api,
        "html_url": f"{urls.build_html('pull', comment.number)}#issuecomment-{comment.id}",
        "issue_url": urls.build_api("issues", comment.number),
        "body": comment.body,
        "user": build_user(urls, comment.user) | ({"type": "Bot"} if comment.is_by_bot else {}),
        "created_at": format_time(comment.created_at),
        "updated_at": format_time(comment.updated_at),
        "author_association": "MEMBER",
        "performed_via_github_app": None if comment.app_id is None else build_app(urls, comment.app_id),
        "reactions": {
            "url": f"{api}/reactions",
            "total_count": len(signs),
            **{sign: signs.count(sign) for sign in REACTIONS},
        },
    }


def build_reaction(urls: Urls, reaction: Reaction) -> dict[str, Any]:
    """Build GitHub's `reaction`."""
    return {
        "id": reaction.id,
        "node_id": build_node_id("Reaction", reaction.id),
        "user": build_user(urls, reaction.user),
        "content": reaction.content,
        "created_at": format_time(reaction.created_at),
    }
