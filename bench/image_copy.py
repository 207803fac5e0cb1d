"""Copying an image from registry to registry, as the deploy step does: what it takes, and what is moved and held.

Each copy is a process of its own, and so is each registry, the sandbox's. The layer is pseudo-random, so that nobody
can compress it, and is never whole in any memory.
"""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.table import print_table
from include.deploy_ops.hooks.registry.registry import RegistryHook
from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox, start_sandbox

MB = 1_000_000
SIZES = {"1 MB": MB, "100 MB": 100 * MB, "1 GB": 1000 * MB}
ROUNDS = 3
SOURCE = "acme/bench"
_PIECE_BYTES = 1 << 20
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Copied(NamedTuple):
    """One copy; `peak_bytes` is by how much the process grew while it copied."""

    seconds: float
    bytes_copied: int
    bytes_mounted: int
    peak_bytes: int


def main() -> None:
    """Print the table: the median of the seconds and the worst memory of some rounds."""
    columns = ("image", "copy", "seconds", "moved through us", "mounted", "memory grew by")
    with TemporaryDirectory() as folder:
        rows = (row for name, size in SIZES.items() for row in measure_size(Path(folder), name, size))
        print_table(f"Copying an image between two registries on this machine, median of {ROUNDS}", columns, rows)


def measure_size(folder: Path, name: str, size: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each way in which an image of one size can come."""
    with start_sandbox(folder / "ci") as ci, start_sandbox(folder / "astro") as astro:
        put_image(ci, size)
        put_image(astro, size)
        ways: dict[str, list[Copied]] = {"new": [], "repeated": [], "mounted": []}
        for number in range(ROUNDS):
            target = f"{astro.host}/astro/bench-{number}/airflow"
            ways["new"].append(copy_apart(f"{ci.host}/{SOURCE}:v1", f"{target}:one"))
            ways["repeated"].append(copy_apart(f"{ci.host}/{SOURCE}:v1", f"{target}:two"))
            mounted = f"{astro.host}/astro/mounted-{number}/airflow:one"
            ways["mounted"].append(copy_apart(f"{astro.host}/{SOURCE}:v1", mounted))
    for way, rounds in ways.items():
        yield (
            name,
            way,
            f"{statistics.median(one.seconds for one in rounds):.2f}",
            show_mb(max(one.bytes_copied for one in rounds)),
            show_mb(min(one.bytes_mounted for one in rounds)),
            show_mb(max(one.peak_bytes for one in rounds)),
        )


def copy_apart(source: str, target: str) -> Copied:
    """Copy in a fresh process; the login goes there through a pipe, not on a command line."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(copy, (source, target, ASTRO_LOGIN))


def copy(source: str, target: str, login: tuple[str, str]) -> Copied:
    """Copy in this process and measure it."""
    hook = RegistryHook(None)
    # Not `getrusage`: its peak begins with what the parent held before this program was loaded.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, started = read_memory("VmRSS"), time.perf_counter()
    report = hook.copy_image(source, target, *login)
    seconds = time.perf_counter() - started
    return Copied(seconds, report.bytes_copied, report.bytes_mounted, read_memory("VmHWM") - before)


def read_memory(field: str) -> int:
    """Return one of this process's sizes, in bytes: https://docs.kernel.org/filesystems/proc.html."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{field}:")[2].split()[0]) << 10


def put_image(sandbox: Sandbox, size: int) -> None:
    """Store an image whose one layer has that many bytes."""
    config = put_blob(sandbox, iter([b'{"architecture": "amd64", "os": "linux"}']))
    layer = put_blob(sandbox, make_noise(size))
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": [layer]}
    answer = sandbox.client.put(
        f"/v2/{SOURCE}/manifests/v1",
        content=json.dumps(manifest),
        headers=authorize(sandbox) | {"Content-Type": _MANIFEST_TYPE},
    )
    answer.raise_for_status()


def put_blob(sandbox: Sandbox, pieces: Iterator[bytes]) -> dict[str, Any]:
    """Store a blob piece by piece and return its descriptor."""
    digest, size, headers = hashlib.sha256(), 0, authorize(sandbox)

    def pass_on() -> Iterator[bytes]:
        nonlocal size
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            yield piece

    location = sandbox.client.post(f"/v2/{SOURCE}/blobs/uploads/", headers=headers).headers["location"]
    sandbox.client.patch(location, content=pass_on(), headers=headers).raise_for_status()
    name = f"sha256:{digest.hexdigest()}"
    sandbox.client.put(location, params={"digest": name}, headers=headers).raise_for_status()
    return {"mediaType": "application/octet-stream", "digest": name, "size": size}


def make_noise(size: int) -> Iterator[bytes]:
    """Yield that many bytes, the same ones each time."""
    source = random.Random(size)  # noqa: S311 - nothing is to be kept secret
    for start in range(0, size, _PIECE_BYTES):
        yield source.randbytes(min(_PIECE_BYTES, size - start))


def authorize(sandbox: Sandbox) -> dict[str, str]:
    """Return the header by which the CI pushes."""
    return {"Authorization": f"Bearer {sandbox.get_token(f'repository:{SOURCE}:pull,push', login=CI_LOGIN)}"}


def show_mb(count: int) -> str:
    """Return bytes as a person reads them."""
    return f"{count / MB:.1f} MB"


if __name__ == "__main__":
    main()
