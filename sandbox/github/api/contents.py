"""Files and folders at a ref: contents. Read only."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.github.objects import TreeEntry, find_entry, find_submodule_url, list_tree, read_blob
from sandbox.github.refs import resolve_tree
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_not_found

if TYPE_CHECKING:
    from sandbox.github.urls import Urls

INLINE_LIMIT_BYTES = 1_048_576  # larger files come without content, encoding "none"


def show_contents(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/contents/{path}?ref=: a file, or a folder's list."""
    git, ref = call.repository.git, call.query.get("ref") or call.repository.default_branch
    root = resolve_tree(git, ref)
    if root is None:
        raise ApiError(404, f"No commit found for the ref {ref}")
    path = call.path["path"].strip("/")
    entry = find_entry(git, root, path) if path else TreeEntry("", "040000", root)
    if entry is None:
        raise build_not_found()
    if entry.kind == "tree":
        return Answer([_build_entry(call.repository.urls, ref, path, item) for item in list_tree(git, entry.sha)])
    if entry.kind == "commit":
        return _answer_submodule(call, ref, root, entry)
    return _answer_leaf(call, ref, entry)


def _answer_submodule(call: Call, ref: str, root: str, entry: TreeEntry) -> Answer:
    folder, _, name = entry.path.rpartition("/")
    data = _build_entry(call.repository.urls, ref, folder, TreeEntry(name, entry.mode, entry.sha))
    return Answer({**data, "submodule_git_url": find_submodule_url(call.repository.git, root, entry.path)})


def _answer_leaf(call: Call, ref: str, entry: TreeEntry) -> Answer:
    folder, _, name = entry.path.rpartition("/")
    data = _build_entry(call.repository.urls, ref, folder, TreeEntry(name, entry.mode, entry.sha, entry.size))
    content = read_blob(call.repository.git, entry.sha)
    if call.wants_raw:
        return Answer(raw=content)
    if entry.mode == "120000":
        return Answer({**data, "target": content.decode(errors="replace")})
    if len(content) > INLINE_LIMIT_BYTES:
        return Answer({**data, "content": "", "encoding": "none"})
    return Answer({**data, "content": base64.encodebytes(content).decode(), "encoding": "base64"})


def _build_entry(urls: Urls, ref: str, folder: str, entry: TreeEntry) -> dict[str, Any]:
    path = f"{folder}/{entry.path}" if folder else entry.path
    kind = {"tree": "dir", "commit": "submodule"}.get(entry.kind, "symlink" if entry.mode == "120000" else "file")
    api = f"{urls.build_api('contents', path)}?ref={quote(ref)}"
    git_url = urls.build_api("git", "blobs" if entry.kind == "blob" else "trees", entry.sha)
    html = urls.build_html("tree" if kind == "dir" else "blob", ref, path)
    return {
        "name": entry.path,
        "path": path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": api,
        "html_url": html,
        "git_url": git_url,
        "download_url": urls.build_html("raw", ref, path) if entry.kind == "blob" else None,
        "type": kind,
        "_links": {"self": api, "git": git_url, "html": html},
    }


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/contents/{path:path}", show_contents),
]
