"""What the product copied, as skopeo sees it: the same digest, and the same bytes under it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from include.deploy_ops.engine.copying_engine import CopyingEngine
from include.deploy_ops.engine.push import PushTarget
from include.deploy_ops.hooks.registry.registry import RegistryHook
from sandbox.identity import RUNTIME_VERSION
from tests.contract.registry.layouts import (
    DOCKER,
    OCI,
    Kind,
    read_image,
    read_single_image,
    write_image,
    write_index,
)
from tests.contract.registry.skopeo import Skopeo
from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox
from tests.worlds.doubles.registry_server import RegistryServer, run_registry

SOURCE = "acme/app:v1"
TARGET = "astro/quiet-star-1234/airflow"


@pytest.fixture(scope="module")
def astro_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """One registry for all tests, so that what comes from the sandbox's cannot be mounted."""
    with run_registry(tmp_path_factory.mktemp("registry") / "astro") as served:
        yield served


@pytest.fixture
def astro(astro_process: RegistryServer) -> RegistryServer:
    """Give the other registry as empty."""
    astro_process.reset()
    return astro_process


@pytest.fixture
def skopeo(sandbox: Sandbox, astro: RegistryServer, tmp_path: Path) -> Skopeo:
    """Give a skopeo that may push to the CI's repositories and read Astro's."""
    made = Skopeo(tmp_path / "skopeo", sandbox.host, astro.host)
    made.log_in(sandbox.host, CI_LOGIN)
    made.log_in(astro.host, ASTRO_LOGIN)
    return made


@pytest.mark.parametrize("is_index", [False, True], ids=["image", "index"])
@pytest.mark.parametrize("kind", [OCI, DOCKER], ids=["oci", "docker"])
def test_a_copied_image_has_every_byte_of_its_source(
    kind: Kind, is_index: bool, sandbox: Sandbox, astro: RegistryServer, skopeo: Skopeo, tmp_path: Path
) -> None:
    if is_index:
        digest = write_index(tmp_path / "in", kind, "arm64", "amd64")["amd64"]
        expected = read_single_image(tmp_path / "in", digest)
    else:
        digest = write_image(tmp_path / "in", kind)
        expected = read_image(tmp_path / "in")
    skopeo.copy(f"dir:{tmp_path / 'in'}", f"docker://{sandbox.host}/{SOURCE}")

    report = RegistryHook(None).copy_image(f"{sandbox.host}/{SOURCE}", f"{astro.host}/{TARGET}:d1", *ASTRO_LOGIN)

    target = f"docker://{astro.host}/{TARGET}:d1"
    skopeo.copy(target, f"dir:{tmp_path / 'out'}")
    assert read_image(tmp_path / "out") == expected
    assert report.digest == digest == skopeo.inspect(target)["Digest"]
    assert report.bytes_copied == sum(map(len, expected.values())) - len(expected["manifest.json"])


def test_a_mounted_image_has_every_byte_of_its_source(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    digest = write_image(tmp_path / "in", OCI)
    skopeo.copy(f"dir:{tmp_path / 'in'}", f"docker://{sandbox.host}/{SOURCE}")

    report = RegistryHook(None).copy_image(f"{sandbox.host}/{SOURCE}", f"{sandbox.host}/{TARGET}:d1", *ASTRO_LOGIN)

    skopeo.log_in(sandbox.host, ASTRO_LOGIN)
    skopeo.copy(f"docker://{sandbox.host}/{TARGET}:d1", f"dir:{tmp_path / 'out'}")
    assert read_image(tmp_path / "out") == read_image(tmp_path / "in")
    assert (report.digest, report.bytes_copied) == (digest, 0)


def test_what_the_engine_pushed_is_the_image_of_the_ci(
    sandbox: Sandbox, astro: RegistryServer, skopeo: Skopeo, tmp_path: Path
) -> None:
    commit = sandbox.client.get("/sandbox/ci").json()["builds"][0]["sha"]
    source = f"{sandbox.host}/acme/data-platform:{commit}"
    hook = RegistryHook(None)

    def copy(target: PushTarget) -> str:
        return hook.copy_image(source, str(target), target.username, target.password, target.report).digest

    with TemporaryDirectory() as folder, CopyingEngine(Path(folder), source, RUNTIME_VERSION, copy) as engine:
        said = push(engine, source, f"{astro.host}/{TARGET}")

    digest = skopeo.inspect(f"docker://{source}")["Digest"]
    assert said[-1] == {"status": f"d1: digest: {digest}"}
    assert engine.pushed_digest == digest == skopeo.inspect(f"docker://{astro.host}/{TARGET}:d1")["Digest"]
    for name, image in (("in", source), ("out", f"{astro.host}/{TARGET}:d1")):
        skopeo.copy(f"docker://{image}", f"dir:{tmp_path / name}")
    assert read_image(tmp_path / "out") == read_image(tmp_path / "in")


def push(engine: CopyingEngine, image: str, repository: str) -> list[dict[str, str]]:
    """Tag and push as the Astro CLI does: by the engine's `podman`, then by its Docker API; return what it was told."""
    shown = engine.environment(os.environ["PATH"])
    subprocess.run(["podman", "tag", image, f"{repository}:d1"], env=shown, check=True, timeout=30)
    login = {"username": ASTRO_LOGIN[0], "password": ASTRO_LOGIN[1], "serveraddress": repository.partition("/")[0]}
    headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}
    transport = httpx.HTTPTransport(uds=shown["DOCKER_HOST"].removeprefix("unix://"))
    with httpx.Client(transport=transport, base_url="http://engine", timeout=30) as client:
        answer = client.post(f"/v1.47/images/{repository}/push", params={"tag": "d1"}, headers=headers)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]
