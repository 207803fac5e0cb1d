"""How the trees of a repository are read where one step asks for many: by the API at first, and then by Git.

Each tree is a request to the API, from the hour's quota; Git gives all trees of some commits at once, and none of it
counts. Both answer alike, since a tree's id says what is in it. Git is a help and no need: where it does not bring
them, the API is asked on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import DeployOpsError

if TYPE_CHECKING:
    from include.deploy_ops.core.model import TreeEntry

_LOG = logging.getLogger(__name__)

REQUESTS_MAX = 20
"""Trees that are asked of the API before Git is; then as many again before Git is asked for commits read since."""

FETCHES_MAX = 4
"""How often one step asks Git: what it brought is held in memory."""

FindTree = Callable[[str], "tuple[TreeEntry, ...] | None"]
"""A tree's id → its entries, sorted by name; None for one that it does not know, or that the API shall judge."""

FetchTrees = Callable[[Sequence[str]], FindTree]
"""Commits → all their trees, bounded in time and bytes; may raise DeployOpsError."""


@dataclass(slots=True)
class BulkTrees:
    """What Git brought, and what it would be asked for.

    :param fetch: asks Git; None where only the API is asked.
    """

    fetch: FetchTrees | None
    _commits: dict[str, None] = field(default_factory=dict)
    _found: list[FindTree] = field(default_factory=list)
    _asked: int = 0

    def note(self, commit: str) -> None:
        """Remember a commit that was read: its trees are likely to be."""
        self._commits[commit] = None

    def prefer_git(self) -> None:
        """Let Git be asked at once: who does so has much of it fetched by Git anyway."""
        self._asked = max(self._asked, REQUESTS_MAX)

    def find(self, sha: str) -> tuple[TreeEntry, ...] | None:
        """Return a tree that Git brought, or brings now; None where the API is to be asked, which counts."""
        if self.fetch is not None and self._commits and self._asked >= REQUESTS_MAX and len(self._found) < FETCHES_MAX:
            self._bring(self.fetch)
        entries = next((entries for find in self._found if (entries := find(sha)) is not None), None)
        self._asked += entries is None
        return entries

    def _bring(self, fetch: FetchTrees) -> None:
        commits, self._commits, self._asked = tuple(self._commits), {}, 0
        try:
            self._found.append(fetch(commits))
        except (DeployOpsError, OSError) as error:
            _LOG.info(
                "the trees of %d commits are asked for one by one, Git does not give them: %s", len(commits), error
            )
            self.fetch = None
        else:
            _LOG.info("Git gave the trees of %d commits, of which many were asked for", len(commits))
