"""What the service remembers of Deployments and deploys, and what the clock makes of it. No HTTP, no disk."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.clock import now

if TYPE_CHECKING:
    from sandbox.settings import Settings

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 25
_QUALITIES = ("weightless", "arid", "lunar", "boreal", "galactic", "magnetic", "polar", "solar")
_THINGS = ("diameter", "ellipse", "horizon", "meteor", "orbit", "parallax", "quasar", "transit")


def make_id() -> str:
    """Return a new id of the shape of a CUID: 25 characters, `cl` first."""
    return "cl" + "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH - 2))


def make_namespace() -> str:
    """Return a new Kubernetes namespace such as `lunar-orbit-4711`."""
    return f"{secrets.choice(_QUALITIES)}-{secrets.choice(_THINGS)}-{secrets.randbelow(9000) + 1000}"


def format_time(moment: datetime) -> str:
    """Return the time as RFC 3339 with microseconds and `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Code:
    """What runs: an image by its tag and runtime version, and a DAG bundle by its version; None where nothing is."""

    image_tag: str | None = None
    runtime_version: str | None = None
    dag_version: str | None = None


@dataclass(frozen=True)
class Override:
    """A hibernation override. `until` is None for "until further notice"."""

    is_hibernating: bool
    until: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether the override has not run out."""
        return self.until is None or now() < self.until


@dataclass
class Deploy:
    """A deploy record. `code` is what the Deployment ran once this deploy was through."""

    deployment_id: str
    kind: str
    description: str
    git: dict[str, Any] | None
    image_tag: str
    is_dag_deploy_enabled: bool
    bundle: dict[str, str] | None = None
    rollback_from_id: str | None = None
    status: str = "INITIALIZED"
    dag_version: str | None = None
    code: Code = Code()
    id: str = field(default_factory=make_id)
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def has_image(self) -> bool:
        """Whether such a deploy sets the image."""
        return self.kind in {"IMAGE_AND_DAG", "IMAGE_ONLY"}


@dataclass
class Deployment:
    """A Deployment. `spec` holds the API's own fields as they were sent; variables keep their secrets' values."""

    spec: dict[str, Any]
    variables: list[dict[str, Any]] = field(default_factory=list)
    id: str = field(default_factory=make_id)
    namespace: str = field(default_factory=make_namespace)
    code: Code = Code()
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    _created_s: float = field(default_factory=time.monotonic)
    _deployed_s: float | None = None
    _code_before: Code = Code()
    _dag_version_before: str | None = None
    _dag_version_since_s: float | None = None
    _woken_s: float | None = None
    override: Override | None = None

    @property
    def repository(self) -> str:
        """The image repository's name in the registry."""
        return f"astro/{self.namespace}/airflow"

    @property
    def is_hibernating(self) -> bool:
        """Whether an active override keeps it asleep."""
        return self.override is not None and self.override.is_active and self.override.is_hibernating

    def touch(self) -> None:
        """Note that something was changed by a request."""
        self.updated_at = now()

    def carry(self, code: Code) -> None:
        """Run other code from now on; the status and the DAG version follow by the clock."""
        if code.dag_version != self.code.dag_version:
            self._dag_version_before = self.code.dag_version
            self._dag_version_since_s = time.monotonic()
        self._code_before, self.code = self.code, code
        self._deployed_s = time.monotonic()
        self.touch()

    def set_override(self, override: Override | None) -> None:
        """Send to sleep, wake up, or follow no override any more."""
        was_hibernating = self.is_hibernating
        self.override = override
        if was_hibernating and not self.is_hibernating:
            self._woken_s = time.monotonic()
        self.touch()

    def status(self, settings: Settings) -> str:
        """Return the DeploymentStatus that the clock gives now."""
        if _is_within(self._created_s, settings.creating_s):
            return "CREATING"
        if self.is_hibernating or _is_within(self._woken_s, settings.waking_s):
            return "HIBERNATING"
        return "DEPLOYING" if _is_within(self._deployed_s, settings.deploying_s) else "HEALTHY"

    def current_dag_version(self, settings: Settings) -> str | None:
        """Return the bundle version that the DAG processor has taken up; the desired one is in `code`."""
        is_old = _is_within(self._dag_version_since_s, settings.dag_processing_s)
        return self._dag_version_before if is_old else self.code.dag_version

    def running_code(self, settings: Settings) -> Code:
        """Return what its Airflow runs now: an image from the deploy's end on, DAGs as soon as they are taken up."""
        image = self._code_before if _is_within(self._deployed_s, settings.deploying_s) else self.code
        return Code(image.image_tag, image.runtime_version, self.current_dag_version(settings))


def _is_within(since_s: float | None, duration_s: float) -> bool:
    return since_s is not None and time.monotonic() - since_s < duration_s
