"""Is the repository still the one that it was? GitHub gives a name that was given up to whoever asks for it.

Compares GitHub's number of the repository with the remembered one; concludes nothing about branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.run.memory import KnownRepository

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.memory import Memory


def require_same_repository(memory: Memory, github: DeployOpsGithubHook, seen: int | None = None) -> KnownRepository:
    """Remember, and return, which repository the name means; another name in the policy may mean another repository.

    :param seen: its number, where an answer has told it already; who may read it is then as it was.
    :raises ObservationError: the same name means another repository than before.
    """
    known = memory.repository.read()
    fresh = _look(github, seen, known)
    is_same_name = known is not None and known.name.casefold() == fresh.name.casefold()
    if known is not None and is_same_name and known.id != fresh.id:
        raise ObservationError(
            f"{fresh.name} is another repository than before, number {fresh.id} at GitHub and not {known.id}: it was "
            "made anew, or renamed and its name given to another. Nothing is deployed or deleted by it. Write into the "
            "policy what the one that is meant is called now; if it is this one, give the project another name, too"
        )
    if fresh != known:
        memory.repository.write(fresh)
    return fresh


def _look(github: DeployOpsGithubHook, seen: int | None, known: KnownRepository | None) -> KnownRepository:
    if seen:
        return KnownRepository(seen, github.repository, known.is_public if known and known.id == seen else None)
    found = github.read_name()
    return KnownRepository(found.id, github.repository, found.is_public)
