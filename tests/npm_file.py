"""One file out of one pinned version of an npm package, kept in `.cache/`: tests need it, nobody commits it.

Where it is there already, nothing is asked of anybody.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"


class FetchError(Exception):
    """The file cannot be had, or its package is not the one that was pinned."""


@dataclass(frozen=True, slots=True)
class NpmFile:
    """One file of a package.

    :param sha512: of the package's archive, as `npm view PACKAGE@VERSION dist.integrity` tells it.
    :param member: its path in the archive.
    :param name: what it is called in the cache; with the version, so that another one is another file.
    """

    package: str
    version: str
    sha512: str
    member: str
    name: str

    @property
    def path(self) -> Path:
        """Where it is, once it was fetched."""
        return CACHE / self.name

    def fetch(self, path: Path | None = None) -> None:
        """Put the file at `path`, by default into the cache, unless it is there.

        :raises FetchError: npm is missing or fails, or the archive is another than the pinned one.
        """
        target = path or self.path
        if target.exists():
            return
        print(f"fetching {self.package} {self.version}")  # noqa: T201 - what `make` waits for
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            archive = self._download(Path(folder))
            self._check(archive)
            part = Path(folder) / target.name
            part.write_bytes(self._extract(archive))
            part.replace(target)  # whole or not at all

    def fetch_or_exit(self) -> None:
        """Put the file into the cache; what stands in the way ends the process with one line."""
        try:
            self.fetch()
        except FetchError as error:
            sys.exit(f"{self.package} {self.version} cannot be fetched: {error}")

    def _download(self, folder: Path) -> Path:
        """Let npm put the package's archive into the folder; return it."""
        wanted = f"{self.package}@{self.version}"
        command = ["npm", "pack", wanted, "--ignore-scripts", "--loglevel=error", "--pack-destination", "."]
        try:
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        except FileNotFoundError:
            raise FetchError("npm is missing: install Debian's nodejs and npm") from None
        except subprocess.CalledProcessError as error:
            raise FetchError(f"`{' '.join(command)}` ended with exit code {error.returncode}; see above") from error
        (archive,) = folder.glob("*.tgz")
        return archive

    def _check(self, archive: Path) -> None:
        """Raise unless the archive is the pinned one."""
        with archive.open("rb") as file:
            found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
        if found != self.sha512:
            raise FetchError(f"{self.package}@{self.version} has SHA-512 {found}, but {self.sha512} is pinned")

    def _extract(self, archive: Path) -> bytes:
        """Return the one file that is wanted of the archive."""
        with tarfile.open(archive) as package:
            file = package.extractfile(self.member)
            if file is None:
                raise FetchError(f"{self.package}@{self.version} holds {self.member}, but not as a file")
            return file.read()
