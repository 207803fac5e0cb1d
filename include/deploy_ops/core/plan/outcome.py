"""How one run of an environment ended, as its report tells control and as rows remember it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.deploy_ops.core.plan.work import Verb

DEPLOYING_VERBS = frozenset({Verb.CREATE.value, Verb.DEPLOY.value})
"""The verbs whose runs deploy."""

OUTCOMES_MAX = 12
"""Runs that a row remembers, newest last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of an environment ended. `state` is success, failed or superseded; `seconds` from its start on.

    `is_forced`: a person started it, and typed `reason`; releases before 0.3 told neither.

    `kind` is the deploy type, "none" where nothing was to be deployed, empty where the run does not deploy; `why` its
    reason. `dag` is the full DAG id. `person` asked for it, and `approver` said yes, by their names in Airflow, empty
    where nobody did; `author` wrote the head, by GitHub. `push_s`: seconds from the push that was deployed until it
    ran; 0 if unknown. `subject` is the first line of the commit's message, `commit_author` who wrote it, empty where no
    run of ours looked. A deploy of somebody else's has no run: `run_id` and `dag` are empty, `deploy_id` is Astro's
    record of it.
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
    push_s: float = 0.0
    subject: str = ""
    commit_author: str = ""
    deploy_id: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's ending, as its report hands it to control; `conflicts` are a promotion's, by pull request.

    `seen` is the newest deploy record of Deployment `deployment_id` that a superseded run read, empty where there is
    none; None where it read none.
    """

    slug: str
    outcome: Outcome
    conflicts: dict[int, tuple[str, ...]] | None = None
    deployment_id: str = ""
    seen: str | None = None
