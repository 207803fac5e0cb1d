"""The files that teams own, beside the policy's main one: what those projects inherit, and what they may use.

The main file's `defaults` are its owner's word: what a project has from there needs no entry in `teams`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.environment.sources import ConnectionSource, VariableSource, check_id
from include.deploy_ops.core.policy.sources import may_be, walk_texts
from include.deploy_ops.core.text.schema import Location, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.deploy_ops.core.policy.keys import Project, Team

_CONNECTION_KEY = "conn_id"
_TEMPLATE = re.compile(r"\{[{%#]")
_PLAIN_TEMPLATE = re.compile(r"(?:[^{]|\{(?![{%#])|\{\{ *deploy_ops\.[a-z_]+ *(?:\| *e *)?\}\})*")


@dataclass(frozen=True, slots=True)
class TeamText:
    """One such file: its name without `.yaml`, what errors call it, and its text, or why that cannot be read."""

    name: str
    source: str
    text: str = field(default="", repr=False)
    problem: str = ""


def inherit(defaults: Mapping[str, Any], project: Any) -> Any:
    """Return the project with what it has from `defaults`: mappings merge, lists and values replace, null removes."""
    if not isinstance(project, Mapping):
        return project
    merged = dict(defaults)
    for key, value in project.items():
        if value is None and key in merged:
            del merged[key]
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = inherit(merged[key], value)
        else:
            merged[key] = value
    return merged


def is_inherited(defaults: Mapping[str, Any], project: Any, location: Location) -> bool:
    """Whether what lies there in the merged project stands in `defaults`, and not in the project itself."""
    return not _has(project, location) and _has(defaults, location)


def _has(document: Any, location: Location) -> bool:
    found = document
    for key in location:
        is_key = key in found if isinstance(found, Mapping) else isinstance(key, int) and isinstance(found, list)
        if not is_key or (isinstance(found, list) and not 0 <= int(key) < len(found)):
            return False
        found = found[key]
    return True


def may_use_repository(team: Team, repository: str) -> bool:
    """Whether the team's projects may be about the repository; GitHub's names are the same in any case."""
    return any(fnmatchcase(repository.casefold(), pattern.casefold()) for pattern in team.repositories)


def find_team_problems(
    project: Project, name: str, team: Team, defaults: Mapping[str, Any], raw: Any
) -> Iterator[Problem]:
    """Yield what the project uses and its file may not; locations begin below the project.

    :param name: the file's, as it stands in `teams`.
    :param raw: the project as its file has it, without what it inherits.
    """
    uses = [use for use in _list_uses(project) if not is_inherited(defaults, raw, use.location)]
    for use in uses:
        if message := _find_ban(use, name, team):
            yield Problem(use.location, message)
    for index, notice in enumerate(project.notify):
        place = ("notify", index, "arguments")
        texts = [text for _, text in walk_texts(notice.arguments)]
        is_open = any(_TEMPLATE.search(text) and not _PLAIN_TEMPLATE.fullmatch(text) for text in texts)
        if is_open and not is_inherited(defaults, raw, place):
            message = (
                "a template reads all that Airflow knows, connections among it; in a team's file it may hold "
                "{{ deploy_ops.<name> }} and {{ deploy_ops.<name> | e }} alone, so move the notifier to 'defaults'"
            )
            yield Problem(place, message)


def find_reach_problems(project: Project, name: str, teams: Mapping[str, Team]) -> Iterator[Problem]:
    """Yield the connection by which previews are asked, where another team may reach more by it.

    Whether it does is not known while that team's file cannot be read. Locations begin below the project.

    :param name: of the project's own file, as it stands in `teams`; empty in the main file.
    """
    verify = project.find_verify("")
    conn_id = verify.airflow_conn_id if verify is not None else None
    for other, team in teams.items() if conn_id else ():
        if other != name and any(may_be(str(conn_id), pattern) for pattern in team.connections):
            message = (
                f"'{conn_id}' is one by which 'teams.{other}.connections' lets other projects work: whoever pushes a "
                "branch reads what its preview is asked with, so name a connection of this file alone, or of 'defaults'"
            )
            yield Problem(("previews", "verify", "airflow_conn_id"), message)


def find_claim_problems(
    project: Project, defaults: Mapping[str, Any], raw: Any, others: Iterable[Any]
) -> Iterator[Problem]:
    """Yield `template_from` where it names a target of another file's project: its values would come into this one.

    Through whatever connection, since two may lead to one workspace. A target of its own is its own; that no other
    project has it is judged elsewhere.

    :param raw: the project as its file has it, without what it inherits.
    :param others: the projects of other files, merged, valid or not.
    """
    place = ("previews", "template_from")
    name = project.template_source
    is_own = name in {each.deployment for each in project.targets.values()}
    if not name or is_own or is_inherited(defaults, raw, place):
        return
    for other in others:
        if claim := _find_claim(other, name):
            message = (
                f"'{name}' is {claim}, in another file: its settings would come into this project's repository; name a "
                "Deployment of this project, or have the main file's owner name it in 'defaults'"
            )
            yield Problem(place, message)
            return


def _find_claim(raw: Any, deployment: str) -> str:
    """Return which target of a project, valid or not, has the Deployment; empty where none has."""
    project = raw if isinstance(raw, Mapping) else {}
    targets = project.get("targets")
    for name, target in targets.items() if isinstance(targets, Mapping) else ():
        if isinstance(target, Mapping) and target.get("deployment") == deployment:
            return f"the target '{name}' of project '{project.get('name')}'"
    return ""


@dataclass(frozen=True, slots=True)
class _Use:
    """One thing that a project uses: below which key of its file's entry it must be allowed."""

    key: str
    location: Location
    value: str


def _list_uses(project: Project) -> Iterator[_Use]:
    yield _Use("repositories", ("repository",), project.repository)
    for index, repository in enumerate(project.checkout.submodules):
        yield _Use("repositories", ("checkout", "submodules", index), repository)
    yield from _list_connections(project)
    for index, notice in enumerate(project.notify):
        yield _Use("notifiers", ("notify", index, "notifier"), notice.notifier)
    for part, name, source in project.previews.environment.entries if project.previews else ():
        place = ("previews", "environment", part, name)
        if isinstance(source, ConnectionSource):
            yield _Use("sources.connections", place, source.connection)
        elif isinstance(source, VariableSource):
            yield _Use("sources.variables", place, source.variable)


def _list_connections(project: Project) -> Iterator[_Use]:
    for key in ("github_conn_id", "astro_conn_id", "registry_conn_id"):
        if (conn_id := getattr(project, key)) is not None:
            yield _Use("connections", (key,), conn_id)
    for name in ("", *project.targets):
        verify = project.find_verify(name)
        if verify is not None and verify.airflow_conn_id is not None:
            above = ("targets", name) if name else ("previews",)
            yield _Use("connections", (*above, "verify", "airflow_conn_id"), verify.airflow_conn_id)
    for index, notice in enumerate(project.notify):
        for key, text in walk_texts(notice.arguments):
            if key.endswith(_CONNECTION_KEY):
                yield _Use("connections", ("notify", index, "arguments"), text)


def _find_ban(use: _Use, name: str, team: Team) -> str:
    """Return why this may not be used; empty where it may."""
    if use.key == "repositories":
        return "" if may_use_repository(team, use.value) else _tell_ban(use, name)
    if use.key.endswith("connections"):
        try:
            check_id(use.value)
        except ValueError as error:
            return f"found '{use.value}', expected {error}"
    patterns = {
        "connections": team.connections,
        "notifiers": team.notifiers,
        "sources.connections": team.sources.connections,
        "sources.variables": team.sources.variables,
    }[use.key]
    return "" if any(fnmatchcase(use.value, pattern) for pattern in patterns) else _tell_ban(use, name)


def _tell_ban(use: _Use, name: str) -> str:
    return (
        f"'{use.value}' is none that this file may use: no pattern of 'teams.{name}.{use.key}', in the policy's main"
        " file, matches it; have it added there, or name another"
    )
