"""Run Debian's skopeo, the outsider's client, with settings of its own and no password on its command line."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_LIMIT_S = 60


class Skopeo:
    """Skopeo in a folder of its own, where nothing of the machine's own logins and settings counts.

    :param hosts: registries on this machine, which speak plain HTTP.
    """

    def __init__(self, folder: Path, *hosts: str) -> None:
        found = shutil.which("skopeo")
        if found is None:
            pytest.fail("skopeo is not installed: apt-get install skopeo (Debian)")
        self._secrets: set[str] = set()
        self._auths: dict[str, dict[str, str]] = {}
        self._authfile, registries = folder / "auth.json", folder / "registries.conf"
        folder.mkdir()
        registries.write_text("".join(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in hosts))
        self._command = [found, "--insecure-policy", "--registries-conf", str(registries)]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "REGISTRY_AUTH_FILE": str(self._authfile),
        }
        self._write_logins()

    def log_in(self, host: str, login: tuple[str, str]) -> None:
        """Give a login by the file that skopeo reads, as CI systems do."""
        self._secrets.add(login[1])
        self._auths[host] = {"auth": base64.b64encode(":".join(login).encode()).decode()}
        self._write_logins()

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        assert not [text for text in arguments for secret in self._secrets if secret in text], "a password in argv"
        return subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )

    def copy(self, source: str, target: str) -> None:
        """Copy an image, or all images of an index, or fail when a digest would change."""
        self._succeed("copy", "--all", "--preserve-digests", source, target)

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what skopeo tells of an image."""
        told: dict[str, Any] = json.loads(self._succeed("inspect", image))
        return told

    def list_tags(self, repository: str) -> list[str]:
        """Return a repository's tags."""
        tags: list[str] = json.loads(self._succeed("list-tags", repository))["Tags"]
        return tags

    def delete(self, image: str) -> None:
        """Delete an image's manifest."""
        self._succeed("delete", image)

    def fail(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that must be refused, and return what skopeo says of it."""
        run = self.run(*arguments, stdin=stdin)
        assert run.returncode != 0, f"skopeo {arguments[0]} was not refused: {run.stdout}"
        return run.stderr

    def _succeed(self, *arguments: str) -> str:
        run = self.run(*arguments)
        assert run.returncode == 0, f"skopeo {arguments[0]}: {run.stderr}"
        return run.stdout

    def _write_logins(self) -> None:
        self._authfile.touch(mode=0o600)
        self._authfile.write_text(json.dumps({"auths": self._auths}))
