"""Images as files, in the `dir:` layout of skopeo: written by hand, so that every byte is known, and read back.

https://github.com/containers/image/blob/main/docs/containers-transports.5.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

_VERSION = "Directory Transport Version: 1.1\n"


class Kind(NamedTuple):
    """The media types of one family of images."""

    manifest_type: str
    index_type: str
    config_type: str
    layer_type: str


OCI = Kind(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = Kind(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


def compute_digest(content: bytes) -> str:
    """Return the digest by which a registry names the content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_image(folder: Path, kind: Kind, architecture: str = "amd64") -> str:
    """Write an image of three layers of random files and return its manifest's digest."""
    manifest = _write_parts(folder, kind, architecture)
    return _write_top(folder, manifest)


def write_index(folder: Path, kind: Kind, *architectures: str) -> dict[str, str]:
    """Write an image for each architecture, and the index over them; return the digests by architecture, "" the index.

    :param kind: the index and its images are of one family.
    """
    entries, digests = [], {}
    for architecture in architectures:
        manifest = _write_parts(folder, kind, architecture)
        entry = _describe(kind.manifest_type, manifest)
        digests[architecture] = entry["digest"]
        (folder / f"{_strip(entry['digest'])}.manifest.json").write_bytes(manifest)
        entries.append(entry | {"platform": {"architecture": architecture, "os": "linux"}})
    index = _encode({"schemaVersion": 2, "mediaType": kind.index_type, "manifests": entries})
    return digests | {"": _write_top(folder, index)}


def read_image(folder: Path) -> dict[str, bytes]:
    """Return every file of a `dir:` layout: manifests, configs and layers by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "version"}


def read_single_image(folder: Path, digest: str) -> dict[str, bytes]:
    """Return one image of an index, as `read_image` would if it had been written alone."""
    manifest = (folder / f"{_strip(digest)}.manifest.json").read_bytes()
    fields = json.loads(manifest)
    names = [_strip(blob["digest"]) for blob in (fields["config"], *fields["layers"])]
    return {"manifest.json": manifest} | {name: (folder / name).read_bytes() for name in names}


def read_oci_blobs(folder: Path) -> dict[str, bytes]:
    """Return every blob of an `oci:` layout, manifests among them, by the digest that it is filed under."""
    return {f"sha256:{path.name}": path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}


def _write_parts(folder: Path, kind: Kind, architecture: str) -> bytes:
    """Write config and layers, and return the manifest over them."""
    folder.mkdir(exist_ok=True)
    tars = [_make_tar(f"file-{number}", os.urandom(size)) for number, size in enumerate((10, 5000, 70_000))]
    config = _encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"made.for": "a test"}},
            "rootfs": {"type": "layers", "diff_ids": [compute_digest(tar) for tar in tars]},
            "history": [{"created_by": f"layer {number}"} for number in range(len(tars))],
        }
    )
    layers = [gzip.compress(tar, mtime=0) for tar in tars]
    for blob in (config, *layers):
        (folder / _strip(compute_digest(blob))).write_bytes(blob)
    return _encode(
        {
            "schemaVersion": 2,
            "mediaType": kind.manifest_type,
            "config": _describe(kind.config_type, config),
            "layers": [_describe(kind.layer_type, layer) for layer in layers],
        }
    )


def _write_top(folder: Path, manifest: bytes) -> str:
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "version").write_text(_VERSION)
    return compute_digest(manifest)


def _make_tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _describe(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": compute_digest(content), "size": len(content)}


def _encode(fields: dict[str, Any]) -> bytes:
    """Return JSON as nobody else would write it, so that whoever parses and writes it again changes its digest."""
    return json.dumps(fields, indent=5).encode() + b"\n\n"


def _strip(digest: str) -> str:
    return digest.removeprefix("sha256:")
