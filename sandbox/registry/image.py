"""Make images of tar layers, and read what files an image's layers amount to. It stores and serves nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.registry.manifest import OCI_MANIFEST, Manifest, compute_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_EPOCH = "1970-01-01T00:00:00Z"  # equal content shall have an equal digest
# https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_CHUNK_BYTES = 1 << 20


class Image(NamedTuple):
    """An OCI image: its manifest and, in the order of the manifest, config and layers."""

    manifest: Manifest
    blobs: list[bytes]


def build_image(layers: Sequence[bytes], labels: Mapping[str, str]) -> Image:
    """Make a linux/amd64 image; the same layers and labels give the same digests.

    :param layers: uncompressed tar files, lowest first.
    """
    config = _encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _EPOCH,
            "config": {"Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [compute_digest(layer) for layer in layers]},
            "history": [{"created": _EPOCH, "created_by": "sandbox"} for _ in layers],
        }
    )
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _describe(_CONFIG_TYPE, config),
        "layers": [_describe(_LAYER_TYPE, layer) for layer in packed],
    }
    return Image(Manifest(OCI_MANIFEST, _encode(manifest)), [config, *packed])


class _Layer(NamedTuple):
    files: dict[str, str]  # path to sha256
    folders: set[str]
    hidden: set[str]  # paths that this layer removes, with what is below them
    opaque: set[str]  # folders of which nothing from lower layers is seen

    def covers(self, path: str) -> bool:
        """Whether a lower layer's file at the path is not seen through this layer."""
        above = [str(parent) for parent in PurePosixPath(path).parents]
        replaced = path in self.hidden or path in self.folders
        return replaced or any(name in self.hidden or name in self.opaque or name in self.files for name in above)


def list_layer_files(layers: Iterable[Path]) -> list[tuple[str, str]]:
    """Return path and sha256 of every file that is left when the layers lie on each other, in order of path.

    A symbolic link counts as a file that holds its target's name; paths are relative to the image's root.

    :param layers: tar files, plain or gzipped, lowest first.
    :raises tarfile.TarError: a layer is something else.
    """
    files: dict[str, str] = {}
    for path in layers:
        layer = _read_layer(path, files)
        files = {name: digest for name, digest in files.items() if not layer.covers(name)} | layer.files
    return sorted(files.items())


def unpack_layer_files(layers: Sequence[Path], below: str, folder: Path) -> None:
    """Lay the files below a path of what the layers amount to into a folder; links are left out.

    :param layers: tar files, plain or gzipped, lowest first.
    :param below: the path from the image's root, with a slash at its end.
    :raises tarfile.TarError: a layer is something else.
    """
    wanted = {name: digest for name, digest in list_layer_files(layers) if name.startswith(below)}
    for layer in reversed(layers):
        with tarfile.open(layer, "r:*") as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                name = str(_normalize_path(member.name))
                content = tar.extractfile(member) if name in wanted else None
                # By its digest, since a layer above may have hidden this file, or may hold another of that name.
                if content and hashlib.sha256(body := content.read()).hexdigest() == wanted[name]:
                    del wanted[name]
                    path = folder / name.removeprefix(below)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(body)


def _read_layer(path: Path, below: Mapping[str, str]) -> _Layer:
    layer = _Layer({}, set(), set(), set())
    with tarfile.open(path, "r|*") as tar:
        for member in tar:
            name = _normalize_path(member.name)
            if name.name == _OPAQUE:
                layer.opaque.add(str(name.parent))
            elif name.name.startswith(_WHITEOUT):
                layer.hidden.add(str(name.with_name(name.name.removeprefix(_WHITEOUT))))
            elif member.isdir():
                layer.folders.add(str(name))
            else:
                layer.files[str(name)] = _hash_member(tar, member, {**below, **layer.files} if member.islnk() else {})
    return layer


def _hash_member(tar: tarfile.TarFile, member: tarfile.TarInfo, linkable: Mapping[str, str]) -> str:
    if member.islnk():
        target = str(_normalize_path(member.linkname))
        if target not in linkable:
            raise tarfile.TarError(f"{member.name!r} is a hard link to {target!r}, which is not in the image")
        return linkable[target]
    if member.issym():
        return hashlib.sha256(member.linkname.encode()).hexdigest()
    digest = hashlib.sha256()
    content = tar.extractfile(member)
    while content and (piece := content.read(_CHUNK_BYTES)):
        digest.update(piece)
    return digest.hexdigest()


def _normalize_path(name: str) -> PurePosixPath:
    parts = PurePosixPath(name).parts
    if ".." in parts:
        raise tarfile.TarError(f"{name!r} leads out of the image")
    return PurePosixPath(*(part for part in parts if part != "/"))


def _describe(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": compute_digest(content), "size": len(content)}


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode()
