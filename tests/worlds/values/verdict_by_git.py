"""The change type restated over Git's own answers: `git diff --raw` for what changed, `git check-ignore` for `ignore`.

Deliberately short and slow, so that it can be read and believed; it shares nothing with the product but the values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change, needs_image
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeDecision, ChangeType
from tests.worlds.values.git_store import FOLDER, MODULE, GitIgnore, GitReader, RawChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from include.deploy_ops.core.model import TreeEntry

NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE


def dearest(verdicts: Iterable[ChangeType]) -> ChangeType:
    return max(verdicts, key=lambda verdict: verdict.rank, default=NONE)


@dataclass
class Restatement:
    """What each changed path asks for, by the rules and by Git's ignoring."""

    rules: ChangeRules
    has_dag_deploys: bool
    ignores: Callable[[tuple[str, ...], str, bool], bool]

    def judge(self, change: RawChange) -> ChangeType:
        return dearest(self.judge_path(change.path, is_folder=mode in {MODULE, FOLDER}) for mode in change.modes)

    def judge_path(self, path: str, *, is_folder: bool) -> ChangeType:
        inside = self.cut_root(path)
        if inside is None:
            named = [self.rules.root, *self.rules.also_watch]
            is_above = any(f"{name}/".startswith(f"{path}/") for name in named)
            is_watched = any(f"{path}/".startswith(f"{name}/") for name in self.rules.also_watch)
            return IMAGE if is_above or is_watched else NONE
        if inside == "dags":
            return IMAGE
        if inside.startswith("dags/"):
            return DAGS if self.has_dag_deploys else IMAGE
        return NONE if self.ignores(self.rules.ignore, inside, is_folder) else IMAGE

    def cut_root(self, path: str) -> str | None:
        """Return the path relative to the root; None outside it, and for the root itself."""
        if self.rules.root == ".":
            return path
        return path.removeprefix(f"{self.rules.root}/") if path.startswith(f"{self.rules.root}/") else None

    def is_image(self, path: str) -> bool:
        """Whether the image carries the path: all but what lies below dags/, and that too without DAG deploys."""
        return not self.has_dag_deploys or not (self.cut_root(path) or "").startswith("dags/")

    def is_dags(self, path: str) -> bool:
        return f"{self.cut_root(path) or ''}/".startswith("dags/")


@dataclass
class Comparison:
    """Compares the product with the restatement over one repository, and counts what it compared."""

    git: GitReader
    files: GitIgnore
    folders: GitIgnore
    answers: dict[tuple[object, ...], bool] = field(default_factory=dict)
    triples: int = 0

    @classmethod
    def build(cls, git: GitReader, folder: Path) -> Comparison:
        return cls(git, GitIgnore(folder / "files"), GitIgnore(folder / "folders"))

    def ignores(self, patterns: tuple[str, ...], path: str, is_folder: bool) -> bool:
        return self.answers[patterns, path, is_folder]

    def learn_ignored(self, rules: ChangeRules, history: Iterable[tuple[Snapshot, Snapshot]]) -> None:
        """Ask Git once about all paths that differ in any of the pairs."""
        restated = Restatement(rules, True, self.ignores)
        changes = {change for before, after in history for change in self.git.diff(before.tree, after.tree)}
        for is_folder, asked in ((False, self.files), (True, self.folders)):
            inside = {
                path
                for change in changes
                if any((mode == MODULE) is is_folder for mode in change.modes)
                if (path := restated.cut_root(change.path)) is not None
            }
            new = sorted(path for path in inside if (rules.ignore, path, is_folder) not in self.answers)
            for path in new if is_folder else ():
                (asked.folder / path).mkdir(parents=True, exist_ok=True)
            ignored = asked.find_ignored(rules.ignore, new) if new else ()
            self.answers |= {(rules.ignore, path, is_folder): path in ignored for path in new}

    def expect(self, restated: Restatement, image_base: str, dags_base: str, target: str) -> ChangeType:
        """Return the rule's verdict: what the image carries against its base, and the DAGs against theirs."""
        image = [change for change in self.git.diff(image_base, target) if restated.is_image(change.path)]
        dags = [change for change in self.git.diff(dags_base, target) if restated.is_dags(change.path)]
        return dearest(restated.judge(change) for change in (*image, *dags))

    def compare(
        self,
        bases: tuple[Snapshot, Snapshot],
        target: Snapshot,
        rules: ChangeRules,
        *,
        has_dag_deploys: bool = True,
        read_tree: Callable[[str], Sequence[TreeEntry]] | None = None,
        is_exact: bool = True,
    ) -> tuple[ChangeDecision, ChangeType] | None:
        """Return the product's decision and the restated one; None if both say that there is no such project.

        Where the trees are read exactly, the record of one base is checked path by path.
        """
        read = read_tree or self.git.read_tree
        image_base, dags_base = bases
        self.triples += 1

        def decide() -> ChangeDecision:
            return classify_change(
                target=target,
                image_base=image_base,
                dags_base=dags_base,
                rules=rules,
                read_tree=read,
                is_dag_deploy_enabled=has_dag_deploys,
            )

        if not self.git.has_folder(target.tree, rules.root):
            with pytest.raises(PermanentError, match="must be a folder"):
                decide()
            return None
        decision = decide()
        restated = Restatement(rules, has_dag_deploys, self.ignores)
        if is_exact and image_base == dags_base:
            self._check_record(decision, restated, image_base, target)
        return decision, self.expect(restated, image_base.tree, dags_base.tree, target.tree)

    def _check_record(self, decision: ChangeDecision, restated: Restatement, base: Snapshot, target: Snapshot) -> None:
        """Check the verdict that the record shows for each path that Git names."""
        recorded = {path.path: path.verdict for path in decision.paths}
        if "…" in recorded:
            return
        for change in self.git.diff(base.tree, target.tree):
            parts = change.path.split("/")
            shown = [change.path, *("/".join(parts[:n]) + "/" for n in range(1, len(parts)))]
            verdicts = [recorded[path] for path in shown if path in recorded]
            assert verdicts == [restated.judge(change)], f"{change}: recorded {recorded}"

    def compare_images(self, base: Snapshot, target: Snapshot, rules: ChangeRules, *, has_dag_deploys: bool) -> None:
        """Check what decides whether the image of one commit serves another."""
        restated = Restatement(rules, has_dag_deploys, self.ignores)
        changes = self.git.diff(base.tree, target.tree)
        expected = any(restated.judge(change) is IMAGE for change in changes)
        found = needs_image(base, target, rules, self.git.read_tree, is_dag_deploy_enabled=has_dag_deploys)
        assert found is expected, f"{base} → {target} by {rules}: {changes}"
