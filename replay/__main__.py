"""`make replay`: the passes of a file decided again by a policy, as a table. Offline."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import DeployOpsError, PolicyError
from include.deploy_ops.core.passes.replay import render_replays, replay
from include.deploy_ops.core.policy.file import PolicyTexts, read_policy_texts
from include.deploy_ops.core.policy.places import outline_file, tell_place
from replay.file import read_file
from replay.names import NameHasher, list_names, list_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.deploy_ops.core.passes.snapshot import Snapshot


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code: 0, also where something is otherwise, and 1 where nothing can be told."""
    options = _parse(arguments)
    try:
        print(run(options.file, options.policy, options.only, is_hashed=options.hash))
    except DeployOpsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="replay", description=__doc__)
    parser.add_argument("file", type=Path, help="as `make snapshots` writes it")
    parser.add_argument("--policy", type=Path, default=Path("include/deploy_ops.yaml"), help="its main file")
    parser.add_argument("--only", default="", help="a branch or target, told of each pass")
    parser.add_argument(
        "--hash", action="store_true", help="show no names of branches, Deployments and people, nor what they wrote"
    )
    return parser.parse_args(arguments)


def run(file: Path, policy: Path, only: str = "", *, is_hashed: bool = False) -> str:
    """Return the table. Raises what keeps it from being made, with what to do."""
    snapshots = read_file(file)
    if not snapshots:
        return f"{file} holds no pass that can be read"
    hide = NameHasher(list_names(snapshots), list_texts(snapshots)).hide if is_hashed else str
    return _replay(snapshots, read_policy_texts(policy), only, hide)


def _replay(snapshots: Sequence[Snapshot], texts: PolicyTexts, only: str, hide: Callable[[str], str]) -> str:
    loaded = texts.load()
    name = snapshots[-1].project
    project = next((each for each in loaded.policy.projects if each.name == name), None)
    if project is None:
        problems = loaded.describe_problems()
        raise PolicyError(problems or f"{texts.main.source} has no project {name}; name the policy's main file")
    own = (each for each in texts.teams if name in each.text)
    outlines = [outline_file(Path(each.source).name, each.text) for each in (texts.main, *own)]
    found = [replay(each, project, loaded.policy.control_plane, loaded.target_names) for each in snapshots]
    return render_replays(found, only, lambda key: tell_place(outlines, name, key), hide)


if __name__ == "__main__":
    sys.exit(main())
