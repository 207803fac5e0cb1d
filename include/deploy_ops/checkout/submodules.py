"""Which submodules of a commit may be fetched, and from where: the policy decides, `.gitmodules` only asks.

`.gitmodules` could name any repository that the connection's token reads, and so show it to whoever pushes a branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.submodules import find_repository, replace_repository
from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.checkout.git import Git

_FILE = ".gitmodules"


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule to fetch: its path from the repository's top, and its repository as the policy spells it."""

    path: str
    commit: str
    repository: str
    clone_url: str


def choose_submodules(
    git: Git, commit: str, clone_url: str, found: Mapping[str, str], allowed: tuple[str, ...]
) -> tuple[Submodule, ...]:
    """Return what is to be fetched for the submodules that are checked out, by their paths as Git quotes them.

    :param git: of the repository that has them.
    :param clone_url: of the same.
    :param found: their commits, by path.
    :param allowed: repositories as owner/name; a name's case means nothing.
    :raises PermanentError: a submodule is none of those, and would be an empty folder.
    """
    if not found:
        return ()
    urls = _read_urls(git, commit) if allowed else {}
    names = {name.casefold(): name for name in allowed}
    chosen = []
    for path, its_commit in found.items():
        repository = find_repository(urls.get(path, ""), clone_url)
        name = names.get((repository or "").casefold())
        if name is None:
            raise PermanentError(_explain(path, repository, has_url=path in urls, has_allowed=bool(allowed)))
        chosen.append(Submodule(path, its_commit, name, replace_repository(clone_url, name)))
    return tuple(chosen)


def _explain(path: str, repository: str | None, *, has_url: bool, has_allowed: bool) -> str:
    what = f"{path} is a submodule"
    advice = "list its repository as owner/name in `checkout.submodules` of the policy, or commit its files instead"
    if repository is not None:
        what += f" of {repository}, which `checkout.submodules` does not list"
    elif has_url:
        advice = "commit its files instead"
        what += " of no repository on the host that the project is cloned from"
    elif has_allowed:
        advice = f"mend {_FILE} on the branch, or commit the files instead"
        what += f" that {_FILE} at the repository's top does not name"
    return f"{what}; it would be deployed as an empty folder: {advice}"


def _read_urls(git: Git, commit: str) -> dict[str, str]:
    """Return the URLs of `.gitmodules` by path; a file that is missing or no file has none."""
    if not git.run("ls-tree", "--full-tree", "--", commit, _FILE).stdout.startswith("100"):
        return {}
    # Without includes: they would read files of this machine.
    said = git.run("config", "--no-includes", "--blob", f"{commit}:{_FILE}", "--null", "--list").stdout
    entries: dict[str, dict[str, str]] = {}
    for line in said.split("\0"):
        key, _, value = line.partition("\n")
        section, _, name = key.partition(".")
        name, _, field = name.rpartition(".")
        if section == "submodule":
            entries.setdefault(name, {})[field] = value
    return {each["path"]: each.get("url", "") for each in entries.values() if "path" in each}
