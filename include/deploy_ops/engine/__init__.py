"""The container engines that the Astro CLI is shown: one that copies an image, one that builds with the real one.

They answer what the CLI asks of Docker or Podman for `astro deploy` and no more, and let it log in nowhere.
"""

from include.deploy_ops.engine.building_engine import BuildingEngine
from include.deploy_ops.engine.copying_engine import CopyingEngine
from include.deploy_ops.engine.installed_engine import EngineMissingError, InstalledEngine, find_engine
from include.deploy_ops.engine.push import PushTarget
from include.deploy_ops.engine.served_engine import ServedEngine

__all__ = [
    "BuildingEngine",
    "CopyingEngine",
    "EngineMissingError",
    "InstalledEngine",
    "PushTarget",
    "ServedEngine",
    "find_engine",
]
