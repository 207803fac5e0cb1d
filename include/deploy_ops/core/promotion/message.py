"""The message of a commit on the deploy branch, both ways: a sentence for people, then trailers that tell it as ours.

Which tree such a commit holds is decided in `derived_tree.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from include.deploy_ops.core.model import COMMIT_ID

SHOWN_MAX = 5
"""Pull requests whose numbers stand in a commit's first line."""

_NUMBER = "[1-9][0-9]{0,9}"
_TRAILERS = re.compile(
    r"Deploy-Ops-Control-Plane: ([a-z0-9._-]+)\n"
    r"Deploy-Ops-Project: ([a-z0-9_]+)\n"
    rf"Deploy-Ops-Into: ({COMMIT_ID.pattern})\n"
    rf"Deploy-Ops-Tree: ({COMMIT_ID.pattern})"
    rf"((?:\nDeploy-Ops-Pull-Request: {_NUMBER} {COMMIT_ID.pattern})*)"
)
_PULL = re.compile(rf"({_NUMBER}) ({COMMIT_ID.pattern})")


@dataclass(frozen=True, slots=True)
class Trailers:
    """What our commit says of itself.

    `into` is the commit over whose tree the pull requests (number, head) were laid. `tree` is the commit's own: a
    commit that was amended or moved onto another one has another tree, and is not ours any more.
    """

    control_plane: str
    project: str
    into: str
    tree: str
    pulls: tuple[tuple[int, str], ...]


def format_message(trailers: Trailers, into: str, deploy_branch: str) -> str:
    """Return the commit's message; `into` and `deploy_branch` are the branches' names.

    Numbers stand without `#`, which would make GitHub write of every promotion in every pull request.
    """
    lines = [
        f"Deploy-Ops-Control-Plane: {trailers.control_plane}",
        f"Deploy-Ops-Project: {trailers.project}",
        f"Deploy-Ops-Into: {trailers.into}",
        f"Deploy-Ops-Tree: {trailers.tree}",
        *(f"Deploy-Ops-Pull-Request: {number} {head}" for number, head in trailers.pulls),
    ]
    return "\n\n".join((_format_subject(trailers, into, deploy_branch), "\n".join(lines)))


def _format_subject(trailers: Trailers, into: str, deploy_branch: str) -> str:
    numbers = [str(number) for number, _ in trailers.pulls]
    if not numbers:
        return f"Bring {deploy_branch} to {into}: no pull request is open"
    what = "pull request" if len(numbers) == 1 else "pull requests"
    shown = ", ".join(numbers[:SHOWN_MAX])
    more = f" and {len(numbers) - SHOWN_MAX} more" if len(numbers) > SHOWN_MAX else ""
    return f"Promote {what} {shown}{more} to {deploy_branch}"


def parse_trailers(message: str) -> Trailers | None:
    """Return what a commit's message says, or None if its last paragraph is not one of ours, and that alone."""
    found = _TRAILERS.fullmatch(message.rstrip("\n").rpartition("\n\n")[2])
    if found is None:
        return None
    pulls = tuple((int(number), head) for number, head in _PULL.findall(found[5]))
    return Trailers(found[1], found[2], found[3], found[4], pulls)


def is_own_commit(message: str, tree: str, control_plane: str, project: str) -> bool:
    """Whether a commit with this message and tree is one that we made for this project under this control plane."""
    said = parse_trailers(message)
    return said is not None and (said.control_plane, said.project, said.tree) == (control_plane, project, tree)
