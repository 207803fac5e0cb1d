"""Which files a commit has below `dags/`, and which differ from another's, or since a branch parted from its base.

Of a commit's files those that Airflow may parse; what is in them is looked at where little is to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, list_changed_dags
from include.deploy_ops.core.errors import CommitMissingError, PermanentError
from include.deploy_ops.core.verification.parsing import is_candidate
from include.deploy_ops.hooks.github.refs import find_merge_base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

FILES_MAX = 5000
"""Files below `dags/` that are told apart; with more of them nothing is verified."""
CONTENTS_MAX = 40
"""Files whose content is read, a request each; more of them count as if each had a DAG."""
_SUFFIXES = (".py", ".zip")


def read_dag_files(project: Project, github: DeployOpsGithubHook, commit: str) -> frozenset[str]:
    """Return the files of the commit that Airflow may parse, below the DAG folder.

    :raises PermanentError: there are more than `FILES_MAX`.
    """
    tree = github.get_commit(commit).tree
    for name in f"{project.root}/dags".removeprefix("./").split("/"):
        entry = next((each for each in github.read_tree(tree) if each.name == name), None)
        if entry is None or not entry.is_tree:
            return frozenset()
        tree = entry.sha
    found: set[str] = set()
    for path in _walk(github, tree, ""):
        found.add(path)
        if len(found) > FILES_MAX:
            raise PermanentError(f"there are more than {FILES_MAX} files below dags/, of which nothing is verified")
    return frozenset(found)


def _walk(github: DeployOpsGithubHook, tree: str, folder: str) -> Iterator[str]:
    for entry in github.read_tree(tree):
        path = f"{folder}{entry.name}"
        if entry.is_tree:
            yield from _walk(github, entry.sha, f"{path}/")
        elif entry.name.endswith(_SUFFIXES) and not entry.is_submodule:
            yield path


def drop_plain(project: Project, github: DeployOpsGithubHook, commit: str, files: frozenset[str]) -> frozenset[str]:
    """Return the files without those that Airflow does not parse, by what is in them; of many all."""
    if len(files) > CONTENTS_MAX:
        return files
    return frozenset(file for file in files if _may_have_dags(project, github, commit, file))


def _may_have_dags(project: Project, github: DeployOpsGithubHook, commit: str, file: str) -> bool:
    if not file.endswith(".py"):
        return True
    try:
        content = github.read_file(f"{project.root}/dags/{file}".removeprefix("./"), commit)
    except PermanentError:  # a link, or no UTF-8: whatever Airflow makes of it
        return True
    return content is None or is_candidate(content.encode())


def read_changed_dags(project: Project, github: DeployOpsGithubHook, base: str, commit: str) -> frozenset[str] | None:
    """Return the paths below `dags/` that differ, relative to the root; None where any may: they are too many.

    So they are where one of the commits is gone: a force push took it away.
    """
    try:
        before, after = (Snapshot(each, github.get_commit(each).tree) for each in (base, commit))
    except CommitMissingError:
        return None
    return list_changed_dags(before, after, ChangeRules.of(project), github.read_tree)


def read_branch_changes(
    project: Project, github: DeployOpsGithubHook, branch: str, commit: str
) -> frozenset[str] | None:
    """Return the paths below `dags/` that the commit changed since it parted from the branch, as `read_changed_dags`.

    None also where they have nothing in common, or there is no such branch.
    """
    found = github.find_branch_beside(branch, project.trunk)
    try:
        start = find_merge_base(github, found.head, commit) if found else None
    except CommitMissingError:
        start = None
    return read_changed_dags(project, github, start.commit, commit) if start else None
