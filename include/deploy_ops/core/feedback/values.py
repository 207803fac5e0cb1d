"""What feedback tells GitHub, as values: the project's facts, what was told before, and what is to be written. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import ClassVar
from urllib.parse import quote

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.policy.keys import Feedback, Project
from include.deploy_ops.core.view.awaited import Awaited

DIGEST_LENGTH = 12


class Kind(Enum):
    """A kind of feedback; each has its own permission on GitHub, and all but the last their own key in the policy.

    GitHub makes an environment with its first GitHub Deployment: what asks for these asks for its end, too.
    """

    STATUS = "statuses"
    DEPLOYMENT = "deployments"
    COMMENT = "comments"
    ENVIRONMENT = "environments"

    @property
    def title(self) -> str:
        """What is told, for people: as the policy calls it."""
        return "deleting environments of previews" if self is Kind.ENVIRONMENT else f"feedback.{self.value}"

    @property
    def permission(self) -> str:
        """What the token needs, in the words of GitHub's settings."""
        return {
            Kind.STATUS: "Commit statuses: write",
            Kind.DEPLOYMENT: "Deployments: write",
            Kind.COMMENT: "Pull requests: write (or Issues: write)",
            Kind.ENVIRONMENT: "Administration: write",
        }[self]


@dataclass(frozen=True, slots=True)
class Facts:
    """What feedback knows of its project besides the rows.

    `airflow_url` and `web_url` are the addresses of this Airflow and of the repository's page, without a slash at the
    end. `is_alone`: no other project of the policy is about the repository. `releases` names the targets that deploy
    what an open pull request would give, `gated` those that ask first, `merging` those that merge.
    `policy` is the policy's fingerprint, `access`
    that of the token, empty where nobody looked at it. `awaited` are commits of which somebody may wait for the word on
    a preview.
    """

    project: str
    control_plane: str
    feedback: Feedback
    airflow_url: str
    web_url: str
    is_alone: bool = True
    keep_label: str = ""
    releases: frozenset[str] = frozenset()
    gated: frozenset[str] = frozenset()
    merging: frozenset[str] = frozenset()
    policy: str = ""
    access: str = ""
    awaited: tuple[Awaited, ...] = ()

    def wants(self, kind: Kind) -> bool:
        """Whether the policy wants this kind of feedback."""
        return bool(getattr(self.feedback, (Kind.DEPLOYMENT if kind is Kind.ENVIRONMENT else kind).value))

    def name_context(self, name: str) -> str:
        """Return the commit status' context of all previews, or of a target."""
        return f"deploy-ops/{name}" if self.is_alone else f"deploy-ops/{self.project}/{name}"

    def mark_comment(self, pull: int) -> str:
        """Return the hidden line that our comment on the pull request begins with."""
        fields = {"control_plane": self.control_plane, "project": self.project, "pull": str(pull)}
        body = " ".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())
        return f"<!-- deploy-ops feedback {body} -->"

    def mark_deployment(self, slug: str) -> str:
        """Return what the payload of our GitHub Deployments of an environment says."""
        return f"{self.control_plane}/{self.project}/{slug}"

    def link_run(self, dag: str, run_id: str = "") -> str:
        """Return the page of a run, or of its DAG, in this Airflow; empty where there is none."""
        if not self.airflow_url or not dag:
            return ""
        page = f"{self.airflow_url}/dags/{quote(dag, safe='')}"
        return f"{page}/runs/{quote(run_id, safe='~')}" if run_id else page

    def link_commit(self, sha: str) -> str:
        """Return the commit's page on GitHub."""
        return f"{self.web_url}/commit/{sha}"


def fingerprint_feedback(project: Project, *, is_alone: bool) -> str:
    """Return 12 hexadecimal digits over what the policy says of feedback: what is told, where, under which names."""
    names = {"feedback", "repository", "github_conn_id"}
    said = project.model_dump(mode="json", include=names, exclude={"feedback": {"commands"}})  # that is heard, not told
    return hash_text(json.dumps([said, is_alone], sort_keys=True), DIGEST_LENGTH)


def gather_facts(
    project: Project, control_plane: str, *, is_alone: bool, airflow_url: str, web_url: str, access: str = ""
) -> Facts:
    """Return what feedback needs to know of a project of the policy."""
    targets = project.targets.items()
    return Facts(
        project=project.name,
        control_plane=control_plane,
        feedback=project.feedback,
        airflow_url=airflow_url.rstrip("/"),
        web_url=web_url.rstrip("/"),
        is_alone=is_alone,
        keep_label=project.previews.keep_label if project.previews else "",
        releases=frozenset(
            name for name, each in targets if each.pull_request is not None and each.on == "pull_request"
        ),
        gated=frozenset(name for name, each in targets if each.approval == "required"),
        merging=frozenset(name for name, each in targets if each.merge),
        policy=fingerprint_feedback(project, is_alone=is_alone),
        access=access,
    )


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One thing that GitHub was told. Which one, its key says: see `key_comment` and its kind.

    `id` is GitHub's, of a comment or of a GitHub Deployment; `digest` of what was told last; `state` its state in
    GitHub's word, or ours for a comment (open, followed, closed, removed), or REFUSED. `about` are slugs, `names` those
    environments in words. `at`: when it was refused. `settled` are the slugs of whom a commit status was success once,
    whatever it says since; a release before 0.3 told it by its state alone. `gone` are the slugs of previews that a
    comment told as removed: what is made anew of their branches is another pull request's, as is a Deployment that has
    another id than in `deployments`, those of `about` while the pull request was open.
    """

    id: int = 0
    digest: str = ""
    state: str = ""
    about: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    policy: str = ""
    at: datetime | None = None
    settled: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()

    @property
    def succeeded(self) -> frozenset[str]:
        """The slugs of whom this commit status is, or was, success."""
        return frozenset(self.settled) | (frozenset(self.about) if self.state == "success" else frozenset())


REFUSED = "refused"
"""GitHub will not take just this, whoever asks; it is not told again until it says something else."""


def key_comment(pull: int) -> str:
    """Return the key of the comment on a pull request."""
    return f"comment/{pull}"


def key_status(sha: str, context: str) -> str:
    """Return the key of a commit status."""
    return f"status/{sha}/{context}"


def key_deployment(slug: str, sha: str) -> str:
    """Return the key of an environment's GitHub Deployment of a commit."""
    return f"deployment/{slug}/{sha}"


def key_lack(kind: Kind) -> str:
    """Return the key of a permission that is missing."""
    return f"lack/{kind.value}"


@dataclass(frozen=True, slots=True)
class WriteComment:
    """Our comment on a pull request shall say `body`; `comment_id` is 0 where none is known."""

    key: str
    pull: int
    comment_id: int
    marker: str
    body: str
    record: FeedbackRecord

    kind: ClassVar[Kind] = Kind.COMMENT

    def __str__(self) -> str:
        return f"comment on #{self.pull}: {', '.join(self.record.names) or 'nothing any more'}"


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A commit shall have this status."""

    key: str
    sha: str
    context: str
    state: str
    description: str
    target_url: str
    record: FeedbackRecord

    kind: ClassVar[Kind] = Kind.STATUS

    def __str__(self) -> str:
        return f"status {self.context} of {self.sha[:12]}: {self.state}, {self.description}"


@dataclass(frozen=True, slots=True)
class GithubDeploymentState:
    """The newest status that a GitHub Deployment shall have."""

    state: str
    description: str = ""
    environment_url: str = ""
    log_url: str = ""

    @property
    def digest(self) -> str:
        """What tells that something else is to be said: of what runs why it does not work, not by which run it came."""
        if self.state == "success":
            said = [self.state, self.environment_url]
        elif self.environment_url:
            said = [self.state, self.environment_url, self.description]
        else:
            said = [self.state, self.log_url]
        return hash_text(json.dumps(said), DIGEST_LENGTH)


@dataclass(frozen=True, slots=True)
class AddGithubDeploymentStatus:
    """A GitHub Deployment shall have this status."""

    key: str
    deployment_id: int
    environment: str
    status: GithubDeploymentState
    record: FeedbackRecord

    kind: ClassVar[Kind] = Kind.DEPLOYMENT

    def __str__(self) -> str:
        return f"GitHub Deployment {self.deployment_id} of {self.environment}: {self.status.state}"


@dataclass(frozen=True, slots=True)
class CreateGithubDeployment:
    """There shall be a GitHub Deployment of the commit, and it shall have this status; one may exist already."""

    key: str
    sha: str
    environment: str
    mark: str
    is_transient: bool
    is_production: bool
    status: GithubDeploymentState
    record: FeedbackRecord

    kind: ClassVar[Kind] = Kind.DEPLOYMENT

    def __str__(self) -> str:
        return f"GitHub Deployment of {self.sha[:12]} to {self.environment}: {self.status.state}"


@dataclass(frozen=True, slots=True)
class DeleteGithubEnvironment:
    """The environment of a preview that is gone shall go; `told` are the keys of what it was told, all of it history.

    They are remembered until it is done, `key` is the first of them. `mark` is what our GitHub Deployments of the
    preview say: an environment that holds another's stays.
    """

    told: tuple[str, ...]
    environment: str
    mark: str

    kind: ClassVar[Kind] = Kind.ENVIRONMENT
    record: ClassVar[FeedbackRecord] = FeedbackRecord()

    @property
    def key(self) -> str:
        """The key of the first thing that it was told."""
        return self.told[0]

    def __str__(self) -> str:
        return f"GitHub environment {self.environment}: deleted"


Write = WriteComment | SetStatus | CreateGithubDeployment | AddGithubDeploymentStatus | DeleteGithubEnvironment
