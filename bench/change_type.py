"""The change type by trees of the API alone, as the product reads them, and by a clone.

By the API, requests and bytes grow with changed folders, not with the repository; where many change, the product goes
on by Git, whose bytes grow with the repository and count for no quota.

One repository per size in the sandbox's GitHub, ten entries a folder, one commit and one change on it: some DAGs deep
down and as many files outside. Every way starts cold and must find the same paths. Bytes are counted in both
directions by a relay in front of the sandbox, which compresses no JSON, as GitHub does.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import print_table
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.conftest import Sandbox, start_sandbox
from tests.worlds.values.large_repository import import_all, list_paths, write_commit

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.trees import FindTree

REPOSITORY = "acme/data-platform"
SIZES = (100, 10_000, 100_000)
CHANGES = (1, 10)
"""How many DAGs and how many other files change, each in a folder of its own where there are enough."""
CHUNK_BYTES = 65_536


@dataclass
class Relay:
    """Passes TCP connections on to one address, and counts what goes through, both ways together."""

    target: tuple[str, int]
    bytes_passed: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """Host and port, as in a URL."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        """Accept until the listener is shut down."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(CHUNK_BYTES):
                with self.lock:
                    self.bytes_passed += len(chunk)
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # the other side hung up, which ends both directions
            source.close()
            sink.close()


@contextmanager
def start_relay(sandbox: Sandbox) -> Iterator[Relay]:
    """Relay to the sandbox for the block."""
    host, _, port = sandbox.host.partition(":")
    relay = Relay((host, int(port)))
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.listener.shutdown(socket.SHUT_RDWR)
        relay.listener.close()
        thread.join()


@dataclass(frozen=True)
class Cost:
    """What one way took: requests to GitHub, of its API among them, bytes both ways, seconds; the paths it found."""

    requests: int
    api_requests: int
    wire_bytes: int
    seconds: float
    paths: frozenset[str]

    def show(self) -> tuple[str, str, str]:
        """Return requests, kilobytes and seconds as cells."""
        return f"{self.requests:,}", f"{self.wire_bytes / 1000:,.0f}", f"{self.seconds:.2f}"

    def show_quota(self) -> tuple[str, ...]:
        """Return the same, and behind the requests those that count for the quota."""
        requests, *others = self.show()
        return requests, f"{self.api_requests:,}", *others


@dataclass
class Bench:
    """The sandbox, the relay in front of it, and the repository that both serve."""

    sandbox: Sandbox
    relay: Relay
    git_dir: Path
    folder: Path

    @property
    def clone_url(self) -> str:
        """The address to clone from, with the sandbox's token."""
        return f"http://x:{GITHUB_TOKEN}@{self.relay.host}/github/{REPOSITORY}.git"

    def measure(self, find: Callable[[str], frozenset[str]], branch: str) -> Cost:
        """Run one way from cold, and count."""
        self.sandbox.client.delete("/sandbox/requests").raise_for_status()
        bytes_before, start_s = self.relay.bytes_passed, time.perf_counter()
        paths = find(branch)
        seconds = time.perf_counter() - start_s
        asked = self.sandbox.client.get("/sandbox/requests").raise_for_status().json()["requests"]
        of_api = [each for each in asked if "/api/v3/" in each["path"]]
        return Cost(len(asked), len(of_api), self.relay.bytes_passed - bytes_before, seconds, paths)

    def walk(
        self, branch: str, fetch_trees: Callable[[str, str, Sequence[str]], FindTree] | None = None
    ) -> frozenset[str]:
        """Find the changed paths by a new hook: two commits, then the folders that differ."""
        from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change
        from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

        target, base = (git(self.git_dir, "rev-parse", name).strip() for name in (branch, f"{branch}~1"))
        with closing(DeployOpsGithubHook("github_default", REPOSITORY, fetch_trees=fetch_trees)) as hook:
            before, after = (Snapshot(commit, hook.get_commit(commit).tree) for commit in (base, target))
            decision = classify_change(
                target=after, image_base=before, dags_base=before, rules=ChangeRules("."), read_tree=hook.read_tree
            )
        return frozenset(path.path for path in decision.paths)

    def read(self, branch: str) -> frozenset[str]:
        """Find them as the product does: where it asks for many folders, it goes on by Git."""
        from include.deploy_ops.checkout.trees import fetch_trees

        return self.walk(branch, fetch_trees)

    def clone(self, branch: str) -> frozenset[str]:
        """Find them by a bare clone of the one branch, with its two commits, and `git diff --raw`."""
        clone = self.folder / "clone.git"
        try:
            options = ("--quiet", "--bare", "--single-branch", "--branch", branch)
            git(self.folder, "clone", *options, self.clone_url, str(clone))
            lines = git(clone, "diff", "--raw", "--no-renames", f"{branch}~1", branch).splitlines()
        finally:
            shutil.rmtree(clone, ignore_errors=True)
        return frozenset(line.partition("\t")[2] for line in lines)


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints; nobody's configuration takes part."""
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True, text=True
    ).stdout


def write_repository(git_dir: Path, size: int) -> None:
    """Import one commit of `size` files, and for each of CHANGES a branch of that name with one commit more."""
    half = size // 2
    stream = [write_commit("refs/heads/base", "", list_paths(half, range(half)), seed=0)]
    for count in CHANGES:
        changed = [number * half // count for number in range(count)]
        ref = f"refs/heads/changed-{count}"
        stream.append(write_commit(ref, "from refs/heads/base\n", list_paths(half, changed), seed=1))
    import_all(git_dir, chain.from_iterable(stream))


def measure_size(bench: Bench, size: int) -> Iterator[tuple[str, ...]]:
    """Return a row for each of CHANGES."""
    write_repository(bench.git_dir, size)
    for count in CHANGES:
        branch = f"changed-{count}"
        walked = bench.measure(bench.walk, branch)
        read = bench.measure(bench.read, branch)
        whole = bench.measure(bench.clone, branch)
        if not walked.paths == read.paths == whole.paths or len(walked.paths) != 2 * count:
            raise RuntimeError(f"the three ways disagree about {branch} of {size} files")
        yield (f"{size:,}", str(2 * count), *walked.show(), *read.show_quota(), *whole.show())


def main() -> None:
    """Print the table."""
    units, quota_units = ("requests", "kB", "s"), ("requests", "of the quota", "kB", "s")
    ways = (("by the API alone", units), ("as the product reads", quota_units), ("clone and diff", units))
    columns = ["files", "changed", *(f"{way}: {unit}" for way, told in ways for unit in told)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        with start_sandbox(folder / "data") as sandbox, start_relay(sandbox) as relay:
            connection = {
                "conn_type": "github",
                "host": f"http://{relay.host}/github/api/v3",
                "password": GITHUB_TOKEN,
            }
            os.environ["AIRFLOW_CONN_GITHUB_DEFAULT"] = json.dumps(connection)
            bench = Bench(sandbox, relay, folder / "data/github/repositories" / f"{REPOSITORY}.git", folder)
            bench.walk("main")  # imports Airflow
            rows = [row for size in SIZES for row in measure_size(bench, size)]
    print_table("Change type: what it takes to know what changed", columns, rows)


if __name__ == "__main__":
    main()
