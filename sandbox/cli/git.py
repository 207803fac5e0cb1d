"""What the CLI asks Git of the working directory: is it clean, and which commit is it."""

from __future__ import annotations

import re
import subprocess
from typing import Any
from urllib.parse import urlsplit

from sandbox.cli.terminal import say

_SUBJECT_BYTES = 72
_SCP_LIKE = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")


def has_uncommitted_changes() -> bool:
    """Return whether tracked files differ from HEAD; no repository and no Git count as clean, no commit as dirty."""
    return _ask_git("rev-parse", "--git-dir") is not None and _ask_git("diff", "--quiet", "HEAD") is None


def read_metadata() -> tuple[dict[str, Any], str] | None:
    """Return the deploy's `git` object and the commit's subject, None if the tree is dirty or has no `origin`."""
    if has_uncommitted_changes():
        say("Local repository has uncommitted changes, skipping Git metadata retrieval")
        return None
    remote, commit = _ask_git("remote", "get-url", "origin"), _ask_git("rev-parse", "HEAD")
    if remote is None or commit is None:
        return None
    message = (_ask_git("log", "-1", "--pretty=%B", "HEAD") or "").partition("\n")[0]
    fields = {
        "commitSha": commit,
        "branch": _ask_git("rev-parse", "--abbrev-ref", "HEAD"),
        "authorName": _ask_git("log", "-1", "--pretty=%an", "HEAD"),
        "path": (_ask_git("rev-parse", "--show-prefix") or "").removesuffix("/"),
        **_describe_remote(remote, commit),
    }
    subject = message.encode()[:_SUBJECT_BYTES].decode(errors="ignore")
    return {key: value for key, value in fields.items() if value}, subject


def _describe_remote(remote: str, commit: str) -> dict[str, str]:
    host, path = _split_remote(remote)
    account, slash, repository = path.strip("/").removesuffix(".git").partition("/")
    if host != "github.com" or not slash:
        return {"provider": "GENERIC", "remoteUrl": remote}
    url = f"https://github.com/{account}/{repository}/commit/{commit}"
    return {"provider": "GITHUB", "account": account, "repo": repository, "commitUrl": url}


def _split_remote(remote: str) -> tuple[str, str]:
    """Return host and path of a URL or of `git@host:path`."""
    found = _SCP_LIKE.fullmatch(remote)
    if found:
        return found[1], found[2]
    parts = urlsplit(remote)
    return parts.hostname or "", parts.path


def _ask_git(*arguments: str) -> str | None:
    """Return Git's answer, None if it fails or is not there."""
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None
