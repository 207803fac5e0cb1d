"""What is remembered of one environment between passes. Values only; `run/memory.py` keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from include.deploy_ops.core.environment.rotation import Laid
from include.deploy_ops.core.plan.work import REJECTION, ROLLBACK_ENDING, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable

REPAIRED_MAX = 50
"""Repaired differences of one environment that are remembered: the newest."""

EARLIER_MAX = 10
"""Runs that asked about the same before that are remembered: more edits are not taken back while nobody answers."""

_OWN_ENDINGS = frozenset({ROLLBACK_ENDING, *(verb.value for verb in Verb if verb is not Verb.REQUEST)})


@dataclass(frozen=True, slots=True)
class Ending:
    """How the latest planned run of one verb ended; `work` is its id without the attempt.

    `attempt` is 0 in what a release before 0.3 wrote. `is_skipped`: it found that it was not due any more, and did
    nothing of it.
    """

    work: str
    ended_at: AwareDatetime
    is_failure: bool = False
    is_permanent: bool = False
    cause: str = ""
    attempt: int = 0
    is_skipped: bool = False

    @property
    def is_done(self) -> bool:
        """Whether what was planned was done."""
        return not (self.is_failure or self.is_skipped)

    @property
    def is_rejection(self) -> bool:
        """Whether what was asked for got no yes, which is no failure of anything."""
        return self.is_permanent and self.cause.startswith(REJECTION)


@dataclass(frozen=True, slots=True)
class BegunDelete:
    """When control dispatched the delete of a Deployment; releases before 0.3.0 did not note of which."""

    at: datetime
    deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """A preview that was removed at this head for a reason other than its branch's end; it stays so until it moves."""

    head: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a branch gets no preview after all, as GitHub said when it was asked by name.

    `basis` names what that was said of: the branch's head and the pull requests that the pass knew of. At `until` it is
    asked again; None where only another basis can change it.
    """

    basis: str
    reason: str
    until: datetime | None = None

    def covers(self, basis: str, now: datetime) -> bool:
        """Whether it is about this, and still counts."""
        return self.basis == basis and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Concern:
    """Whether a branch's files concern the project, as they are at `head`, beside its merge base with trunk.

    `reason` says why they do not, and is empty where they do. `rules` names the keys of the policy by which it was
    decided. `base` is the merge base with `trunk`, a commit that was trunk's head at `at`: only a trunk that moved may
    have another one. Both are empty where nobody looked at them.
    """

    head: str
    rules: str
    reason: str
    at: AwareDatetime
    base: str = ""
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A commit that was judged to need no deploy on top of this deploy record under this policy."""

    commit: str
    observed: str
    policy: str
    reason: str

    def covers(self, commit: str, observed: str, policy: str) -> bool:
        """Whether it speaks of this commit on top of this deploy record under this policy."""
        return (self.commit, self.observed, self.policy) == (commit, observed, policy)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """What control last had a person asked: by which run, about what (`Work.subject`), under which rules of the target.

    Under other rules others are asked, or for longer: that is another question. `earlier` are the newest runs that
    asked about the same before, with their rules: an edit may be taken back while they wait.
    """

    run_id: str
    subject: str
    rules: str
    earlier: Mapping[str, str] = field(default_factory=dict)

    def list_runs(self, rules: str) -> list[str]:
        """Return the runs that were to ask this under these rules, the newest first."""
        every = [*self.earlier.items(), (self.run_id, self.rules)]
        return [run_id for run_id, each in reversed(every) if each == rules]

    def follow(self, before: OpenQuestion | None) -> OpenQuestion:
        """Return it with the runs that asked about the same before."""
        if before is None or before.subject != self.subject:
            return self
        asked = {**before.earlier, before.run_id: before.rules}
        others = [(run_id, rules) for run_id, rules in asked.items() if run_id != self.run_id]
        return replace(self, earlier=dict(others[-EARLIER_MAX:]))


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one release: to this head onto this base, on top of this deploy record of the target's.

    `merges` tells whether the question said that the pull request is merged afterwards; `commit`, `kind` (a
    `ChangeType`'s value) and `image` are what it said would be deployed. The image is named by its digest and empty
    where there is none yet: it is not deployed, or built only then. `image_source` is the entry of the policy's `image`
    list that it is from, `image_origin` as in `DeployNote`. `user_id` is the person's id in Airflow, `run_id` the run
    that asked, `seal` that run's word that it was so (`run/approvals.py`). `rolls_back`: it said that what was verified
    before is deployed again where the verification fails; releases before named none.
    """

    head: str
    base: str
    observed: str
    person: str
    at: AwareDatetime
    merges: bool = False
    commit: str = ""
    kind: str = ""
    image: str = ""
    image_source: str = ""
    image_origin: str = ""
    user_id: str = ""
    run_id: str = ""
    seal: str = ""
    rolls_back: bool = False

    def covers(self, head: str, base: str, observed: str, commit: str) -> bool:
        """Whether it is about this release; it is void as soon as one of the four moved."""
        return (self.head, self.base, self.observed, self.commit) == (head, base, observed, commit)


@dataclass(frozen=True, slots=True)
class Requests:
    """How a target's requests ended. They claim nothing, so it is kept apart from what a run with the claim writes.

    `endings` holds the latest one's by its verb, each permanent failure by its work's name, and each rejection by what
    was asked (`Work.subject`), so that the answer to an older question does not hide that to a newer one, and no edit
    of the policy asks again. `refused_at` is when a person said no last: it takes an earlier yes back.
    """

    endings: Mapping[str, Ending] = field(default_factory=dict)
    refused_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """All that is remembered of one environment. Losing it may cost attempts; it never deletes anything.

    `endings` holds the latest planned run's ending by verb, and by ROLLBACK_ENDING a rollback's, so that a failing
    update does not hide a failing deploy.
    Of a target: `resumed`, the deploy record whose override a person ended, and `voided_at`, when the latest approval
    was given that a deploy found void; beside them, as `Memory.recall` adds it, what its requests left: their
    `endings`, `approval` and `request_judgement` (releases before 0.3 kept it here). Of the deploy branch:
    `adopted`, the tip that a person took over, and `promoted`, the fingerprint of what the last promotion looked at
    (`derived_tree.fingerprint_promotion`). Of a preview: `kept`, who keeps it from expiring, and why; `kept_id` is the
    Deployment that was meant, empty where a release before 0.3 wrote it; and `rendered`, which variables and alert
    addresses it last got from the template (`template.list_rendered`), None where nobody remembers; `laid`, seals
    of the mapped values that it was given; and `repaired`, when differences were repaired, by their seals
    (`template.drift`).
    """

    endings: Mapping[str, Ending] = field(default_factory=dict)
    removal: Removal | None = None
    judgement: Judgement | None = None
    approval: Approval | None = None
    resumed: str = ""
    adopted: str = ""
    promoted: str = ""
    kept: str = ""
    kept_id: str = ""
    rendered: tuple[str, ...] | None = None
    laid: Laid | None = None
    repaired: Mapping[str, AwareDatetime] = field(default_factory=dict)
    voided_at: AwareDatetime | None = None
    request_judgement: Judgement | None = None

    def is_judged(self, commit: str, observed: str, policy: str) -> bool:
        """Whether the commit was judged to need no deploy on top of this deploy record, by a deploy or a request."""
        return any(
            each is not None and each.covers(commit, observed, policy)
            for each in (self.judgement, self.request_judgement)
        )

    def list_requests(self) -> Requests:
        """Return how requests ended, as releases before 0.3 kept it in the target's own record."""
        return Requests({key: each for key, each in self.endings.items() if key not in _OWN_ENDINGS})

    def join(self, requests: Requests, approval: Approval | None, judgement: Judgement | None) -> Remembered:
        """Return all that is remembered of a target, together with what its requests left."""
        own = {key: each for key, each in self.endings.items() if key in _OWN_ENDINGS}
        ends = [each for each in (self.voided_at, requests.refused_at) if each is not None]
        is_void = approval is not None and any(approval.at <= each for each in ends)
        return replace(
            self,
            endings=own | dict(requests.endings),
            approval=None if is_void else approval,
            request_judgement=judgement,
        )

    def add_repaired(self, seals: Iterable[str], at: datetime) -> Remembered:
        """Return it with differences that were repaired just now."""
        repaired = {**self.repaired, **dict.fromkeys(seals, at)}
        newest = sorted(repaired.items(), key=lambda each: each[1])[-REPAIRED_MAX:]
        return replace(self, repaired=dict(newest))

    def find_keep(self, deployment_id: str) -> str:
        """Return who keeps this Deployment, and why; empty where nobody does, or another one was meant."""
        return self.kept if self.kept_id in {"", deployment_id} else ""
