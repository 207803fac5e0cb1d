"""Read and validate the policy's files: an invalid project is told and left out, and takes no other down.

The keys stand in `keys.py`, the rules between them in `rules.py`, what a team's file may use in `teams.py`. What a
policy means for a branch or a Deployment is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Strict, ValidationError

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.keys import Checkout, Policy, Project, Team
from include.deploy_ops.core.policy.rules import find_clashes, find_project_problems
from include.deploy_ops.core.policy.sources import find_source_problems, list_own_connections
from include.deploy_ops.core.policy.teams import (
    TeamText,
    find_claim_problems,
    find_reach_problems,
    find_team_problems,
    inherit,
    is_inherited,
    may_use_repository,
)
from include.deploy_ops.core.text.document import DocumentError, read_document
from include.deploy_ops.core.text.schema import (
    PROBLEMS_TOLD_MAX,
    Location,
    Problem,
    StrictModel,
    describe_value,
    format_location,
    list_problems,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

POLICY_VARIABLE = "DEPLOY_OPS_POLICY"
"""Environment variable that names another main file of the policy than `include/deploy_ops.yaml`."""

_MAIN_SUFFIX, _TEAMS_SUFFIX = ".yaml", ".d"
"""How the main file ends, and the folder of the teams' files beside it."""

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


_TOLD_MIN = 3
"""Problems of one file that are told, however many files have some."""

_UNREADABLE = "the policy cannot be read"
_OF_MAIN = dict.fromkeys(
    ("control_plane", "mode", "sources", "defaults", "teams"), "it belongs into the policy's main file; move it there"
)


class _Top(Policy):
    """The main file before its projects are looked at, each of which stands or falls alone."""

    projects: Annotated[tuple[Any, ...], Strict(strict=False)]


class _TeamFile(StrictModel):
    """A team's file likewise."""

    projects: Annotated[tuple[Any, ...], Strict(strict=False)]


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing that is wrong, in the file `source`.

    `location` is the key's there, or that of a key that is missing; None of a file as a whole, and then `line` may say
    where in it, from 1.
    """

    source: str
    location: Location | None
    message: str
    line: int = 0

    @property
    def path(self) -> str:
        """The key as people write it; empty of a file as a whole."""
        return "" if self.location is None else format_location(self.location)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PolicyFileError(PolicyError):
    """Nothing can be said of any project: the main file cannot be read, or something at its top is wrong."""

    def __init__(self, *problems: PolicyProblem) -> None:
        super().__init__("\n".join(f"{each.source}: {each}" for each in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """What the policy says: its valid projects, and what is wrong with the others.

    `source` names its main file. `target_names` has every Deployment that stands in any of its files as a target, in a
    valid project or not: none is a preview. `shared_repositories` likewise has the repositories of several projects,
    casefolded, and those that several files may use. `teams` says what projects of other files than the main one may
    use, by their names. `unread` names the files of which nobody knows what stands in them. `homes` says in which file
    each valid project stands, by its name.
    """

    source: str
    policy: Policy
    problems: tuple[PolicyProblem, ...]
    target_names: frozenset[str]
    shared_repositories: frozenset[str] = frozenset()
    teams: Mapping[str, Team] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    homes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether all of it is valid; only then may anything be concluded from what is not in it."""
        return not self.problems

    def describe_problems(self) -> str:
        """Return what is wrong, a line each that names its file; of very many of one the first, and how many more."""
        by_file: defaultdict[str, list[str]] = defaultdict(list)
        for problem in self.problems:
            by_file[problem.source].append(str(problem))
        lines: list[str] = []
        for source, told in by_file.items():
            shown = max(PROBLEMS_TOLD_MAX // len(by_file), _TOLD_MIN)
            more = [f"{len(told) - shown} problems more; mend those above first"] if len(told) > shown else []
            lines += [f"{source}: {line}" for line in (*told[:shown], *more)]
        return "\n".join(lines)


def find_policy(environment: Mapping[str, str]) -> Path:
    """Return the policy's main file: the one that the environment names, else ours."""
    return Path(environment.get(POLICY_VARIABLE, Path(__file__).parents[3] / "deploy_ops.yaml"))


def find_main(path: Path, policy: Path) -> Path:
    """Return the main file, of a team's file the one beside whose folder it lies.

    :param policy: the main file of this installation, which may lie in whatever folder.
    """
    folder = path.parent if path.parent.name not in {"", ".."} else path.parent.resolve()
    if folder.suffix != _TEAMS_SUFFIX or path.resolve() == policy.resolve():
        return path
    main = folder.with_suffix(_MAIN_SUFFIX)
    return main if main.exists() else path


@dataclass(frozen=True, slots=True)
class PolicyTexts:
    """The policy's files as they stand there: the main one, and the teams'."""

    main: TeamText
    teams: tuple[TeamText, ...] = ()

    def load(self) -> LoadedPolicy:
        """Return what they say. Raises PolicyFileError as `load_policy`."""
        return load_policy(self.main.text, self.main.source, self.teams)

    def put(self, source: str, text: str, called: str) -> PolicyTexts:
        """Return the files with this text in the place of one of them; errors call that otherwise then."""
        main, *teams = (
            replace(each, text=text, problem="", source=called) if each.source == source else each
            for each in (self.main, *self.teams)
        )
        return PolicyTexts(main, tuple(teams))


def read_policy_texts(path: Path) -> PolicyTexts:
    """Return the policy's main file, and the teams' files in the folder beside it.

    That is called as the file is, with `.d` in place of `.yaml`. Raises PolicyFileError where the main file cannot be
    read.
    """
    main = _read_text(path)
    if main.problem:
        raise PolicyFileError(PolicyProblem(str(path), None, main.problem))
    return PolicyTexts(main, tuple(_read_teams(path.with_suffix(_TEAMS_SUFFIX))))


def read_policy(path: Path) -> LoadedPolicy:
    """Return what the policy's files say.

    Raises PolicyFileError as `load_policy`, and where the main file cannot be read.
    """
    return read_policy_texts(path).load()


def _read_teams(folder: Path) -> Iterator[TeamText]:
    try:
        paths = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        yield TeamText("", str(folder), problem=f"{_UNREADABLE}: {error.strerror}")
        return
    for path in paths:
        if path.suffix == _MAIN_SUFFIX and not path.name.startswith("."):
            yield _read_text(path)
        elif path.suffix == ".yml":
            yield TeamText(
                path.stem, str(path), problem="its name does not end in .yaml, so nobody reads it; rename it"
            )


def _read_text(path: Path) -> TeamText:
    try:
        if path.exists() and not path.is_file():
            return TeamText(path.stem, str(path), problem=f"{_UNREADABLE}: it is no file")
        return TeamText(path.stem, str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        return TeamText(path.stem, str(path), problem=f"{_UNREADABLE}: {error.strerror}")
    except UnicodeDecodeError as error:
        said = f"the policy is no UTF-8 text: byte {error.start} is not; save it as UTF-8"
        return TeamText(path.stem, str(path), problem=said)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A project as it stands in its file, and merged with what it inherits; `team` is empty in the main file."""

    source: str
    index: int
    raw: Any
    merged: Any
    team: str = ""

    def tell_place(self, other: _Entry, location: Location) -> str:
        """Return how this entry's file calls a place in the other's."""
        path = format_location(("projects", other.index, *location))
        return path if other.source == self.source else f"{other.source}: {path}"


def load_policy(text: str, source: str, teams: Iterable[TeamText] = ()) -> LoadedPolicy:
    """Return what the policy's text says, and the teams' files; `source` names the main file in errors.

    Raises PolicyFileError where nothing can be said of any project: the text is no YAML, or a key at its top is wrong.
    """
    files = tuple(teams)
    top = _read_top(text, source, has_projects=not files)
    entries = [_Entry(source, index, raw, inherit(top.defaults, raw)) for index, raw in enumerate(top.projects)]
    problems: list[PolicyProblem] = []
    unread: list[str] = []
    for file in files:
        own, wrong = _read_team(file, top, source)
        entries += own or ()
        problems += wrong
        unread += [file.source] if own is None else []
    raw_projects = [entry.merged for entry in entries]
    names = {index: name for index, raw in enumerate(raw_projects) if (name := _find_name(raw)) is not None}
    projects, found = _read_projects(entries, top)
    barred, banned = _find_bans(entries, projects, top)
    # What a file may not have at all takes nothing from another one, which has it by right.
    found += find_clashes(
        {index: name for index, name in names.items() if index not in barred},
        {index: project for index, project in projects.items() if index not in barred},
        raw_projects,
        lambda told, index, place: entries[told].tell_place(entries[index], place),
    )
    found += banned
    refused = barred | {index for index, _ in found}
    valid = {index: project for index, project in projects.items() if index not in refused}
    return LoadedPolicy(
        source,
        Policy(
            control_plane=top.control_plane,
            mode=top.mode,
            sources=top.sources,
            defaults=top.defaults,
            teams=top.teams,
            projects=tuple(valid.values()),
        ),
        (*_tell_problems(found, entries, names, top, source), *problems),
        _list_target_names(raw_projects),
        _list_shared_repositories(entries, top.teams),
        {project.name: top.teams[entries[index].team] for index, project in valid.items() if entries[index].team},
        tuple(unread),
        {project.name: entries[index].source for index, project in valid.items()},
    )


def _read_team(file: TeamText, top: _Top, main: str) -> tuple[list[_Entry] | None, list[PolicyProblem]]:
    """Return the projects of a team's file, None where nobody knows of any, and what is wrong with it as a whole."""
    if file.problem:
        return None, [PolicyProblem(file.source, None, file.problem)]
    try:
        document = _read_mapping(file.text, "projects")
        read = _TeamFile.model_validate(document)
    except DocumentError as error:
        return None, [PolicyProblem(file.source, None, str(error), error.line)]
    except ValidationError as error:
        told = list_problems(error, _TeamFile, advice=_OF_MAIN)
        return None, [PolicyProblem(file.source, each.location, each.message) for each in told]
    entries = [
        _Entry(file.source, index, raw, inherit(top.defaults, raw), file.name)
        for index, raw in enumerate(read.projects)
    ]
    if file.name in top.teams:
        return entries, []
    said = f"'teams' in {main} has no '{file.name}'; add it there, with what this file's projects may use"
    return entries, [PolicyProblem(file.source, None, said)]


def _read_projects(entries: Sequence[_Entry], top: _Top) -> tuple[dict[int, Project], list[tuple[int, Problem]]]:
    """Return the projects by position, and what is wrong with each by itself."""
    projects: dict[int, Project] = {}
    found: list[tuple[int, Problem]] = []
    own = list_own_connections(entry.merged for entry in entries)
    for index, entry in enumerate(entries):
        read = _read_project(entry.merged)
        if not isinstance(read, Project):
            found += [(index, problem) for problem in read]
            continue
        projects[index] = read
        found += [(index, problem) for problem in find_source_problems(read, top.sources, own, top.teams)]
        found += [(index, problem) for problem in find_reach_problems(read, entry.team, top.teams)]
    return projects, found


def _find_bans(
    entries: Sequence[_Entry], projects: Mapping[int, Project], top: _Top
) -> tuple[set[int], list[tuple[int, Problem]]]:
    """Return the positions of what its file may not have, and what of each; of a file without a word that is told."""
    found = [
        (index, problem)
        for index, project in projects.items()
        if (team := top.teams.get(name := entries[index].team)) is not None
        for problem in find_team_problems(project, name, team, top.defaults, entries[index].raw)
    ]
    for index, project in projects.items():
        entry = entries[index]
        others = (each.merged for each in entries if each.source != entry.source) if entry.team else ()
        found += [(index, each) for each in find_claim_problems(project, top.defaults, entry.raw, others)]
    unnamed = {index for index, entry in enumerate(entries) if entry.team and entry.team not in top.teams}
    return unnamed | {index for index, _ in found}, found


def _list_shared_repositories(entries: Iterable[_Entry], teams: Mapping[str, Team]) -> frozenset[str]:
    """Return the repositories that stand in several projects, also in those that are wrong otherwise.

    One that another team's file may use counts, too: whether it does is not known while that cannot be read.
    """
    users: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if isinstance(entry.merged, dict) and isinstance(repository := entry.merged.get("repository"), str):
            users[repository.casefold()].append(entry.team)
    return frozenset(
        name
        for name, by in users.items()
        if len(by) > 1 or any(may_use_repository(team, name) for each, team in teams.items() if each not in by)
    )


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


def _read_top(text: str, source: str, *, has_projects: bool) -> _Top:
    """Return the main file; without teams' files it has to have projects."""
    try:
        document = _read_mapping(text, "control_plane, mode, projects")
    except DocumentError as error:
        raise PolicyFileError(PolicyProblem(source, None, str(error), error.line)) from None
    try:
        top = _Top.model_validate(document if has_projects else {"projects": [], **document})
    except ValidationError as error:
        told = list_problems(error, _Top)
        raise PolicyFileError(*(PolicyProblem(source, each.location, each.message) for each in told)) from None
    if "name" in top.defaults:
        said = "each project has a name of its own; remove it"
        raise PolicyFileError(PolicyProblem(source, ("defaults", "name"), said))
    return top


def _read_mapping(text: str, keys: str) -> dict[str, Any]:
    document = read_document(text)
    if not isinstance(document, dict):
        raise DocumentError(f"found {describe_value(document)}, expected a mapping with {keys}")
    return document


def _find_name(raw: Any) -> str | None:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else None


def _read_project(raw: Any) -> Project | tuple[Problem, ...]:
    try:
        project = Project.model_validate(raw)
    except ValidationError as error:
        return list_problems(error, Project, added=_ADDED)
    return find_project_problems(project) or project


def _tell_problems(
    found: Iterable[tuple[int, Problem]], entries: Sequence[_Entry], names: Mapping[int, str], top: _Top, main: str
) -> tuple[PolicyProblem, ...]:
    """Give every problem its file, its path there and its project's name, in the files' order.

    What lies in the main file's `defaults` is told there, once.
    """
    told: dict[PolicyProblem, None] = {}
    for index, problem in sorted(found, key=lambda each: each[0]):
        entry = entries[index]
        if is_inherited(top.defaults, entry.raw, problem.location):
            told[PolicyProblem(main, ("defaults", *problem.location), problem.message)] = None
            continue
        location = ("projects", entry.index, *problem.location)
        name = f"project {describe_value(names[index])}: " if index in names else ""
        told[PolicyProblem(entry.source, location, f"{name}{problem.message}")] = None
    return tuple(told)
