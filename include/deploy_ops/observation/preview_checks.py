"""Which deploys to previews wait for the checks on their commit: asked of GitHub for what would start, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.plan.work import PREVIEW_DAG, Difference, Hold, HoldKind, Plan, Verb, Work
from include.deploy_ops.core.policy.values import REQUIRED
from include.deploy_ops.core.target.gates import judge_checks

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.target.gates import Wanted
    from include.deploy_ops.observation.commit_checks import CheckReader

HELD_MAX = 50
"""Commits that wait after which a pass asks for no further: each costs some requests to GitHub."""

_CODE = frozenset({Verb.CREATE, Verb.DEPLOY})


@dataclass
class PreviewChecks:
    """The gate of one pass."""

    project: Project
    reader: CheckReader
    _wanted: Wanted = field(init=False)
    _asked: set[str] = field(init=False, default_factory=set)
    _unmet: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.project.previews.requires if self.project.previews else None
        self._wanted = rules.checks if rules else ()

    def hold_unmet(self, difference: Difference) -> Difference:
        """Return the difference in which nothing is due whose checks are known to be awaited."""
        held = [work for work in difference.works if self._is_gated(work) and work.head in self._unmet]
        if not held:
            return difference
        works = tuple(work for work in difference.works if work not in held)
        return replace(difference, works=works, holds=(*difference.holds, *map(self._hold, held)))

    def hold_known(self, difference: Difference) -> Difference:
        """Return the same by what the last pass found: nothing is asked, and which are required nobody knows then."""
        wanted = () if self._wanted == REQUIRED else self._wanted
        for work in difference.works:
            if wanted and self._is_gated(work) and (checks := self.reader.recall(work.head)) is not None:
                self._unmet |= {work.head: unmet} if (unmet := judge_checks(wanted, checks).unmet) else {}
        return self.hold_unmet(difference)

    def check(self, plan: Plan) -> bool:
        """Ask for the checks of what the plan would start; return whether some are awaited, so that others may go."""
        before = len(self._unmet)
        for work in self._list_unasked(plan):
            if len(self._unmet) >= HELD_MAX:
                break
            self._asked.add(work.head)
            if unmet := self._ask(work.head):
                self._unmet[work.head] = unmet
        return len(self._unmet) > before

    def defer_unasked(self, plan: Plan) -> Plan:
        """Return the plan without what nobody asked about, since too many others wait."""
        late = self._list_unasked(plan)
        reason = f"{HELD_MAX} others wait for their checks; a later pass asks for its own"
        holds = (Hold(work.branch, work.verb.value, reason, kind=HoldKind.WAITING) for work in late)
        actions = tuple(action for action in plan.actions if action.work not in late)
        return replace(plan, actions=actions, holds=(*plan.holds, *holds))

    def _list_unasked(self, plan: Plan) -> list[Work]:
        works = (action.work for action in plan.actions)
        return [work for work in works if self._is_gated(work) and work.head not in self._asked]

    def _is_gated(self, work: Work) -> bool:
        return bool(self._wanted) and work.dag == PREVIEW_DAG and work.verb in _CODE

    def _ask(self, head: str) -> str:
        """Return what is awaited of the commit; nothing only where GitHub itself says so now."""
        trunk = self.project.trunk if self._wanted == REQUIRED else ""
        unmet = judge_checks(self._wanted, self.reader.read(head, trunk)).unmet
        if unmet or head not in self.reader.known:
            return unmet
        return judge_checks(self._wanted, self.reader.read_anew(head, trunk)).unmet

    def _hold(self, work: Work) -> Hold:
        reason = f"{self._unmet[work.head]}; it waits until that is green, or someone forces it"
        return Hold(work.branch, work.verb.value, reason, kind=HoldKind.WAITING, checked=work.head)
