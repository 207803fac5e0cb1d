"""The Git database: git/trees, git/blobs and git/commits, read and written."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sandbox.github.git import Git, GitError
from sandbox.github.merging import sign
from sandbox.github.objects import (
    KINDS,
    MissingEntryError,
    Signature,
    TreeEntry,
    edit_tree,
    list_tree,
    read_blob,
    read_commit,
    read_tag,
    write_blob,
    write_commit,
)
from sandbox.github.refs import find_kind, resolve_tree
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found
from sandbox.github.shapes.accounts import EMAIL_HOST, build_node_id
from sandbox.github.shapes.commits import build_git_commit, build_tag, build_tree_entry

TREE_LIMIT = 100_000  # entries of a recursive listing; beyond it is `truncated`


def show_tree(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/trees/{sha}: of a tree, commit or branch; `recursive` with any value."""
    tree = resolve_tree(call.repository.git, call.path["sha"])
    if tree is None:
        raise build_not_found()
    return _answer_tree(call, tree, is_recursive="recursive" in call.query, status=200)


def _answer_tree(call: Call, tree: str, *, is_recursive: bool, status: int) -> Answer:
    urls = call.repository.urls
    entries = list_tree(call.repository.git, tree, recursive=is_recursive)
    data = {
        "sha": tree,
        "url": urls.build_api("git/trees", tree),
        "tree": [build_tree_entry(urls, entry) for entry in entries[:TREE_LIMIT]],
        "truncated": len(entries) > TREE_LIMIT,
    }
    return Answer(data, status)


def create_tree(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/trees: `base_tree` with entries laid over it; `sha: null` removes a path."""
    git, listed = call.repository.git, call.fields.get("tree")
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ApiError(422, "Invalid tree info")
    base = call.fields.get("base_tree")
    tree = None if base is None else resolve_tree(git, str(base))
    if base is not None and tree is None:
        raise ApiError(422, "base_tree is not a valid tree oid")
    changes = dict(_read_tree_entry(git, item) for item in listed)
    try:
        written = edit_tree(git, tree, changes)
    except MissingEntryError as error:
        raise ApiError(422, "GitRPC::BadObjectState") from error
    except GitError as error:
        raise ApiError(422, f"GitRPC::BadObjectState: {str(error).splitlines()[-1]}") from error
    return _answer_tree(call, written, is_recursive=False, status=201)


def _read_tree_entry(git: Git, item: dict[str, Any]) -> tuple[str, TreeEntry | None]:
    path, mode, sha, content = item.get("path"), str(item.get("mode")), item.get("sha"), item.get("content")
    if not isinstance(path, str) or not _is_tree_path(path):
        raise ApiError(422, "tree.path contains a malformed path component")
    if isinstance(content, str) and sha is None:
        sha = write_blob(git, content.encode())
    elif "sha" not in item:
        raise ApiError(422, "Must supply tree.sha or tree.content")
    if sha is None:
        return path, None
    if mode not in KINDS:
        raise ApiError(422, "Must supply a valid tree.mode")
    if mode != "160000" and find_kind(git, str(sha)) != KINDS[mode]:
        raise ApiError(422, f"tree.sha {sha} is not a valid {KINDS[mode]}")
    return path, TreeEntry(path.rpartition("/")[2], mode, str(sha))


def _is_tree_path(path: str) -> bool:
    return "\0" not in path and all(part not in {"", ".", "..", ".git"} for part in path.split("/"))


def show_blob(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/blobs/{sha}; the media type `raw` gives the bytes themselves."""
    git, sha = call.repository.git, call.path["sha"]
    if find_kind(git, sha) != "blob":
        raise build_not_found()
    content = read_blob(git, sha)
    if call.wants_raw:
        return Answer(raw=content)
    data = {
        **_build_short_blob(call, sha),
        "node_id": build_node_id("Blob", sha),
        "size": len(content),
        "content": base64.encodebytes(content).decode(),
        "encoding": "base64",
    }
    return Answer(data)


def create_blob(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/blobs: `content` as utf-8 or base64."""
    content = call.fields.get("content")
    if not isinstance(content, str):
        raise build_invalid("Blob", "content", code="missing_field")
    try:
        is_base64 = call.fields.get("encoding") == "base64"
        data = base64.b64decode("".join(content.split()), validate=True) if is_base64 else content.encode()
    except ValueError as error:
        raise ApiError(422, f"content is not valid base64: {error}") from error
    return Answer(_build_short_blob(call, write_blob(call.repository.git, data)), 201)


def _build_short_blob(call: Call, sha: str) -> dict[str, Any]:
    return {"sha": sha, "url": call.repository.urls.build_api("git/blobs", sha)}


def show_git_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/commits/{sha}."""
    repository, sha = call.repository, call.path["sha"]
    if find_kind(repository.git, sha) != "commit":
        raise build_not_found()
    return Answer(build_git_commit(repository.urls, read_commit(repository.git, sha)))


def show_tag(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/tags/{tag_sha}: an annotated tag's own object."""
    repository, sha = call.repository, call.path["sha"]
    if find_kind(repository.git, sha) != "tag":
        raise build_not_found()
    return Answer(build_tag(repository.urls, read_tag(repository.git, sha)))


def create_git_commit(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/commits: `message`, `tree`, `parents`, and who, by default the token's user."""
    git, message, tree = call.repository.git, call.read_text("Commit", "message"), call.read_text("Commit", "tree")
    parents = call.fields.get("parents") or []
    if find_kind(git, tree) != "tree":
        raise ApiError(422, "Tree SHA does not exist")
    if not isinstance(parents, list) or any(find_kind(git, str(parent)) != "commit" for parent in parents):
        raise ApiError(422, "Parent SHA does not exist or is not a commit object")
    author = _read_signature(call, "author", sign(call.user, f"{call.user}@{EMAIL_HOST}"))
    committer = _read_signature(call, "committer", author)
    sha = write_commit(git, tree, parents, message, author=author, committer=committer)
    return Answer(build_git_commit(call.repository.urls, read_commit(git, sha)), 201)


def _read_signature(call: Call, role: str, default: Signature) -> Signature:
    given = call.fields.get(role)
    if given is None:
        return default
    try:
        at = datetime.fromisoformat(given["date"]) if given.get("date") else default.at
        return Signature(str(given["name"]), str(given["email"]), at)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(422, f"Invalid {role}: it needs name, email and, if given, an ISO 8601 date") from error


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/git/trees/{sha:path}", show_tree),
    ("POST", "/git/trees", create_tree),
    ("GET", "/git/blobs/{sha}", show_blob),
    ("POST", "/git/blobs", create_blob),
    ("GET", "/git/commits/{sha}", show_git_commit),
    ("POST", "/git/commits", create_git_commit),
    ("GET", "/git/tags/{sha}", show_tag),
]
