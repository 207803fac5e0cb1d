"""What this package asks of an image registry; the registry itself is another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Registry(Protocol):
    """Images by repository (`astro/<namespace>/airflow`) and reference (a tag or a digest)."""

    def has_image(self, repository: str, reference: str) -> bool:
        """Return whether the manifest is there."""

    def read_files(self, repository: str, reference: str) -> list[tuple[str, str]]:
        """Return (path from the image's root, SHA-256) of every file, upper layers over lower ones."""

    def unpack(self, repository: str, reference: str, below: str, folder: Path) -> None:
        """Lay the image's files below a path from its root into a folder."""

    def read_labels(self, repository: str, reference: str) -> Mapping[str, str]:
        """Return the labels of the image's config."""
