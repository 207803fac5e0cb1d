"""Which DAGs a branch's changed files bring, drop or change, against another Deployment's; and what else differs. Pure.

Whether a DAG is paused is no difference: a person chose that there, and no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.core.verification.verdict import DagChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts

CHANGES_MAX = 100
"""DAGs that are told of each kind; further ones are counted."""
_VALUE_MAX = 80
_WORDS_MAX = 10


@dataclass(frozen=True, slots=True)
class DagDifference:
    """What the changed files are about, and apart from it how the other Deployment differs: `behind`.

    Of very many the first ones by id, and the number of the others: `changes_left` and `behind_left`.
    """

    changes: tuple[DagChange, ...] = ()
    behind: tuple[DagChange, ...] = ()
    changes_left: int = 0
    behind_left: int = 0


def compare_dags(here: AirflowFacts, there: AirflowFacts, changed: Iterable[str]) -> DagDifference:
    """Return how the DAGs of two Deployments differ.

    :param here: of the branch's: DAGs and faults of the deployed code alone (`choose_current`).
    :param there: of the one that it is compared with, as it is.
    :param changed: files below the DAG folder that the branch adds, changes or removes since the merge base.
    """
    ours = {each.dag_id: each for each in here.dags if not each.is_stale}
    theirs = {each.dag_id: each for each in there.dags if not each.is_stale}
    broken, touched = {each.file for each in here.faults}, frozenset(changed)
    changes: list[DagChange] = []
    behind: list[DagChange] = []
    for dag_id in sorted(ours.keys() | theirs.keys()):
        mine, its = ours.get(dag_id), theirs.get(dag_id)
        files = {each.file for each in (mine, its) if each}
        found = _compare(mine, its, broken)
        if found is not None:
            (changes if files & (touched | broken) else behind).append(found)
    return DagDifference(
        tuple(changes[:CHANGES_MAX]),
        tuple(behind[:CHANGES_MAX]),
        len(changes[CHANGES_MAX:]),
        len(behind[CHANGES_MAX:]),
    )


def _compare(mine: AirflowDag | None, its: AirflowDag | None, broken: set[str]) -> DagChange | None:
    if mine is None:
        if its is None:
            return None
        if its.file in broken:
            return DagChange(its.dag_id, "unknown", f"{_tell(its.file)} is broken")
        return DagChange(its.dag_id, "gone")
    if its is None:
        return DagChange(mine.dag_id, "new", f"schedule {_tell(mine.schedule)}" if mine.schedule else "no schedule")
    said = "; ".join(_list_differences(mine, its))
    return DagChange(mine.dag_id, "changed", said) if said else None


def _list_differences(mine: AirflowDag, its: AirflowDag) -> Iterator[str]:
    if mine.schedule != its.schedule:
        yield f"schedule {_tell(its.schedule)} → {_tell(mine.schedule)}"
    for what, ours, theirs in (("tags", mine.tags, its.tags), ("owners", mine.owners, its.owners)):
        signs = [f"+{_tell(each)}" for each in ours if each not in theirs]
        signs += [f"-{_tell(each)}" for each in theirs if each not in ours]
        if signs:
            more = len(signs) - _WORDS_MAX
            yield " ".join([what, *signs[:_WORDS_MAX], *([f"and {more} more"] if more > 0 else [])])
    if mine.file != its.file:
        yield f"file {_tell(its.file)} → {_tell(mine.file)}"


def _tell(text: str) -> str:
    """Return a stranger's value in one short piece in which every character is seen."""
    line = reveal(" ".join(text[: 4 * _VALUE_MAX].split())) or "none"
    return line if len(line) <= _VALUE_MAX else f"{line[: _VALUE_MAX - 1]}…"
