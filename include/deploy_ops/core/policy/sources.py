"""What a policy may map from the management Airflow: named by `sources`, and never what we work with ourselves."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.environment.mapping import name_key
from include.deploy_ops.core.environment.sources import ConnectionSource, Source, VariableSource
from include.deploy_ops.core.text.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.deploy_ops.core.policy.keys import Environment, Project, Sources, Team

_OWN_KEY = "conn_id"
_DEFAULT = "_default"
_ALWAYS_OWN = frozenset({"github_default", "astro_default"})


def list_own_connections(raw_projects: Iterable[Any]) -> frozenset[str]:
    """Return the connections that serve the control plane, folded, also those of projects that are wrong.

    Of a notifier every argument counts: how it calls its connection is its own affair.
    """
    found = set(_ALWAYS_OWN)
    for raw in raw_projects:
        project = raw if isinstance(raw, dict) else {}
        found.update(each for key, each in walk_texts(_leave_out_mapping(project)) if key.endswith(_OWN_KEY))
        notices = project.get("notify")
        for notice in notices if isinstance(notices, list) else ():
            found.update(each for _, each in walk_texts(notice.get("arguments") if isinstance(notice, dict) else None))
    return frozenset(map(fold_id, found))


def fold_id(conn_id: str) -> str:
    """Return a connection's id as the most forgiving place finds it: in any case, and where `_` is written `-`."""
    return conn_id.upper().casefold().replace("-", "_")


def _leave_out_mapping(project: dict[Any, Any]) -> dict[Any, Any]:
    """Return a project without what it maps, which is for previews, whatever it is called there."""
    previews = project.get("previews")
    if not isinstance(previews, dict):
        return project
    return project | {"previews": {key: below for key, below in previews.items() if key != "environment"}}


def walk_texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document, with the nearest key above it."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from walk_texts(below, str(name))
    elif isinstance(value, list):
        for below in value:
            yield from walk_texts(below, key)
    elif isinstance(value, str):
        yield key, value


def find_environment_problems(environment: Environment) -> Iterator[Problem]:
    """Yield what clashes within a mapping; locations begin below it.

    In any case of its letters an id gives one environment variable.
    """
    seen: dict[str, str] = {}
    for part, name, _ in environment.entries:
        key, where = name_key(part, name), f"{part}.{name}"
        first = seen.setdefault(key.upper(), where)
        if first != where:
            yield Problem((part, name), f"it is the environment variable {key}, as '{first}' is; remove one")


def find_source_problems(
    project: Project, sources: Sources, own: frozenset[str], teams: Mapping[str, Team]
) -> Iterator[Problem]:
    """Yield what the project maps and may not; locations begin below the project.

    :param own: what `list_own_connections` returned.
    :param teams: whose connections count as own, too: a file that cannot be read may name each of them.
    """
    if project.previews is None:
        return
    for part, name, source in project.previews.environment.entries:
        if message := _find_ban(source, sources, own, teams):
            yield Problem(("previews", "environment", part, name), message)


def _find_ban(source: Source, sources: Sources, own: frozenset[str], teams: Mapping[str, Team]) -> str:
    """Return why this may not be mapped; empty where it may."""
    if isinstance(source, ConnectionSource):
        name = source.connection
        for team, given in teams.items():
            if any(may_be(name, pattern) for pattern in given.connections):
                return (
                    f"connection '{name}' is one by which 'teams.{team}.connections' lets the control plane work, and"
                    " no preview gets it; name another, or narrow the pattern"
                )
        if fold_id(name) in own:
            return f"connection '{name}' serves the control plane itself, and no preview gets it; name another"
        if fold_id(name).endswith(_DEFAULT):
            return f"connection '{name}' is what hooks and notifiers take where nobody names one; make one for previews"
        return "" if _is_allowed(name, sources.connections) else _tell_missing("connection", name)
    if isinstance(source, VariableSource) and not _is_allowed(source.variable, sources.variables):
        return _tell_missing("variable", source.variable)
    return ""


def may_be(name: str, pattern: str) -> bool:
    """Whether the pattern allows the id, or another one that is found in its place."""
    folds = str.casefold, fold_id  # by itself fold_id spoils a range such as [a-z]
    return any(fnmatchcase(fold(name), fold(pattern)) for fold in folds)


def _is_allowed(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _tell_missing(kind: str, name: str) -> str:
    return f"no pattern of 'sources.{kind}s', at the file's top, matches the {kind} '{name}'; add one, or name another"
