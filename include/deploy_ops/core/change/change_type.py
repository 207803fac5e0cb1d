"""Two trees and a project's rules → the change type, with the rule for every changed path.

Reads trees only through the function it is given, and does not choose the commits to compare with. Trees are compared
by hash and only folders that differ are read, so the cost grows with the change and not with the repository.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.ignore import IgnoreRules
from include.deploy_ops.core.errors import PermanentError, PolicyError
from include.deploy_ops.core.model import FOLDER_MODE, ChangeDecision, ChangeType, PathVerdict, TreeEntry

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project


ReadTree = Callable[[str], Sequence[TreeEntry]]
"""A tree's id → its entries, in any order; may raise ObservationError.

A name that is no UTF-8 carries surrogate escapes, or whatever the source makes of it (JSON cannot tell its bytes): a
name beyond ASCII is believed only where the entries hash to the tree's id.
"""

MAX_PATHS = 200

PATH_LENGTH_MAX = 4096
"""Characters of a path that the ignore rules are asked about: Linux opens no longer one, Git's trees may hold any."""

FOLDERS_MAX = 1_000
"""Folders that are looked into for one question. Where more differ and nothing was found that counts, the folder that
would be next is settled as a whole: a few hundred bytes of Git can nest more folders in one another than anyone reads.
"""

CONCERNED_FOLDERS_MAX = 100
"""The same where it is asked of many branches at once, in a pass that others wait for."""


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """What of the policy decides the change type.

    :param root: the project's folder in the repository, "." or "a/b".
    :param ignore: gitignore patterns relative to the root; they never touch `dags/` or `also_watch`.
    :param also_watch: paths outside the root, files or folders, whose change asks for an image.
    """

    root: str
    ignore: tuple[str, ...] = ()
    also_watch: tuple[str, ...] = ()

    @classmethod
    def of(cls, project: Project) -> ChangeRules:
        """Return the rules of a project in the policy."""
        return cls(root=project.root, ignore=project.ignore, also_watch=project.also_watch)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit and its root tree."""

    commit: str
    tree: str


def classify_change(
    *,
    target: Snapshot,
    image_base: Snapshot | None,
    dags_base: Snapshot | None,
    rules: ChangeRules,
    read_tree: ReadTree,
    is_dag_deploy_enabled: bool = True,
    missing_base: str = "nothing was deployed yet",
) -> ChangeDecision:
    """Decide which deploy brings `target` to a Deployment, with the verdict and rule of each changed path.

    `image_base` is the last successful image deploy, `dags_base` the last successful deploy that carried DAGs; None
    means an image deploy, for the reason `missing_base`. At most `MAX_PATHS` paths are recorded, dearest first, and no
    folder is read for the sake of more. Raises PolicyError for rules that contradict each other and PermanentError if
    the target's root is no folder.
    """
    judge = _Judge.compile(rules, is_dag_deploy_enabled=is_dag_deploy_enabled)
    walk = _Walk(judge, cache(read_tree))
    walk.check_root(target)
    if image_base is None or dags_base is None:
        known = (image_base.commit if image_base else None, dags_base.commit if dags_base else None)
        return ChangeDecision(ChangeType.IMAGE, target.commit, *known, reason=missing_base)
    image_changes = _take_enough(walk.list_image_changes(image_base.tree, target.tree))
    dags_changes = _take_enough(walk.list_dags_changes(dags_base.tree, target.tree))
    paths = _merge(image_changes, dags_changes)
    change_type = paths[0].verdict if paths else ChangeType.NONE
    reason = _explain(change_type, paths, image_base.commit, dags_base.commit)
    return ChangeDecision(change_type, target.commit, image_base.commit, dags_base.commit, reason, _cap(paths))


def needs_image(
    source: Snapshot, target: Snapshot, rules: ChangeRules, read_tree: ReadTree, *, is_dag_deploy_enabled: bool = True
) -> bool:
    """Whether `target` needs another image than the one that was built from `source`.

    Without DAG deploys the image carries the DAGs, so `dags/` counts too. Raises as `classify_change` does.
    """
    judge = _Judge.compile(rules, is_dag_deploy_enabled=is_dag_deploy_enabled)
    walk = _Walk(judge, cache(read_tree))
    walk.check_root(target)
    changes = walk.list_image_changes(source.tree, target.tree)
    return any(change.verdict is ChangeType.IMAGE for change in changes)


def has_root(target: Snapshot, rules: ChangeRules, read_tree: ReadTree) -> bool:
    """Whether the project's root is a folder there. Raises as `read_tree` does."""
    judge = _Judge.compile(rules, is_dag_deploy_enabled=True)
    return not _Walk(judge, cache(read_tree)).find_gap(target)


def is_concerned(base: Snapshot, target: Snapshot, rules: ChangeRules, read_tree: ReadTree) -> bool:
    """Whether anything differs that a deploy of the project would bring, or so much that it is not looked through.

    Raises as `read_tree` does.
    """
    judge = _Judge.compile(rules, is_dag_deploy_enabled=False)  # an image that carries the DAGs carries all
    changes = _Walk(judge, cache(read_tree), CONCERNED_FOLDERS_MAX).list_image_changes(base.tree, target.tree)
    return any(change.verdict is not ChangeType.NONE for change in changes)


def list_changed_dags(
    before: Snapshot, after: Snapshot, rules: ChangeRules, read_tree: ReadTree
) -> frozenset[str] | None:
    """Return the paths below `dags/` that differ, removed ones too, relative to the root.

    None where they are more than the record holds, or their names cannot be told: then any may have changed. Raises as
    `read_tree` does.
    """
    judge = _Judge.compile(rules, is_dag_deploy_enabled=True)
    changes = _Walk(judge, cache(read_tree)).list_dags_changes(before.tree, after.tree)
    paths = {change.path.removeprefix(f"{judge.root}/") for change in _take_enough(changes)}
    is_told = len(paths) <= MAX_PATHS and not any(path.endswith("/") or "\ufffd" in path for path in paths)
    return frozenset(paths) if is_told else None


@dataclass(frozen=True, slots=True)
class _Judge:
    """What a change of one path asks for, by the path alone."""

    root: str  # without a slash at the end; empty for the repository itself
    watched: tuple[str, ...]
    ignored: IgnoreRules
    is_dag_deploy_enabled: bool

    @classmethod
    def compile(cls, rules: ChangeRules, *, is_dag_deploy_enabled: bool) -> _Judge:
        root = "" if rules.root in {".", "./"} else _read_path("root", rules.root)
        watched = tuple(_read_path("also_watch", path) for path in rules.also_watch)
        for path in watched:
            if _is_within(path, root):
                raise PolicyError(
                    f"also_watch: '{path}' lies inside the project's root '{rules.root}', where every path counts"
                    " already; remove it"
                )
        return cls(root, watched, IgnoreRules(rules.ignore), is_dag_deploy_enabled)

    @property
    def dags(self) -> str:
        return f"{self.root}/dags".removeprefix("/")

    def judge(self, path: str, entry: TreeEntry, *, is_told: bool = True) -> tuple[ChangeType, str]:
        """Return verdict and rule. For a folder: NONE settles all that it holds, anything else means look inside.

        A path whose name the source could not tell exactly is not ignored: a rule may mean another name.
        """
        if path == self.dags and not entry.is_tree:
            return ChangeType.IMAGE, "'dags' is no folder"
        if _is_within(path, self.dags):
            return self._judge_dags()
        if path != self.root and _is_within(path, self.root):
            return self._judge_inside(path, entry) if is_told else (ChangeType.IMAGE, "its name cannot be read exactly")
        return self._judge_outside(path)

    def _judge_dags(self) -> tuple[ChangeType, str]:
        if self.is_dag_deploy_enabled:
            return ChangeType.DAGS, "below dags/"
        return ChangeType.IMAGE, "below dags/, and DAG deploys are off"

    def _judge_inside(self, path: str, entry: TreeEntry) -> tuple[ChangeType, str]:
        relative = path[len(self.root) :].removeprefix("/")
        if len(relative) > PATH_LENGTH_MAX:
            return ChangeType.IMAGE, f"outside dags/, and longer than {PATH_LENGTH_MAX} characters"
        # Git's ignore rules take a submodule for a folder.
        pattern = self.ignored.find_rule(relative, is_folder=entry.is_tree or entry.is_submodule)
        return (ChangeType.NONE, f"ignored by '{pattern}'") if pattern else (ChangeType.IMAGE, "outside dags/")

    def _judge_outside(self, path: str) -> tuple[ChangeType, str]:
        if _is_within(self.root, path):
            return ChangeType.IMAGE, "the way to the root"
        for watched in self.watched:
            # What stands above a watched path, say a submodule that holds it, changes it as well.
            if _is_within(path, watched) or _is_within(watched, path):
                return ChangeType.IMAGE, f"also_watch '{watched}'"
        return ChangeType.NONE, "outside the root"


@dataclass(frozen=True, slots=True)
class _Difference:
    """One path whose entries differ; None where there is none.

    Where its name is not told exactly it may stand for several paths, and equal entries prove nothing.
    """

    path: str
    before: TreeEntry | None
    after: TreeEntry | None
    is_told: bool = True

    @property
    def entries(self) -> tuple[TreeEntry, ...]:
        return tuple(entry for entry in (self.before, self.after) if entry is not None)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The changed paths between two root trees; a folder that is settled as a whole is one path with a slash."""

    judge: _Judge
    read_tree: ReadTree
    folders_max: int = FOLDERS_MAX

    def check_root(self, target: Snapshot) -> None:
        if gap := self.find_gap(target):
            raise PermanentError(
                f"root '{self.judge.root}': {gap} at commit {target.commit}; the project's root must be a folder:"
                " correct `root` in the policy, or the branch"
            )

    def find_gap(self, target: Snapshot) -> str:
        """Return what stands on the way to the root in place of a folder; empty where the root is one."""
        path = ""
        tree: str = target.tree
        for name in filter(None, self.judge.root.split("/")):
            path = f"{path}/{name}".removeprefix("/")
            entry = self._find_entry(tree, name)
            if entry is None or not entry.is_tree:
                return f"'{path}' is {'missing' if entry is None else entry.kind}"
            tree = entry.sha
        return ""

    def list_image_changes(self, before: str, after: str) -> Iterator[PathVerdict]:
        """Compare everything that an image carries: all but `dags/`, and that too where DAG deploys are off."""
        start = _Difference("", TreeEntry("", FOLDER_MODE, before), TreeEntry("", FOLDER_MODE, after))
        return self._walk(start, has_dags=False)

    def list_dags_changes(self, before: str, after: str) -> Iterator[PathVerdict]:
        """Compare `<root>/dags` alone."""
        start = _Difference(self.judge.dags, self._find_dags(before), self._find_dags(after))
        return self._walk(start, has_dags=True)

    def _find_dags(self, tree: str) -> TreeEntry | None:
        entry: TreeEntry | None = TreeEntry("", FOLDER_MODE, tree)
        for name in self.judge.dags.split("/"):
            entry = self._find_entry(entry.sha, name) if entry and entry.is_tree else None
        return entry

    def _find_entry(self, tree: str, name: str) -> TreeEntry | None:
        return next((entry for entry in self.read_tree(tree) if entry.name == name), None)

    def _walk(self, start: _Difference, *, has_dags: bool) -> Iterator[PathVerdict]:
        pending = [start] if start.before != start.after else []
        looked = 0
        while pending:
            difference = pending.pop()
            if not difference.is_told:
                yield from self._settle(difference)
                continue
            for entry in difference.entries:
                if not entry.is_tree:
                    yield PathVerdict(difference.path, *self.judge.judge(difference.path, entry))
            folder = next((entry for entry in difference.entries if entry.is_tree), None)
            if folder is None:
                continue
            verdict, rule = self.judge.judge(difference.path, folder) if difference.path else (ChangeType.IMAGE, "")
            if verdict is ChangeType.NONE:
                yield PathVerdict(f"{difference.path}/", verdict, rule)
            elif (verdict is ChangeType.IMAGE or has_dags) and looked == self.folders_max:
                yield PathVerdict(f"{difference.path}/", verdict, f"{rule}; over {self.folders_max} folders differ")
                return
            elif verdict is ChangeType.IMAGE or has_dags:
                looked += 1
                pending.extend(self._compare(difference))

    def _settle(self, untold: _Difference) -> Iterator[PathVerdict]:
        """Judge without looking inside: what cannot be told exactly is never ignored, so that nothing below matters."""
        for entry in untold.entries:
            path = f"{untold.path}/" if entry.is_tree else untold.path
            yield PathVerdict(path, *self.judge.judge(untold.path, entry, is_told=False))

    def _compare(self, folder: _Difference) -> Iterator[_Difference]:
        """Return what differs in a folder that is one on at least one side."""
        trees = [entry.sha for entry in (folder.before, folder.after) if entry is not None and entry.is_tree]
        untold = {name for tree in trees for name in _list_untold(tree, self.read_tree(tree))}
        before, after = (
            self.read_tree(entry.sha) if entry is not None and entry.is_tree else ()
            for entry in (folder.before, folder.after)
        )
        for name, (old, new) in _pair_entries(before, after):
            path = f"{folder.path}/{name}".removeprefix("/")
            if name in untold:
                yield from (_Difference(path, entry, None, is_told=False) for entry in (*old, *new))
            elif old != new:
                yield _Difference(path, next(iter(old), None), next(iter(new), None))


def _pair_entries(
    before: Sequence[TreeEntry], after: Sequence[TreeEntry]
) -> Iterable[tuple[str, tuple[list[TreeEntry], list[TreeEntry]]]]:
    pairs: dict[str, tuple[list[TreeEntry], list[TreeEntry]]] = defaultdict(lambda: ([], []))
    for side, entries in enumerate((before, after)):
        for entry in entries:
            pairs[entry.name][side].append(entry)
    return pairs.items()


def _list_untold(tree: str, entries: Sequence[TreeEntry]) -> set[str]:
    """Return the names that may stand for another name, or for several: equal entries prove nothing for them."""
    counts = Counter(entry.name for entry in entries)
    doubled = {name for name, count in counts.items() if count > 1}
    odd = {name for name in counts if not name.isascii()}
    return doubled | odd if odd and hash_tree(entries) != tree else doubled


def hash_tree(entries: Iterable[TreeEntry]) -> str:
    """Return Git's id of a tree of these entries: sorted by bytes, a folder as if its name ended in a slash."""
    lines = sorted(
        (entry.name.encode("utf-8", "surrogateescape") + b"/" * entry.is_tree, entry.mode, entry.sha)
        for entry in entries
    )
    content = b"".join(
        f"{mode.lstrip('0')} ".encode() + name.removesuffix(b"/") + b"\0" + bytes.fromhex(sha)
        for name, mode, sha in lines
    )
    return hashlib.sha1(b"tree %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def _is_within(path: str, folder: str) -> bool:
    """Whether the path is the folder or lies below it, by whole segments; the empty folder holds everything."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def _read_path(key: str, path: str) -> str:
    segments = path.removesuffix("/").split("/")
    if not {"", ".", ".."}.isdisjoint(segments):
        raise PolicyError(f"{key}: '{path}' is no path below the repository's top; write it like 'services/etl'")
    return "/".join(segments)


def _take_enough(changes: Iterator[PathVerdict]) -> Iterator[PathVerdict]:
    """Stop where the record is full of what counts: each question has one verdict besides NONE, so it is answered."""
    counted: set[str] = set()  # a file that was modified comes once for each side
    for change in changes:
        yield change
        if change.verdict is not ChangeType.NONE:
            counted.add(change.path)
        if len(counted) > MAX_PATHS:
            return


def _merge(*changes: Iterable[PathVerdict]) -> list[PathVerdict]:
    """Return one verdict a path, the dearest, in the record's order: dearest first, then by path."""
    dearest: dict[str, PathVerdict] = {}
    for change in (change for part in changes for change in part):
        known = dearest.get(change.path)
        if known is None or change.verdict.rank > known.verdict.rank:
            dearest[change.path] = change
    return sorted(dearest.values(), key=lambda change: (-change.verdict.rank, change.path))


def _cap(paths: list[PathVerdict]) -> tuple[PathVerdict, ...]:
    if len(paths) <= MAX_PATHS:
        return tuple(paths)
    shown, rest = paths[: MAX_PATHS - 1], paths[MAX_PATHS - 1 :]
    more = PathVerdict("…", rest[0].verdict, "more changed paths are not listed")
    return (*shown, more)


def _explain(change_type: ChangeType, paths: list[PathVerdict], image_base: str, dags_base: str) -> str:
    bases = f"the image of {image_base[:12]} and the DAGs of {dags_base[:12]}"
    if not paths:
        return f"nothing differs from {bases}"
    deciding = [path for path in paths if path.verdict is change_type]
    first, count = deciding[0], len(deciding)
    others = f" and {count - 1} more" if count <= MAX_PATHS else f" and over {MAX_PATHS - 1} more"
    said = f"'{first.path}' ({first.rule})" + (others if count > 1 else "")
    if change_type is ChangeType.NONE:
        return f"nothing that counts differs from {bases}: {said}"
    if change_type is ChangeType.DAGS:
        return f"only DAGs differ from {bases}: {said}"
    return f"an image is needed, compared with {bases}: {said}"
