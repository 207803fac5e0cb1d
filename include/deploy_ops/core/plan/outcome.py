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

    `kind` is the deploy type, "none" where nothing was to be deployed, empty where the run does not deploy; `why` its
    reason. `dag` is the full DAG id. `person` asked for it, and `approver` said yes, by their names in Airflow, empty
    where nobody did; `author` wrote the head, by GitHub. `push_s`: seconds from the push that was deployed until it
    ran; 0 if unknown.
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
    push_s: float = 0.0


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
