"""Find Docker or Podman on this worker, and ask it for a sign of life. It builds nothing and pushes nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.process.command import Command, build_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("docker", "podman")
"""In the order of the Astro CLI, which takes the first that any folder in PATH holds."""

_TIMEOUT_S = 60.0  # an engine on another machine may have to be reached by SSH
_SIGNS_OF_LIFE = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),  # `version` does not look at the storage
}
_HOST_NAMES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}


class EngineMissingError(RetryableError):
    """No container engine answers on this worker; the text says of each what it lacks."""


@dataclass(frozen=True, slots=True)
class InstalledEngine:
    """A container engine that answered.

    `name` is docker or podman, `path` its executable, `host` the address of an engine elsewhere, empty for one here;
    `environment` is what it needs beyond ours, and holds no secret.
    """

    name: str
    path: str
    version: str
    host: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" at {self.host}" if self.host else "")


def find_engine() -> InstalledEngine:
    """Return the first engine that answers.

    :raises EngineMissingError: none does; with the reason of each that is installed.
    """
    reasons = []
    for name in NAMES:
        if (path := shutil.which(name)) is None:
            continue
        try:
            return _ask(name, path)
        except RetryableError as error:
            reasons.append(f"{name}: {error}")
    raise EngineMissingError("; ".join(reasons) or "no docker or podman on this worker's PATH")


def _ask(name: str, path: str) -> InstalledEngine:
    environment = _choose_environment(name)
    host = {**os.environ, **environment}.get(_HOST_NAMES[name], "")
    result = Command([path, *_SIGNS_OF_LIFE[name]], cwd=Path.cwd(), env=environment, timeout_s=_TIMEOUT_S).run()
    version = result.stdout.strip()
    if result.exit_code or not version:
        said = result.stderr.strip().splitlines()[-1:] or [f"exit code {result.exit_code}"]
        raise RetryableError(f"{path}{f' at {host}' if host else ''} does not answer ({said[0].rstrip('.')})")
    return InstalledEngine(name, path, version, host, environment)


def _choose_environment(name: str) -> dict[str, str]:
    """Let Podman, too, find the engine that DOCKER_HOST names: by itself it looks at CONTAINER_HOST alone."""
    known = build_environment({})
    if name == "podman" and known.get("DOCKER_HOST") and not known.get("CONTAINER_HOST"):
        return {"CONTAINER_HOST": known["DOCKER_HOST"]}
    return {}
