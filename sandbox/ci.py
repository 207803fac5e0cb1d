"""The CI of the repositories: some time after a push it puts the commit's image into the registry, or fails to.

It runs no tests and builds no Dockerfile: an image's one layer is the project as committed, without its DAGs.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sandbox.identity import OWNER, REPOSITORY, RUNTIME_LABEL, RUNTIME_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.github import Push
    from sandbox.registry import Registry
    from sandbox.settings import Settings

_IMAGE = f"{OWNER}/{REPOSITORY}"
_HOME = "usr/local/airflow/"  # where an Astro image keeps the project
_NO_COMMIT = "0" * 40
Content = tuple[bytes, dict[str, str]]
"""An image's layer and labels."""
_FROM = re.compile(rb"^FROM\s+(?:--\S+\s+)*\S+?:(\d[\w.+-]*)(?![\w.+/-])", re.IGNORECASE | re.MULTILINE)
_GIT_LIMIT_S = 60


@dataclass(eq=False)  # two builds of one commit are two
class Build:
    """One push's build; `reason` says why it failed."""

    repository: str
    sha: str
    branch: str
    state: Literal["queued", "done", "failed"] = "queued"
    reason: str | None = None


class CI:
    """Builds the image `acme/data-platform:<sha>` of every pushed branch head, whichever repository it is of.

    :param git_dir: gives a repository's bare Git directory by its name, `owner/name`.
    """

    def __init__(self, settings: Settings, git_dir: Callable[[str], Path], registry: Registry) -> None:
        self._settings = settings
        self._git_dir = git_dir
        self._registry = registry
        self._loop: asyncio.AbstractEventLoop | None = None
        self._builds: list[Build] = []
        self._seeded: dict[str, Content] = {}

    def start(self) -> None:
        """Accept pushes from now on; called on the server's event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Accept no more pushes; what still waits is never built."""
        self._loop = None
        self._builds.clear()

    def reset(self) -> None:
        """Forget all builds."""
        self._builds.clear()

    def build_heads(self, repository: str) -> None:
        """Build the heads that a seeded repository has, as if that was long ago."""
        heads = self._git(repository, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/")
        for line in heads.splitlines():
            sha, _, branch = line.decode().partition(" ")
            if sha not in self._seeded:
                self._seeded[sha] = self._read(repository, sha)
            self._builds.append(Build(repository, sha, branch))
            self._finish(self._builds[-1])

    def queue_build(self, push: Push) -> None:
        """Build a branch's new head after `ci_delay_s`; a deletion builds nothing. From any thread."""
        if self._loop is None or push.after == _NO_COMMIT:
            return
        build = Build(push.repository, push.after, push.branch)
        self._builds.append(build)
        self._loop.call_soon_threadsafe(self._start_timer, build)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the builds, oldest first."""
        return [asdict(build) for build in self._builds]

    def _start_timer(self, build: Build) -> None:
        asyncio.get_running_loop().call_later(self._settings.ci_delay_s, self._finish, build)

    def _finish(self, build: Build) -> None:
        if build not in self._builds:  # stopped or reset since
            return
        build.state, build.reason = "failed", "settings.ci_fails is on"
        if self._settings.ci_fails:
            return
        try:
            self.put_image(build.repository, build.sha, (_IMAGE, build.sha))
        except subprocess.SubprocessError as error:
            build.reason = f"{error} {(getattr(error, 'stderr', None) or b'').decode(errors='replace')}".strip()
        else:
            build.state, build.reason = "done", None

    def put_image(self, repository: str, sha: str, *places: tuple[str, str]) -> None:
        """Build a commit's image, the same every time, and put it where there is none.

        :param places: each a repository of the registry and a tag.
        :raises subprocess.SubprocessError: Git failed.
        """
        empty = [place for place in places if not self._registry.has_image(*place)]
        if not empty:
            return
        layer, labels = self._seeded.get(sha) or self._read(repository, sha)
        for place in empty:
            self._registry.put_image(*place, [layer], labels)

    def _read(self, repository: str, sha: str) -> Content:
        layer = self._git(repository, "archive", "--format=tar", f"--prefix={_HOME}", sha, "--", ".", ":(exclude)dags")
        return layer, {RUNTIME_LABEL: self._read_runtime(repository, sha), "org.opencontainers.image.revision": sha}

    def _read_runtime(self, repository: str, sha: str) -> str:
        """Return the runtime version in the tag of the last FROM that has one; `-base` names the same version."""
        if not self._git(repository, "ls-tree", sha, "--", "Dockerfile"):
            return RUNTIME_VERSION
        tags: list[bytes] = _FROM.findall(self._git(repository, "cat-file", "blob", f"{sha}:Dockerfile"))
        return tags[-1].decode().removesuffix("-base") if tags else RUNTIME_VERSION

    def _git(self, repository: str, *arguments: str) -> bytes:
        command = ["git", f"--git-dir={self._git_dir(repository)}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, timeout=_GIT_LIMIT_S).stdout
