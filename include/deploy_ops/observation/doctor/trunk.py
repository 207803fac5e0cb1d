"""What the doctor reads of trunk: its head, its template, and the runtime of the image that CI built of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.policy.values import COMMIT_FIELD
from include.deploy_ops.observation.doctor.questions import attempt
from include.deploy_ops.observation.template import read_template

if TYPE_CHECKING:
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.run.scope import Scope

GITHUB_REQUESTS_MAX = 5
"""What one reading asks of GitHub: trunk's ref, the folders above the template, and the template."""


@dataclass(eq=False)
class TrunkReader:
    """Reads trunk by this hook, each fact once: for the areas of one look, which then speak of the same commit."""

    scope: Scope
    github: DeployOpsGithubHook

    @cached_property
    def head(self) -> Fact[str]:
        """The id of trunk's newest commit."""
        return attempt(lambda: self.github.get_branch(self.scope.project.trunk).head)

    @cached_property
    def template(self) -> Fact[Template | None]:
        """The template at that commit, as control reads it; None where the project has no previews."""
        if self.scope.project.previews is None:
            return None
        head = self.head
        return head if isinstance(head, Unread) else attempt(lambda: read_template(self.scope, self.github, head))


def read_image_runtime(scope: Scope, registry: RegistryHook, head: Fact[str]) -> Fact[str | None]:
    """Return the runtime label of the image that CI built of a commit; None where the policy names no such image."""
    pattern = next((each for each in scope.project.image if COMMIT_FIELD in each), None)
    if pattern is None:
        return None
    if isinstance(head, Unread):
        return head
    image = pattern.replace(COMMIT_FIELD, head)
    found = attempt(lambda: registry.find_image(image))
    if found is None:
        return Unread(f"the registry has no {image}: CI has not built it, or not yet", Cause.ABSENT)
    return found if isinstance(found, Unread) else found.runtime_version or ""
