"""Images go into the sandbox's registry and out of it with skopeo, and not one byte differs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.identity import RUNTIME_LABEL, RUNTIME_VERSION
from tests.contract.registry.layouts import (
    DOCKER,
    OCI,
    Kind,
    compute_digest,
    read_image,
    read_oci_blobs,
    write_image,
    write_index,
)
from tests.contract.registry.skopeo import Skopeo
from tests.sandbox.conftest import ASTRO_LOGIN, CI_LOGIN, Sandbox

REPOSITORY = "acme/app"
CI_REPOSITORY = "acme/data-platform"
ASTRO_REPOSITORY = "astro/quiet-star-1234/airflow"
PARTS = 4  # three layers and the config, which skopeo never mounts


def name_image(sandbox: Sandbox, repository: str = REPOSITORY, tag: str = ":v1") -> str:
    return f"docker://{sandbox.host}/{repository}{tag}"


def list_commits(sandbox: Sandbox) -> list[str]:
    """Return the commits whose images the sandbox's CI has built."""
    return sorted({build["sha"] for build in sandbox.client.get("/sandbox/ci").json()["builds"]})


def write_any(folder: Path, kind: Kind, *, is_index: bool) -> str:
    return write_index(folder, kind, "arm64", "amd64")[""] if is_index else write_image(folder, kind)


def count_answers(sandbox: Sandbox, method: str, part: str, status: int) -> int:
    requests: list[dict[str, Any]] = sandbox.client.get("/sandbox/requests").json()["requests"]
    return sum((one["method"], one["status"]) == (method, status) and part in one["path"] for one in requests)


def test_an_image_of_the_ci_comes_out_byte_for_byte(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    image = name_image(sandbox, CI_REPOSITORY, f":{list_commits(sandbox)[0]}")

    skopeo.copy(image, f"dir:{tmp_path / 'dir'}")
    skopeo.copy(image, f"oci:{tmp_path / 'oci'}:v1")

    files = read_image(tmp_path / "dir")
    manifest = files.pop("manifest.json")
    fields = json.loads(manifest)
    listed = {blob["digest"]: blob["size"] for blob in (fields["config"], *fields["layers"])}
    assert listed == {compute_digest(content): len(content) for content in files.values()}
    assert listed.keys() == {f"sha256:{name}" for name in files}
    assert read_oci_blobs(tmp_path / "oci") == {
        compute_digest(content): content for content in (manifest, *files.values())
    }
    assert skopeo.inspect(image)["Digest"] == compute_digest(manifest)


def test_an_image_of_the_ci_says_what_it_is(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    commits = list_commits(sandbox)
    commit = commits[0]
    image = name_image(sandbox, CI_REPOSITORY, f":{commit}")

    told = skopeo.inspect(image)

    assert (told["Os"], told["Architecture"]) == ("linux", "amd64")
    assert told["Labels"] == {RUNTIME_LABEL: RUNTIME_VERSION, "org.opencontainers.image.revision": commit}
    assert told["RepoTags"] == skopeo.list_tags(name_image(sandbox, CI_REPOSITORY, "")) == commits
    skopeo.copy(image, f"dir:{tmp_path / 'out'}")
    files = read_image(tmp_path / "out")
    config = next(json.loads(content) for content in files.values() if b'"rootfs"' in content)
    unpacked = [gzip.decompress(files[digest.removeprefix("sha256:")]) for digest in told["Layers"]]
    assert config["rootfs"]["diff_ids"] == [compute_digest(layer) for layer in unpacked]


@pytest.mark.parametrize("auth", ["anonymous", "private"])
@pytest.mark.parametrize("is_index", [False, True], ids=["image", "index"])
@pytest.mark.parametrize("kind", [OCI, DOCKER], ids=["oci", "docker"])
def test_an_image_goes_in_and_out_byte_for_byte(
    kind: Kind, is_index: bool, auth: str, sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path
) -> None:
    sandbox.client.post("/sandbox/settings", json={"registry_auth": auth})
    digest = write_any(tmp_path / "in", kind, is_index=is_index)
    skopeo.log_in(sandbox.host, CI_LOGIN)

    skopeo.copy(f"dir:{tmp_path / 'in'}", name_image(sandbox))
    for reference, folder in ((":v1", "by-tag"), (f"@{digest}", "by-digest")):
        skopeo.copy(name_image(sandbox, tag=reference), f"dir:{tmp_path / folder}")

    assert read_image(tmp_path / "by-tag") == read_image(tmp_path / "in")
    assert read_image(tmp_path / "by-digest") == read_image(tmp_path / "in")
    assert skopeo.inspect(name_image(sandbox))["Digest"] == digest


def test_an_oci_layout_goes_in_byte_for_byte(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    write_index(tmp_path / "in", OCI, "amd64", "arm64")
    skopeo.copy(f"dir:{tmp_path / 'in'}", f"oci:{tmp_path / 'layout'}:v1")
    skopeo.log_in(sandbox.host, CI_LOGIN)

    skopeo.copy(f"oci:{tmp_path / 'layout'}:v1", name_image(sandbox))
    skopeo.copy(name_image(sandbox), f"oci:{tmp_path / 'out'}:v1")

    blobs = read_oci_blobs(tmp_path / "out")
    assert blobs == read_oci_blobs(tmp_path / "layout")
    assert sorted(blobs.values()) == sorted(read_image(tmp_path / "in").values())


def test_a_private_image_is_for_those_who_are_logged_in(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    sandbox.client.post("/sandbox/settings", json={"registry_auth": "private"})
    image = name_image(sandbox, CI_REPOSITORY, f":{list_commits(sandbox)[0]}")

    assert "unauthorized" in skopeo.fail("inspect", image)
    assert "unauthorized" in skopeo.fail("list-tags", name_image(sandbox, CI_REPOSITORY, ""))
    skopeo.log_in(sandbox.host, ("ci", "wrong"))
    assert "invalid username/password" in skopeo.fail("inspect", image)
    skopeo.log_in(sandbox.host, ASTRO_LOGIN)  # somebody, but not one who may read this
    assert "denied" in skopeo.fail("inspect", image)
    skopeo.log_in(sandbox.host, CI_LOGIN)
    assert skopeo.inspect(image)["Name"] == f"{sandbox.host}/{CI_REPOSITORY}"


def test_a_login_by_standard_input_is_checked(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    login = ("login", "--username", CI_LOGIN[0], "--password-stdin", sandbox.host)

    assert "invalid username/password" in skopeo.fail(*login, stdin="wrong")
    assert skopeo.run(*login, stdin=CI_LOGIN[1]).returncode == 0
    write_image(tmp_path / "in", OCI)
    skopeo.copy(f"dir:{tmp_path / 'in'}", name_image(sandbox))  # by the login that skopeo itself kept


def test_nobody_pushes_without_a_right(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    write_image(tmp_path / "in", OCI)

    for login, said in ((None, "unauthorized"), (ASTRO_LOGIN, "denied")):
        if login:
            skopeo.log_in(sandbox.host, login)
        assert said in skopeo.fail("copy", f"dir:{tmp_path / 'in'}", name_image(sandbox))
    skopeo.log_in(sandbox.host, CI_LOGIN)
    assert "403" in skopeo.fail("copy", f"dir:{tmp_path / 'in'}", name_image(sandbox, ASTRO_REPOSITORY))
    assert "404" in skopeo.fail("list-tags", name_image(sandbox, tag=""))


def test_within_the_registry_what_is_there_is_mounted(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    digest = write_image(tmp_path / "in", OCI)
    skopeo.log_in(sandbox.host, CI_LOGIN)
    skopeo.copy(f"dir:{tmp_path / 'in'}", name_image(sandbox))
    sandbox.client.delete("/sandbox/requests")

    skopeo.copy(name_image(sandbox), name_image(sandbox, "acme/other", ":v2"))

    assert skopeo.inspect(name_image(sandbox, "acme/other", ":v2"))["Digest"] == digest
    # Skopeo asks to mount what its cache knows to be there, which all that runs on the machine share.
    mounted = count_answers(sandbox, "POST", "mount=", 201)
    assert mounted
    assert count_answers(sandbox, "POST", "mount=", 202) == 0
    assert mounted + count_answers(sandbox, "PATCH", "acme/other", 202) == PARTS
    skopeo.copy(name_image(sandbox, "acme/other", ":v2"), f"dir:{tmp_path / 'out'}")
    assert read_image(tmp_path / "out") == read_image(tmp_path / "in")


def test_what_is_not_there_is_said_so(sandbox: Sandbox, skopeo: Skopeo, tmp_path: Path) -> None:
    write_image(tmp_path / "in", OCI)
    skopeo.log_in(sandbox.host, CI_LOGIN)
    skopeo.copy(f"dir:{tmp_path / 'in'}", name_image(sandbox))

    assert "manifest unknown" in skopeo.fail("inspect", name_image(sandbox, tag=":v2"))
    assert "manifest unknown" in skopeo.fail("inspect", name_image(sandbox, "acme/none"))
    assert "404" in skopeo.fail("list-tags", name_image(sandbox, "acme/none", ""))
    skopeo.delete(name_image(sandbox))
    assert "manifest unknown" in skopeo.fail("inspect", name_image(sandbox))
    assert skopeo.list_tags(name_image(sandbox, tag="")) == []
