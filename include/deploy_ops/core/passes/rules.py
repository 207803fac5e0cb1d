"""What of the policy a pass decides by. Imported wherever a DAG is built: so it stands alone."""

from __future__ import annotations

from dataclasses import dataclass

from include.deploy_ops.core.policy.file import fingerprint_policy
from include.deploy_ops.core.policy.keys import Project


@dataclass(frozen=True, slots=True)
class Rules:
    """What the policy says, as far as one pass decides by it.

    `targets` names the long-lived Deployments of every project. `new_name_ban` says why nothing gets a new name.
    """

    project: Project
    control_plane: str
    targets: frozenset[str]
    new_name_ban: str = ""

    @property
    def policy(self) -> str:
        """Fingerprint of what the policy says about the project's work."""
        return fingerprint_policy(self.project)

    @property
    def max_live(self) -> int:
        """How many previews may live at once; none where the policy wants none."""
        return self.project.previews.max_live if self.project.previews else 0
