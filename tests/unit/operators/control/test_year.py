"""A year of twenty branches a day: what is remembered, and what a pass reads, is what lives; the rest is forgotten.

The pass' own parts over a repository, a workspace and a GitHub in memory; what runs would leave is written by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Asset

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.outcome import Ended, Outcome
from include.deploy_ops.core.plan.remembered import Ending, Remembered, Removal
from include.deploy_ops.core.plan.schedule import Circumstances
from include.deploy_ops.core.plan.work import Hold, HoldKind, Plan
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.view.row import State
from include.deploy_ops.observation.difference import Observation
from include.deploy_ops.observation.histories import HistoryReader
from include.deploy_ops.observation.past import find_past
from include.deploy_ops.observation.pulls import RepositoryReading
from include.deploy_ops.operators.control.row_writer import RowWriter
from include.deploy_ops.operators.feedback.writer import FeedbackWriter
from include.deploy_ops.run.endings import ENDED_KEY
from include.deploy_ops.run.memory import Claim, Memory, PullCache
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeEvent, FakeEvents, FakeTaskInstance
from tests.worlds.stages.feedback_world import FakeGithub
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, merged
from tests.worlds.values.feedback_examples import make_facts, make_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.model import PullRequest

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
DAYS = 365
SETTLED = 30
"""The day from which on as much goes as comes."""
A_DAY = 20
GITHUB_KEEPS = 300
LIVES = (1, 1, 4, 11)
"""How many days a branch stays: merged and deleted, deleted, merged and deleted later, removed since nobody used it."""
RELEASES = 100_000
"""From this number on pull requests are releases, of which one is open each week."""
DELETED, DELETED_UNMERGED, MERGED, IDLE = range(4)


@dataclass
class Life:
    """One branch."""

    name: str
    head: str
    pull: int
    began: int
    fate: int


@dataclass
class Year:
    """The world; a day's work is a pass in the morning and one in the evening, and GitHub is told after each."""

    store: DictStore = field(default_factory=DictStore)
    events: FakeEvents = field(default_factory=FakeEvents)
    github: FakeGithub = field(default_factory=FakeGithub)
    lives: list[Life] = field(default_factory=list)
    day: int = 0
    project: Any = field(default_factory=make_project)

    def __post_init__(self) -> None:
        self.memory = Memory(self.store)
        self.fleet = Asset(f"deploy_ops.{self.project.name}.fleet")
        self.scope: Any = SimpleNamespace(
            project=self.project,
            control_plane=PLANE,
            fleet=self.fleet,
            is_dry=False,
            targets=(),
            dags=(),
            previews_by_change=False,
        )
        commit = SimpleNamespace(author="Ada", committed_at=START)
        self.repository: Any = SimpleNamespace(
            repository_url="https://github.example/acme/shop", get_commit=lambda _: commit
        )
        self.astro: Any = SimpleNamespace(list_deploys=lambda _: ())

    def run_day(self) -> None:
        """Let twenty branches begin, and what is due end."""
        now = START + timedelta(days=self.day)
        for number in range(A_DAY):
            name = f"dev-{self.day}-{number}"
            life = Life(name, hash_text(name, 40), self.day * A_DAY + number + 1, self.day, number % 4)
            self.lives.append(life)
            self._remember_run(life, "create", now)
        self._pass(now)
        evening = now + timedelta(hours=8)
        for life in self.lives:
            if life.began == self.day:
                self._end(life, evening)
        self.lives = [life for life in self.lives if self.day < life.began + LIVES[life.fate] - 1]
        self._pass(evening)
        self.day += 1

    def _remember_run(self, life: Life, verb: str, at: datetime) -> None:
        """Leave what a run leaves: its claim, given up, its ending, and the event that tells control."""
        work = f"{life.name}~{verb}~{life.head[:12]}~{'0' * 8}"
        claim = self.memory.claim(life.name, "planned")
        claim.write(Claim(f"{work}~1", at))
        claim.forget()
        known = self.memory.environment(life.name).read()
        endings = {**known.endings, verb: Ending(work, at, attempt=1)}
        removal = Removal(life.head, "idle") if verb == "delete" and life.fate == IDLE else None
        self.memory.environment(life.name).write(Remembered(endings, removal))
        outcome = Outcome(f"{work}~1", "shop.preview", verb, "success", at, 20.0, life.head, why="for the test")
        extra = {ENDED_KEY: json.loads(json.dumps(Ended(life.name, outcome), default=_dump))}
        self.events.events = [*self.events.events[-100:], FakeEvent(self.fleet.name, at, extra, f"{work}~1")]

    def _end(self, life: Life, at: datetime) -> None:
        self._remember_run(life, "delete", at)
        if life.fate != IDLE:
            self.memory.environment(life.name).forget()  # as the run does that deletes it with its branch

    def _list_pulls(self, now: datetime) -> tuple[PullRequest, ...]:
        found = []
        for life in self.lives:
            pull = make_pull(life.pull, life.name, life.head, updated_at=f"{now:%Y-%m-%dT%H:%M:%SZ}")
            is_new = life.began == self.day and now.hour < 12
            if life.fate in {DELETED, MERGED}:
                found.append(pull if is_new else merged(pull))
        return tuple(found)

    def _pass(self, now: datetime) -> None:
        branches = (Branch("main", "0" * 40), *(Branch(life.name, life.head) for life in self.lives))
        pulls = self._list_pulls(now)
        known = self.memory.pulls.read()
        cached = {pull.number: pull for pull in known.pulls} if known else {}
        kept = {number: pull for number, pull in cached.items() if pull.head_ref in {each.name for each in branches}}
        kept |= {pull.number: pull for pull in pulls if pull.is_open or pull.number in kept}
        snapshot = RepositorySnapshot(branches, tuple(kept.values()))
        is_morning = now.hour < 12
        live = [life.name for life in self.lives if life.began == self.day and is_morning]
        deployments = tuple(make_deployment(name) for name in live)
        histories = HistoryReader(self.astro, self.memory, now, f"{PLANE}/shop").read(deployments)
        heads = {f"id-{life.name}": life.head for life in self.lives}
        histories = {key: DeployHistory("d", heads[key], heads[key], heads[key]) for key in histories}
        observed = Observed(deployments, histories)
        desired = derive_previews(self.project, snapshot)
        past = find_past(self.scope, self.memory, desired, snapshot, observed)
        desired = past.leave_out(desired)
        RepositoryReading(snapshot, self.memory, known, PullCache("", snapshot.pull_requests)).keep(past.has)
        removed = sorted(desired.wanted.keys() - set(live))
        holds = tuple(Hold(name, "create", "idle", kind=HoldKind.ENDED) for name in removed)
        observation = Observation(snapshot, observed, desired, (), past)
        context = cast(
            "Any",
            {"ti": FakeTaskInstance(FakeAirflow(), {}, "plan", 1), "inlet_events": self.events.read()},
        )
        writer = RowWriter(self.scope, self.repository, self.memory)
        written = writer.write(context, observation, Plan((), holds, len(live)), Circumstances(now, "p"))
        past.note(self.memory, removed, written.rows.keys(), written.dropped, self._forget)
        release = make_target(
            pull=RELEASES + self.day // 7, pulls=(RELEASES + self.day // 7,), state=State.LIVE, state_at=now
        )
        self.github.now = now
        facts = make_facts(awaited=tuple(self.memory.read_awaited().values()))
        teller = FeedbackWriter(cast("Any", self.github), self.memory, facts, clock=lambda: now, pause=lambda _: None)
        teller.write({**written.rows, release.slug: release})
        for told in (self.github.comments, self.github.deployments):  # it is asked for the newest alone
            for old in sorted(told)[:-GITHUB_KEEPS]:
                del told[old]

    def _forget(self, slug: str) -> bool:
        self.memory.forget_environment(slug)
        return True

    def weigh(self) -> dict[str, int]:
        """Return how many keys there are, the bytes of all values, and the largest."""
        sizes = [len(json.dumps(value)) for value in self.store.values.values()]
        return {"keys": len(sizes), "bytes": sum(sizes), "largest": max(sizes)}


def _dump(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else vars_of(value)


def vars_of(value: Any) -> Mapping[str, Any]:
    """Return the fields of a value with slots."""
    return {name: getattr(value, name) for name in value.__slots__}


def test_after_a_year_what_is_remembered_is_what_lives() -> None:
    year = Year()
    while year.day < SETTLED:
        year.run_day()
    settled = year.weigh()
    while year.day < DAYS:
        year.run_day()
    after = year.weigh()
    assert after["largest"] < 48 * 1024
    assert after["bytes"] < settled["bytes"] * 1.15
    assert after["keys"] <= settled["keys"] + 5
    text = json.dumps(year.store.values) + " ".join(year.store.values)
    oldest = min(life.began for life in year.lives)
    assert oldest >= DAYS - max(LIVES)
    forgotten = [day for day in range(oldest - 2) if f"dev-{day}-" in text]
    assert not forgotten
    told = {key for key in year.memory.feedback.read() if key.startswith("comment/")}
    assert all(int(key.partition("/")[2]) > (oldest - 2) * A_DAY for key in told)
    assert f"comment/{RELEASES + (DAYS - 15) // 7}" not in told
