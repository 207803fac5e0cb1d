"""Frozen values that every layer speaks of; no behaviour beyond predicates and printing.

Commits and trees are 40-digit hexadecimal ids. Times are timezone-aware datetimes. `branch` is a name without
`refs/heads/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

NO_COMMIT = "0" * 40
"""The commit of what has none: Git's own way to say so."""

COMMIT_ID = re.compile(r"[0-9a-f]{40}")

RULE_LENGTH_MAX = 1024
"""Bytes of one ignore rule; a component of a path has 255 at the most."""

FOLDER_MODE = "040000"
_ENTRY_KINDS = {FOLDER_MODE: "a folder", "120000": "a symbolic link", "160000": "a submodule"}


class ChangeType(Enum):
    """What a difference between two trees asks for. Values are the form's words for a deploy type."""

    NONE = "none"
    DAGS = "dags"
    IMAGE = "image-and-dags"

    @property
    def rank(self) -> int:
        """Order from cheapest (0) to dearest (2); the dearest path decides."""
        return list(ChangeType).index(self)


class DeploymentStatus(Enum):
    """Astro's DeploymentStatus (v1 API)."""

    CREATING = "CREATING"
    DEPLOYING = "DEPLOYING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"
    HIBERNATING = "HIBERNATING"


class DeployStatus(Enum):
    """Astro's DeployStatus (v1 API)."""

    INITIALIZED = "INITIALIZED"
    DEPLOYED = "DEPLOYED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class DeployKind(Enum):
    """Astro's DeployType (v1 API): what a deploy carried."""

    IMAGE_AND_DAG = "IMAGE_AND_DAG"
    IMAGE_ONLY = "IMAGE_ONLY"
    DAG_ONLY = "DAG_ONLY"
    BUNDLE = "BUNDLE"

    @property
    def has_image(self) -> bool:
        """Whether such a deploy set the image."""
        return self in {DeployKind.IMAGE_AND_DAG, DeployKind.IMAGE_ONLY}

    @property
    def has_dags(self) -> bool:
        """Whether such a deploy set the DAGs."""
        return self in {DeployKind.IMAGE_AND_DAG, DeployKind.DAG_ONLY}


@dataclass(frozen=True, slots=True, order=True)
class Branch:
    """A branch of the watched repository and the commit at its tip."""

    name: str
    head: str


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What GitHub answered to a question, as one step hands it on to another; `path` counts from the API's address.

    Of what may change it has an ETag, with which it is asked again: while it is the same, that costs no quota. A commit
    never changes, has none, and is not asked for again. `data` is JSON, no more of the answer than we read.
    """

    path: str
    data: Any = field(hash=False)
    etag: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class PullRequest:
    """A pull request as GitHub lists it. `head_repo_id` is None when the fork was deleted."""

    number: int
    head_ref: str
    head_sha: str
    head_repo_id: int | None
    base_ref: str
    base_repo_id: int
    is_open: bool
    is_merged: bool
    updated_at: str  # ISO 8601 as GitHub gave it; compared as text, which orders
    title: str = ""
    author: str = ""
    url: str = ""
    labels: tuple[str, ...] = ()
    is_draft: bool = False

    @property
    def is_from_fork(self) -> bool:
        """Whether the head lies in another repository, or in none any more."""
        return self.head_repo_id != self.base_repo_id


class MergeState(Enum):
    """What GitHub says of merging a pull request into its base's present tip."""

    READY = "ready"
    PENDING = "not computed yet"
    CONFLICT = "conflict"
    MERGED = "merged"
    CLOSED = "closed"
    BASELESS = "its base is gone"


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What merging a pull request gives. `base` is the tip of its base branch, empty where there is no such branch.

    Its head stands in `pull`. `commit` is GitHub's test merge of exactly (base, head) while READY, what the merge made
    once MERGED, else empty. `reason` says in words why it is not READY. `standing` is GitHub's word on whether rules of
    the base let it be merged ("blocked", "behind", "clean" …), `allows_merge_commits` the repository's setting, None
    where it is not told.
    """

    pull: PullRequest
    base: str
    state: MergeState
    commit: str = ""
    reason: str = ""
    standing: str = ""
    allows_merge_commits: bool | None = None


@dataclass(frozen=True, slots=True)
class PullCommit:
    """A commit that a pull request brings: its whole message, who wrote it, its page.

    `login` is the author's account, empty where GitHub knows none of that e-mail address; `author` then a bare name.
    """

    sha: str
    message: str
    author: str
    url: str
    login: str = ""

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """One line of a Git tree.

    `mode` is Git's octal text: "040000" tree, "100644"/"100755" file, "120000" symlink, "160000" submodule.
    """

    name: str
    mode: str
    sha: str

    @property
    def is_tree(self) -> bool:
        """Whether the entry is a folder."""
        return self.mode == FOLDER_MODE

    @property
    def is_submodule(self) -> bool:
        """Whether the entry is a commit of another repository."""
        return self.mode == "160000"

    @property
    def kind(self) -> str:
        """What the entry is, in words for people."""
        return _ENTRY_KINDS.get(self.mode, "a file")


@dataclass(frozen=True, slots=True)
class PathVerdict:
    """What one changed path asks for, and by which rule."""

    path: str
    verdict: ChangeType
    rule: str


@dataclass(frozen=True, slots=True)
class ChangeDecision:
    """What the files ask for: which deploy, measured against what, because of which paths.

    `image_base` and `dags_base` are the commits of the last successful image deploy and of the last successful
    deploy that carried DAGs; None when unknown, and then `reason` says why that means an image deploy.
    """

    change_type: ChangeType
    commit: str
    image_base: str | None
    dags_base: str | None
    reason: str
    paths: tuple[PathVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class DeployDecision:
    """Which deploy a run makes: what the files ask for, or what was set instead.

    `observed` is the id of the newest successful deploy that it was measured against, empty when there is none;
    `is_partial` tells that a person set less than the files ask for. Commits and bases as in `ChangeDecision`.
    `subject` and `author` are those of the commit, for people: of a test merge, of the head that it merges.
    `changed_dags` are the paths below `dags/` that differ from `dags_base`, relative to the root; None where that was
    not found out, or they are many.
    """

    change_type: ChangeType
    commit: str
    reason: str
    observed: str
    image_base: str | None = None
    dags_base: str | None = None
    is_partial: bool = False
    subject: str = ""
    author: str = ""
    changed_dags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Our ownership mark in a Deployment's description; `template` is the fingerprint of what was rendered."""

    control_plane: str
    project: str
    repository: str
    branch: str
    template: str


@dataclass(frozen=True, slots=True)
class Deploy:
    """One of Astro's deploy records; `person` is whoever made it, by name, empty where Astro does not tell."""

    id: str
    deployment_id: str
    status: DeployStatus
    kind: DeployKind
    created_at: datetime
    description: str = ""
    git_commit: str | None = None
    image_tag: str = ""
    dag_tarball_version: str = ""
    rollback_from_id: str | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of a Deployment; a secret's value is never read."""

    key: str
    is_secret: bool
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment as Astro's v1 API lists it, as far as we decide by it.

    `problem` says what of Astro's answer about it cannot be used, its deploy records included. It is there, so nothing
    takes its place, and nothing is done about it. Of what is malformed itself only id, workspace and page are sure, and
    name and description where they can be read; else these are empty. `settings` is what Astro tells of its
    configuration, in the form of a Deployment file's body (`template.settings`); values of plain variables among it.
    """

    id: str
    name: str
    status: DeploymentStatus
    description: str
    workspace_id: str
    runtime_version: str
    image_repository: str
    image_tag: str
    dag_tarball_version: str
    desired_dag_tarball_version: str
    is_dag_deploy_enabled: bool
    is_development_mode: bool
    deployment_type: str
    executor: str
    cloud_provider: str
    region: str
    namespace: str
    airflow_url: str
    astro_url: str
    variables: tuple[Variable, ...] = ()
    contact_emails: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: str = ""  # as Astro gave it; part of what tells that records must be read again
    status_reason: str = ""
    override: str = ""  # an active hibernation override: "hibernate" or "wake", and "@<until>" where it ends by itself
    problem: str = ""
    airflow_api: str = ""  # where its Airflow's REST API is: host and path, without a scheme
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @property
    def doubt(self) -> str:
        """Why it is left alone, in words for people; empty where nothing is wrong with Astro's answer."""
        who = f"'{self.name}' ({self.id})"
        said = f"what Astro says of {who} cannot be read, so it is left alone until it can: {self.problem}"
        return said if self.problem else ""
