"""Make the seed repository: the files of sandbox/seed as a short history, the same commits every time."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.github.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = Path(__file__).parent.parent / "seed"
DEFAULT_BRANCH = "main"
BRANCHES = ("staging", "astro_deploy")  # besides the default one, at the same commit
_CONFIGURATION = """\
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	# As GitHub: "deny updating a hidden ref".
	hideRefs = refs/pull
	# What a force push leaves behind can be fetched by id, as on GitHub.
	autogc = false
[gc]
	auto = 0
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One commit of the seed's history: who, when (ISO 8601, UTC), why, and which files, by the start of their path."""

    login: str
    name: str
    at: str
    message: str
    starts: tuple[str, ...]


CHAPTERS = (
    Chapter(
        "mira",
        "Mira Okafor",
        "2026-01-05T08:30:00+00:00",
        "Start the Astro project\n\nRuntime 3.3-2, Celery, DAG deploys on.",
        (".astro/", ".airflowignore", ".dockerignore", "Dockerfile", "packages.txt", "requirements.txt", "README.md"),
    ),
    Chapter(
        "jonas",
        "Jonas Weber",
        "2026-01-12T13:05:00+00:00",
        "Load orders every hour",
        ("include/", "plugins/", "dags/orders/"),
    ),
    Chapter("mira", "Mira Okafor", "2026-02-03T09:40:00+00:00", "Report revenue daily and check freshness", ("dags/",)),
    Chapter("jonas", "Jonas Weber", "2026-02-16T15:20:00+00:00", "Test that the DAGs import, describe previews", ("",)),
)


def seed_repository(git: Git) -> None:
    """Make the bare repository at `git.git_dir`, which must not exist, with every branch at the same commit."""
    for name, content in _read_seeded().items():
        path = git.git_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("refs/tags", "objects/pack", "objects/info"):  # Git takes no folder for a repository without some
        (git.git_dir / name).mkdir(parents=True, exist_ok=True)


@functools.cache
def _read_seeded() -> dict[str, bytes]:
    """Let Git make the repository once in a process, and return its files: a reset need not ask it again."""
    with tempfile.TemporaryDirectory() as folder:
        git = Git(Path(folder) / "seed.git")
        git.git_dir.mkdir()
        git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={DEFAULT_BRANCH}")
        with (git.git_dir / "config").open("a") as file:
            file.write(_CONFIGURATION)
        git.run("fast-import", "--quiet", stdin=b"".join(_write_history()))
        files = (path for path in git.git_dir.rglob("*") if path.is_file())
        return {path.relative_to(git.git_dir).as_posix(): path.read_bytes() for path in files}


def _write_history() -> Iterator[bytes]:
    """Write the chapters as a stream for `git fast-import`; each takes the files that none before it took."""
    left = sorted(path.relative_to(SEED).as_posix() for path in SEED.rglob("*") if path.is_file() and _is_ours(path))
    for chapter in CHAPTERS:
        taken = [path for path in left if path.startswith(chapter.starts)]
        left = [path for path in left if path not in taken]
        yield from _write_chapter(chapter, taken)
    for branch in BRANCHES:
        yield f"reset refs/heads/{branch}\nfrom refs/heads/{DEFAULT_BRANCH}\n".encode()


def _is_ours(path: Path) -> bool:
    return "__pycache__" not in path.parts  # left behind where somebody imported the seed's DAGs


def _write_chapter(chapter: Chapter, paths: list[str]) -> Iterator[bytes]:
    at = int(datetime.fromisoformat(chapter.at).timestamp())
    person = f"{chapter.name} <{chapter.login}@acme.example> {at} +0000"
    yield f"commit refs/heads/{DEFAULT_BRANCH}\nauthor {person}\ncommitter {person}\n".encode()
    yield _write_data(chapter.message.encode())
    for path in paths:
        mode = "100755" if os.access(SEED / path, os.X_OK) else "100644"
        yield f"M {mode} inline {path}\n".encode()
        yield _write_data((SEED / path).read_bytes())


def _write_data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
