"""Reads what the doctor judges of Astro: a bounded number of requests, each a GET or a HEAD."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from include.deploy_ops.core.doctor.astro import judge_astro
from include.deploy_ops.core.doctor.astro_facts import AstroFacts, Place, Pull
from include.deploy_ops.core.doctor.fact import Cause, Unread, tell
from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.plan.outcome import FAILED
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.values import REUSE
from include.deploy_ops.core.preview.image_sources import Need, rank_candidates
from include.deploy_ops.core.template.rules import name_deployment_type
from include.deploy_ops.core.view.row import State
from include.deploy_ops.hooks.astro.answers import parse_releases
from include.deploy_ops.hooks.astro.claims import read_claims
from include.deploy_ops.hooks.astro.cli import CREATE_CALL
from include.deploy_ops.observation.doctor.questions import Questions, attempt
from include.deploy_ops.observation.doctor.trunk import read_image_runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.deploy_ops.core.doctor.astro_facts import LinkedObject, Release, TokenClaims, TokenRecord
    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.astro.connection import AstroConnection
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.observation.doctor.trunk import TrunkReader
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

T = TypeVar("T")

ASTRO_REQUESTS_MAX = 8
"""What one examination asks of Astro: of a list one more for each further thousand, and tries after outages beside."""

REGISTRY_REQUESTS_MAX = 12
"""What it asks of registries: logins, one HEAD, and of CI's image index, manifest and config, redirects beside."""


def examine_astro(
    scope: Scope,
    astro: AstroApiHook,
    trunk: TrunkReader,
    *,
    deployed: RegistryHook,
    built: RegistryHook,
    now: datetime,
    memory: Memory | None = None,
) -> tuple[Check, ...]:
    """Return the checks of the area Astro for one project; nothing that cannot be read ends it.

    :param astro: of the project's connection, wherever that leads: where it may not lead is a check.
    :param deployed: opens the registry of Astro's Deployments (`open_astro_registry`).
    :param built: opens those of the project's images.
    :param memory: what is remembered of previews; None where there is none.
    """
    reader = AstroReader(scope, astro)
    template = trunk.template
    deployments = reader.read_deployments()
    claims = reader.read_claims()
    facts = AstroFacts(
        place=reader.read_place(),
        claims=claims,
        record=reader.read_record(claims),
        organization=reader.ask(astro.get_organization),
        workspace=reader.ask(astro.find_workspace_name),
        deployments=deployments,
        elsewhere=reader.read_elsewhere(deployments),
        count=reader.ask(astro.count_deployments),
        releases=reader.read_releases(template),
        template=template,
        ci_runtime=read_image_runtime(scope, built, trunk.head),
        linked=reader.read_links(),
        pull=read_pull(scope, deployed, deployments),
        refused={} if memory is None else recall_refusals(memory),
    )
    return judge_astro(facts, scope.project, scope.control_plane, now)


@dataclass(frozen=True, slots=True)
class AstroReader:
    """Reads one project's Astro, fact by fact."""

    scope: Scope
    astro: AstroApiHook
    questions: Questions = field(default_factory=lambda: Questions("Astro"))

    def ask(self, read: Callable[[], T]) -> T | Unread:
        """Return one fact, or why it cannot be read."""
        return self.questions.ask(read)

    def read_place(self) -> Fact[Place]:
        """Return where the connection leads."""
        connection = self.read_connection()
        if isinstance(connection, Unread):
            return connection
        try:
            self.scope.require_workspace(connection.workspace_id)
        except PolicyError as error:
            forbidden = tell(error)
        else:
            forbidden = ""
        return Place(connection.conn_id, connection.organization_id, connection.workspace_id, forbidden)

    def read_connection(self) -> Fact[AstroConnection]:
        """Return the Airflow connection."""
        return attempt(lambda: self.astro.connection)

    def read_claims(self) -> Fact[TokenClaims]:
        """Return what the token says of itself."""
        connection = self.read_connection()
        return connection if isinstance(connection, Unread) else attempt(lambda: read_claims(connection.token))

    def read_record(self, claims: Fact[TokenClaims]) -> Fact[TokenRecord]:
        """Return what Astro knows of the token."""
        if isinstance(claims, Unread):
            return claims
        if not claims.token_id:
            return Unread("the token does not say its id", Cause.ABSENT)
        return self.ask(lambda: self.astro.get_token_record(claims.token_id))

    def read_deployments(self) -> Fact[tuple[Deployment, ...]]:
        """Return the workspace's Deployments."""
        return self.ask(self.astro.list_deployments)

    def read_elsewhere(self, deployments: Fact[tuple[Deployment, ...]]) -> Fact[tuple[Deployment, ...]]:
        """Return what the organization has of the targets' names, asked for only where the workspace lacks one."""
        if isinstance(deployments, Unread):
            return deployments
        named = {target.deployment for target in self.scope.project.targets.values()}
        lacking = sorted(named - {each.name for each in deployments})
        return self.ask(lambda: self.astro.find_elsewhere(lacking)) if lacking else ()

    def read_releases(self, template: Fact[Template | None]) -> Fact[tuple[Release, ...]]:
        """Return the runtimes that Astro offers, for previews where a template says for which."""
        options = self.read_options(template)
        return options if isinstance(options, Unread) else attempt(lambda: parse_releases(options))

    def read_options(self, template: Fact[Template | None]) -> Fact[dict[str, Any]]:
        """Return what Astro offers such Deployments; all of them, where no template says which."""
        configuration = {} if template is None or isinstance(template, Unread) else template.configuration
        kind, cloud = name_deployment_type(configuration), str(configuration.get("cloud_provider", ""))
        return self.ask(lambda: self.astro.get_deployment_options(kind, cloud))

    def read_links(self) -> Fact[tuple[LinkedObject, ...]]:
        """Return what links itself to new Deployments, where there are to be some."""
        return () if self.scope.project.previews is None else self.ask(self.astro.list_linked_objects)


def recall_refusals(memory: Memory) -> dict[str, str]:
    """Return by branch that has to have one why the CLI made no Deployment when it was last asked, the newest first."""
    last = [
        (row.environment, outcome)
        for row in memory.read_rows().values()
        if row.state is not State.REMOVED
        for outcome in row.outcomes[-1:]
        if outcome.verb == Verb.CREATE.value and outcome.state == FAILED and CREATE_CALL in outcome.cause
    ]
    return {name: each.cause for name, each in sorted(last, key=lambda found: found[1].at, reverse=True)}


def read_pull(scope: Scope, registry: RegistryHook, deployments: Fact[tuple[Deployment, ...]]) -> Fact[Pull | None]:
    """Return whether the image that `reuse` would look at first can be pulled, by a HEAD of its manifest."""
    if REUSE not in scope.project.image:
        return None
    if isinstance(deployments, Unread):
        return Unread(deployments.why, Cause.ABSENT)
    ranked = rank_candidates(deployments, scope.control_plane, scope.project, Need("", "", has_dag_deploys=True))
    if not ranked:
        return None
    first = ranked[0]
    image = f"{first.image_repository}:{first.image_tag}"
    found = attempt(lambda: registry.has_image(image))
    return found if isinstance(found, Unread) else Pull(first.name, image, found)
