"""Open pull requests + trees → the deploy branch's derived tree: `into`'s, with their DAGs laid over it.

Reads trees only through the function it is given, and only folders that differ, so the cost grows with the change and
not with the repository. What a commit says of a promotion stands in `message.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import ReadTree, Snapshot
from include.deploy_ops.core.change.tree_edits import (
    Edits,
    LeafChange,
    ReadBelow,
    TooManyChangesError,
    Trees,
    edit_tree,
)
from include.deploy_ops.core.model import PullRequest, TreeEntry
from include.deploy_ops.core.policy.keys import Project, Promotion, is_matched
from include.deploy_ops.core.promotion.contribution import Contribution, Part, is_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


COPY_ALL = "all"
FINGERPRINT_LENGTH = 16

READ_BELOW_FROM = 5
"""Pull requests from which the whole `dags/` of `into` is read at once: each looks into folders of its own there."""

_MODES = {"100664": "100644"}  # Git wrote it once; GitHub takes only the other


@dataclass(frozen=True, slots=True, order=True)
class Laid:
    """A path that differs from `into` in the derived tree, and the pull request that it comes from; None: removed."""

    path: str
    number: int
    entry: TreeEntry | None


@dataclass(frozen=True, slots=True, order=True)
class Conflict:
    """A path of a pull request's that was not laid, and why."""

    path: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Overlap:
    """A path that several pull requests change, in their order; the last one won."""

    path: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DerivedTree:
    """What the deploy branch shall hold.

    `tree` is its id; None where a name cannot be read exactly, and then only Git can tell it. `edits` make it of
    `into`'s tree: path → entry, None removes. `is_stored` says that the repository holds the tree already. `parts` is
    what each pull request brings, by its number.
    """

    into: Snapshot
    pulls: tuple[tuple[int, str], ...]
    tree: str | None
    is_stored: bool
    edits: tuple[tuple[str, TreeEntry | None], ...]
    laid: tuple[Laid, ...]
    conflicts: tuple[Conflict, ...]
    overlaps: tuple[Overlap, ...]
    parts: tuple[tuple[int, Part], ...] = ()


def select_pulls(pulls: Iterable[PullRequest], promotion: Promotion) -> tuple[PullRequest, ...]:
    """Return the open pull requests that feed the deploy branch, by number; never one from a fork.

    Nor a draft, unless the policy says so.
    """
    chosen = {
        pull.number: pull
        for pull in pulls
        if pull.is_open and not pull.is_from_fork and pull.base_ref == promotion.into
        if is_matched(pull.head_ref, promotion.sources) and (promotion.drafts or not pull.is_draft)
    }
    return tuple(chosen[number] for number in sorted(chosen))


def fingerprint_promotion(project: Project, pulls: Iterable[PullRequest], into_head: str, tip: str) -> str:
    """Return what tells that a promotion has nothing new to look at; the project must have a promotion.

    :param pulls: any pull requests; those that count are selected here.
    :param tip: the deploy branch's commit, "" while there is none.
    """
    if project.promotion is None:
        raise ValueError(f"project {project.name} has no promotion")
    chosen = select_pulls(pulls, project.promotion)
    facts = {
        # A key that came later counts where it is set: an upgrade promotes nothing anew.
        "promotion": project.promotion.model_dump(
            mode="json", exclude=None if project.promotion.drafts else {"drafts"}
        ),
        "root": project.root,
        "into": into_head,
        "tip": tip,
        "pulls": [(pull.number, pull.head_sha) for pull in chosen],
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:FINGERPRINT_LENGTH]


def derive_tree(
    into: Snapshot,
    contributions: Iterable[Contribution],
    *,
    root: str,
    copy_mode: str,
    read_tree: ReadTree,
    read_below: ReadBelow | None = None,
) -> DerivedTree:
    """Return the deploy branch's tree. The order in which the contributions come does not matter.

    :param root: the project's folder in the repository, "." or "a/b".
    :param copy_mode: "changes" lays what a pull request changes in dags/, "all" its whole dags/.
    :param read_below: reads many folders in one request, if there is such a way.
    """
    ordered = sorted(contributions, key=lambda each: each.number)
    derivation = _Derivation(Trees(read_tree, read_below), into.tree, "dags" if root == "." else f"{root}/dags")
    if len(ordered) >= READ_BELOW_FROM:
        derivation.read_into()
    for contribution in ordered:
        derivation.add(contribution, is_whole=copy_mode == COPY_ALL)
    edits = derivation.list_edits()
    edited = edit_tree(derivation.trees, into.tree, edits)
    return DerivedTree(
        into=into,
        pulls=tuple((each.number, each.head.commit) for each in ordered),
        tree=edited.sha,
        is_stored=edited.sha is not None and derivation.trees.is_known(edited.sha),
        edits=tuple(sorted(edited.entries.items(), key=lambda edit: edit[0])),
        laid=tuple(sorted((derivation.laid[path] for path in edits), key=lambda each: each.path)),
        conflicts=tuple(sorted(derivation.conflicts)),
        overlaps=derivation.list_overlaps(),
        parts=tuple(sorted(derivation.parts.items())),
    )


class _Derivation:
    """What is laid over `into`'s tree so far."""

    def __init__(self, trees: Trees, into: str, dags: str) -> None:
        self.trees = trees
        self.laid: dict[str, Laid] = {}
        self.conflicts: list[Conflict] = []
        self.parts: dict[int, Part] = {}
        self._into = into
        self._dags = dags
        self._authors: defaultdict[str, list[int]] = defaultdict(list)
        self._contested: set[str] = set()

    def list_edits(self) -> Edits:
        """Return what differs from `into`; a path that turned from a folder into a leaf is named with both sides."""
        return {
            path: laid.entry
            for path, laid in self.laid.items()
            if laid.entry != self.trees.find_leaf(self._into, path) and laid.entry != self.trees.find(self._into, path)
        }

    def list_overlaps(self) -> tuple[Overlap, ...]:
        """Return the contested paths with all who change them."""
        return tuple(Overlap(path, tuple(self._authors[path])) for path in sorted(self._contested))

    def add(self, contribution: Contribution, *, is_whole: bool) -> None:
        """Lay one pull request's DAGs over what is there, or tell why not."""
        number, part = contribution.number, self._find_part(contribution, is_whole=is_whole)
        self.parts[number] = part
        taken: Edits = {}
        refusal = part.refusal or self._find_obstacle(contribution, is_whole=is_whole)
        if not refusal:
            try:
                taken = {self._dags: part.whole} if is_whole else self._take_changes(contribution, part)
            except TooManyChangesError as error:  # of this pull request alone: the others are laid
                refusal = _refuse(error)
        if refusal:
            self.conflicts.append(Conflict(f"{self._dags}/", number, refusal))
        else:
            self._lay(number, taken)

    def read_into(self) -> None:
        """Read all folders of the `dags/` of `into` at once."""
        dags = self.trees.find(self._into, self._dags)
        if dags is not None and dags.is_tree:
            self.trees.read_below(dags.sha)

    def _find_part(self, contribution: Contribution, *, is_whole: bool) -> Part:
        """Return what the pull request brings: what is known of it, or what is read now."""
        before = self.trees.find(self._into, self._dags) if is_whole else None
        if is_whole:
            against = before.sha if before is not None else ""
        else:
            against = contribution.base.commit if contribution.base else ""
        if contribution.known is not None and contribution.known.against == against:
            return contribution.known
        refusal, after = self._find_dags(contribution, is_whole=is_whole)
        if refusal or (not is_whole and contribution.base is None):
            return Part(against, refusal)
        if contribution.base is not None and not is_whole:
            before = self.trees.find(contribution.base.tree, self._dags)
        try:
            changes = tuple(self.trees.list_changes(self._dags, before, after))
        except TooManyChangesError as error:
            return Part(against, _refuse(error))
        return Part(against, whole=after) if is_whole else Part(against, changes=changes)

    def _find_dags(self, contribution: Contribution, *, is_whole: bool) -> tuple[str, TreeEntry | None]:
        """Return why nothing of the head can be laid, "" if something can, and its dags/."""
        found = None
        for place in (*_list_folders(self._dags), self._dags):
            found = self.trees.find(contribution.head.tree, place)
            if found is not None and not found.is_tree:
                return f"'{place}' is {found.kind} at its head, so nothing below it is laid", None
        if is_whole and found is None:
            return "its head has no such folder, so nothing is copied", None
        return "", found

    def _find_obstacle(self, contribution: Contribution, *, is_whole: bool) -> str:
        """Return why nothing of the pull request can be laid over `into`, "" if something can."""
        if is_whole and (blocker := self._find_leaf_above(self._dags)):
            return f"'{blocker}' is no folder in the branch that it goes into"
        return "" if is_whole or contribution.base else "it shares no history with the branch that it goes into"

    def _take_changes(self, contribution: Contribution, part: Part) -> Edits:
        """Return what the pull request changes in dags/, without what `into` changed itself: that is told."""
        base = contribution.base.tree if contribution.base else ""
        taken: Edits = {}
        for change in part.changes:
            if reason := self._judge(change):
                self.conflicts.append(Conflict(change.path, contribution.number, reason))
            else:
                taken[change.path] = _normalize(change.after)
        for path in [path for path, entry in taken.items() if entry is not None]:
            if blocker := self._find_blocker(path, base, taken):
                reason = f"'{blocker}' stands there in the branch that it goes into"
                self.conflicts.append(Conflict(path, contribution.number, reason))
                del taken[path]
        return taken

    def _judge(self, change: LeafChange) -> str:
        """Return why the change is not laid, "" if it is."""
        if not is_writable(change.path):
            return "GitHub's API cannot write its name, which is no UTF-8"
        now = self.trees.find_leaf(self._into, change.path)
        if now in {change.before, change.after}:
            return ""
        what = "removed" if now is None else "changed" if change.before else "added"
        return f"the branch that it goes into {what} it too since they parted, and keeps its version"

    def _find_blocker(self, path: str, base: str, taken: Edits) -> str:
        """Return what of `into` a new leaf would displace: a leaf on the way to it, or what came into its place."""
        above = self._find_leaf_above(path)
        if above and above not in taken:
            return above
        below = self.trees.find(self._into, path)
        if below is None or not below.is_tree:
            return ""
        # What was there at the merge base goes with the pull request, which put a leaf in its place.
        changes = self.trees.list_changes(path, self.trees.find(base, path), below)
        return next((change.path for change in changes if change.after is not None), "")

    def _find_leaf_above(self, path: str) -> str:
        leaves = (folder for folder in _list_folders(path) if self.trees.find_leaf(self._into, folder))
        return next(leaves, "")

    def _lay(self, number: int, taken: Edits) -> None:
        """Lay the paths over those of earlier pull requests, which lose where both cannot be."""
        below: defaultdict[str, list[str]] = defaultdict(list)
        for path, laid in self.laid.items():
            for folder in _list_folders(path) if laid.entry is not None else ():
                below[folder].append(path)
        for path, entry in taken.items():
            if path in self.laid and self.laid[path].entry != entry:
                self._contested.add(path)
            if entry is not None:
                self._displace(number, [*_list_folders(path), *below[path]], taken)
            self._authors[path].append(number)
            self.laid[path] = Laid(path, number, entry)

    def _displace(self, number: int, rivals: Iterable[str], taken: Edits) -> None:
        """Take away what earlier pull requests laid where a folder or leaf of this one's must stand."""
        for rival in rivals:
            if rival in taken or rival not in self.laid or self.laid[rival].entry is None:
                continue
            self._contested.add(rival)
            self._authors[rival].append(number)
            self.laid[rival] = Laid(rival, number, None)


def _refuse(error: TooManyChangesError) -> str:
    return f"{error}, so nothing of it is laid"


def _list_folders(path: str) -> Iterator[str]:
    """List the folders on the way to a path, the outermost first."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _normalize(entry: TreeEntry | None) -> TreeEntry | None:
    return TreeEntry(entry.name, _MODES.get(entry.mode, entry.mode), entry.sha) if entry else None
