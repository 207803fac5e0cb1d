"""Keep the registry's repositories: which blobs, manifests and tags each holds. It knows no HTTP and no rights.

Only a blob's bytes are on disk; the rest is small and lives as long as the process, as all of the sandbox does.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.registry.errors import RegistryError
from sandbox.registry.manifest import Manifest, is_digest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class _Repository:
    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Store:
    """Blobs are stored once and visible only in repositories that they were pushed to or mounted into.

    :param directory: where the blobs' files are; made, and emptied by `reset`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._repositories: dict[str, _Repository] = {}

    def reset(self) -> None:
        """Forget every repository and every byte."""
        self._repositories.clear()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository holds the blob."""
        return digest in self._peek(repository).blobs

    def find_blob(self, repository: str, digest: str) -> Path:
        """Return the file of a repository's blob.

        :raises RegistryError: BLOB_UNKNOWN.
        """
        if not self.has_blob(repository, digest):
            raise RegistryError("BLOB_UNKNOWN", "blob unknown to registry", {"name": repository, "digest": digest})
        return self._locate(digest)

    def adopt_blob(self, repository: str, digest: str, path: Path) -> None:
        """Move a verified file into the store as the repository's blob."""
        path.replace(self._locate(digest))
        self._open(repository).blobs.add(digest)

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Show another repository's blob in this one; False when the source does not hold it."""
        if not self.has_blob(source, digest):
            return False
        self._open(repository).blobs.add(digest)
        return True

    def delete_blob(self, repository: str, digest: str) -> None:
        """Take a blob from the repository, and from disk when no other shows it.

        :raises RegistryError: BLOB_UNKNOWN.
        """
        path = self.find_blob(repository, digest)
        self._open(repository).blobs.remove(digest)
        if not any(digest in other.blobs for other in self._repositories.values()):
            path.unlink()

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Store a manifest under its digest, and under the tag if the reference is one.

        :raises RegistryError: DIGEST_INVALID when the reference is another digest; MANIFEST_BLOB_UNKNOWN when something
            that it refers to is missing.
        """
        if is_digest(reference) and reference != manifest.digest:
            raise RegistryError("DIGEST_INVALID", f"the manifest's digest is {manifest.digest}", {"digest": reference})
        held = self._peek(repository)
        known = held.manifests.keys() if manifest.is_index else held.blobs
        if missing := [digest for digest in dict.fromkeys(manifest.list_references()) if digest not in known]:
            details = [{"digest": digest} for digest in missing]
            raise RegistryError.about_each("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", details)
        held = self._open(repository)
        held.manifests[manifest.digest] = manifest
        if not is_digest(reference):
            held.tags[reference] = manifest.digest

    def get_manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest that a tag or a digest names.

        :raises RegistryError: MANIFEST_UNKNOWN.
        """
        held = self._peek(repository)
        manifest = held.manifests.get(held.tags.get(reference, reference))
        if manifest is None:
            detail = {"name": repository, "reference": reference}
            raise RegistryError("MANIFEST_UNKNOWN", "manifest unknown", detail)
        return manifest

    def delete_manifest(self, repository: str, reference: str) -> None:
        """Remove a tag alone; or, by digest, the manifest with all of its tags.

        :raises RegistryError: MANIFEST_UNKNOWN.
        """
        digest = self.get_manifest(repository, reference).digest
        held = self._open(repository)
        if not is_digest(reference):
            del held.tags[reference]
            return
        del held.manifests[digest]
        held.tags = {tag: target for tag, target in held.tags.items() if target != digest}

    def list_repositories(self) -> list[str]:
        """Return the names of the repositories, in order."""
        return sorted(self._repositories)

    def list_tags(self, repository: str) -> list[str]:
        """Return the repository's tags in order.

        :raises RegistryError: NAME_UNKNOWN.
        """
        if repository not in self._repositories:
            raise RegistryError("NAME_UNKNOWN", "repository name not known to registry", {"name": repository})
        return sorted(self._repositories[repository].tags)

    def _peek(self, repository: str) -> _Repository:
        return self._repositories.get(repository, _Repository())

    def _open(self, repository: str) -> _Repository:
        return self._repositories.setdefault(repository, _Repository())

    def _locate(self, digest: str) -> Path:
        return self._directory / digest.removeprefix("sha256:")
