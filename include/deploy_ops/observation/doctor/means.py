"""By what the doctor looks at a project: its hooks, and what a task sees of its own Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.view.health import Sight
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.observation.doctor.trunk import TrunkReader
    from include.deploy_ops.run.airflow_runs import Runs
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope


class Means(Protocol):
    """The project, and what asks services about it. A hook is made when it is asked for, which may fail."""

    @property
    def scope(self) -> Scope:
        """The project."""

    @property
    def github(self) -> GithubPullsHook:
        """Its repository."""

    @property
    def trunk(self) -> TrunkReader:
        """Its trunk, of which each fact is read once."""

    @property
    def astro(self) -> AstroApiHook:
        """Its workspace."""

    @property
    def registry(self) -> RegistryHook:
        """The registries of its images."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What only a task sees: the DAGs, what is remembered of the project, how the trigger saw GitHub and Astro."""

    runs: Runs
    memory: Memory
    sights: Mapping[str, Sight]
