"""What the doctor knows of Astro: of the token, the organization, the workspace, and what Astro offers there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.template.template import Template


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection leads; `forbidden` says why the project may not go there, empty where it may."""

    conn_id: str
    organization_id: str
    workspace_id: str
    forbidden: str = ""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says of itself, unproven: its id, when it ends, and of which organizations and workspaces it is."""

    token_id: str
    expires_at: datetime | None
    organizations: tuple[str, ...]
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a token: in which entity, of which type, and its name."""

    entity_type: str
    entity_id: str
    name: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What Astro knows of a token."""

    ends_at: datetime | None
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization: `status` is empty where Astro tells none, `takes_dedicated_only` whether it refuses STANDARD."""

    name: str
    status: str
    trial_ends_at: datetime | None
    takes_dedicated_only: bool


@dataclass(frozen=True, slots=True)
class Release:
    """A version of Astro Runtime that Astro offers; only those of the channel "stable" are meant to stay."""

    version: str
    channel: str


@dataclass(frozen=True, slots=True)
class LinkedObject:
    """An object of the workspace's environment that links itself to each new Deployment; its value is never read."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster; it serves the workspaces that it names, or all where it names none."""

    name: str
    kind: str
    status: str
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pull:
    """What a HEAD of a deployed image's manifest said: `is_there`, of which image, of which Deployment."""

    deployment: str
    image: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class AstroFacts:
    """All that is judged. `template` is None where the project has no previews, `pull` where nothing asks for one.

    `elsewhere`: the Deployments of other workspaces that are called like targets that the workspace lacks. `count`: how
    many Deployments of the organization the token sees. `ci_runtime`: the label of the image that CI built of trunk's
    head, empty where it has none; None where the policy names no such image. `refused`: by branch, newest first, why
    Astro made no Deployment when it was asked last.
    """

    place: Fact[Place]
    claims: Fact[TokenClaims]
    record: Fact[TokenRecord]
    organization: Fact[Organization]
    workspace: Fact[str]
    deployments: Fact[tuple[Deployment, ...]]
    elsewhere: Fact[tuple[Deployment, ...]]
    count: Fact[int]
    releases: Fact[tuple[Release, ...]]
    template: Fact[Template | None]
    ci_runtime: Fact[str | None]
    linked: Fact[tuple[LinkedObject, ...]]
    pull: Fact[Pull | None]
    refused: Mapping[str, str] = field(default_factory=dict)
