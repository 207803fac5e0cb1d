"""A worker that lets no child be confined, as many a container does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.process import confinement
from include.deploy_ops.process.confinement import Protection

if TYPE_CHECKING:
    import pytest


def forbid_confinement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every child see what its user sees; a double that writes down how it was called has to."""
    monkeypatch.setattr(confinement, "find_protection", lambda: Protection("", "this worker forbids it"))
