"""What people are shown: one row per environment, made of a pass's observation, its plan, and how runs ended.

Control writes the rows; the Deploys page and the feedback on GitHub read them and nothing else. So may whoever may
read assets in Airflow: a row holds what one of the two shows, and no e-mail address. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from include.deploy_ops.core.cleanup.verdict import NextStep
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.verification.verdict import Verification
from include.deploy_ops.core.view.needs import Need


class RowKind(Enum):
    """What kind of environment a row is about."""

    PREVIEW = "preview"
    TARGET = "target"
    DEPLOY_BRANCH = "deploy branch"


class State(Enum):
    """How an environment is, in one word; the first that is true, in this order."""

    REMOVED = "removed"  # it had a Deployment that is gone; shown for a while
    APPROVAL = "approval"  # a person is asked
    DEPLOYING = "deploying"  # a run is at work, or queued; `verb` says at what
    FAILED = "failed"  # it failed for good until what failed moves
    FAILING = "failing"  # it failed and comes again by itself
    FROZEN = "frozen"  # something is due, and its DAG is paused, or nothing may be written
    HELD = "held"  # something is due, and a person has to mend or decide something
    WAITING = "waiting"  # something is due and comes by itself: room, a turn, a test merge
    UNHEALTHY = "unhealthy"  # Astro says so
    ASLEEP = "asleep"  # it hibernates, and runs the newest commit when it wakes
    LIVE = "live"  # it runs the newest commit


@dataclass(frozen=True, slots=True)
class Followed:
    """A merged pull request whose change is on its way to an environment, or is there.

    `head` are the first 12 digits of its head. `commit` is what ran there when its change was seen first, since `at`;
    empty until then, and `at` is when it was seen to be merged.
    """

    pull: int
    head: str
    at: datetime
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a Deployment costs this month so far, an estimate in words, as of `at`; `prices` names those of then."""

    said: str
    at: datetime
    prices: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One environment.

    `dag` is the full id of the DAG whose runs work on it and whose form forces them, `request_dag` of that which asks;
    `run_id`, `run_dag` and `verb` are of the run in flight. `head` is the newest commit of what it follows, since
    `head_at` as far as we know; `deployed` the commit that runs. Commits are 40 digits, empty where there is none.
    `pull` is the newest open pull request, `base` its base branch; `pulls` all open ones of the branch. `why` says the
    state in words, `holds` what is held besides, `needs` what of all that is held waits for a person. `kept` says who
    keeps it from expiring. `conflicts` are the promotion's words about the pull request. `woken_at`: when somebody woke
    it by hand. `overridden` says in words which commit runs there on purpose instead of what it follows, by whom, why
    and until when; empty where none does. `deployed_kind` is the deploy type by which `deployed` came, whoever deployed
    it. `connections` are the environment variables by which a preview's Airflow has connections that its UI does not
    list, `unfilled` its secret ones that nothing fills. `carried` are the open pull requests whose change it has by
    promotion, each with the first 12 digits of the head that it has; `followed` are merged ones that it has, or is to
    get. `merged` are a target's releases that were merged lately. `tips` are the first 12 digits of what the deploy
    branch was lately, newest last.
    `verification` is of the newest deploy record, None where the policy wants none or nothing runs; `awaits_proof`:
    nothing good is told of what runs before it is verified.
    `gated` says what a forced deploy to a target does with gates that are closed: "skip", "never" where the policy lets
    nobody skip any, empty where there are none. `gates` are what those await that are closed, where anything is due.
    `cost` is its Deployment's, where the policy gives prices.
    `drift` are the fields in which Astro differs from what was rendered, or from the target's template, in words.
    """

    slug: str
    kind: RowKind
    environment: str
    branch: str
    dag: str
    state: State
    state_at: datetime
    why: str = ""
    request_dag: str = ""
    holds: tuple[str, ...] = ()
    head: str = ""
    head_at: datetime | None = None
    author: str = ""
    pull: int = 0
    pull_title: str = ""
    base: str = ""
    pulls: tuple[int, ...] = ()
    conflicts: tuple[str, ...] = ()
    deployed: str = ""
    deployed_at: datetime | None = None
    deployed_kind: str = ""
    overridden: str = ""
    carried: tuple[tuple[int, str], ...] = ()
    followed: tuple[Followed, ...] = ()
    merged: tuple[int, ...] = ()
    tips: tuple[str, ...] = ()
    deployment_id: str = ""
    deployment_name: str = ""
    status: str = ""
    status_reason: str = ""
    airflow_url: str = ""
    astro_url: str = ""
    run_id: str = ""
    run_dag: str = ""
    verb: str = ""
    next_step: NextStep | None = None
    kept: str = ""
    override: str = ""
    woken_at: datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    needs: tuple[Need, ...] = ()
    connections: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    verification: Verification | None = None
    awaits_proof: bool = False
    gated: str = ""
    gates: tuple[str, ...] = ()
    cost: Cost | None = None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What one pass says of its whole project. `digests` tell, by shard that holds something, that it changed.

    `dags` are the DAGs that the policy gives the project. `cost` is what its Deployments cost this month so
    far, an estimate in words, empty where the policy gives no prices.
    """

    project: str
    repository: str
    repository_url: str
    at: datetime
    mode: str
    live: int
    max_live: int
    actions: int
    holds: int
    resync_s: float
    digests: dict[str, str]
    events_until: str = ""
    dags: tuple[str, ...] = ()
    cost: str = ""
