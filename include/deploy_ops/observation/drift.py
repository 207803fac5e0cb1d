"""Where previews differ in Astro from what was rendered for them, and which differences were repaired before.

Astro may keep a value of its own whatever it is told: so each difference is repaired once, and then told. It is
remembered by a seal (`run/seals.py`), since values of variables are nobody's to read. The listing of the workspace has
all that is compared, so that no request is made for it; what is remembered is read of previews that differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.naming import parse_mark, slug_branch
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.template.drift import Drift, Fate, find_drift
from include.deploy_ops.core.template.mapping import fill_mapping
from include.deploy_ops.core.template.template import find_missing, fingerprint_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals


@dataclass(frozen=True, slots=True)
class DriftReader:
    """Compares one project's previews with its template."""

    scope: Scope
    memory: Memory
    seals: Seals
    template: Template

    def read(self, previews: Mapping[str, Deployment]) -> dict[str, tuple[Drift, ...]]:
        """Return where each of the previews, by branch, differs, by Deployment id; those that do not are left out."""
        rendered = fingerprint_template(self.template)
        found = {branch: self._find(branch, each, rendered) for branch, each in previews.items()}
        return {
            previews[branch].id: self._judge(branch, previews[branch], drift)
            for branch, drift in found.items()
            if drift
        }

    def seal(self, branch: str, deployment: Deployment) -> list[str]:
        """Return the seals of what an update with this template repairs; none where the policy repairs nothing."""
        if self.scope.previews.drift != "repair":
            return []
        found = self._find(branch, deployment, fingerprint_template(self.template))
        return [each.seal for each in found if each.fate is not Fate.FIXED]

    def _find(self, branch: str, deployment: Deployment, rendered: str) -> tuple[Drift, ...]:
        """Return where a preview differs from what was rendered; of what is to be updated anyway nothing is said."""
        mark = parse_mark(deployment.description)
        if mark is None or mark.template != rendered or find_missing(self.template, deployment):
            return ()
        filled = fill_mapping(self.template, make_fields(self.scope.project.name, branch))
        found = find_drift(filled.body, deployment.settings)
        return self._add_seals(deployment, found) if found and self.scope.previews.drift == "repair" else found

    def _add_seals(self, deployment: Deployment, found: tuple[Drift, ...]) -> tuple[Drift, ...]:
        values = {each.name: json.dumps(["drift", each.found, each.wanted]) for each in found}
        seals = self.seals.seal_values(deployment.id, values)
        return tuple(replace(each, seal=seals[each.name]) for each in found)

    def _judge(self, branch: str, deployment: Deployment, found: tuple[Drift, ...]) -> tuple[Drift, ...]:
        """Return the differences with what becomes of them; of a preview that hibernates, only once it wakes."""
        if self.scope.previews.drift != "repair" or is_asleep(deployment):
            return found
        repaired = self.memory.environment(slug_branch(branch)).read().repaired
        return tuple(replace(each, fate=_choose_fate(each, repaired)) for each in found)


def _choose_fate(drift: Drift, repaired: Mapping[str, object]) -> Fate:
    if drift.fate is Fate.FIXED:
        return Fate.FIXED
    return Fate.KEPT if drift.seal in repaired else Fate.DUE
