"""The container engine's commands, exactly those of the real CLI and in its order."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cli.docker_api import PushError, push_image
from sandbox.cli.errors import CliError
from sandbox.cli.terminal import say

if TYPE_CHECKING:
    from sandbox.cli.config import Config

_LABEL = "io.astronomer.docker.runtime.version"
_TEMPLATE = f'{{{{ index .Config.Labels "{_LABEL}" }}}}'
_PULLED = ("FROM quay.io/astronomer", "FROM astrocrpublic.azurecr.io")
_HELP_403 = (
    "failed to push image due to authentication error (403 Forbidden).\n\n"
    "Log out of the registry to clear cached credentials, then try running 'astro deploy' again"
)


@dataclass(frozen=True)
class Engine:
    """Docker or Podman, by bare name.

    :param image: the local tag of the image that is deployed.
    """

    binary: str
    image: str

    def build(self) -> None:
        """Build the image from the Dockerfile; the engine's log is shown only if it fails."""
        pull = ["--pull"] if _is_pulled() else []
        form = ["--format", "docker"] if self.binary == "podman" else []
        arguments = ["build", *form, *pull, "-t", self.image, "-f", "Dockerfile", ".", "--platform=linux/amd64"]
        result = self._run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            say(result.stdout)
            raise CliError("an error was encountered while building the image, see the build logs for details")

    def tag(self, source: str, target: str) -> None:
        """Give an image a second name; the engine's reason for a failure is lost."""
        self._run_silently("tag", source, target)

    def remove(self, image: str) -> None:
        """Remove a tag."""
        self._run_silently("rmi", image)

    def read_version(self) -> str:
        """Return the runtime version of the image's label, empty without one.

        Any word on stderr makes the answer unreadable; that is said, and is no error.
        """
        result = self._run(["inspect", "--format", _TEMPLATE, self.image], stdout=subprocess.PIPE)
        if result.returncode or result.stderr:
            say("unable get runtime version from image")
            return ""
        return result.stdout.strip("\r\n")

    def push(self, remote: str, registry: str, token: str) -> None:
        """Push by the Docker API, else by `login` and `push`; that the first of them failed is never told.

        As the real CLI does it, the login's shell shows the token to every process of the machine.
        """
        repository, _, tag = remote.rpartition(":")
        try:
            push_image(repository, tag, registry, token)
        except PushError:
            password = token.removeprefix("Bearer ")
            login = f'echo "{password}" | {self.binary} login {registry} -u cli --password-stdin'
            self._run_shown("bash", "-c", login)
            self._run_shown(self.binary, "push", remote)

    def _run_shown(self, binary: str, *arguments: str) -> None:
        result = self._run(list(arguments), binary=binary)
        if result.returncode:
            text = f"failed to execute cmd: exit status {result.returncode}: {result.stderr}"
            lowered = text.lower()
            is_refused = any(mark in lowered for mark in ("403", "forbidden", "authentication required"))
            raise CliError(_HELP_403 if is_refused else text)

    def _run_silently(self, *arguments: str) -> None:
        command = " ".join((self.binary, *arguments))
        try:
            result = self._run(list(arguments), stdout=subprocess.PIPE)
        except CliError as error:
            raise CliError(f"command '{command}' failed: {error}") from error
        if result.returncode:
            raise CliError(f"command '{command}' failed: failed to execute cmd: exit status {result.returncode}")

    def _run(
        self,
        arguments: list[str],
        *,
        binary: str = "",
        stdout: int | None = None,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[str]:
        binary = binary or self.binary
        found = shutil.which(binary)
        if found is None:
            missing = f'exec: "{binary}": executable file not found in $PATH'
            raise CliError(f"failed to find the {binary} command: {missing}")
        try:
            return subprocess.run([binary, *arguments], stdout=stdout, stderr=stderr, text=True, check=False)
        except OSError as error:  # a script whose interpreter is missing
            raise CliError(
                f"failed to execute cmd: fork/exec {found}: {os.strerror(error.errno or 0).lower()}"
            ) from error


def find_engine(config: Config, namespace: str) -> Engine:
    """Return the configured engine, else the first of docker and podman that any folder in PATH holds.

    :raises CliError: if there is none.
    """
    configured = config.setting("container.binary")
    if configured in {"docker", "podman"}:
        return Engine(configured, f"{namespace}/airflow:latest")
    for binary in ("docker", "podman"):
        if any(Path(folder, binary).is_file() for folder in os.environ.get("PATH", "").split(os.pathsep)):
            return Engine(binary, f"{namespace}/airflow:latest")
    raise CliError(
        "Failed to find a container runtime. See the Astro CLI prerequisites for more information. "
        "https://www.astronomer.io/docs/astro/cli/install-cli"
    )


def list_base_images() -> list[str]:
    """Return the images of the Dockerfile's FROM lines.

    :raises CliError: if there is no Dockerfile.
    """
    try:
        lines = Path("Dockerfile").read_text().splitlines()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CliError(f"reading dockerfile: opening file: open Dockerfile: {reason}") from error
    return [line.removeprefix("FROM ").split()[0] for line in lines if line.startswith("FROM ")]


def _is_pulled() -> bool:
    return all(f"FROM {image}".startswith(_PULLED) for image in list_base_images())
