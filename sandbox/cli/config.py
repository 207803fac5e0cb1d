"""The CLI's configuration: `$ASTRO_HOME/.astro/config.yaml`, and the project's own over it. It calls nobody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from sandbox.cli.errors import CliError

DOMAIN = "localhost"
_DEFAULTS = {
    "local.core": "http://localhost:8888",
    "local.registry": "localhost:5555",
    "show_warnings": "true",
    "skip_parse": "false",
    "deploy.git_metadata": "true",
    "container.binary": "",
}


class Config:
    """Settings and the context `localhost`. Keys are case-insensitive, values are texts.

    :param home: the folder that holds `.astro/config.yaml`; contexts and tokens come from there alone.
    :param project: the folder whose `.astro/config.yaml` overrides settings.
    :raises CliError: if a file cannot be read, or the current context is not the sandbox's.
    """

    def __init__(self, home: Path, project: Path) -> None:
        self.home = home
        self._path = home / ".astro" / "config.yaml"
        self._data = _read(self._path)
        self._project = _read(project / ".astro" / "config.yaml") if project != home else {}
        domain = os.environ.get("ASTRO_DOMAIN") or _find(self._data, "context")
        if domain != DOMAIN:
            raise CliError(
                f"the stand-in knows the context {DOMAIN} only, not {domain!r} of {self._path} or ASTRO_DOMAIN"
            )

    def setting(self, key: str) -> str:
        """Return a setting by its dotted key: the project's, else the home's, else the default."""
        for data in (self._project, self._data):
            value = _find(data, key)
            if value is not None:
                return _as_text(value)
        return _DEFAULTS[key]

    def is_on(self, key: str) -> bool:
        """Return whether a setting is true."""
        return self.setting(key).lower() in {"true", "1", "yes"}

    def context(self, key: str) -> str:
        """Return a value of the context, empty when it has none."""
        value = _find(self._data, f"contexts.{DOMAIN}.{key}")
        return "" if value is None else _as_text(value)

    def save_context(self, values: dict[str, str]) -> None:
        """Write values of the context; the token among them stays in clear text, as with the real CLI."""
        self._data.setdefault("contexts", {}).setdefault(DOMAIN, {}).update(values)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(self._data, file)


def load_config() -> Config:
    """Return the configuration of this process."""
    home = os.environ.get("ASTRO_HOME")
    return Config(Path(home) if home else Path.home(), Path.cwd())


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise CliError(f"cannot read {path}: {error}") from error
    return _lower(data) if isinstance(data, dict) else {}


def _lower(data: dict[Any, Any]) -> dict[str, Any]:
    return {str(key).lower(): _lower(value) if isinstance(value, dict) else value for key, value in data.items()}


def _find(data: dict[str, Any], key: str) -> Any:
    value: Any = data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
