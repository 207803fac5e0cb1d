"""The sandbox's image registry: the distribution protocol over files, with Docker's token protocol before it.

It stores, checks and serves images. It starts no server, builds nothing by itself and knows neither Astro nor the CI.
"""

from sandbox.registry.errors import RegistryError
from sandbox.registry.registry import Registry

__all__ = ["Registry", "RegistryError"]
