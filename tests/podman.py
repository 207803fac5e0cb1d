"""Debian's podman with a store of its own, and a look at every command line of the machine while it works."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LABEL = "io.astronomer.docker.runtime.version"
DOCKERFILE = f"FROM scratch\nLABEL {LABEL}=3.3-2\nCOPY . /usr/local/airflow/\n"
"""Builds without a network."""

_LOOK_S = 0.001


def set_up_podman(folder: Path, monkeypatch: pytest.MonkeyPatch, *registries: str) -> str:
    """Give podman an empty store below the folder, and let it speak plain HTTP to the registries; return its path."""
    path = shutil.which("podman")
    assert path is not None, "podman is missing; .ci/run says how it is installed"
    storage, plain = folder / "storage.conf", folder / "registries.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n')
    plain.write_text("".join(f'[[registry]]\nlocation = "{each}"\ninsecure = true\n' for each in registries))
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(plain))
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "CONTAINER_CONNECTION", "DOCKER_CONTEXT", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    return path


@dataclass
class Watch:
    """The command lines that were seen, arguments separated by blanks."""

    seen: set[str] = field(default_factory=set)

    def find(self, text: str) -> list[str]:
        """Return the command lines that hold the text."""
        return sorted(line for line in self.seen if text in line)

    def look(self) -> None:
        """Read the command line of every process that is there now, in any of our namespaces."""
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                self.seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))


@contextlib.contextmanager
def watch_command_lines() -> Iterator[Watch]:
    """Look at all command lines again and again while the block runs."""
    watch, is_over = Watch(), threading.Event()

    def keep_looking() -> None:
        while not is_over.wait(_LOOK_S):
            watch.look()

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
