"""What is remembered between runs, in Airflow's asset state store: claims, endings, removals, judgements, caches.

It names the keys and what lies under each, decides nothing, and leaves reading and writing to the slots of `store.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, TypeAdapter

from include.deploy_ops.core.cleanup.use import Use
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.doctor.examination import Examination
from include.deploy_ops.core.environment.rotation import Reading
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.feedback.values import FeedbackRecord
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import KnownAnswer, PullRequest
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity, continue_memory
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.remembered import (
    Approval,
    BegunDelete,
    Concern,
    Judgement,
    OpenQuestion,
    Rejection,
    Remembered,
    Requests,
)
from include.deploy_ops.core.promotion.contribution import KeptContribution
from include.deploy_ops.core.verification.fallback import VerifiedDeploy
from include.deploy_ops.core.verification.mute import Mute
from include.deploy_ops.core.verification.verdict import Verification
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.core.view.awaited import Awaited
from include.deploy_ops.core.view.cost import Meter
from include.deploy_ops.core.view.health import Sight
from include.deploy_ops.core.view.row import Row, Summary
from include.deploy_ops.run.store import (
    BoundedSlot,
    FilledSlot,
    GatheredValues,
    KeptSlot,
    NamedValues,
    Shards,
    Slot,
    SortedShards,
    SplitSlot,
    Store,
)

SECOND_PAGE = 2
_AWAITED_SHARD = "awaited."
"""What the name of a shard of awaited commits begins with, among the digests of the summary."""

ENVIRONMENT_PARTS = (
    "planned",
    "manual",
    "remembered",
    "question",
    "approval",
    "request_judgement",
    "requests",
    "deploys",
    "verification",
    "verified",
    "mutes",
    "difference",
    "template",
)
"""What the keys of one environment end in; each has its method in `Memory`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's claim on an environment."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Occupant:
    """The run that works on a target's Deployment, and its DAG: by another name of the target it has another."""

    run_id: str
    dag: str


@dataclass(frozen=True, slots=True)
class PullCache:
    """The pull requests by which something is decided, and up to when the listing was read (GitHub's `updated_at`).

    They are in order of number. `rules` is the fingerprint of the policy by which they were kept: under other rules,
    others count. `next_page` is where the first listing of all of them goes on, 0 once it came to its end.
    """

    since: str
    pulls: tuple[PullRequest, ...] = ()
    rules: str = ""
    next_page: int = 0


@dataclass(frozen=True, slots=True)
class PastDigests:
    """What tells that all branches of a shard are over, by shard, under the policy's `rules` of then."""

    rules: str
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """The repository as it was read last: GitHub's number of it, the policy's name of then, and who may read it.

    `is_public` is None where nobody looked, as in what a release before 0.3 wrote.
    """

    id: int
    name: str
    is_public: bool | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What somebody may do in the repository, and when GitHub said so."""

    level: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of comments that speak to us.

    `settled` are those that are answered, as far as GitHub still lists them among the newest; `people` what they may
    do, by login and account; `replied` when we replied, by pull request; `begun` the last run that was begun, by slug:
    until it claims its preview, nothing else tells of it.
    """

    settled: tuple[int, ...] = ()
    people: Mapping[str, Permission] = field(default_factory=dict)
    replied: Mapping[str, datetime] = field(default_factory=dict)
    begun: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CachedTemplate:
    """The template's text, as it stands at `path` in a commit of trunk.

    `answers` are what GitHub said of trunk then. `seal` is that of whoever read it (`observation/template.py`), empty
    in what a release before wrote.
    """

    commit: str
    path: str
    text: str
    answers: tuple[KnownAnswer, ...] = ()
    seal: str = ""


@dataclass(frozen=True, slots=True)
class CachedHistory:
    """A Deployment's history, and the fingerprint of the Deployment as it was when its records were read.

    `read_at` is when that was, None in what a release before 0.3 wrote. `tries` counts the readings, one after another,
    that did not explain what the Deployment shows (`history.explains`).
    """

    fingerprint: str
    history: DeployHistory
    read_at: AwareDatetime | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class CachedDifference:
    """How what waits for a target's proof differs from what that runs; `basis` is the fingerprint of what was compared.

    That it is the same is never kept: who may write here opens no gate by it.
    """

    basis: str
    differs: str
    is_stuck: bool = False


def _name_key(slug: str, part: str) -> str:
    return f"environment.{slug}.{part}"


def _read_bare_time(entry: Any) -> Any:
    """Read what releases before 0.3.0 wrote: the time alone."""
    return {"at": entry} if isinstance(entry, str | int | float) else entry


_CLAIM = TypeAdapter(Claim)
_OCCUPANT = TypeAdapter(Occupant)
_CONTINUITY = TypeAdapter(Continuity)
_QUESTION = TypeAdapter(OpenQuestion)
_REMEMBERED = TypeAdapter(Remembered)
_APPROVAL = TypeAdapter(Approval)
_JUDGEMENT = TypeAdapter(Judgement)
_DIFFERENCE = TypeAdapter(CachedDifference)
_REQUESTS = TypeAdapter(Requests)
_PULLS = TypeAdapter(PullCache)
_PULLS_BY_NUMBER = TypeAdapter(dict[str, PullRequest])
_PAST = TypeAdapter(PastDigests)
_HISTORIES = TypeAdapter(dict[str, CachedHistory])
_REPOSITORY = TypeAdapter(KnownRepository)
_TEMPLATE = TypeAdapter(CachedTemplate)
_SIGHT = TypeAdapter(Sight)
_TIME = TypeAdapter(AwareDatetime)
_DELETES = TypeAdapter(tuple[Annotated[BegunDelete, BeforeValidator(_read_bare_time)], ...])
_TIMES_BY_NAME = TypeAdapter(dict[str, AwareDatetime])
_TEXT = TypeAdapter(str)
_NUMBER = TypeAdapter(int)
_NUMBERS = TypeAdapter(dict[str, int])
_TEXTS = TypeAdapter(dict[str, str])
_ROWS = TypeAdapter(dict[str, Row])
_SUMMARY = TypeAdapter(Summary)
_RECORDS = TypeAdapter(dict[str, FeedbackRecord])
_BUDGET = TypeAdapter(Budget)
_HEARD = TypeAdapter(Heard)
_REJECTIONS = TypeAdapter(dict[str, Rejection])
_CONCERNS = TypeAdapter(dict[str, Concern])
_CONTRIBUTIONS = TypeAdapter(dict[str, KeptContribution])
_AWAITED = TypeAdapter(dict[str, Awaited])
_VERIFICATION = TypeAdapter(Verification)
_VERIFIED = TypeAdapter(tuple[VerifiedDeploy, ...])
_MUTES = TypeAdapter(tuple[Mute, ...])
_OUTCOMES = TypeAdapter(tuple[Outcome, ...])
_READING = TypeAdapter(Reading)
_VERDICTS = TypeAdapter(dict[str, Verdict])
_USES = TypeAdapter(dict[str, Use])
_EXAMINATION = TypeAdapter(Examination)
_METERS = TypeAdapter(dict[str, Meter])


class PullSlot:
    """The cached pull requests: the word on the listing under one key, and they themselves under as many as they need.

    Releases before 0.3 wrote both under the first key.
    """

    def __init__(self, store: Store) -> None:
        self._listing = Slot(store, "control.pulls", _PULLS, within=("pulls",))
        self._pulls = SplitSlot(store, "control.pull_requests", _PULLS_BY_NUMBER, blank=dict, is_terse=True)

    def read(self) -> PullCache | None:
        """Return the cache; where a pull request was lost, as if none had been read so far, so that it is again."""
        listing, is_whole = self._listing.read_whole()
        if listing is None:
            return None
        if listing.pulls or not is_whole:
            pulls = {pull.number: pull for pull in listing.pulls}
        else:
            apart, is_whole = self._pulls.read_whole()
            pulls = {pull.number: pull for pull in apart.values()}
        ordered = tuple(pull for _, pull in sorted(pulls.items()))
        if not is_whole:
            return PullCache("", ordered, listing.rules, next_page=1)
        return replace(listing, pulls=ordered)

    def write(self, cache: PullCache) -> None:
        """Replace the cache: they first, since what was read of the listing may be read again without harm."""
        self._pulls.write({str(pull.number): pull for pull in cache.pulls})
        listing = replace(cache, pulls=())
        if self._listing.read() != listing:
            self._listing.write(listing)


class Memory:
    """The typed view over a fleet asset's state store: one slot for each thing that is remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pulls = PullSlot(store)
        # Which repository the project's name meant so far.
        self.repository = Slot(store, "control.repository", _REPOSITORY)
        # Since when the memory has no hole; control writes it as a pass begins.
        self.continuity = KeptSlot(store, "control.continuity", _CONTINUITY)
        # The deletes that control dispatched lately.
        self.begun_deletes = FilledSlot(store, "control.deletes", _DELETES, blank=tuple)
        # The page of the listing of all pull requests that is read again next; every pass reads the first one.
        self.pull_page = FilledSlot(store, "control.pull_page", _NUMBER, blank=lambda: SECOND_PAGE)
        # What ends a hold by itself (`Hold.awaits`), with when a pass saw it first.
        self.pending = FilledSlot(store, "control.pending", _TIMES_BY_NAME, blank=dict)
        # When people were told last that control fails; empty while it does not.
        self.outage = Slot(store, "control.outage", _TIME)
        # How often what a verification left unpaused was asked to be paused, by slug and run.
        self.pausings = FilledSlot(store, "control.pausings", _NUMBERS, blank=dict)
        # By which Airflow connection (empty: by a minted token) verifications of previews may have unpaused something;
        # the verify step writes it, control ends it once the policy wants none and nothing is left.
        self.unpausing = Slot(store, "control.unpausing", _TEXT)
        # How control fails, for people to see; empty while it does not.
        self.failing = Slot(store, "control.failing", _SIGHT)
        # The template as it was read last.
        self.template = Slot(store, "control.template", _TEMPLATE)
        # The heads of the branches whose previews are over and of which nobody speaks, by slug; see `past.py`.
        self.past = Shards(store, "control.past", _TEXTS)
        self.past_digests = Slot(store, "control.past", _PAST)
        # The heads of the branches that were old on the first pass, by slug: they count as removed there.
        self.backlog = GatheredValues(store, "control.old_branches", _TEXTS, "control.backlog")
        # The branches that get no preview after all, by slug.
        self.rejections = NamedValues(store, "control.rejections", _REJECTIONS)
        # Whether the files of branches concern the project, by slug, of those that something is due at.
        self.concerns = NamedValues(store, "control.branch_concerns", _CONCERNS)
        # When commits were made, and who wrote them, as far as it is known.
        self.commit_times = GatheredValues(store, "control.commit_times", _TIMES_BY_NAME, "control.commits")
        self.authors = GatheredValues(store, "control.commit_authors", _TEXTS, "control.authors")
        # By Deployment id.
        self.histories = GatheredValues(store, "control.deploy_histories", _HISTORIES, "control.histories")
        # What the last promotion found of open pull requests, by their numbers.
        self.contributions = SortedShards(store, "promotion.contributions", _CONTRIBUTIONS)
        # What cleanup decided, by Deployment id.
        self.verdicts = SplitSlot(store, "cleanup.verdicts", _VERDICTS, blank=dict)
        # What previews' own Airflows told, by Deployment id. Cleanup writes it, and who lets one hibernate or go.
        self.uses = NamedValues(store, "cleanup.preview_uses", _USES)
        # What may pass the brake (`Work.subject`), with the person who let it; only cleanup writes it, and control
        # empties it where the memory has a hole.
        self.released = FilledSlot(store, "cleanup.released", _TEXTS, blank=dict)
        # What shall not be deleted (`Work.subject`), with the person who said so; only cleanup writes it.
        self.refused = FilledSlot(store, "cleanup.refused", _TEXTS, blank=dict)
        # The last reading of what the policy maps into previews; only control writes it.
        self.rotation = Slot(store, "control.rotation", _READING, within=("stale",))
        # What the doctor found last; only its DAG writes it.
        self.examination = Slot(store, "doctor.examination", _EXAMINATION, within=("checks",))
        # The hours of previews this month, by Deployment id; only control writes it, where the policy gives prices.
        self.meters = SplitSlot(store, "control.meters", _METERS, blank=dict, is_terse=True)
        # What the last pass said of the project.
        self.summary = KeptSlot(store, "view.summary", _SUMMARY)
        self._rows = SortedShards(store, "view.rows", _ROWS)
        # The commits of which somebody may wait for the word on a preview, by what they are the head of.
        self._awaited = SortedShards(store, "view.awaited", _AWAITED)
        # What GitHub was told; after each write of the run one shard differs.
        self.feedback = SortedShards(store, "feedback.told", _RECORDS)
        # The digest of the view that GitHub was told as a whole; see `digest_view`.
        self.feedback_view = FilledSlot(store, "feedback.view", _TEXT, blank=str)
        # The run of feedback that was dispatched last.
        self.feedback_run = FilledSlot(store, "feedback.run", _TEXT, blank=str)
        # What became of comments that speak to us; only runs of the commands DAG write it.
        self.heard = FilledSlot(store, "commands.heard", _HEARD, blank=Heard)
        # The run of that DAG that was dispatched last, and when.
        self.commands_run = Slot(store, "commands.run", _CLAIM)
        # What was written to GitHub lately, and how long it wants silence.
        self.budget = FilledSlot(store, "feedback.budget", _BUDGET, blank=Budget, within=("minutes",))

    @staticmethod
    def list_environment_keys(slug: str) -> tuple[str, ...]:
        """Return the keys below which all that is remembered of one environment lies."""
        return tuple(_name_key(slug, part) for part in ENVIRONMENT_PARTS)

    def claim(self, slug: str, register: str) -> Slot[Claim]:
        """Return who claims the environment in the register "planned" or "manual"; writers read their own back."""
        return Slot(self._store, _name_key(slug, register), _CLAIM)

    def occupant(self, deployment_id: str) -> Slot[Occupant]:
        """Return which run works on a target's Deployment, whatever the policy called the target then."""
        return Slot(self._store, f"deployment.{deployment_id}.occupant", _OCCUPANT)

    def environment(self, slug: str) -> FilledSlot[Remembered]:
        """Return what the holder of the environment's claim remembers of it; only that writes it."""
        key = _name_key(slug, "remembered")
        return FilledSlot(self._store, key, _REMEMBERED, blank=Remembered, within=("endings",))

    def approval(self, slug: str) -> Slot[Approval]:
        """Return the last yes to a request of the target; only the step that rechecks a request writes it."""
        return Slot(self._store, _name_key(slug, "approval"), _APPROVAL)

    def request_judgement(self, slug: str) -> Slot[Judgement]:
        """Return what a request was last judged to need no deploy for; only the step that judges writes it."""
        return Slot(self._store, _name_key(slug, "request_judgement"), _JUDGEMENT)

    def requests(self, slug: str) -> Slot[Requests]:
        """Return how the target's requests ended; only their report step writes it, of one run at a time."""
        return Slot(self._store, _name_key(slug, "requests"), _REQUESTS, within=("endings",))

    def recall(self, slug: str) -> Remembered:
        """Return all that is remembered of the environment, of a target with what its requests left.

        Where no request has written since 0.3, that is what an older release kept in the environment's record.
        """
        known = self.environment(slug).read()
        if not slug.startswith(slug_target("")):
            return known  # nobody asks before a preview is deployed: three questions less
        return known.join(
            self.requests(slug).read() or known.list_requests(),
            self.approval(slug).read() or known.approval,
            self.request_judgement(slug).read(),
        )

    def question(self, slug: str) -> Slot[OpenQuestion]:
        """Return what a person was last asked about the environment; only control writes it."""
        return Slot(self._store, _name_key(slug, "question"), _QUESTION)

    def deploys(self, slug: str) -> BoundedSlot[Outcome]:
        """Return the environment's newest deploys, for people to look at; only control writes it.

        Apart from the rows: the page reads it where somebody opens the environment.
        """
        return BoundedSlot(self._store, _name_key(slug, "deploys"), _OUTCOMES, blank=tuple, is_terse=True)

    def verification(self, slug: str) -> Slot[Verification]:
        """Return the verdict on a deploy record of the environment; only a run that holds the claim writes it."""
        return Slot(self._store, _name_key(slug, "verification"), _VERIFICATION, is_terse=True)

    def verified(self, slug: str) -> BoundedSlot[VerifiedDeploy]:
        """Return the target's deploys that were verified, to which it may go back; as above."""
        return BoundedSlot(self._store, _name_key(slug, "verified"), _VERIFIED, blank=tuple, is_terse=True)

    def mutes(self, slug: str) -> BoundedSlot[Mute]:
        """Return the import errors that a person muted for a branch; only a run that holds the claim writes them."""
        return BoundedSlot(self._store, _name_key(slug, "mutes"), _MUTES, blank=tuple)

    def difference(self, slug: str) -> Slot[CachedDifference]:
        """Return how a release was found to differ last from what the target runs, for whose proof it waits."""
        return Slot(self._store, _name_key(slug, "difference"), _DIFFERENCE)

    def target_template(self, slug: str) -> Slot[CachedTemplate]:
        """Return the template with which the target is compared, as it was read last."""
        return Slot(self._store, _name_key(slug, "template"), _TEMPLATE)

    def forget_environment(self, slug: str) -> None:
        """Forget all that is remembered of the environment: it is gone, and nothing of it lives."""
        for key in self.list_environment_keys(slug):
            self._store.delete(key)

    def gather(self) -> None:
        """Bring together what releases before 0.3 spread over many keys; again after a crash it does no harm.

        The backlog's older keys stay: without them such a release would make previews of all old branches.
        """
        has_older = (
            not self.is_first_pass()
        )  # else nothing of theirs can be there, and looking for it costs 64 requests
        caches = (self.commit_times, self.authors, self.histories)
        for values in (self.backlog, *caches):
            values.gather(has_older=has_older)
        for cache in caches if has_older else ():
            cache.forget_older()

    def read_continuity(self, now: datetime) -> Continuity:
        """Return since when the memory has no hole; a release before 0.3 noted no pass but in its summary."""
        known = self.continuity.read()
        if known is None and (summary := self.summary.read()) is not None:
            known = Continuity(ALWAYS, summary.at)
        return continue_memory(known, now)

    def is_first_pass(self) -> bool:
        """Whether no pass of control was ever finished, as far as anybody remembers."""
        return self._store.get("control.first_pass") is None

    def remember_first_pass(self, at: datetime) -> None:
        """Write that the first pass was made."""
        self._store.set("control.first_pass", wrap_value(at.isoformat()))

    def read_rows(self) -> dict[str, Row]:
        """Return the rows that people are shown, by slug. A small fleet has few shards: the summary names them."""
        summary = self.summary.read()
        return self._rows.read(summary.digests if summary else None)

    def read_row(self, slug: str) -> Row | None:
        """Return one environment's row."""
        return self._rows.read_one(slug)

    def write_rows(self, before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, str]:
        """Replace the rows; return a digest of each shard that has some."""
        self._rows.write(before, after)
        return self._rows.digest(after)

    def read_awaited(self) -> dict[str, Awaited]:
        """Return the commits of which somebody may wait for the word on a preview."""
        return self._awaited.read(self._list_awaited())

    def write_awaited(self, after: Mapping[str, Awaited]) -> dict[str, str]:
        """Replace them; return a digest of each shard that has some, beside those of the rows."""
        named = self._list_awaited()
        among = None if named is None else named.union(map(self._awaited.place, after))
        self._awaited.write(self._awaited.read(among), after)
        return {f"{_AWAITED_SHARD}{shard}": digest for shard, digest in self._awaited.digest(after).items()}

    def _list_awaited(self) -> set[str] | None:
        """Return the shards that hold some, as the summary names them; None without a summary."""
        summary = self.summary.read()
        if summary is None:
            return None
        return {name.removeprefix(_AWAITED_SHARD) for name in summary.digests if name.startswith(_AWAITED_SHARD)}
