"""Refuses to deploy a project that would turn the Astro CLI's settings, or deploy no DAGs; changes nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = ".astro/config.yaml"
# Sections by which a project's file overrides the settings that the CLI is given for a call. Source: the CLI's
# config/types.go; its reader takes nested and dotted keys, in any case.
_REFUSED = frozenset(
    {"cloud", "local", "container", "deploy", "verbosity", "show_warnings", "skip_parse", "cosmos_boost"}
)


def refuse_project_settings(project: Path) -> None:
    """Raise PermanentError if the project's `.astro/config.yaml` is missing, unreadable or turns the CLI's settings."""
    for key, value in _read_config(project).items():
        if str(key).partition(".")[0].strip().lower() in _REFUSED:
            raise PermanentError(
                f"{_CONFIG}: '{_name_key(str(key), value)}' would change how the deploy is made; remove it from the"
                " branch (keys below `project` are fine)"
            )


def refuse_empty_dags(project: Path) -> None:
    """Raise PermanentError unless there is a Python file below `dags/`: deploying none would remove every DAG."""
    dags = project / "dags"
    if not any(path.is_file() for path in dags.rglob("*.py")):
        raise PermanentError(
            "dags/ holds no Python file, and deploying it would remove every DAG of the Deployment; add one, or delete"
            " the branch if that is what is wanted"
        )


def _read_config(project: Path) -> dict[Any, Any]:
    path = project / _CONFIG
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise PermanentError(
            f"{_CONFIG} is missing; the project's root is no Astro project, see `astro dev init`"
        ) from None
    except (OSError, RuntimeError) as error:  # a circle of links is the one or the other, by Python's version
        raise PermanentError(f"{_CONFIG} cannot be followed: {error}; make it a file") from error
    if not real.is_relative_to(project.resolve()):
        raise PermanentError(f"{_CONFIG} is a link that leaves the project; make it a file")
    return _parse(real)


def _parse(path: Path) -> dict[Any, Any]:
    try:
        config = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise PermanentError(f"{_CONFIG} cannot be read: {error}; correct it on the branch") from error
    if config is not None and not isinstance(config, dict):
        raise PermanentError(
            f"{_CONFIG} holds {type(config).__name__} where keys are expected; correct it on the branch"
        )
    return config or {}


def _name_key(key: str, value: object) -> str:
    """Return the dotted name of the first setting below a section."""
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        key = f"{key}.{name}"
    return key
