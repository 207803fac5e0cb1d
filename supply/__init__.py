"""What the management Deployment's image is made of: known holes in it, and its bill of materials.

The tools that do it are locked in requirements-supply.txt and live in an environment of their own, `.supply/`, beside
the one that the tests run in. Nothing here is part of the image.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".supply" / "bin"
