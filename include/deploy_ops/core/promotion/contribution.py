"""What one open pull request contributes to the deploy branch, and what of that is kept for the next promotion. Pure.

A contribution follows from its head, its merge base and the project's folder: while these stand, it is not read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.change.tree_edits import FOLDERS_MAX, LEAVES_MAX, LeafChange
from include.deploy_ops.core.model import TreeEntry

if TYPE_CHECKING:
    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.core.policy.keys import Project

KEPT_LENGTH_MAX = 4_000
"""Characters, about, of a part that is kept: what is larger is read again. Airflow warns of values above 64 KiB."""

_CHANGE_LENGTH = 200
"""Characters that a change takes beside its path."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a head has below `dags/`, as it was compared with `against`.

    By `copy: changes` that is the merge base's commit, and `changes` are what the pull request changes; by `copy: all`
    the tree of the `dags/` of `into`, and `whole` is the head's. `refusal` says why nothing of it can be laid.
    """

    against: str
    refusal: str = ""
    changes: tuple[LeafChange, ...] = ()
    whole: TreeEntry | None = None

    @property
    def is_small(self) -> bool:
        """Whether it is kept."""
        length = sum(len(change.path) * 3 + _CHANGE_LENGTH for change in self.changes)
        return length <= KEPT_LENGTH_MAX and all(is_writable(change.path) for change in self.changes)


@dataclass(frozen=True, slots=True)
class Contribution:
    """An open pull request: its head, and the merge base of that with `into`; None where they share no history.

    The merge base is not looked at where whole DAG folders are copied. `known` is what was read of the head before.
    """

    number: int
    head: Snapshot
    base: Snapshot | None
    known: Part | None = None


@dataclass(frozen=True, slots=True)
class KeptContribution:
    """A contribution as the last promotion found it, with `into`'s commit and the rules (`name_rules`) at that time.

    `seal` is that promotion's word that it was so (`run/contributions.py`).
    """

    head: Snapshot
    base: Snapshot | None
    into: str
    rules: str
    part: Part
    seal: str = ""

    def recall(self, pull: PullRequest, rules: str) -> Part | None:
        """Return what is known of the pull request's head, None where that moved or other rules hold."""
        return self.part if (self.head.commit, self.rules) == (pull.head_sha, rules) else None


def name_rules(project: Project) -> str:
    """Return what a part depends on beside its commits; the project must have a promotion."""
    if project.promotion is None:
        raise ValueError(f"project {project.name} has no promotion")
    return f"{project.promotion.copy_mode} {FOLDERS_MAX} {LEAVES_MAX} {project.root}"


def is_writable(path: str) -> bool:
    """Whether JSON can say the path: GitHub replaces what is no UTF-8 by U+FFFD, Python by surrogates."""
    return "\ufffd" not in path and not any("\ud800" <= character <= "\udfff" for character in path)
