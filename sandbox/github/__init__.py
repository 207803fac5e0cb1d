"""The sandbox's GitHub: a REST v3 subset, smart HTTP and small pages over a real bare Git repository."""

from __future__ import annotations

from sandbox.github.repository import Push
from sandbox.github.server import GitHub

__all__ = ["GitHub", "Push"]
