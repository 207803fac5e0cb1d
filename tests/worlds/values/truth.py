"""What there is in truth, in values alone: branches, commits, Deployments with what they hold, and who works in them.

It also answers for GitHub and Astro where the product's own code asks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.cleanup.use import RunFacts
from include.deploy_ops.core.environment.sources import ConnectionSource, VariableSource
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.history import DeployHistory, read_history
from include.deploy_ops.core.model import (
    Branch,
    ChangeDecision,
    ChangeType,
    Deploy,
    DeployKind,
    Deployment,
    DeploymentStatus,
    DeployStatus,
    PullRequest,
    Variable,
)
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.hooks.secrets import Secrets
from tests.worlds.values.examples import OWNER, make_deployment, make_pull, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.environment.mapping import Mapped

RELEASE = 100
"""The number of the first pull request of a release."""


@dataclass
class Place:
    """A Deployment: its records, the values that it holds, and who works in its Airflow.

    `values` are those of its secrets, by variable. `runs` are the times at which persons started runs; one may go on
    (`is_busy`). One that `is_mute` does not answer.
    """

    deployment: Deployment
    branch: str = ""
    records: list[Deploy] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    runs: list[datetime] = field(default_factory=list)
    is_busy: bool = False
    is_mute: bool = False

    @property
    def history(self) -> DeployHistory:
        """What its records say."""
        return read_history(self.records, OWNER)

    def deploy(self, at: datetime, note: DeployNote | None) -> str:
        """Have one more record, of ours by its note, and else of a stranger; whoever deploys wakes it."""
        record_id = f"{self.deployment.id}.r{len(self.records):03d}"
        note = note and replace(note, owner=OWNER)
        self.records.append(
            Deploy(
                record_id,
                self.deployment.id,
                DeployStatus.DEPLOYED,
                DeployKind.IMAGE_AND_DAG,
                at,
                format_note(note) if note else "by hand",
                image_tag=f"t{len(self.records)}",
                dag_tarball_version=f"v{len(self.records)}",
            )
        )
        newest, before = self.records[-1], self.deployment
        self.deployment = replace(
            before,
            status=DeploymentStatus.HEALTHY,
            override="" if before.override.startswith("hibernate") else before.override,
            image_tag=newest.image_tag,
            dag_tarball_version=newest.dag_tarball_version,
            desired_dag_tarball_version=newest.dag_tarball_version,
        )
        return record_id

    def lay(self, file: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """Take what a Deployment file says, with these values, as the Astro CLI does: a secret without one keeps it."""
        variables = file.get("environment_variables", ())
        secrets = {each["key"]: each for each in variables if each["is_secret"]}
        assert values.keys() <= secrets.keys(), "a value without its variable"
        kept = {key: each.get("value", self.values.get(key, "")) for key, each in secrets.items()}
        self.values = {**kept, **values}
        self.deployment = replace(
            self.deployment,
            description=file["configuration"]["description"],
            variables=tuple(Variable(each["key"], each["is_secret"], _show(each)) for each in variables),
        )

    def hibernate(self) -> None:
        """Fall asleep: what runs there ends."""
        self.is_busy = False
        self.deployment = replace(self.deployment, status=DeploymentStatus.HIBERNATING, override="hibernate")

    def wake(self) -> None:
        """Be woken by a person."""
        self.deployment = replace(self.deployment, status=DeploymentStatus.HEALTHY, override="")


def _show(variable: dict[str, Any]) -> str | None:
    return None if variable["is_secret"] else variable["value"]


@dataclass
class Truth:
    """All that there is outside of the control plane, at a time; `vault` is the management Airflow's, by name.

    `faults` are the commits that do not work, or of which nobody can tell; `merges` tells the base of each test merge.
    """

    now: datetime
    heads: dict[str, str] = field(default_factory=dict)
    commits: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    merges: dict[str, str] = field(default_factory=dict)
    committed: dict[str, datetime] = field(default_factory=dict)
    vault: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def commit(self, branch: str, fault: str = "") -> str:
        """Push a commit to the branch, new or not."""
        sha = self._name_commit()
        self.heads[branch], self.committed[sha] = sha, self.now
        if fault:
            self.faults[sha] = fault
        self.pulls = {
            number: replace(pull, head_sha=sha) if pull.is_open and pull.head_ref == branch else pull
            for number, pull in self.pulls.items()
        }
        return sha

    def _name_commit(self) -> str:
        self.commits += 1
        return sha256(str(self.commits).encode()).hexdigest()[:40]

    def open(self, number: int, branch: str, base: str) -> None:
        """Open a pull request, unless there is an open one."""
        if not any(pull.is_open and pull.head_ref == branch for pull in self.pulls.values()):
            self.pulls[number] = make_pull(number, branch, self.heads[branch], base_ref=base)

    def find_release(self) -> PullRequest | None:
        """Return the open pull request into main."""
        return next((pull for pull in self.pulls.values() if pull.is_open and pull.base_ref == "main"), None)

    def test_merge(self, pull: PullRequest) -> str:
        """Return the commit that merging would give; it has the fault of the head."""
        base = self.heads[pull.base_ref]
        known = (sha for sha, of in self.merges.items() if of == f"{base}.{pull.head_sha}")
        if found := next(known, ""):
            return found
        sha = self._name_commit()
        self.merges[sha] = f"{base}.{pull.head_sha}"
        if fault := self.faults.get(pull.head_sha):
            self.faults[sha] = fault
        return sha

    def find_base(self, commit: str) -> str:
        """Return onto what a test merge was made, empty of another commit."""
        return self.merges.get(commit, "").partition(".")[0]

    def find_content(self, commit: str | None) -> str | None:
        """Return whose files the commit has: a test merge has those of its head."""
        return self.merges[commit].partition(".")[2] if commit in self.merges else commit

    def merge(self, pull: PullRequest, commit: str) -> None:
        """Merge it."""
        self.pulls[pull.number] = merged(pull)
        self.heads[pull.base_ref] = commit

    def make(self, name: str, branch: str = "", description: str = "") -> Place:
        """Make a Deployment."""
        self.made += 1
        deployment = make_deployment(
            branch or name,
            id=f"id{self.made}",
            name=name,
            created_at=self.now,
            description=description,
            image_tag="",
            dag_tarball_version="",
            desired_dag_tarball_version="",
        )
        place = Place(deployment, branch)
        self.places[place.deployment.id] = place
        return place

    def list_previews(self, branch: str) -> list[Place]:
        """Return the branch's Deployments."""
        return [place for place in self.places.values() if place.branch == branch]

    # What GitHub and Astro answer

    def decide(self, commit: str, history: DeployHistory, **_: bool) -> ChangeDecision:
        """Return which deploy the commit needs on top of what was deployed, in place of `ChangeReader`."""
        is_same = self.find_content(commit) == self.find_content(history.dags_commit)
        return ChangeDecision(ChangeType.NONE if is_same else ChangeType.DAGS, commit, None, None, "files differ")

    def find_branch_beside(self, name: str, _trunk: str) -> Branch | None:
        """Return the branch."""
        return Branch(name, self.heads[name]) if name in self.heads else None

    def list_pull_requests_from(self, branch: str) -> tuple[PullRequest, ...]:
        """Return the branch's pull requests."""
        return tuple(pull for pull in self.pulls.values() if pull.head_ref == branch)

    def list_deploys(self, deployment_id: str) -> tuple[Deploy, ...]:
        """Return a Deployment's records."""
        return tuple(self.places[deployment_id].records)

    # What the management Airflow and previews' Airflows answer

    def read_secrets(self, mapped: Iterable[Mapped]) -> Secrets:
        """Return the values of what is mapped, as the product's own reader does."""
        values = {}
        for each in mapped:
            if isinstance(each.source, VariableSource | ConnectionSource):
                name = getattr(each.source, "variable", "") or getattr(each.source, "connection", "")
                if not self.vault.get(name):
                    raise RetryableError(f"{each.key}: {each.source} is missing")
                values[each.key] = self.vault[name]
        return Secrets(values, at=self.now)

    def read_work(self, _astro: object, deployment: Deployment, _conn: str | None, since: datetime, **_: bool) -> Any:
        """Return who works in a preview's Airflow."""
        place = self.places[deployment.id]
        if place.is_mute:
            raise RetryableError("HTTP 503")
        started = tuple(at for at in place.runs if at >= since)
        return RunFacts(started, "orders" if place.is_busy else None)


@dataclass
class Clock:
    """Stands in for `datetime` where the product asks for the time: the truth's."""

    truth: Truth

    def now(self, _zone: object = UTC) -> datetime:
        """Return it."""
        return self.truth.now
