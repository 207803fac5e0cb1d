"""The Dockerfile takes no Astro CLI but the one whose checksum a person gave: built by podman on a small base image."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.podman import set_up_podman

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BASE = "astrocrpublic.azurecr.io/runtime:3.3-2"
ARCHIVE = "astro_1.45.0_linux_amd64.tar.gz"
LIST = "astro_1.45.0_checksums.txt"
TOOLS = ("sh", "sha256sum", "grep", "mktemp", "rm", "cp", "tar", "gzip", "basename", "cat")
"""What the Dockerfile's commands call, taken from this machine; `curl` is a double that serves files of the image."""
CURL = """#!/bin/sh
for url; do :; done
echo "fetched $url"
cp "/served/$(basename "$url")" .
"""
ASTRO = "#!/bin/sh\necho the CLI ran\n"


def copy_tool(name: str, folder: Path) -> None:
    """Copy a program of this machine, and the libraries that it loads, to the same places below the folder."""
    path = shutil.which(name)
    assert path is not None, name
    loaded = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    for file in re.findall(r"/\S+", loaded):
        (folder / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file[1:])
    shutil.copy(path, folder / "bin" / name)


def make_archive() -> bytes:
    """Return the CLI's archive: a script that says that it ran."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("astro")
        entry.mode, entry.size = 0o755, len(ASTRO)
        archive.addfile(entry, io.BytesIO(ASTRO.encode()))
    return packed.getvalue()


@dataclass(frozen=True)
class Yard:
    """A folder with the Dockerfile, podman with the base image, and the archive's real checksum."""

    podman: str
    folder: Path
    sha256: str

    def build(self, file: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Build without a network."""
        # As chroot: the machine that tests may be a container itself, in which podman's usual way cannot start one.
        command = [self.podman, "build", "--isolation=chroot", "--pull=never", "--file", file, *options, "."]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def build_product(self, **arguments: str) -> subprocess.CompletedProcess[str]:
        """Build the product's Dockerfile with these build arguments."""
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        return self.build("Dockerfile", "--no-cache", "--tag=built", *given)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Give the yard, for all tests: building its base image is what takes time."""
    folder = tmp_path_factory.mktemp("dockerfile")
    with pytest.MonkeyPatch.context() as monkeypatch:
        podman = set_up_podman(folder, monkeypatch)
        yield Yard(podman, *fill(folder / "project", podman))


def fill(project: Path, podman: str) -> tuple[Path, str]:
    """Build the base image, and return the folder with the Dockerfile and the archive's checksum."""
    base = project / "base"
    for name in ("bin", "tmp", "etc", "usr/local/bin", "served"):
        (base / name).mkdir(parents=True)
    for name in TOOLS:
        copy_tool(name, base)
    (base / "bin/curl").write_text(CURL)
    (base / "bin/curl").chmod(0o755)
    (base / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nastro:x:50000:0::/:/bin/sh\n")
    archive = make_archive()
    sha256 = hashlib.sha256(archive).hexdigest()
    (base / "served" / ARCHIVE).write_bytes(archive)
    (base / "served" / LIST).write_text(f"{'0' * 64}  other.tar.gz\n{sha256}  {ARCHIVE}\n")
    (base / "Base").write_text("FROM scratch\nCOPY . /\n")
    (project / "Dockerfile").write_text(TEXT)
    built = Yard(podman, base, sha256).build("Base", f"--tag={BASE}")
    assert built.returncode == 0, built.stderr
    return project, sha256


def test_the_astro_cli_sees_whose_image_it_builds_upon() -> None:
    """It pulls the base image anew only where every FROM begins with Astronomer's registry."""
    (line,) = re.findall(r"^FROM .*", TEXT, re.MULTILINE)
    assert line.startswith(f"FROM {BASE.partition(':')[0]}:")


def test_without_a_checksum_nothing_is_fetched_and_it_is_said_what_to_do(yard: Yard) -> None:
    built = yard.build_product()
    assert built.returncode != 0
    assert f"ASTRO_CLI_SHA256 is empty, expected the SHA-256 of {ARCHIVE}. Look it up in https://" in built.stderr
    assert "--build-arg BUILD=development" in built.stderr
    assert "fetched" not in built.stdout
    assert "the CLI ran" not in built.stdout


def test_the_given_checksum_is_enough(yard: Yard) -> None:
    built = yard.build_product(ASTRO_CLI_SHA256=yard.sha256)
    assert built.returncode == 0, built.stderr
    assert "the CLI ran" in built.stdout
    assert LIST not in built.stdout, "what the release says of itself is not asked"


def read_note(yard: Yard) -> str:
    """Return what the image that was built last notes of the CLI's executable."""
    (yard.folder / "Look").write_text("FROM localhost/built\nRUN cat /usr/local/bin/astro.sha256\n")
    looked = yard.build("Look", "--no-cache")
    return looked.stdout if looked.returncode == 0 else ""


def test_the_executables_checksum_is_noted_where_the_archives_was_given(yard: Yard) -> None:
    yard.build_product(ASTRO_CLI_SHA256=yard.sha256)
    assert f"{hashlib.sha256(ASTRO.encode()).hexdigest()}  /usr/local/bin/astro" in read_note(yard)
    yard.build_product(BUILD="development")
    assert "/usr/local/bin/astro" not in read_note(yard), "nobody vouches for it"


@pytest.mark.parametrize("build", ["release", "development"])
@pytest.mark.parametrize("wrong", ["0" * 64, "x", " "])
def test_another_archive_than_the_given_one_is_not_unpacked(yard: Yard, wrong: str, build: str) -> None:
    built = yard.build_product(ASTRO_CLI_SHA256=wrong, BUILD=build)
    assert built.returncode != 0
    assert "the CLI ran" not in built.stdout


def test_a_build_that_calls_itself_development_believes_the_release(yard: Yard) -> None:
    built = yard.build_product(BUILD="development")
    assert built.returncode == 0, built.stderr
    assert f"fetched https://github.com/astronomer/astro-cli/releases/download/v1.45.0/{LIST}" in built.stdout
    assert "the CLI ran" in built.stdout


def test_the_base_image_is_taken_by_digest_where_one_is_given(yard: Yard) -> None:
    inspected = [yard.podman, "image", "inspect", "--format={{.Digest}}", BASE]
    digest = subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.strip()
    right, wrong = (
        yard.build_product(ASTRO_CLI_SHA256=yard.sha256, RUNTIME=f"3.3-2@{each}")
        for each in (digest, f"sha256:{'0' * 64}")
    )
    assert right.returncode == 0, right.stderr
    assert wrong.returncode != 0
    assert "the CLI ran" not in wrong.stdout
