"""The registry as the rest of the sandbox sees it: put an image, look into one. HTTP clients come by `routes`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.registry.api import Api
from sandbox.registry.auth import Gate
from sandbox.registry.errors import RegistryError
from sandbox.registry.image import build_image, list_layer_files, unpack_layer_files
from sandbox.registry.manifest import Manifest, compute_digest
from sandbox.registry.store import Store
from sandbox.registry.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute

    from sandbox.settings import Settings

_PLATFORM = ("linux", "amd64")


class Registry:
    """One registry for two owners: repositories below `astro/` are Astro's, all others the CI's.

    :param data_dir: a folder of its own; emptied by `reset`, which must come before the first use.
    :param base_url: the server's URL; clients name images by its host and port.
    """

    def __init__(self, data_dir: Path, settings: Settings, base_url: str) -> None:
        self._data_dir = data_dir
        self._store = Store(data_dir / "blobs")
        self._uploads = Uploads(data_dir / "uploads")
        self._gate = Gate(settings, base_url)
        self._api = Api(self._store, self._uploads, self._gate, base_url)

    def routes(self) -> list[BaseRoute]:
        """Return the distribution API's routes, to be mounted at /v2."""
        return self._api.routes()

    def reset(self) -> None:
        """Forget every image, upload and token."""
        self._store.reset()
        self._uploads.reset()
        self._gate.reset()

    def put_image(self, repository: str, tag: str, layers: Sequence[bytes], labels: Mapping[str, str]) -> str:
        """Store a linux/amd64 image and return its manifest's digest; equal content gives an equal digest.

        :param layers: uncompressed tar files, lowest first.
        """
        image = build_image(layers, labels)
        for blob in image.blobs:
            digest = compute_digest(blob)
            path = self._data_dir / digest
            path.write_bytes(blob)
            self._store.adopt_blob(repository, digest, path)
        self._store.put_manifest(repository, tag, image.manifest)
        return image.manifest.digest

    def list_images(self) -> list[tuple[str, str, str]]:
        """Return (repository, tag, digest) of every image that has a tag."""
        names = ((name, tag) for name in self._store.list_repositories() for tag in self._store.list_tags(name))
        return [(name, tag, self._store.get_manifest(name, tag).digest) for name, tag in names]

    def has_image(self, repository: str, reference: str) -> bool:
        """Whether a linux/amd64 image stands under a tag or digest, with all of its blobs."""
        try:
            manifest = self._find_image(repository, reference)
        except RegistryError:
            return False
        return all(self._store.has_blob(repository, digest) for digest in manifest.list_references())

    def read_files(self, repository: str, reference: str) -> list[tuple[str, str]]:
        """Return (path from the image's root, sha256) of every file, upper layers over lower ones, in order of path.

        :raises RegistryError: MANIFEST_UNKNOWN or BLOB_UNKNOWN.
        :raises tarfile.TarError: a layer is no tar file, plain or gzipped.
        """
        return list_layer_files(self._find_layers(repository, reference))

    def unpack(self, repository: str, reference: str, below: str, folder: Path) -> None:
        """Lay the image's files below a path from its root into a folder.

        :raises RegistryError: MANIFEST_UNKNOWN or BLOB_UNKNOWN.
        :raises tarfile.TarError: a layer is no tar file, plain or gzipped.
        """
        unpack_layer_files(self._find_layers(repository, reference), below, folder)

    def read_labels(self, repository: str, reference: str) -> dict[str, str]:
        """Return the labels in the image's config.

        :raises RegistryError: MANIFEST_UNKNOWN or BLOB_UNKNOWN.
        """
        config_digest = self._find_image(repository, reference).parse()["config"]["digest"]
        config: dict[str, Any] = json.loads(self._store.find_blob(repository, config_digest).read_bytes())
        return config.get("config", {}).get("Labels") or {}

    def _find_layers(self, repository: str, reference: str) -> list[Path]:
        layers = self._find_image(repository, reference).parse()["layers"]
        return [self._store.find_blob(repository, layer["digest"]) for layer in layers]

    def _find_image(self, repository: str, reference: str) -> Manifest:
        manifest = self._store.get_manifest(repository, reference)
        if not manifest.is_index:
            return manifest
        for entry in manifest.parse()["manifests"]:
            platform = entry.get("platform", {})
            if (platform.get("os"), platform.get("architecture")) == _PLATFORM:
                return self._store.get_manifest(repository, entry["digest"])
        raise RegistryError("MANIFEST_UNKNOWN", f"{repository}:{reference} lists no image for {'/'.join(_PLATFORM)}")
