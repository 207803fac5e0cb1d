"""Read and validate the policy file: an invalid project is told and left out, and takes no other down.

The keys stand in `keys.py`, the rules between them in `rules.py`. What a policy means for a branch or a
Deployment is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Strict, ValidationError

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.keys import Checkout, Policy, Project
from include.deploy_ops.core.policy.rules import find_clashes, find_project_problems
from include.deploy_ops.core.policy.sources import find_source_problems, list_own_connections
from include.deploy_ops.core.text.document import DocumentError, read_document
from include.deploy_ops.core.text.schema import (
    PROBLEMS_TOLD_MAX,
    Problem,
    describe_value,
    format_location,
    list_problems,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_ADDED = {
    "image": """`image: [reuse, "<registry>/<name>:{sha}"]` with the image that your CI pushes, """
    "or `image: [build]`, which is what a project without the key had before"
}
"""What to add where a key is missing whose value is not plain from its name."""
_FINGERPRINT_LENGTH = 12
_FINGERPRINTED = {
    *("repository", "github_conn_id", "astro_conn_id", "registry_conn_id"),
    *("root", "trunk", "ignore", "also_watch", "image"),
}


class _Top(Policy):
    """The file before its projects are looked at, each of which stands or falls alone."""

    projects: Annotated[tuple[Any, ...], Strict(strict=False)]


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing that is wrong with a project; `path` is the key's in the file, or that of a key that is missing."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """What the file says: its valid projects, and what is wrong with the others.

    `source` names the file. `target_names` has every Deployment that stands in it as a target, in a valid project
    or not: none is a preview. `shared_repositories` likewise has the repositories of several projects, casefolded.
    """

    source: str
    policy: Policy
    problems: tuple[PolicyProblem, ...]
    target_names: frozenset[str]
    shared_repositories: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether the whole file is valid; only then may anything be concluded from what is not in it."""
        return not self.problems

    def describe_problems(self) -> str:
        """Return what is wrong, a line each that names the file; of very many the first, and how many more."""
        more = len(self.problems) - PROBLEMS_TOLD_MAX
        told = [str(problem) for problem in self.problems[:PROBLEMS_TOLD_MAX]]
        if more > 0:
            told.append(f"{more} problems more; mend those above first")
        return "\n".join(f"{self.source}: {line}" for line in told)


def read_policy(path: Path) -> LoadedPolicy:
    """Return what the policy file says. Raises PolicyError as `load_policy`, and where the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path}: the policy cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: the policy is no UTF-8 text: byte {error.start} is not; save it as UTF-8") from None
    return load_policy(text, str(path))


def load_policy(text: str, source: str) -> LoadedPolicy:
    """Return what the policy's text says; `source` names the file in errors.

    Raises PolicyError where nothing can be said of any project: the text is no YAML, or a key at its top is wrong.
    """
    top = _read_top(text, source)
    names = {index: name for index, raw in enumerate(top.projects) if (name := _find_name(raw)) is not None}
    projects: dict[int, Project] = {}
    found: list[tuple[int, Problem]] = []
    for index, raw in enumerate(top.projects):
        read = _read_project(raw)
        if isinstance(read, Project):
            projects[index] = read
        else:
            found += [(index, problem) for problem in read]
    found += find_clashes(names, projects, top.projects)
    own = list_own_connections(top.projects)
    for index, project in projects.items():
        found += [(index, problem) for problem in find_source_problems(project, top.sources, own)]
    refused = {index for index, _ in found}
    valid = tuple(project for index, project in projects.items() if index not in refused)
    policy = Policy(control_plane=top.control_plane, mode=top.mode, sources=top.sources, projects=valid)
    return LoadedPolicy(
        source,
        policy,
        _tell_problems(found, names),
        _list_target_names(top.projects),
        _list_shared_repositories(top.projects),
    )


def _list_shared_repositories(raw_projects: Iterable[Any]) -> frozenset[str]:
    """Return the repositories that stand in several projects, also in those that are wrong otherwise."""
    repositories = [raw.get("repository") for raw in raw_projects if isinstance(raw, dict)]
    counts = Counter(each.casefold() for each in repositories if isinstance(each, str))
    return frozenset(name for name, count in counts.items() if count > 1)


def _list_target_names(raw_projects: Iterable[Any]) -> frozenset[str]:
    """Return what stands as a target's Deployment in any project, also in one that is wrong otherwise."""
    targets = [raw.get("targets") for raw in raw_projects if isinstance(raw, dict)]
    named = [
        target.get("deployment")
        for each in targets
        if isinstance(each, dict)
        for target in each.values()
        if isinstance(target, dict)
    ]
    return frozenset(name for name in named if isinstance(name, str))


def fingerprint_policy(project: Project) -> str:
    """Return 12 hexadecimal digits over what changes how a preview is made and deployed.

    Where it is read from and written to, what counts as a change, images, template, overrides and environment without
    pools. Not which branches match, and no times or limits: they decide whether and when work is done, not what it
    does.
    """
    # What is not set is left out: work that was named before there was such a key keeps its name.
    is_brought = project.checkout != Checkout()
    dumped = project.model_dump(mode="json", include={*_FINGERPRINTED, *(["checkout"] if is_brought else [])})
    if project.previews is not None:
        previews = project.previews
        added = {
            "build": previews.build,
            "environment": bool(previews.environment.entries),
            "inherit": bool(previews.inherit),
        }
        included = {"template", "overrides", *(key for key, is_set in added.items() if is_set)}
        dumped |= project.previews.model_dump(mode="json", include=included, exclude={"environment": {"pools"}})
    canonical = json.dumps(dumped, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def _read_top(text: str, source: str) -> _Top:
    try:
        document = read_document(text)
    except DocumentError as error:
        raise PolicyError(f"{source}: {error}") from None
    if not isinstance(document, dict):
        raise PolicyError(
            f"{source}: found {describe_value(document)}, expected a mapping with control_plane, mode, projects"
        )
    try:
        return _Top.model_validate(document)
    except ValidationError as error:
        raise PolicyError("\n".join(f"{source}: {each}" for each in list_problems(error, _Top))) from None


def _find_name(raw: Any) -> str | None:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else None


def _read_project(raw: Any) -> Project | tuple[Problem, ...]:
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        return list_problems(error, Project, added=_ADDED)
    return find_project_problems(project) or project


def _tell_problems(found: Iterable[tuple[int, Problem]], names: Mapping[int, str]) -> tuple[PolicyProblem, ...]:
    """Give every problem its path in the file and its project's name, in the file's order."""
    return tuple(
        PolicyProblem(
            format_location(("projects", index, *problem.location)),
            f"project {describe_value(names[index])}: {problem.message}" if index in names else problem.message,
        )
        for index, problem in sorted(found, key=lambda each: each[0])
    )
