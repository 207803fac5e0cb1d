"""Which repository a submodule's URL means, on the host that the project itself is cloned from."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCP_LIKE = re.compile(r"(?:[^@/:]{1,100}@)?([A-Za-z0-9.-]{1,255}):(?!//)(.{0,500})", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}")
_OWNER_AND_NAME = 2


def find_repository(url: str, clone_url: str) -> str | None:
    """Return the repository as owner/name, or None where the URL means none on the clone URL's host.

    :param url: as `.gitmodules` has it: absolute, by SSH, or relative to the clone URL (gitmodules(5)).
    :param clone_url: of the repository that has the submodule, `https://host/owner/name.git`.
    """
    ours = urlsplit(clone_url)
    *prefix, _, _ = ours.path.strip("/").split("/")
    if url.startswith(("./", "../")):
        path = _resolve(url, ours.path.strip("/").split("/"))
    else:
        path = _read_path(url, ours.hostname or "")
    if path is None or path[: len(prefix)] != prefix:
        return None
    name = "/".join(path[len(prefix) :]).removesuffix(".git")
    return name if _NAME.fullmatch(name) and not name.endswith(("/.", "/..")) else None


def replace_repository(clone_url: str, repository: str) -> str:
    """Return the clone URL of another repository, owner/name, on the same host."""
    return f"{clone_url.rstrip('/').rsplit('/', _OWNER_AND_NAME)[0]}/{repository}.git"


def _resolve(url: str, base: list[str]) -> list[str] | None:
    path = list(base)
    for part in url.rstrip("/").split("/"):
        if part == ".." and not path:
            return None
        if part == "..":
            path.pop()
        elif part != ".":
            path.append(part)
    return path


def _read_path(url: str, host: str) -> list[str] | None:
    if "://" not in url:
        found = _SCP_LIKE.fullmatch(url)
        there, path = (found[1], found[2]) if found else ("", "")
    else:
        try:
            parts = urlsplit(url)
            there, path = parts.hostname or "", parts.path
        except ValueError:
            return None
        if parts.scheme not in {"https", "http", "ssh", "git", "git+ssh"} or parts.query or parts.fragment:
            return None
    return path.strip("/").split("/") if there.casefold() == host.casefold() else None
