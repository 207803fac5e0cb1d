"""A preview's first deploy by where its image comes from: seconds of the steps that differ, and bytes that move.

GitHub, Astro and its registry are one sandbox, the CI's registry another. The steps are `image` and `deploy`; all else
is the same for every source. The image is one layer of noise below the project's files, and so is the base of a build.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bench.image_copy import SIZES, SOURCE, authorize, make_noise, put_blob, show_mb
from bench.table import print_table
from demo.author import Author
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.registry.registry import RegistryHook
from sandbox.identity import GITHUB_TOKEN, RUNTIME_LABEL, RUNTIME_VERSION
from tests.podman import set_up_podman
from tests.sandbox.conftest import ASTRO_LOGIN, Sandbox, start_sandbox
from tests.worlds.stages.fixtures import set_stage
from tests.worlds.stages.stage import Stage

COLUMNS = ("image", "source", "seconds", "out of registries", "into Astro's registry", "engine")
_BASE_TAG = "base"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Bench:
    """The stage, and the CI's registry beside it."""

    stage: Stage
    ci: Sandbox
    size: int

    def measure(self, name: str, branch: str, source: str, dockerfile: str = "") -> tuple[str, ...]:
        """Deploy a new branch for the first time; return the table's row."""
        stage = self.stage
        stage.change_project(image=(source,), previews={"build": source == "build"})
        head = push(stage, branch, dockerfile)
        if "{sha}" in source:
            put_image(self.ci, head, self.size)
        with contextlib.redirect_stdout(io.StringIO()):  # what the tasks log
            run = stage.start_planned(Verb.DEPLOY, branch, head, stage.make_deployment(branch))
        run.xcoms["change_type"] = {"return_value": {"change_type": "image-and-dags", "commit": head, "observed": ""}}
        for sandbox in (stage.sandbox, self.ci):
            sandbox.client.delete("/sandbox/requests").raise_for_status()
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            found = run.step("image")
            run.step("deploy")
        seconds = time.perf_counter() - started
        pulled = count(self.ci, "sent") + count(stage.sandbox, "sent")
        pushed = count(stage.sandbox, "received")
        return name, f"{seconds:.1f}", show_mb(pulled), show_mb(pushed), found.get("engine", "none")


def main() -> None:
    """Print the table, a row for each size and source."""
    rows = (row for name, size in SIZES.items() for row in measure_size(name, size))
    print_table("A preview's first deploy, one of each: the steps `image` and `deploy`", COLUMNS, rows)


def measure_size(name: str, size: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each source of an image of one size."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        root = Path(folder)
        with start_sandbox(root / "world") as world, start_sandbox(root / "ci") as ci:
            bench = Bench(make_stage(root, world, monkeypatch), ci, size)
            podman = root / "podman"
            podman.mkdir()
            set_up_podman(podman, monkeypatch, world.host, ci.host)
            deploy_source(bench)
            put_image(ci, _BASE_TAG, size)
            build = f"FROM {ci.host}/{SOURCE}:{_BASE_TAG}\nCOPY . /usr/local/airflow/\n"
            for row in (
                bench.measure("reuse", "dev-reuse", "reuse"),
                bench.measure("the CI's, copied", "dev-ci", f"{ci.host}/{SOURCE}:{{sha}}"),
                bench.measure("build, base image pulled", "dev-cold", "build", build),
                bench.measure("build, base image and layers there", "dev-warm", "build", build),
            ):
                yield (name, *row)


def make_stage(root: Path, world: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a project on the sandbox, whose own CI builds nothing."""
    author = Author(root / "author", world.url, GITHUB_TOKEN)
    author.folder.mkdir()
    author.clone()
    stage = set_stage(world, author, monkeypatch)
    world.client.post("/sandbox/settings", json={"ci_fails": True}).raise_for_status()
    return stage


def push(stage: Stage, branch: str, dockerfile: str) -> str:
    """Push a branch that differs from trunk in a DAG, and for a build in the Dockerfile; return its head."""
    stage.author.start_branch(branch)
    if dockerfile:
        stage.author.folder.joinpath("Dockerfile").write_text(dockerfile)
    return stage.push_more(branch, {f"dags/{branch.replace('-', '_')}.py": "# fresh\n"})


def deploy_source(bench: Bench) -> None:
    """Let a preview run trunk's image, as somebody's deploy would."""
    stage = bench.stage
    deployment_id = stage.make_deployment("dev-source")
    commit = stage.author.git("rev-parse", "origin/main")
    put_image(bench.ci, commit, bench.size)
    path = f"deployments/{deployment_id}/deploys"
    git = {"provider": "GITHUB", "commitSha": commit}
    deploy = stage.ask_astro("POST", path, {"type": "IMAGE_AND_DAG", "git": git})
    target = f"{deploy['imageRepository']}:{deploy['imageTag']}"
    RegistryHook(None).copy_image(f"{bench.ci.host}/{SOURCE}:{commit}", target, *ASTRO_LOGIN)
    stage.ask_astro("POST", f"{path}/{deploy['id']}/finalize", {})


def put_image(sandbox: Sandbox, tag: str, size: int) -> None:
    """Store an image with the runtime label, whose one layer holds one file of that many bytes."""
    layer = {**put_blob(sandbox, make_layer(size)), "mediaType": _LAYER}
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {RUNTIME_LABEL: RUNTIME_VERSION}},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    stored = {**put_blob(sandbox, iter([json.dumps(config).encode()])), "mediaType": _CONFIG}
    manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": stored, "layers": [layer]}
    answer = sandbox.client.put(
        f"/v2/{SOURCE}/manifests/{tag}",
        content=json.dumps(manifest),
        headers=authorize(sandbox) | {"Content-Type": _MANIFEST},
    )
    answer.raise_for_status()


def make_layer(size: int) -> Iterator[bytes]:
    """Yield a tar file of one file of noise."""
    entry = tarfile.TarInfo("usr/local/noise")
    entry.size = size
    yield entry.tobuf()
    yield from make_noise(size)
    yield bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def count(sandbox: Sandbox, way: str) -> int:
    """Return the bytes of all bodies that a sandbox's registry received or sent."""
    requests = sandbox.client.get("/sandbox/requests").json()["requests"]
    return sum(int(each[way]) for each in requests if each["face"] == "registry")


if __name__ == "__main__":
    main()
