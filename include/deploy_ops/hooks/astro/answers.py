"""Turn the JSON of Astro's v1 API into our values, or say what is wrong with it.

Asks Astro nothing. Field names are those of the published v1 client (astro-cli, astro-client-v1/api.gen.go): a field
that the schema requires and we decide by must be there; values of enumerations that we do not know are tolerated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from include.deploy_ops.core.doctor.astro_facts import Cluster, LinkedObject, Organization, Release, Role, TokenRecord
from include.deploy_ops.core.errors import NOTHING_FOLLOWS, AbsentError, MalformedAnswerError, ObservationError
from include.deploy_ops.core.model import Deploy, DeployKind, Deployment, DeploymentStatus, DeployStatus, Variable
from include.deploy_ops.core.naming import parse_note
from include.deploy_ops.core.template.settings import read_settings

if TYPE_CHECKING:
    from include.deploy_ops.hooks.astro.connection import AstroConnection
    from include.deploy_ops.hooks.conversation import Ask

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound=Enum)
_Id = Annotated[str, StringConstraints(min_length=1)]
_Instant = Annotated[AwareDatetime, Strict(strict=False)]  # JSON has no times, only texts

_PROBLEMS_TOLD_MAX = 5


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: its items, still as JSON, and how many the whole list has."""

    items: tuple[Any, ...]
    total: int


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token that Astro made for us: the id by which it is deleted, and its value, which no answer tells again."""

    id: str
    value: str = field(repr=False)


class _Json(BaseModel):
    """Strict: a number in quotes is as wrong as a missing field. Fields that we do not name are Astro's affair."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class _Listed(_Json):
    total_count: int = Field(ge=0)


class _Workspace(_Json):
    id: _Id
    name: _Id


class _Token(_Json):
    id: _Id
    token: Annotated[str, StringConstraints(min_length=1)] = Field(repr=False)


class _ListedToken(_Json):
    id: _Id
    name: str


class _Organization(_Json):
    id: _Id
    name: str
    status: str | None = None
    trial_expires_at: _Instant | None = None
    should_enforce_dedicated_clusters: bool | None = None


class _Role(_Json):
    entity_type: str
    entity_id: str
    role: str


class _TokenRecord(_Json):
    id: _Id
    end_at: _Instant | None = None
    roles: tuple[_Role, ...] | None = Field(default=None, strict=False)


class _Release(_Json):
    version: _Id
    channel: str


class _EnvironmentObject(_Json):
    object_key: _Id
    object_type: _Id
    scope: _Id
    scope_entity_id: _Id
    auto_link_deployments: bool | None = None


class _Cluster(_Json):
    id: _Id
    name: str
    type: str
    status: str
    workspace_ids: tuple[str, ...] | None = Field(default=None, strict=False)


class _Variable(_Json):
    key: str
    is_secret: bool
    value: str | None = None


class _Override(_Json):
    is_hibernating: bool | None = None
    is_active: bool | None = None
    override_until: str | None = None


class _Hibernation(_Json):
    override: _Override | None = None


class _Scaling(_Json):
    hibernation_spec: _Hibernation | None = None


class _Deployment(_Json):
    id: _Id
    name: str
    status: str
    workspace_id: _Id
    namespace: str
    image_repository: str
    image_tag: str
    is_dag_deploy_enabled: bool
    web_server_url: str
    created_at: _Instant
    updated_at: str
    type: str | None = None
    description: str | None = None
    astro_runtime_version: str | None = None
    runtime_version: str | None = None  # deprecated, and the only one of the two that the CLI reads
    dag_tarball_version: str | None = None
    desired_dag_tarball_version: str | None = None
    is_development_mode: bool | None = None
    executor: str | None = None
    cloud_provider: str | None = None
    region: str | None = None
    environment_variables: tuple[_Variable, ...] | None = Field(default=None, strict=False)
    contact_emails: tuple[str, ...] | None = Field(default=None, strict=False)
    status_reason: str | None = None
    web_server_airflow_api_url: str | None = None
    scaling_spec: _Scaling | None = None


class _Git(_Json):
    commit_sha: str | None = None


_SURE = frozenset({"id", "deploymentId", "createdAt"})
"""Without which a deploy record has no place among the others."""

_UNKNOWN = "unknown"


class _Deploy(_Json):
    id: _Id
    deployment_id: _Id
    status: str
    type: str
    created_at: _Instant
    image_tag: str
    description: str | None = None
    git: _Git | None = None
    dag_tarball_version: str | None = None
    rollback_from_id: str | None = None
    bundle_mount_path: str | None = None
    dag_bundle_name: str | None = None  # of the CLI's `--dag-bundle-name`, with types of its own
    created_by_subject: Any = None  # for people to read: malformed, it takes nothing from the record


class _DamagedDeploy(_Deploy):
    """A record whose malformed fields are left out: of unknown status and type then, which may be any."""

    status: str = _UNKNOWN
    type: str = _UNKNOWN
    image_tag: str = ""


def parse_page(request: Ask, answer: Any, key: str) -> Page:
    """Return one page of a list whose items lie under `key`; raises ObservationError."""
    if answer is None:
        raise AbsentError(f"{request}: Astro says that this does not exist; check organization_id")
    total = _parse(request, _Listed, answer).total_count
    items = answer.get(key)
    if not isinstance(items, list):
        raise doubt(request, f"Astro's answer has no list '{key}'")
    return Page(tuple(items), total)


def parse_id(request: Ask, item: Any) -> str:
    """Return an item's id, by which repeated items are told; raises ObservationError."""
    identity = item.get("id") if isinstance(item, dict) else None
    if not isinstance(identity, str) or not identity:
        raise doubt(request, "an item of Astro's answer has no id")
    return identity


def parse_deployment(request: Ask, answer: Any, connection: AstroConnection) -> Deployment:
    """Return a Deployment; an unknown status becomes UNKNOWN. Raises ObservationError."""
    return _make_deployment(_parse(request, _Deployment, answer, MalformedAnswerError), answer, connection)


def parse_listed_deployment(answer: Any, connection: AstroConnection) -> Deployment:
    """Return a Deployment of a list; what is malformed has a `problem`, and costs the others nothing.

    :param answer: an item with an id (`parse_id`).
    """
    try:
        return _make_deployment(_Deployment.model_validate(answer), answer, connection)
    except ValidationError as error:
        return _make_damaged(answer, _describe_problems(error), connection)


def _make_damaged(answer: dict[str, Any], problem: str, connection: AstroConnection) -> Deployment:
    name, description, workspace = (answer.get(key) for key in ("name", "description", "workspaceId"))
    workspace_id = workspace if isinstance(workspace, str) and workspace else connection.workspace_id
    return Deployment(
        id=answer["id"],
        name=name if isinstance(name, str) else "",
        status=DeploymentStatus.UNKNOWN,
        description=description if isinstance(description, str) else "",
        workspace_id=workspace_id,
        runtime_version="",
        image_repository="",
        image_tag="",
        dag_tarball_version="",
        desired_dag_tarball_version="",
        is_dag_deploy_enabled=False,
        is_development_mode=False,
        deployment_type="",
        executor="",
        cloud_provider="",
        region="",
        namespace="",
        airflow_url="",
        astro_url=_find_page(workspace_id, answer["id"], connection),
        problem=problem,
    )


def _make_deployment(found: _Deployment, answer: dict[str, Any], connection: AstroConnection) -> Deployment:
    return Deployment(
        id=found.id,
        name=found.name,
        status=_read_enum(DeploymentStatus, found.status, DeploymentStatus.UNKNOWN),
        description=found.description or "",
        workspace_id=found.workspace_id,
        runtime_version=found.astro_runtime_version or found.runtime_version or "",
        image_repository=found.image_repository,
        image_tag=found.image_tag,
        dag_tarball_version=found.dag_tarball_version or "",
        desired_dag_tarball_version=found.desired_dag_tarball_version or "",
        is_dag_deploy_enabled=found.is_dag_deploy_enabled,
        is_development_mode=bool(found.is_development_mode),
        deployment_type=found.type or "",
        executor=found.executor or "",
        cloud_provider=found.cloud_provider or "",
        region=found.region or "",
        namespace=found.namespace,
        airflow_url=_complete_url(found.web_server_url, connection),
        astro_url=_find_page(found.workspace_id, found.id, connection),
        variables=tuple(_read_variable(each) for each in found.environment_variables or ()),
        contact_emails=found.contact_emails or (),
        created_at=found.created_at,
        updated_at=found.updated_at,
        status_reason=found.status_reason or "",
        override=_read_override(found),
        airflow_api=found.web_server_airflow_api_url or "",
        settings=read_settings(answer),
    )


def _read_override(found: _Deployment) -> str:
    """Return the hibernation override while it is active, in a word, and until when."""
    spec = found.scaling_spec and found.scaling_spec.hibernation_spec
    override = spec and spec.override
    if not override or not override.is_active:
        return ""
    word = "hibernate" if override.is_hibernating else "wake"
    return f"{word}@{override.override_until}" if override.override_until else word


def parse_deploy(request: Ask, answer: Any, deployment_id: str) -> Deploy:
    """Return a deploy record of this Deployment; an unknown status becomes UNKNOWN. Raises ObservationError.

    A type that we do not know may have changed anything, so it becomes one that changed image and DAGs to a commit that
    nobody knows. What is mounted elsewhere, or goes by another DAG bundle's name, lies beside image and `dags/`. So
    with a malformed field: it says nothing, and what it may have said is not ruled out.
    """
    found = _read_deploy(request, answer)
    if found.deployment_id != deployment_id:
        raise doubt(request, f"deploy {found.id} is of another Deployment, {found.deployment_id}")
    description = found.description or ""
    is_named = bool(found.dag_bundle_name) and parse_note(description) is None  # we never deploy to a named one
    is_beside = bool(found.bundle_mount_path) or is_named
    is_known = found.type in DeployKind.__members__
    return Deploy(
        id=found.id,
        deployment_id=found.deployment_id,
        status=_read_enum(DeployStatus, found.status, DeployStatus.UNKNOWN),
        kind=DeployKind.BUNDLE if is_beside else _read_enum(DeployKind, found.type, DeployKind.IMAGE_AND_DAG),
        created_at=found.created_at,
        description=description,
        git_commit=(found.git.commit_sha or None) if found.git and is_known else None,
        image_tag=found.image_tag,
        dag_tarball_version=found.dag_tarball_version or "",
        rollback_from_id=found.rollback_from_id or None,
        person=_read_person(found.created_by_subject),
    )


def _read_person(subject: Any) -> str:
    """Return the name of a person or of a token, empty where Astro gives none; a username is an address."""
    names = (subject.get("fullName"), subject.get("apiTokenName")) if isinstance(subject, dict) else ()
    return next((name for name in names if isinstance(name, str) and name), "")


def _read_deploy(request: Ask, answer: Any) -> _Deploy:
    try:
        return _Deploy.model_validate(answer)
    except ValidationError as error:
        wrong = {str(next(iter(each["loc"]), "")) for each in error.errors(include_url=False, include_input=False)}
    if not isinstance(answer, dict) or wrong & _SURE:
        return _parse(request, _Deploy, answer, MalformedAnswerError)
    sound = {key: value for key, value in answer.items() if key not in wrong}
    if "rollbackFromId" in wrong:
        sound["rollbackFromId"] = _UNKNOWN
    return _DamagedDeploy.model_validate(sound)


def parse_workspace_name(request: Ask, answer: Any) -> str:
    """Return a workspace's name; raises ObservationError."""
    return _parse(request, _Workspace, answer).name


def parse_minted_token(request: Ask, answer: Any) -> MintedToken:
    """Return a token that was just made; raises ObservationError."""
    found = _parse(request, _Token, answer, MalformedAnswerError)
    return MintedToken(found.id, found.token)


def parse_listed_token(request: Ask, item: Any) -> tuple[str, str]:
    """Return id and name of a token that Astro lists, without its value; raises ObservationError."""
    found = _parse(request, _ListedToken, item)
    return found.id, found.name


def parse_organization(request: Ask, item: Any) -> Organization:
    """Return an organization; raises ObservationError."""
    found = _parse(request, _Organization, item)
    is_dedicated = bool(found.should_enforce_dedicated_clusters)
    return Organization(found.name, found.status or "", found.trial_expires_at, is_dedicated)


def parse_token_record(request: Ask, answer: Any) -> TokenRecord:
    """Return what Astro knows of a token; raises ObservationError."""
    if answer is None:
        raise AbsentError(f"{request}: Astro shows no such token")
    found = _parse(request, _TokenRecord, answer)
    roles = (Role(each.entity_type, each.entity_id, each.role) for each in found.roles or ())
    return TokenRecord(found.end_at, tuple(roles))


def parse_releases(options: dict[str, Any]) -> tuple[Release, ...]:
    """Return the runtimes that Astro offers; raises ObservationError.

    :param options: what `parse_options` returned.
    """
    request = "GET deployment-options"
    return tuple(_make_release(_parse(request, _Release, each)) for each in options["runtimeReleases"])


def _make_release(found: _Release) -> Release:
    return Release(found.version, found.channel)


def identify_object(request: Ask, item: Any) -> str:
    """Return what tells an environment object from all others: an id it need not have; raises ObservationError."""
    found = _parse(request, _EnvironmentObject, item)
    return f"{found.scope} {found.scope_entity_id} {found.object_type} {found.object_key}"


def parse_linked_object(request: Ask, item: Any) -> LinkedObject | None:
    """Return an environment object that links itself to each new Deployment, None for another."""
    found = _parse(request, _EnvironmentObject, item)
    return LinkedObject(found.object_type, found.object_key) if found.auto_link_deployments else None


def parse_cluster(request: Ask, item: Any) -> Cluster:
    """Return a cluster; raises ObservationError."""
    found = _parse(request, _Cluster, item)
    return Cluster(found.name, found.type, found.status, found.workspace_ids or ())


def parse_options(request: Ask, answer: Any) -> dict[str, Any]:
    """Return the deployment options as Astro words them; raises ObservationError unless they name runtime releases."""
    if not isinstance(answer, dict) or not isinstance(answer.get("runtimeReleases"), list):
        raise doubt(request, "Astro's answer has no list 'runtimeReleases'")
    return answer


def _parse(request: Ask | str, model: type[M], answer: Any, kind: type[ObservationError] = ObservationError) -> M:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        said = _describe_problems(error)
        identity = answer.get("id") if isinstance(answer, dict) else None
        where = f" of {identity:.80}" if isinstance(identity, str) else ""
        raise kind(f"{request}: Astro's answer{where} is malformed: {said}; {NOTHING_FOLLOWS}") from None


def _describe_problems(error: ValidationError) -> str:
    # The values stay out of the text: an environment variable's may be private.
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'answer'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)[:_PROBLEMS_TOLD_MAX]
    )


def doubt(request: Ask, what: str) -> ObservationError:
    """Return the error that an answer which cannot be believed is."""
    return ObservationError(f"{request}: {what}; {NOTHING_FOLLOWS}")


def _read_enum(values: type[E], text: str, unknown: E) -> E:
    return values[text] if text in values.__members__ else unknown


def _read_variable(variable: _Variable) -> Variable:
    return Variable(variable.key, variable.is_secret, None if variable.is_secret else variable.value)


def _complete_url(url: str, connection: AstroConnection) -> str:
    """Return the address with a scheme: Astro gives its web servers' without one."""
    if not url or "://" in url:
        return url
    return f"{'http' if connection.is_plain_http else 'https'}://{url}"


def _find_page(workspace_id: str, deployment_id: str, connection: AstroConnection) -> str:
    """Return the Deployment's page in Astro, which no answer names: `uiUrl` is Airflow's address, too."""
    base = connection.core_url or f"https://cloud.{connection.domain}"
    return f"{base}/{workspace_id}/deployments/{deployment_id}"
