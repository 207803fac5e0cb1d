"""Fetch GitHub's own OpenAPI description, one pinned version of it, into `.cache/`: what `make contract` runs first.

It is 13 MB and not ours, so it is not committed. Where it is there already, nothing is asked of anybody.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "@octokit/openapi", "23.0.2"
# Of the package's archive, as `npm view @octokit/openapi@VERSION dist.integrity` tells it.
SHA512 = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
MEMBER = "package/generated/api.github.com.json"
PATH = Path(__file__).parents[3] / ".cache" / f"github-openapi-{VERSION}.json"


class FetchError(Exception):
    """The description cannot be had, or is not the one that was pinned."""


def fetch(path: Path = PATH) -> None:
    """Put the description at `path`, unless it is there.

    :raises FetchError: npm is missing or fails, or the archive is another than the pinned one.
    """
    if path.exists():
        return
    print(f"fetching {PACKAGE} {VERSION}")  # noqa: T201 - what `make` waits for
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        archive = download(Path(folder))
        check(archive)
        part = Path(folder) / path.name
        part.write_bytes(extract(archive))
        part.replace(path)  # whole or not at all


def download(folder: Path) -> Path:
    """Let npm put the package's archive into the folder; return it."""
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--loglevel=error", "--pack-destination", "."]
    try:
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    except FileNotFoundError:
        raise FetchError("npm is missing: install Debian's nodejs and npm") from None
    except subprocess.CalledProcessError as error:
        raise FetchError(f"`{' '.join(command)}` ended with exit code {error.returncode}; see above") from error
    (archive,) = folder.glob("*.tgz")
    return archive


def check(archive: Path) -> None:
    """Raise unless the archive is the pinned one."""
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != SHA512:
        raise FetchError(f"{PACKAGE}@{VERSION} has SHA-512 {found}, but {SHA512} is pinned in {Path(__file__).name}")


def extract(archive: Path) -> bytes:
    """Return the one file that is wanted of the archive."""
    with tarfile.open(archive) as package:
        file = package.extractfile(MEMBER)
        if file is None:
            raise FetchError(f"{PACKAGE}@{VERSION} holds {MEMBER}, but not as a file")
        return file.read()


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(f"GitHub's OpenAPI description cannot be fetched: {error}")
