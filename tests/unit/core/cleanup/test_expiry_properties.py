"""Whatever is observed: nobody is deleted untold, and what is kept or used stays; over days, all that is idle goes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry
from include.deploy_ops.core.cleanup.expiry import AgeLimits, Expiry, Subject, judge
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, Deployment, DeploymentStatus
from include.deploy_ops.core.plan.work import Verb, Work
from include.deploy_ops.core.preview.desired import DesiredPreviews
from include.deploy_ops.core.preview.observed import Observed
from tests.worlds.values.examples import PLANE, make_deployment, make_project, sha
from tests.worlds.values.subjects import DAY, NOW, make_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = timedelta(hours=1)
AGES = st.none() | st.integers(-30, 24 * 30).map(lambda hours: NOW - hours * HOUR)
SPANS = st.none() | st.integers(1, 24 * 20).map(lambda hours: hours * HOUR)
LIMITS = st.builds(AgeLimits, SPANS, SPANS, st.integers(1, 72).map(lambda hours: hours * HOUR), st.just("keep-preview"))


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Draw a preview of one of a few branches."""
    return make_subject(
        draw(st.sampled_from(["dev-a", "dev-b", "dev-c"])),
        status=draw(st.sampled_from(DeploymentStatus)),
        override=draw(st.sampled_from(["", "", "hibernate", "wake", "wake@2026-12-01T00:00:00Z"])),
        is_development_mode=draw(st.sampled_from([True, True, False])),
        created_at=draw(AGES),
        committed_at=draw(AGES),
        history=DeployHistory(draw(st.sampled_from(["d1", "d2"])), head=sha("a"), active_at=draw(AGES)),
        woken_at=draw(AGES),
        kept=draw(st.sampled_from(["", "", "by mira"])),
        labels=draw(st.sampled_from([(), (), ("keep-preview",)])),
        in_flight=draw(st.sampled_from(["", "", "a run"])),
    )


def verdicts(subject: Subject) -> st.SearchStrategy[Verdict | None]:
    """Draw what an earlier run may have decided of the preview."""
    made = st.builds(
        Verdict,
        verb=st.sampled_from(["hibernate", "delete"]),
        branch=st.just(subject.branch),
        deployment_id=st.just(subject.deployment.id),
        deployment_name=st.just(subject.deployment.name),
        head=st.sampled_from([subject.head, sha("b")]),
        observed=st.sampled_from(["d1", "d2"]),
        idle_since=st.just(NOW - 40 * DAY),
        decided_at=st.integers(0, 24 * 5).map(lambda hours: NOW - hours * HOUR),
        due_at=st.integers(-48, 48).map(lambda hours: NOW + hours * HOUR),
        reason=st.just("idle"),
        run_id=st.just("earlier"),
        standing=st.sampled_from(Standing),
    )
    return st.none() | made


SEEN = st.lists(subjects(), max_size=3, unique_by=lambda subject: subject.branch)
KNOWN = SEEN.flatmap(lambda seen: st.tuples(st.just(seen), st.tuples(*map(verdicts, seen))))


def judge_all(seen: Sequence[Subject], known: Sequence[Verdict | None], limits: AgeLimits) -> Expiry:
    standing = {verdict.deployment_id: verdict for verdict in known if verdict is not None}
    return judge(seen, standing, limits, run_id="run", now=NOW, asking=["earlier"])


@settings(max_examples=60)
@given(KNOWN, LIMITS)
def test_nobody_is_deleted_without_having_been_told_in_time(
    world: tuple[list[Subject], tuple[Verdict | None, ...]], limits: AgeLimits
) -> None:
    expiry = judge_all(*world, limits)
    for key in expiry.fresh:
        verdict = expiry.verdicts[key]
        assert verdict.decided_at == NOW
        if verdict.verb == "delete":
            assert limits.delete_after is not None
            assert verdict.due_at >= verdict.decided_at + limits.delete_notice
            assert verdict.due_at >= verdict.idle_since + limits.delete_after
    words = {finding.deployment_id: finding.verdict for finding in expiry.findings}
    assert all(words[key] != "delete" for key in expiry.fresh)


@settings(max_examples=60)
@given(KNOWN, LIMITS)
def test_what_is_kept_used_or_at_work_never_expires(
    world: tuple[list[Subject], tuple[Verdict | None, ...]], limits: AgeLimits
) -> None:
    expiry = judge_all(*world, limits)
    for subject in world[0]:
        verdict = expiry.verdicts.get(subject.deployment.id)
        is_exempt = bool(subject.kept or subject.labels)
        assert not (is_exempt and verdict)
        assert not (subject.in_flight and subject.deployment.id in expiry.fresh)
        times = (subject.committed_at, subject.deployment.created_at, subject.history.active_at, subject.woken_at)
        used = [time for time in times if time is not None and time <= NOW]
        if verdict is None:
            continue
        assert all(time <= verdict.decided_at for time in used), "it was used since"
        if subject.deployment.id in expiry.fresh:
            limit = limits.hibernate_after if verdict.verb == "hibernate" else limits.delete_after
            assert limit is not None
            notice = limits.delete_notice if verdict.verb == "delete" else timedelta()
            assert max(used) <= NOW - limit + notice, "too early"


@settings(max_examples=50)
@given(KNOWN, LIMITS, st.randoms(use_true_random=False))
def test_the_order_of_previews_does_not_matter(
    world: tuple[list[Subject], tuple[Verdict | None, ...]], limits: AgeLimits, random: object
) -> None:
    seen, known = world
    turned = list(seen)
    random.shuffle(turned)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert judge_all(turned, known, limits) == judge_all(seen, known, limits)


@settings(max_examples=50)
@given(KNOWN, LIMITS)
def test_a_run_that_follows_at_once_decides_nothing_new_to_delete(
    world: tuple[list[Subject], tuple[Verdict | None, ...]], limits: AgeLimits
) -> None:
    first = judge_all(*world, limits)
    second = judge_all(world[0], list(first.verdicts.values()), limits)
    deletes = [each for each in (first, second) for key in each.fresh if each.verdicts[key].verb == "delete"]
    assert second not in deletes
    assert second.verdicts == first.verdicts


# Over days

PASSES_PER_DAY = 4
LIFE_DAYS = 30
PROJECT = make_project(previews={"hibernate_after": 2 * DAY})
POLICY = AgeLimits(2 * DAY, 14 * DAY, DAY, "keep-preview")


@dataclass
class Preview:
    """One preview in truth. `used_at` is the last push or wake by hand; `told_at` when it was last told of its end."""

    deployment: Deployment
    head: str = sha("a")
    deploys: int = 1
    used_at: datetime = NOW
    deployed_at: datetime = NOW
    committed_at: datetime = NOW
    woken_at: datetime | None = None
    kept: str = ""
    slept_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def history(self) -> DeployHistory:
        """What Astro's records say."""
        return DeployHistory(f"d{self.deploys}", head=self.head, active_at=self.deployed_at)


@dataclass
class Fleet:
    """Previews over days: cleanup once a day, control every six hours, people at any time."""

    previews: dict[str, Preview]
    now: datetime = NOW
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def clean(self, number: int) -> None:
        """Let cleanup judge all that is left."""
        subjects = [
            Subject(each.deployment, name, each.head, "", each.committed_at, each.history, each.woken_at, each.kept)
            for name, each in self.previews.items()
            if each.gone_at is None
        ]
        self.verdicts = dict(judge(subjects, self.verdicts, POLICY, run_id=f"{number}", now=self.now).verdicts)

    def act(self) -> None:
        """Let control make a pass, whose work is done at once."""
        here = {name: each for name, each in self.previews.items() if each.gone_at is None}
        desired = DesiredPreviews({name: Branch(name, each.head) for name, each in here.items()}, {}, frozenset(here))
        observed = Observed(
            tuple(each.deployment for each in here.values()),
            {each.deployment.id: each.history for each in here.values()},
        )
        woken = {name: each.woken_at for name, each in here.items() if each.woken_at is not None}
        for work in compare_expiry(
            PROJECT,
            control_plane=PLANE,
            targets=(),
            desired=desired,
            observed=observed,
            facts=ExpiryFacts(self.verdicts, woken),
            now=self.now,
        ):
            assert isinstance(work, Work)
            preview = self.previews[work.branch]
            if work.due_at is not None and work.due_at <= self.now and not preview.kept:
                self.end(preview, work)

    def end(self, preview: Preview, work: Work) -> None:
        """Do what is due, and see that it is right."""
        idle = self.now - preview.used_at
        if work.verb is Verb.HIBERNATE:
            assert idle >= 2 * DAY
            preview.slept_at = self.now
            asleep = DeploymentStatus.HIBERNATING
            preview.deployment = replace(preview.deployment, status=asleep, override="hibernate")
            return
        assert idle >= 14 * DAY
        assert self.now - self.verdicts[preview.deployment.id].decided_at >= DAY
        preview.gone_at = self.now

    def wake(self, preview: Preview) -> None:
        """Wake it."""
        preview.used_at, preview.slept_at = self.now, None
        preview.deployment = replace(preview.deployment, status=DeploymentStatus.HEALTHY, override="")

    def happen(self, what: str, name: str) -> None:
        """Let somebody do something with a preview that is there."""
        preview = self.previews[name]
        if preview.gone_at is not None:
            return
        if what == "keep":
            preview.kept = "by mira"
        elif what == "wake":
            self.wake(preview)
            preview.woken_at = self.now
        else:
            self.wake(preview)
            preview.deploys += 1
            preview.head = f"{preview.deploys:040x}"
            preview.committed_at = preview.deployed_at = self.now


EVENTS = st.lists(
    st.tuples(
        st.integers(0, (LIFE_DAYS - 17) * PASSES_PER_DAY),
        st.sampled_from(["push", "push", "wake", "wake", "keep"]),
        st.sampled_from(["dev-a", "dev-b"]),
    ),
    max_size=8,
)


@settings(max_examples=30)
@given(EVENTS, st.integers(0, PASSES_PER_DAY - 1))
@example([(50, "wake", "dev-a"), (51, "push", "dev-b")], 3)
@example([(52, "push", "dev-a"), (52, "wake", "dev-b")], 0)
def test_over_days_idle_previews_hibernate_and_go_neither_early_nor_late(
    events: list[tuple[int, str, str]], hour: int
) -> None:
    fleet = Fleet({name: Preview(make_deployment(name, created_at=NOW)) for name in ("dev-a", "dev-b", "dev-idle")})
    for turn in range(LIFE_DAYS * PASSES_PER_DAY):
        fleet.now = NOW + turn * DAY / PASSES_PER_DAY
        for at, what, name in events:
            if at == turn:
                fleet.happen(what, name)
        if turn % PASSES_PER_DAY == hour:
            fleet.clean(turn)
        fleet.act()
        for name, preview in fleet.previews.items():
            idle = fleet.now - preview.used_at
            assert preview.kept or preview.slept_at or idle < 2 * DAY + 2 * DAY, f"{name} is awake"
            assert preview.kept or preview.gone_at or idle < 14 * DAY + 2 * DAY, f"{name} is still there"
    assert fleet.previews["dev-idle"].gone_at is not None
