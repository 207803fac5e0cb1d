"""Read and check the manifests of images and of indexes. It stores nothing and looks into no layer."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from sandbox.registry.errors import RegistryError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_IMAGE_TYPES = frozenset({OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"})
_INDEX_TYPES = frozenset({OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"})
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """One manifest, byte for byte as it was pushed."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """Its name: `sha256:` and 64 hex digits."""
        return compute_digest(self.content)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests of several platforms and not layers."""
        return self.media_type in _INDEX_TYPES

    def parse(self) -> dict[str, Any]:
        """Return its JSON object."""
        parsed: dict[str, Any] = json.loads(self.content)
        return parsed

    def list_references(self) -> list[str]:
        """Return the digests that must exist before it may: of config and layers, or of an index's manifests.

        A layer with `urls` lives elsewhere and is not asked for.
        """
        parsed = self.parse()
        if self.is_index:
            return [entry["digest"] for entry in parsed["manifests"]]
        return [entry["digest"] for entry in [parsed["config"], *parsed["layers"]] if not entry.get("urls")]


def compute_digest(content: bytes) -> str:
    """Return the content's digest in the registry's notation."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Tell a sha256 digest from a tag, or from a digest we cannot verify."""
    return _DIGEST.fullmatch(text) is not None


def read_manifest(content: bytes, content_type: str | None) -> Manifest:
    """Check a pushed manifest's form.

    :param content_type: the request's header, whose parameters do not count; without it the manifest's own `mediaType`
        counts.
    :raises RegistryError: MANIFEST_INVALID, saying what is wrong.
    """
    parsed = _parse_object(content)
    media_type = (content_type or "").partition(";")[0].strip() or parsed.get("mediaType")
    if media_type not in _IMAGE_TYPES | _INDEX_TYPES:
        raise _invalid(f"media type {media_type!r} is not one of {sorted(_IMAGE_TYPES | _INDEX_TYPES)}")
    if parsed.get("mediaType", media_type) != media_type:
        raise _invalid(f"Content-Type is {media_type!r}, but the manifest's mediaType is {parsed['mediaType']!r}")
    if parsed.get("schemaVersion") != 2:  # noqa: PLR2004 - the only version that both media types know
        raise _invalid(f"schemaVersion is {parsed.get('schemaVersion')!r}, expected 2")
    _check_descriptors(parsed, ("manifests",) if media_type in _INDEX_TYPES else ("config", "layers"))
    return Manifest(media_type, content)


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise _invalid(f"no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise _invalid(f"expected a JSON object, found {type(parsed).__name__}")
    return parsed


def _check_descriptors(parsed: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        found = parsed.get(key)
        descriptors = [found] if key == "config" else found
        if not isinstance(descriptors, list):
            raise _invalid(f"{key} is missing or no list")
        for descriptor in descriptors:
            if not isinstance(descriptor, dict) or not is_digest(str(descriptor.get("digest"))):
                raise _invalid(f"{key}: {descriptor!r} has no sha256 digest")


def _invalid(message: str) -> RegistryError:
    return RegistryError("MANIFEST_INVALID", f"manifest invalid: {message}")
