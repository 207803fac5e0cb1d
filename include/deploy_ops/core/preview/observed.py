"""What one pass sees of a workspace and of the template, as comparisons need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.deploy_ops.core.environment.rotation import Rotated
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Deployment
from include.deploy_ops.core.template.drift import Drift, Fate


@dataclass(frozen=True, slots=True)
class TemplateState:
    """What the planner needs of the rendered template.

    `missing` and `fixed` give, per Deployment id, what it lacks of the template and what the CLI cannot update.
    `problem` holds every create and update when the template cannot be read, `guard` every create: with this template
    previews would reach what nobody agreed to. `replaced` are the variables in which the policy's mapping wins over it,
    `unfilled` its secrets that the mapping does not fill. `rotated` gives, per Deployment id, which values of the
    mapping are others by now, `unread` why nobody knows, `reread_at` when it is looked at again. `drift` gives, per
    Deployment id, where Astro differs from what was rendered of this template.
    """

    fingerprint: str
    missing: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, tuple[str, ...]]
    problem: str = ""
    guard: str = ""
    replaced: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    rotated: Mapping[str, Rotated] = field(default_factory=dict)
    unread: str = ""
    reread_at: datetime | None = None
    drift: Mapping[str, tuple[Drift, ...]] = field(default_factory=dict)

    def list_repairs(self, deployment_id: str) -> list[Drift]:
        """Return the differences of a Deployment that are to be repaired."""
        return [each for each in self.drift.get(deployment_id, ()) if each.fate is Fate.DUE]

    def tell(self) -> tuple[str, ...]:
        """Return what people should know of what previews get, whether or not anything is due."""
        notes = {
            "previews.environment wins over the template": self.replaced,
            "secrets of the template that nothing fills, empty unless a person set them in Astro": self.unfilled,
        }
        return tuple(f"{note}: {', '.join(keys)}" for note, keys in notes.items() if keys)


@dataclass(frozen=True, slots=True)
class Observed:
    """One pass's view of Astro: every Deployment of the workspace, and the history of ours."""

    deployments: tuple[Deployment, ...]
    histories: Mapping[str, DeployHistory]

    def find(self, name: str) -> tuple[Deployment, ...]:
        """Return the Deployments of that name; Astro may have several."""
        return tuple(each for each in self.deployments if each.name == name)
