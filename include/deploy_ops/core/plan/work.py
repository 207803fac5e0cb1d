"""The words of a plan: verbs, work, holds, the difference between what is and should be, and the plan. Pure values.

Knows no comparison and no timing: what is due is found by the subjects, when it starts by `schedule`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.naming import PROMOTION_SLUG, name_subject, name_work, slug_branch, slug_target
from include.deploy_ops.core.template.drift import Drifted
from include.deploy_ops.core.text.schema import Location
from include.deploy_ops.core.text.visible import reveal

if TYPE_CHECKING:
    from collections.abc import Collection

PREVIEW_DAG = "preview"
PROMOTION_DAG = "promotion"
REQUEST_DAG = "request"
FEEDBACK_DAG = "feedback"
COMMANDS_DAG = "commands"
TEMPLATE_DAG = "template"

ANYTHING = "anything"
"""What is held where nothing at all may be done to an environment."""

OVERRIDDEN = "overridden by "
"""How the reason of a hold begins that what runs there is not the source's, on purpose."""

ROLLBACK_ENDING = "rollback"
"""Under what it is remembered how a rollback ended."""

REJECTED_BY, REJECTED_UNANSWERED = REJECTION = ("rejected by ", "rejected: ")
"""How the reason of a hold begins where a person said no, or nobody answered in time."""


class Verb(Enum):
    """What a run does to its environment, most urgent first; the last five are only done for a person."""

    DELETE = "delete"
    CREATE = "create"
    DEPLOY = "deploy"
    MERGE = "merge"
    REQUEST = "request"
    PROMOTE = "promote"
    UPDATE = "update"
    HIBERNATE = "hibernate"
    ADOPT = "adopt"
    RESUME = "resume"
    KEEP = "keep"
    VERIFY = "verify"
    MUTE = "mute"

    @property
    def rank(self) -> int:
        """Order in a pass: deletes free room, updates are never urgent."""
        return list(Verb).index(self)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be done to one environment, and why, whether it was planned (`Work`) or is a run's (`run.job.Job`).

    `head` is the source's tip, of a rollback what it goes back to; `commit` what is deployed where that is another one.
    `deployment_id` is empty while there is no Deployment. Of a target: `target` is its name in the policy, `pull` and
    `base` the pull request and its base's head; `undoes` the deploy record that is shown not to work, in whose place an
    older commit is deployed again.
    """

    verb: Verb
    branch: str
    head: str
    deployment_name: str
    deployment_id: str
    reason: str
    target: str = ""
    commit: str = ""
    pull: int = 0
    base: str = ""
    undoes: str = ""

    @property
    def slug(self) -> str:
        """The environment's key in run ids and memory."""
        if self.verb is Verb.PROMOTE:
            return PROMOTION_SLUG
        return slug_target(self.target) if self.target else slug_branch(self.branch)

    @property
    def environment(self) -> str:
        """What people call the environment: the target's name, or the branch's."""
        return self.target or self.branch

    @property
    def deployed_commit(self) -> str:
        """The commit whose files are deployed."""
        return self.commit or self.head

    @property
    def ending_key(self) -> str:
        """Under what it is remembered how it ended: what the source asks for meanwhile hides no failed rollback."""
        return ROLLBACK_ENDING if self.undoes else self.verb.value

    @property
    def home_dag(self) -> str:
        """The project's DAG whose runs claim the environment, by its id without the project."""
        if self.verb is Verb.PROMOTE:
            return PROMOTION_DAG
        return self.target or PREVIEW_DAG


@dataclass(frozen=True, slots=True)
class Work(Assignment):
    """One piece of work that would bring one environment closer to Git.

    `name` is the run id without its attempt. `observed` is the id of the newest successful deploy record, empty when
    there is none. `digest` names what was observed (`naming.digest_work`). `due_at`: it waits until then, since people
    were told so; only what nobody uses has one. `is_released`: a person approved it.
    """

    _: KW_ONLY
    observed: str
    digest: str
    due_at: datetime | None = None
    is_released: bool = False

    @property
    def is_expiry(self) -> bool:
        """Whether it is done because nobody uses the preview, whose branch lives."""
        return self.due_at is not None

    @property
    def rank(self) -> int:
        """Order in a pass: what a branch asks for comes before the end of what nobody uses."""
        return Verb.HIBERNATE.rank if self.is_expiry else self.verb.rank

    @property
    def name(self) -> str:
        """The run id without its attempt."""
        return name_work(self.slug, self.verb.value, self.head, self.digest)

    @property
    def subject(self) -> str:
        """What a person is asked about it, and answers."""
        return name_subject(self.deployment_id, self.head, self.observed, self.base)

    def is_noted(self, noted: Collection[str]) -> bool:
        """Whether it is among what a person was asked, or answered; a release before 0.3 noted a delete by its name."""
        return self.subject in noted or self.name in noted

    @property
    def dag(self) -> str:
        """The project's DAG that does it. A request has its own, and claims nothing: a person may take days."""
        return f"{self.home_dag}.{REQUEST_DAG}" if self.verb is Verb.REQUEST else self.home_dag

    def __str__(self) -> str:
        return reveal(f"{self.verb.value} {self.environment} at {self.head[:12]}: {self.reason}")


def describe_stuck(work: Work, cause: str) -> str:
    """Return why a rollback that failed is not tried again, and what a person does about it."""
    return (
        f"{work.reason}; that failed, and is not tried again by itself: {cause}; clear its run, push a commit that "
        "mends it, deploy one that works by the form, or resume, which leaves what runs"
    )


class HoldKind(Enum):
    """Why something is held, for those who sort and colour; the reason says it in words."""

    PERSON = "person"  # until a person mends or decides something
    FLIGHT = "flight"  # a run of the environment is at work
    FROZEN = "frozen"  # its DAG is paused, or nothing may be written
    FAILED = "failed"  # until what failed moves
    FAILING = "failing"  # it comes again by itself
    WAITING = "waiting"  # it comes by itself: room, a turn, a time that was told
    ENDED = "ended"  # nobody wants it at this head any more
    NEEDLESS = "needless"  # nothing asks for it at this head, so that nobody misses it

    @property
    def is_settled(self) -> bool:
        """Whether it stands until the branch moves, or somebody speaks of it."""
        return self in {HoldKind.ENDED, HoldKind.NEEDLESS}


class Remedy(Enum):
    """What a person does about a hold."""

    MEND = "mend"  # what its reason says, elsewhere: in Git, in Astro, in the policy
    RESUME = "resume"  # ends an override
    ADOPT = "adopt"  # takes over what is there
    DELETE = "delete"  # deletes the preview's Deployment
    RETRY = "retry"  # clears the run that failed


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that would be done, or would be looked at, and is not; with the reason and what ends it.

    `environment` is what people call it, a branch's or a target's name; `slug` tells which of the two, empty where it
    is a branch. `awaits` names what ends it by itself, within seconds as a rule, of which nobody tells us; empty where
    nothing does. `opens_at` is when a time that comes may end it. `remedy` ends it where only a person does. `checked`
    is the commit whose checks end it, for which the trigger looks; empty where it waits for none. `rule` is the
    policy's key that holds it, where verb and branch do not tell (`passes/why.py`); it makes it no other hold.
    """

    environment: str
    what: str
    reason: str
    awaits: str = ""
    kind: HoldKind = HoldKind.PERSON
    slug: str = ""
    remedy: Remedy = Remedy.MEND
    checked: str = ""
    opens_at: datetime | None = None
    rule: Location = field(default=(), compare=False)

    @property
    def home(self) -> str:
        """The environment's key: a target may be called as a branch is."""
        return self.slug or slug_branch(self.environment)

    @property
    def said(self) -> str:
        """What it says beside the environment's name: what is held, where the reason does not tell, and why."""
        is_told = self.what == ANYTHING or self.reason.startswith((OVERRIDDEN, *REJECTION))
        return reveal(self.reason if is_told else f"{self.what}: {self.reason}")

    def __str__(self) -> str:
        return reveal(f"{self.what} {self.environment} held: {self.reason}")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is due, and what is held, in a fixed order.

    `live` counts this project's previews in any status; `missing` lists the wanted branches that have none. `notes` are
    what people should know beside that, `unfilled` the secret variables of the previews' template that nothing fills.
    `look_at` is when a value may be another, of which nobody tells us. `drift` are the environments whose Deployments
    differ from what was rendered, or from their template.
    """

    works: tuple[Work, ...]
    holds: tuple[Hold, ...]
    live: int
    missing: tuple[Branch, ...] = ()
    notes: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    look_at: datetime | None = None
    drift: tuple[Drifted, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A piece of work that starts now, as this run."""

    work: Work
    run_id: str

    def __str__(self) -> str:
        return str(self.work)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass does and does not do, in order; `wake_at` is when something becomes due by itself.

    `braked` are the deletes among what is held that the brake holds. `over` are the branches that it does not look
    at, since their previews are over at these heads.
    """

    actions: tuple[Action, ...]
    holds: tuple[Hold, ...]
    live: int
    wake_at: datetime | None = None
    braked: tuple[Work, ...] = ()
    over: tuple[str, ...] = ()
