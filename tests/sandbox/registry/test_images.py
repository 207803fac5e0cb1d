"""Images as the rest of the sandbox puts them and looks into them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from sandbox.registry import Registry, RegistryError
from sandbox.settings import Settings
from tests.sandbox.registry.calls import REPOSITORY, compute_digest


def make_tar(*entries: tuple[str, bytes | None], links: dict[str, tuple[bytes, str]] | None = None) -> bytes:
    """Return a tar of files (content) and folders (None), then links (type, target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
        for name, (kind, target) in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(tmp_path, Settings(), "http://127.0.0.1:1")
    made.reset()
    return made


def name_contents(files: list[tuple[str, str]], *contents: bytes) -> dict[str, bytes]:
    known = {hashlib.sha256(content).hexdigest(): content for content in contents}
    return {path: known[digest] for path, digest in files}


def test_upper_layers_replace_hide_and_add(registry: Registry) -> None:
    lower = make_tar(
        ("./a", b"1"), ("/b", b"1"), ("gone", b"1"), ("dir/x", b"1"), ("dir/y", b"1"), ("opaque/x", b"1"),
        ("was-dir/x", b"1"), ("was-file", b"1"), ("ab", b"1"),
    )  # fmt: skip
    upper = make_tar(
        ("a", b"2"), (".wh.gone", b""), ("dir/.wh.x", b""), ("opaque/z", b"2"), ("opaque/.wh..wh..opq", b""),
        ("was-dir", b"2"), ("was-file", None), ("was-file/x", b"2"),
    )  # fmt: skip
    registry.put_image(REPOSITORY, "v1", [lower, upper], {})

    assert name_contents(registry.read_files(REPOSITORY, "v1"), b"1", b"2") == {
        "a": b"2",
        "ab": b"1",
        "b": b"1",
        "dir/y": b"1",
        "opaque/z": b"2",
        "was-dir": b"2",
        "was-file/x": b"2",
    }


def test_what_is_left_below_a_path_can_be_laid_into_a_folder(registry: Registry, tmp_path: Path) -> None:
    lower = make_tar(("home/a", b"1"), ("home/b", b"1"), ("home/gone", b"1"), ("etc/passwd", b"1"))
    upper = make_tar(
        ("home/a", b"2"),
        ("home/.wh.gone", b""),
        ("home/dir/c", b"2"),
        links={"home/link": (tarfile.SYMTYPE, "/etc/passwd"), "home/hard": (tarfile.LNKTYPE, "home/a")},
    )
    registry.put_image(REPOSITORY, "v1", [lower, upper], {})
    folder = tmp_path / "laid"

    registry.unpack(REPOSITORY, "v1", "home/", folder)

    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a": b"2", "b": b"1", "dir/c": b"2"}


def test_links_are_files_of_their_own(registry: Registry) -> None:
    layer = make_tar(("a", b"1"), links={"hard": (tarfile.LNKTYPE, "a"), "soft": (tarfile.SYMTYPE, "../elsewhere")})
    above = make_tar(links={"harder": (tarfile.LNKTYPE, "hard")})
    registry.put_image(REPOSITORY, "v1", [layer, above], {})

    files = name_contents(registry.read_files(REPOSITORY, "v1"), b"1", b"../elsewhere")
    assert files == {"a": b"1", "hard": b"1", "harder": b"1", "soft": b"../elsewhere"}


@pytest.mark.parametrize(
    "layer",
    [b"no tar at all" * 100, make_tar(("../out", b"1")), make_tar(links={"a": (tarfile.LNKTYPE, "nothing")})],
)
def test_a_layer_that_cannot_be_read_is_an_error(registry: Registry, layer: bytes) -> None:
    registry.put_image(REPOSITORY, "v1", [layer], {})

    with pytest.raises(tarfile.TarError):
        registry.read_files(REPOSITORY, "v1")


def test_an_image_is_deterministic_and_says_what_it_is(registry: Registry, tmp_path: Path) -> None:
    layer = make_tar(("a", b"1"))
    digest = registry.put_image(REPOSITORY, "v1", [layer], {"k": "v"})

    assert registry.put_image("acme/other", "v2", [layer], {"k": "v"}) == digest
    assert registry.has_image(REPOSITORY, "v1")
    assert registry.has_image(REPOSITORY, digest)
    assert not registry.has_image(REPOSITORY, "v2")
    assert registry.read_labels(REPOSITORY, digest) == {"k": "v"}
    packed, raw = sorted((path.read_bytes() for path in (tmp_path / "blobs").iterdir()), key=lambda blob: blob[:1])
    assert packed[4:8] == bytes(4), "gzip's own time of packing would change the digest"
    config = json.loads(raw)
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["rootfs"] == {"type": "layers", "diff_ids": [compute_digest(layer)]}


def test_an_unknown_image_is_a_registry_error(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="MANIFEST_UNKNOWN"):
        registry.read_files(REPOSITORY, "v1")
    with pytest.raises(RegistryError, match="MANIFEST_UNKNOWN"):
        registry.read_labels(REPOSITORY, "v1")
