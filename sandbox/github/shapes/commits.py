"""Commits, refs, trees and changed files in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.shapes.accounts import build_author, build_node_id, format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.github.diffs import ChangedFile
    from sandbox.github.objects import Commit, Signature, Tag, TreeEntry
    from sandbox.github.refs import Ref
    from sandbox.github.urls import Urls

_VERIFICATION = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def build_signature(signature: Signature) -> dict[str, str]:
    """Build a commit's author or committer as Git knows them."""
    return {"name": signature.name, "email": signature.email, "date": format_time(signature.at)}


def build_commit(urls: Urls, commit: Commit) -> dict[str, Any]:
    """Build GitHub's `commit`, as commits are listed: without its files."""
    return {
        "sha": commit.sha,
        "node_id": build_node_id("Commit", commit.sha),
        "commit": {
            "author": build_signature(commit.author),
            "committer": build_signature(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": urls.build_api("git/trees", commit.tree)},
            "url": urls.build_api("git/commits", commit.sha),
            "comment_count": 0,
            "verification": _VERIFICATION,
        },
        "url": urls.build_api("commits", commit.sha),
        "html_url": urls.build_html("commit", commit.sha),
        "comments_url": urls.build_api("commits", commit.sha, "comments"),
        "author": build_author(urls, commit.author.email),
        "committer": build_author(urls, commit.committer.email),
        "parents": [
            {
                "sha": parent,
                "url": urls.build_api("commits", parent),
                "html_url": urls.build_html("commit", parent),
            }
            for parent in commit.parents
        ],
    }


def build_commit_with_files(urls: Urls, commit: Commit, files: Sequence[ChangedFile]) -> dict[str, Any]:
    """Build GitHub's `commit`, as one commit is shown: with what it changes."""
    additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
    return {
        **build_commit(urls, commit),
        "stats": {"total": additions + deletions, "additions": additions, "deletions": deletions},
        "files": [build_file(urls, commit.sha, file) for file in files],
    }


def build_git_commit(urls: Urls, commit: Commit) -> dict[str, Any]:
    """Build GitHub's `git-commit`, the Git database's plain view."""
    full = build_commit(urls, commit)
    return {
        "sha": commit.sha,
        "node_id": full["node_id"],
        "url": urls.build_api("git/commits", commit.sha),
        "html_url": full["html_url"],
        "author": full["commit"]["author"],
        "committer": full["commit"]["committer"],
        "message": commit.message,
        "tree": full["commit"]["tree"],
        "parents": [{**parent, "url": urls.build_api("git/commits", parent["sha"])} for parent in full["parents"]],
        "verification": _VERIFICATION,
    }


def build_tag(urls: Urls, tag: Tag) -> dict[str, Any]:
    """Build GitHub's `git-tag`."""
    return {
        "node_id": build_node_id("Tag", tag.sha),
        "tag": tag.name,
        "sha": tag.sha,
        "url": urls.build_api("git/tags", tag.sha),
        "message": tag.message,
        "tagger": build_signature(tag.tagger),
        "object": {"type": tag.kind, "sha": tag.target, "url": urls.build_api("git", f"{tag.kind}s", tag.target)},
        "verification": _VERIFICATION,
    }


def build_file(urls: Urls, sha: str, file: ChangedFile) -> dict[str, Any]:
    """Build GitHub's `diff-entry` for a file as it stands at commit `sha`."""
    data: dict[str, Any] = {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": urls.build_html("blob", sha, file.path),
        "raw_url": urls.build_html("raw", sha, file.path),
        "contents_url": f"{urls.build_api('contents', file.path)}?ref={sha}",
    }
    if file.patch:
        data["patch"] = file.patch
    if file.previous_path is not None:
        data["previous_filename"] = file.previous_path
    return data


def build_ref(urls: Urls, ref: Ref) -> dict[str, Any]:
    """Build GitHub's `git-ref`."""
    kind = f"{ref.kind}s"
    return {
        "ref": ref.name,
        "node_id": build_node_id("Ref", ref.name),
        "url": urls.build_api("git", ref.name),
        "object": {"type": ref.kind, "sha": ref.sha, "url": urls.build_api("git", kind, ref.sha)},
    }


def build_tree_entry(urls: Urls, entry: TreeEntry) -> dict[str, Any]:
    """Build one entry of GitHub's `git-tree`; a submodule has no address, a folder no size."""
    data: dict[str, Any] = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
    if entry.size is not None:
        data["size"] = entry.size
    if entry.kind != "commit":
        data["url"] = urls.build_api("git", f"{entry.kind}s", entry.sha)
    return data
