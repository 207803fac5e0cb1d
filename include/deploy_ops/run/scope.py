"""Which project of which installation a task works for, and the names that follow from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow.sdk import Asset, get_parsing_context

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.naming import name_owner
from include.deploy_ops.core.passes.rules import Rules
from include.deploy_ops.core.plan.work import (
    COMMANDS_DAG,
    FEEDBACK_DAG,
    PREVIEW_DAG,
    PROMOTION_DAG,
    REQUEST_DAG,
    TEMPLATE_DAG,
)
from include.deploy_ops.core.policy.file import LoadedPolicy, find_policy, fingerprint_policy, read_policy
from include.deploy_ops.core.policy.keys import Previews, Project, Target
from include.deploy_ops.core.policy.rules import Rival, find_rivals

if TYPE_CHECKING:
    from collections.abc import Iterable

CLEANUP_DAG = "cleanup"
WHAT_IF_DAG = "what_if"

CLI_POOL = "deploy_ops_cli"
"""The Airflow pool that bounds how many Astro CLI calls run at once; `airflow_settings.yaml` defines it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One project under one control plane; `is_dry` means `mode: plan`: nothing is written anywhere.

    `targets` names the long-lived Deployments of all projects: none of them is ever a preview; of files that cannot be
    read it has none (`recall`). `shares_repository`:
    another project of the policy is about the same repository. `rivals`: other projects' targets that may be about a
    Deployment of one of ours. `neighbours`: how many repositories are polled with the same connection to GitHub.
    `workspaces`: the ids of those to which its connection to Astro may lead; none: any. `unread`: files of the policy
    of which nobody knows what stands in them.
    `listeners`: the other projects of the repository in which words on pull requests count.
    """

    control_plane: str
    is_dry: bool
    project: Project
    targets: frozenset[str]
    shares_repository: bool = False
    rivals: tuple[Rival, ...] = ()
    neighbours: int = 1
    workspaces: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """Fingerprint of what the policy says about this project's work."""
        return fingerprint_policy(self.project)

    @property
    def rules(self) -> Rules:
        """What of the policy a pass decides by."""
        return Rules(self.project, self.control_plane, self.targets, self.new_name_ban)

    @property
    def owner(self) -> str:
        """Who deploys, as our deploy descriptions say it."""
        return name_owner(self.control_plane, self.project.name)

    @property
    def previews(self) -> Previews:
        """The project's preview rules; only tasks of a preview DAG ask, and it exists only where there are some."""
        if self.project.previews is None:
            raise ValueError(f"project {self.project.name} has no previews")
        return self.project.previews

    @property
    def previews_by_change(self) -> bool:
        """Whether a branch gets a preview only once it changes something of the project."""
        when = self.project.previews.when if self.project.previews else "always"
        return when == "changed" or (when is None and self.shares_repository)

    @property
    def max_live(self) -> int:
        """How many previews may live at once; none where the policy wants none."""
        return self.project.previews.max_live if self.project.previews else 0

    @property
    def new_name_ban(self) -> str:
        """Why nothing gets a name that it did not have before; empty where it may: another file may have it."""
        told = " and ".join(self.unread)
        return f"no new name is taken while {told} cannot be read, where it may stand; mend that first" if told else ""

    def recall(self, targets: Iterable[str]) -> Scope:
        """Return the scope that has these targets, too, known from before, where files of the policy cannot be read."""
        return replace(self, targets=self.targets.union(targets)) if self.unread else self

    def require_workspace(self, workspace_id: str) -> None:
        """Raise PolicyError where the project's connection to Astro leads where its file may not go."""
        if self.workspaces and workspace_id not in self.workspaces:
            raise PolicyError(
                f"project {self.project.name}: connection '{self.project.astro_conn_id}' leads to workspace "
                f"'{workspace_id}', which 'workspaces' of its file's entry in 'teams' does not name "
                f"({', '.join(self.workspaces)}); name another connection, or have it added in the policy's main file"
            )

    @property
    def control_dag(self) -> str:
        """The id of the DAG that plans and dispatches."""
        return f"{self.project.name}.control"

    @property
    def preview_dag(self) -> str:
        """The id of the DAG whose runs work on previews."""
        return self.name_dag(PREVIEW_DAG)

    @property
    def cleanup_dag(self) -> str:
        """The id of the DAG that decides which previews expire."""
        return self.name_dag(CLEANUP_DAG)

    @property
    def promotion_dag(self) -> str:
        """The id of the DAG whose runs write the deploy branch."""
        return self.name_dag(PROMOTION_DAG)

    @property
    def feedback_dag(self) -> str:
        """The id of the DAG whose runs tell GitHub."""
        return self.name_dag(FEEDBACK_DAG)

    @property
    def commands_dag(self) -> str:
        """The id of the DAG whose runs do what people say on pull requests."""
        return self.name_dag(COMMANDS_DAG)

    @property
    def what_if_dag(self) -> str:
        """The id of the DAG that tells what another policy would do."""
        return self.name_dag(WHAT_IF_DAG)

    @property
    def template_dag(self) -> str:
        """The id of the DAG whose runs propose what changed in production for the template."""
        return self.name_dag(TEMPLATE_DAG)

    @property
    def has_commands(self) -> bool:
        """Whether the policy lets words on pull requests count."""
        return self.project.feedback.commands and self.project.previews is not None

    @property
    def is_listening(self) -> bool:
        """Whether they count now: what is heard is marked on GitHub, where `mode: plan` writes nothing."""
        return self.has_commands and not self.is_dry

    def target_dag(self, target: str) -> str:
        """Return the id of the DAG whose runs deploy to the target."""
        return self.name_dag(target)

    @property
    def home_dags(self) -> frozenset[str]:
        """The ids of the DAGs whose runs claim environments."""
        previews = {self.preview_dag} if self.project.previews else set()
        promotion = {self.promotion_dag} if self.project.promotion else set()
        return self.target_dags | previews | promotion

    @property
    def target_dags(self) -> frozenset[str]:
        """The ids of the DAGs whose runs deploy to targets."""
        return frozenset(map(self.target_dag, self.project.targets))

    @property
    def dags(self) -> frozenset[str]:
        """The ids of all DAGs that the policy gives the project."""
        project = self.project
        asked = {self.request_dag(name) for name, each in project.targets.items() if each.approval == "required"}
        cleanup = {self.cleanup_dag} if project.previews else set()
        control = {self.control_dag, self.what_if_dag} if project.is_planned else set()
        feedback = {self.feedback_dag} if project.is_planned and project.feedback.is_on else set()
        commands = {self.commands_dag} if self.has_commands else set()
        template = {self.template_dag} if project.template_source else set()
        return self.home_dags | asked | cleanup | control | feedback | commands | template

    def request_dag(self, target: str) -> str:
        """Return the id of the DAG whose runs ask a person before the target is deployed to."""
        return self.name_dag(f"{target}.{REQUEST_DAG}")

    def name_dag(self, dag: str) -> str:
        """Return the full id of one of the project's DAGs, such as `Work.dag` names it."""
        return f"{self.project.name}.{dag}"

    def target(self, name: str) -> Target:
        """Return the policy's target of that name; raises PolicyError when it has none any more."""
        if name not in self.project.targets:
            raise PolicyError(f"project {self.project.name} has no target '{name}' any more; look at the policy")
        return self.project.targets[name]

    @property
    def repository(self) -> Asset:
        """The asset that changes when the repository does; its state store keeps the trigger's cursor."""
        return Asset(f"deploy_ops.{self.project.name}.repository")

    @property
    def fleet(self) -> Asset:
        """The asset that changes when a run ends; its state store keeps claims and memory."""
        return Asset(f"deploy_ops.{self.project.name}.fleet")


def make_scope(loaded: LoadedPolicy, project: Project) -> Scope:
    """Return the scope of one of the policy's projects."""
    policy = loaded.policy
    return Scope(
        policy.control_plane,
        policy.mode == "plan",
        project,
        loaded.target_names,
        project.repository.casefold() in loaded.shared_repositories,
        find_rivals(project, policy.projects),
        len({each.repository.casefold() for each in policy.projects if each.github_conn_id == project.github_conn_id}),
        team.workspaces if (team := loaded.teams.get(project.name)) is not None else (),
        loaded.unread,
        _list_listeners(project, policy.projects),
    )


def _list_listeners(project: Project, projects: Iterable[Project]) -> tuple[str, ...]:
    named = project.repository.casefold()
    others = (each for each in projects if each.name != project.name and each.repository.casefold() == named)
    return tuple(sorted(each.name for each in others if each.feedback.commands and each.previews is not None))


def load_policy_file() -> LoadedPolicy:
    """Read the policy's files; raises PolicyError when no project of them can be used."""
    return read_policy(find_policy(os.environ))


def is_to_build(dag_id: str) -> bool:
    """Whether the DAG is needed: where a task begins, the one that it belongs to, and elsewhere each."""
    return get_parsing_context().dag_id in {None, dag_id}


def read_all_scopes() -> tuple[Scope, ...]:
    """Return a scope for each valid project, in the policy's order.

    What is wrong with the others is told by `dags/policy_errors.py` alone.
    """
    try:
        loaded = load_policy_file()
    except PolicyError:
        return ()
    return tuple(make_scope(loaded, each) for each in loaded.policy.projects)


def read_scopes() -> tuple[Scope, ...]:
    """Return a scope for each valid project of which a DAG is to be built, likewise."""
    return tuple(scope for scope in read_all_scopes() if any(map(is_to_build, scope.dags)))
