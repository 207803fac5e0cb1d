"""The command `python -m sandbox`: claim port and folder, seed, serve. The faces and what they do are elsewhere."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from sandbox.app import create_app
from sandbox.data_dir import DataDir, DataDirError
from sandbox.github.git import GitError, require_git
from sandbox.server import PortError, bind_port, serve
from sandbox.settings import Settings
from sandbox.world import World


def main() -> None:
    """Serve until a signal comes; exit 1, having said why, when port, folder or Git cannot be had."""
    options = _parse_options()
    try:
        require_git()
        listener = bind_port(options.port)
        data_dir = DataDir(options.data)
    except (GitError, PortError, DataDirError) as error:
        sys.exit(f"sandbox: {error}")
    host, port = listener.getsockname()
    base_url = f"http://{host}:{port}"
    world = World(data_dir, Settings(), base_url)
    world.reset()
    serve(create_app(world), listener, partial(print, f"Sandbox listens at {base_url}", flush=True))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A local GitHub, Astro, image registry and CI, on the loopback only."
    )
    parser.add_argument("--port", type=int, default=8900, help="0 takes any free one (default: 8900)")
    parser.add_argument(
        "--data", type=Path, default=Path(".sandbox"), help="folder for all data, emptied at start (default: .sandbox)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
