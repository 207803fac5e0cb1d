"""How one run of an environment ended, as its report tells control and as rows remember it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from include.deploy_ops.core.plan.work import Verb

DEPLOYING_VERBS = frozenset({Verb.CREATE.value, Verb.DEPLOY.value})
"""The verbs whose runs deploy."""

OUTCOMES_MAX = 12
"""Runs that a row remembers, newest last."""

SUCCESS, FAILED, SUPERSEDED, REJECTED = "success", "failed", "superseded", "rejected"
NOTHING_TO_DEPLOY = "none"
"""The kind of a run that found nothing to deploy."""

_RUN_ID_PARTS = 5
"""<slug>~<verb>~<head12>~<digest8>~<attempt>"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of an environment ended.

    `state` is success, failed, superseded or rejected; `seconds` from its start on.

    `is_forced`: a person started it, and typed `reason`. `pull` is the pull request that it was about, 0 for none.
    Releases before 0.3 told none of these.

    `kind` is the deploy type, "none" where nothing was to be deployed, empty where the run does not deploy; `why` its
    reason. `dag` is the full DAG id. `person` asked for it, and `approver` said yes, by their names in Airflow, empty
    where nobody did; `author` wrote the head, by GitHub. `push_s`: seconds from the push that was deployed until it
    ran; 0 if unknown. `subject` is the first line of the commit's message, `commit_author` who wrote it, empty where no
    run of ours looked. A deploy of somebody else's has no run: `run_id` and `dag` are empty, `deploy_id` is Astro's
    record of it. `proof` is what its verification came to (a `Proof`'s value), empty where none was asked for.
    """

    run_id: str
    dag: str
    verb: str
    state: str
    at: datetime
    seconds: float = 0.0
    commit: str = ""
    kind: str = ""
    why: str = ""
    cause: str = ""
    is_permanent: bool = False
    person: str = ""
    approver: str = ""
    author: str = ""
    is_forced: bool = False
    reason: str = ""
    pull: int = 0
    push_s: float = 0.0
    subject: str = ""
    commit_author: str = ""
    deploy_id: str = ""
    proof: str = ""

    @property
    def is_deploy(self) -> bool:
        """Whether it was to deploy; a request, a merge or an update is none."""
        return self.verb in DEPLOYING_VERBS

    def is_about(self, sha: str) -> bool:
        """Whether it was about this commit: a release's run names the test merge, and the head by its id's digits."""
        start = "" if self.is_forced else read_head(self.run_id)
        return bool(sha) and (self.commit == sha or (bool(start) and sha.startswith(start)))


def read_head(run_id: str) -> str:
    """Return the first digits of the head that a planned run is about; empty for a person's run."""
    parts = run_id.split("~")
    return parts[2] if len(parts) == _RUN_ID_PARTS else ""


def find_settling(outcomes: Iterable[Outcome], sha: str) -> Outcome | None:
    """Return the newest deploy of this commit that succeeded, also by finding nothing to deploy; None without one."""
    found = [each for each in outcomes if each.is_deploy and each.state == SUCCESS and each.is_about(sha)]
    return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's ending, as its report hands it to control; `conflicts` are a promotion's, by pull request.

    `promoted` are the pull requests that a promotion found the deploy branch to hold, or brought there, with their
    heads; None in every other run.

    `seen` is the newest deploy record of Deployment `deployment_id` that a superseded run read, empty where there is
    none; None where it read none.
    """

    slug: str
    outcome: Outcome
    conflicts: dict[int, tuple[str, ...]] | None = None
    deployment_id: str = ""
    seen: str | None = None
    promoted: dict[int, str] | None = None
