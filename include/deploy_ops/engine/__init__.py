"""The container engine that the Astro CLI is shown when an image is copied, not built.

It answers what the CLI asks of Docker or Podman for `astro deploy --image-name` and no more. It builds and runs
nothing, and how an image is copied is given to it.
"""

from include.deploy_ops.engine.copying_engine import CopyingEngine
from include.deploy_ops.engine.push import PushTarget

__all__ = ["CopyingEngine", "PushTarget"]
