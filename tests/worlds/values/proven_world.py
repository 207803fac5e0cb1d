"""Previews and targets that are verified, hold mapped values and are used: a life of them, in values alone.

Control's pass and cleanup are made of the product's pure code, in the order of its tasks; people, faults and deaths
come from outside. What may never be seen is asserted where it would happen, what must be in the end by `check_rest`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry, read_labels
from include.deploy_ops.core.cleanup.expiry import Subject, judge, read_limits
from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.model import Branch, Variable
from include.deploy_ops.core.naming import slug_branch, slug_target
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity
from include.deploy_ops.core.plan.outcome import Ended
from include.deploy_ops.core.plan.schedule import Circumstances, schedule
from include.deploy_ops.core.plan.work import Hold, Plan, Verb, Work
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.policy.keys import Environment, PullRequestSource, Requires, Target, Verify
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.hibernation import find_wake, is_asleep
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target
from include.deploy_ops.core.template.mapping import fill_mapping, find_unfilled
from include.deploy_ops.core.template.template import find_fixed_differences, find_missing, fingerprint_template
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.proof import is_asking
from include.deploy_ops.core.view.row import Row, Summary
from include.deploy_ops.core.view.rows import make_rows
from include.deploy_ops.observation.difference import Observation
from include.deploy_ops.observation.rotation import RotationReader
from include.deploy_ops.observation.targets import TargetObserver
from include.deploy_ops.observation.uses import UseObserver
from include.deploy_ops.operators.control.row_writer import RowWriter
from include.deploy_ops.run.job import Job, make_job
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.scope import Scope
from include.deploy_ops.run.seals import Seals
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import PLANE, POLICY
from tests.worlds.values.faces import Faces, check_proof
from tests.worlds.values.restated_runs import Run, World
from tests.worlds.values.truth import RELEASE, Place, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.plan.work import Action
    from include.deploy_ops.core.target.gates import Gate

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
BRANCHES = ("dev-a", "dev-b", "dev/c")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PASSES_UNTIL_QUIET = 30
OWN = "MINE"
"""A variable that a person added in Astro."""
MAPPINGS: tuple[dict[str, Any], ...] = (
    {"variables": {"api_key": {"variable": "preview_key"}}},
    {},
    {"variables": {"api_key": {"variable": "preview_other"}, "schema": "dev_{schema}"}},
    {"variables": {"schema": "x_{slug}"}},
    {
        "connections": {"warehouse": "preview_warehouse"},
        "environment_variables": {
            "TOKEN": {"connection": "preview_warehouse", "field": "password"},
            "STAGE": "{project}",
        },
    },
)
VERIFIES: tuple[dict[str, Any] | None, ...] = ({}, {"unknown": "success"}, None, {"import_errors": "report"})
FAULTS = ("", "", "broken", "silent")
SOURCES = ("preview_key", "preview_other", "preview_warehouse")


@functools.cache
def _read_project() -> Any:
    return load_policy(POLICY, "policy.yaml").policy.projects[0]


SOAK = timedelta(minutes=90)


def make_policy(verify: dict[str, Any] | None, mapping: dict[str, Any], *, is_gated: bool) -> Any:
    """Return a project with staging and a production that merges, both proven like the previews.

    :param is_gated: whether production waits until staging is verified, and has soaked.
    """
    requires = Requires(verified="staging", soak=SOAK) if is_gated and verify is not None else None
    rules = None if verify is None else Verify.model_validate(verify)
    project = _read_project()
    previews = project.previews.model_copy(
        update={
            "hibernate_after": 2 * DAY,
            "delete_after": 14 * DAY,
            "activity": ("deploys", "runs"),
            "verify": rules,
            "environment": Environment.model_validate(mapping),
        }
    )
    release = PullRequestSource.model_validate({"from": "staging", "into": "main"})
    targets = {
        "staging": Target(deployment="Staging", branch="staging", verify=rules),
        "production": Target(
            deployment="Production", pull_request=release, merge=True, verify=rules, requires=requires
        ),
    }
    return project.model_copy(update={"previews": previews, "targets": targets})


@dataclass
class ProvenWorld(World):
    """A life; `runs` are in flight."""

    runs: dict[str, Run] = field(default_factory=dict)
    numbers: int = 0
    has_forgotten: bool = False
    faces: Faces = field(init=False)
    rows: dict[str, Row] = field(default_factory=dict)
    plan: Plan = field(default_factory=lambda: Plan((), (), 0))

    def __post_init__(self) -> None:
        self.forget_told()

    def forget_told(self) -> None:
        """Let GitHub show nothing yet."""
        facts = gather_facts(
            self.scope.project, PLANE, is_alone=True, airflow_url="https://airflow", web_url="https://git"
        )
        self.faces = Faces(facts)

    @classmethod
    def begin(cls, verify: int, mapping: int) -> ProvenWorld:
        """Return a world with two targets, and a branch whose preview is not made yet; an upper `verify` has gates."""
        truth = Truth(START, vault={name: f"{name}-secret-0" for name in SOURCES})
        is_gated = verify // len(VERIFIES) % 2 > 0
        project = make_policy(VERIFIES[verify % len(VERIFIES)], MAPPINGS[mapping % len(MAPPINGS)], is_gated=is_gated)
        scope = Scope(PLANE, is_dry=False, project=project, targets=frozenset({"Production", "Staging"}))
        world = cls(truth, scope, Memory(DictStore()), Seals(PLANE, ("token",)))
        for branch in ("main", "staging", BRANCHES[0]):
            truth.commit(branch)
        for name in ("Staging", "Production"):
            truth.make(name)
        return world

    # What people do

    def push(self, pick: int) -> None:
        """Push to a branch: what works, or not."""
        self.truth.commit(BRANCHES[pick % 3], FAULTS[pick // 3 % 4])

    def push_staging(self, pick: int) -> None:
        """Push to staging."""
        self.truth.commit("staging", FAULTS[pick % 4])

    def push_main(self, _pick: int) -> None:
        """Push to main, beside the release."""
        self.truth.commit("main")

    def open_release(self, _pick: int) -> None:
        """Open the pull request into main."""
        if self.truth.find_release() is None:
            self.truth.open(RELEASE + len(self.truth.pulls), "staging", "main")

    def open(self, pick: int) -> None:
        """Open a dev branch's pull request."""
        if (branch := BRANCHES[pick % 3]) in self.truth.heads:
            self.truth.open(RELEASE + len(self.truth.pulls), branch, "staging")

    def close(self, pick: int) -> None:
        """Close a pull request."""
        if found := [pull for pull in self.truth.pulls.values() if pull.is_open]:
            pull = found[pick % len(found)]
            self.truth.pulls[pull.number] = replace(pull, is_open=False)

    def delete(self, pick: int) -> None:
        """Delete a branch, which closes its pull requests."""
        branch = BRANCHES[pick % 3]
        if self.truth.heads.pop(branch, None):
            self.truth.pulls = {
                number: replace(pull, is_open=False) if pull.head_ref == branch else pull
                for number, pull in self.truth.pulls.items()
            }

    def deploy_by_hand(self, pick: int) -> None:
        """Let somebody deploy beside us."""
        self._pick_place(pick).deploy(self.now, None)

    def resume(self, pick: int) -> None:
        """End a target's hold by form."""
        name = ("staging", "production")[pick % 2]
        slot = self.memory.environment(slug_target(name))
        slot.write(replace(slot.read(), resumed=self.find_target(name).history.newest_id))

    def verify_again(self, pick: int) -> None:
        """Ask for a verification by form."""
        place = self._pick_place(pick)
        name = {"Staging": "staging", "Production": "production"}.get(place.deployment.name, "")
        slug = slug_target(name) if name else slug_branch(place.branch)
        branch = place.branch or "staging"
        if slug in self.runs or branch not in self.truth.heads or not place.records:
            return
        self.numbers += 1
        job = Job(
            Verb.VERIFY,
            branch,
            self.truth.heads[branch],
            place.deployment.name,
            place.deployment.id,
            "to see it",
            name,
            person="mira",
        )
        self.runs[slug] = Run(self, job, f"manual__{self.numbers}", f"shop.{name or 'preview'}")

    def work(self, pick: int) -> None:
        """Start a run in an Airflow, which ends at once or goes on."""
        place = self._pick_place(pick)
        if not is_asleep(place.deployment):
            place.runs.append(self.now)
            place.is_busy = pick % 2 > 0

    def rest(self, pick: int) -> None:
        """Let the run end that is at work."""
        self._pick_place(pick).is_busy = False

    def wake(self, pick: int) -> None:
        """Wake a preview by hand."""
        place = self._pick_place(pick)
        if is_asleep(place.deployment):
            place.wake()

    def add_variable(self, pick: int) -> None:
        """Add a variable in Astro."""
        place = self._pick_place(pick)
        if place.branch and OWN not in {each.key for each in place.deployment.variables}:
            variables = (*place.deployment.variables, Variable(OWN, is_secret=False, value="1"))
            place.deployment = replace(place.deployment, variables=variables)

    def _pick_place(self, pick: int) -> Place:
        places = list(self.truth.places.values())
        return places[pick // 2 % len(places)]

    # What people do to the policy, and to the management Airflow

    def change_policy(self, pick: int) -> None:
        """Edit what is verified and mapped."""
        mapping = MAPPINGS[pick // 4 % len(MAPPINGS)]
        project = make_policy(VERIFIES[pick % len(VERIFIES)], mapping, is_gated=pick // 20 % 2 > 0)
        self.scope = replace(self.scope, project=project)

    def count_deploys_only(self, pick: int) -> None:
        """Count runs as use, or not any more."""
        activity = ("deploys",) if pick % 2 else ("deploys", "runs")
        self._change_previews(activity=activity)

    def map(self, pick: int) -> None:
        """Edit what is mapped."""
        self._change_previews(environment=Environment.model_validate(MAPPINGS[pick % len(MAPPINGS)]))

    def _change_previews(self, **changes: Any) -> None:
        previews = self.scope.previews.model_copy(update=changes)
        self.scope = replace(self.scope, project=self.scope.project.model_copy(update={"previews": previews}))

    def rotate(self, pick: int) -> None:
        """Put a new value into the management Airflow, or fill what is missing."""
        self.numbers += 1
        name = SOURCES[pick % 3]
        self.truth.vault[name] = f"{name}-secret-{self.numbers}"

    def lose(self, pick: int) -> None:
        """Take a value out of the management Airflow."""
        self.truth.vault.pop(SOURCES[pick % 3], None)

    def mute(self, pick: int) -> None:
        """Let an Airflow not answer."""
        self._pick_place(pick).is_mute = True

    def unmute(self, pick: int) -> None:
        """Let it answer again."""
        self._pick_place(pick).is_mute = False

    def forget(self, _pick: int) -> None:
        """Lose the state store; GitHub still shows what it was told."""
        self.memory, self.has_forgotten = Memory(DictStore()), True
        self.faces.forget()
        self.ledger.clear()
        self.ended.clear()
        self.runs.clear()

    # What time and machines do

    def pass_time(self, pick: int) -> None:
        """Let minutes or days go by."""
        self.truth.now += (5 * MINUTE, 50 * MINUTE, DAY, 3 * DAY, 14 * DAY)[pick % 5]

    def step(self, pick: int) -> None:
        """Let a run take a step."""
        if self.runs:
            slug = sorted(self.runs)[pick % len(self.runs)]
            self.sees_newer = pick % 3 > 0
            if not self.runs[slug].go_on():
                del self.runs[slug]
            self.sees_newer = True

    def die(self, pick: int) -> None:
        """Let a run end in the midst of what it does, and be told of, or be lost."""
        if self.runs:
            run = self.runs.pop(sorted(self.runs)[pick % len(self.runs)])
            if pick % 5 > 0:
                run.die()

    def finish(self, _pick: int = 0) -> None:
        """Let all runs end."""
        while self.runs:
            self.step(1)

    def clean(self, _pick: int = 0) -> None:
        """Let cleanup judge the previews."""
        limits, rows = read_limits(self.scope.previews), self.memory.read_rows()
        labels = read_labels(self.truth.pulls.values())
        subjects = []
        for branch, head in sorted(self.truth.heads.items()):
            for place in self.truth.list_previews(branch):
                known = self.memory.environment(slug_branch(branch)).read()
                ending = known.endings.get(Verb.HIBERNATE.value)
                run = self.runs.get(slug_branch(branch))
                subjects.append(
                    Subject(
                        place.deployment,
                        branch,
                        head,
                        "ada",
                        self.truth.committed[head],
                        place.history,
                        find_wake(rows.get(slug_branch(branch)), place.deployment, self.now),
                        known.find_keep(place.deployment.id),
                        tuple(labels.get(branch, ())),
                        run.run_id if run else "",
                        ending.ended_at if ending is not None and not ending.is_failure else None,
                    )
                )
        observer = UseObserver(self.scope, cast("Any", self.truth), self.memory, self.now)
        learnt = observer.learn(subjects, limits, self.truth.places)
        self.numbers += 1
        expiry = judge(learnt, self.memory.verdicts.read(), limits, run_id=f"cleanup-{self.numbers}", now=self.now)
        self.memory.verdicts.write(dict(expiry.verdicts))

    def idle(self, pick: int) -> None:
        """Let a preview be unused for long, cleanup judge it, and control act on that."""
        self.truth.now += (2 * DAY, 3 * DAY, 13 * DAY, 14 * DAY, 29 * DAY)[pick % 5]
        self.clean()
        self.live_on()

    def release(self, pick: int) -> None:
        """Let something be pushed to staging, and be on its way to main."""
        self.push_staging(pick)
        self.open_release(pick)
        self.control()

    def live_on(self, _pick: int = 0) -> None:
        """Make a pass, and let its runs end."""
        self.control()
        self.finish()

    # Control

    def list_work(self) -> list[Work]:
        """Return what is due at targets, as who merges looks at it."""
        states = self._read_targets(self.memory.read_rows(), is_planned=False)
        found = [compare_target(state, self.scope.project.name, self.scope.policy) for state in states]
        return [each for each in found if isinstance(each, Work)]

    def check_gates(self, job: Job) -> None:
        """See that production gets what staging has run, verified, for as long as the policy wants; whoever looked."""
        if self.scope.target(job.target).requires is None:
            return
        staging = self.find_target("staging").history
        assert self.truth.find_content(staging.dags_commit) == job.head, "staging runs something else"
        assert self.ledger.get(staging.newest_id) is Proof.VERIFIED, f"{staging.newest_id} is not verified"
        assert self.now - self.proven[staging.newest_id] >= SOAK, "it has not soaked"

    def control(self, _pick: int = 0) -> None:
        """Make one pass: look, compare, schedule, start, show, tell."""
        truth, scope, memory, now = self.truth, self.scope, self.memory, self.now
        truth.now += MINUTE
        memory.continuity.write(Continuity(ALWAYS, now))
        before = memory.read_rows()
        snapshot = RepositorySnapshot(tuple(Branch(*pair) for pair in truth.heads.items()), tuple(truth.pulls.values()))
        deployments = tuple(place.deployment for place in truth.places.values())
        observed = Observed(deployments, {key: place.history for key, place in truth.places.items()})
        desired = derive_previews(scope.project, snapshot)
        observation = Observation(snapshot, observed, desired, self._read_targets(before))
        template = self._read_template(observed)
        difference = compare(
            scope.project,
            control_plane=PLANE,
            policy=scope.policy,
            targets=scope.targets,
            desired=desired,
            observed=observed,
            template=template,
        )
        found = [*self._compare_expiry(observation, before), *self._compare_targets(observation)]
        difference = replace(
            difference,
            works=(*difference.works, *(each for each in found if isinstance(each, Work))),
            holds=(*difference.holds, *(each for each in found if isinstance(each, Hold))),
        )
        given = Circumstances(
            now,
            scope.policy,
            in_flight={work.slug: self.runs[work.slug].run_id for work in difference.works if work.slug in self.runs},
            remembered={work.slug: memory.recall(work.slug) for work in difference.works},
            finished=self.finished,
            committed_at=truth.committed,
        )
        self.plan = schedule(difference, given, scope.project.limits, scope.max_live)
        ended, self.ended = list(self.ended), []
        self._show(observation, template, given, before, ended)
        for action in self.plan.actions:
            self._start(action)

    def _start(self, action: Action) -> None:
        work = action.work
        assert work.slug not in self.runs, f"{action} beside {self.runs[work.slug].run_id}"
        self.runs[work.slug] = Run(self, make_job(action), action.run_id, f"shop.{work.dag}")

    def _read_template(self, observed: Observed) -> TemplateState:
        template, memory = self.template, self.memory
        own = find_previews(observed.deployments, PLANE, self.scope.project)
        previews = {branch: pairs[0][0] for branch, pairs in own.items()}
        reading = RotationReader(memory, self.seals, template.mapped).read(previews, self.now)
        return TemplateState(
            fingerprint_template(template),
            {each.id: find_missing(template, each) for each in previews.values()},
            {each.id: find_fixed_differences(template, each) for each in previews.values()},
            replaced=template.replaced,
            unfilled=find_unfilled(template),
            rotated=reading.stale,
            unread=reading.problem,
        )

    def _compare_expiry(self, observation: Observation, before: dict[str, Row]) -> Iterable[Work | Hold]:
        deployments = observation.observed.deployments
        verdicts = self.memory.verdicts.read()
        woken = {
            verdicts[each.id].branch: find_wake(before.get(slug_branch(verdicts[each.id].branch)), each, self.now)
            for each in deployments
            if each.id in verdicts
        }
        facts = ExpiryFacts(
            verdicts,
            {name: at for name, at in woken.items() if at},
            read_labels(observation.snapshot.pull_requests),
            uses=self.memory.uses.read() if self.scope.previews.counts_runs else None,
        )
        assert observation.desired is not None
        yield from compare_expiry(
            self.scope.project,
            control_plane=PLANE,
            targets=self.scope.targets,
            desired=observation.desired,
            observed=observation.observed,
            facts=facts,
            now=self.now,
        )

    def _compare_targets(self, observation: Observation) -> Iterable[Work | Hold]:
        found = [compare_target(state, self.scope.project.name, self.scope.policy) for state in observation.targets]
        yield from filter(None, found)

    def _read_targets(self, rows: dict[str, Row], *, is_planned: bool = True) -> tuple[TargetState, ...]:
        states = []
        for name, target in self.scope.project.targets.items():
            place, slug = self.find_target(name), slug_target(name)
            source = self._find_source(name)
            history, row = place.history, rows.get(slug)
            awaits_proof = target.merge and target.verify is not None
            state = TargetState(
                name,
                target,
                source,
                (place.deployment,),
                history,
                self.truth.find_base(history.dags_commit or ""),
                self.memory.recall(slug),
                verification=self.memory.verification(slug).read() if awaits_proof else None,
                is_asking=is_planned and awaits_proof and row is not None and is_asking(row),
            )
            states.append(replace(state, gates=self._read_gates(state)))
        return tuple(states)

    def _read_gates(self, state: TargetState) -> tuple[Gate, ...]:
        """Return the gates, as the product reads them."""
        if state.target.requires is None:
            return ()
        places = self.truth.places
        observed = Observed(
            tuple(each.deployment for each in places.values()), {key: each.history for key, each in places.items()}
        )
        observer = TargetObserver(self.scope, cast("Any", self.truth), self.memory, self.seals)
        return observer._read_gates(state, observed)

    def _find_source(self, name: str) -> Source | None:
        if name == "staging":
            return Source("staging", self.truth.heads["staging"])
        pull = self.truth.find_release()
        if pull is None:
            return None
        commit = self.truth.test_merge(pull)
        return Source("staging", pull.head_sha, commit, pull.number, self.truth.heads["main"])

    def _show(
        self,
        observation: Observation,
        template: TemplateState,
        given: Circumstances,
        before: dict[str, Row],
        ended: list[Ended],
    ) -> None:
        memory, now = self.memory, given.now
        slugs = {each.slug for each in ended} - given.remembered.keys()
        writer = RowWriter(self.scope, cast("Any", self.truth), memory)
        moving = {each.slug for each in ended} | given.in_flight.keys()
        verifications = writer._read_verifications(observation, before, moving)
        running = writer._find_running(
            cast("Any", {"ti": None}), observation, before, verifications, {each.outcome.run_id for each in ended}
        )
        record = PassRecord(
            project=self.scope.project,
            control_plane=PLANE,
            now=now,
            snapshot=observation.snapshot,
            observed=observation.observed,
            wanted={name: branch.head for name, branch in observation.wanted.items()},
            targets=observation.targets,
            plan=self.plan,
            in_flight={**running, **given.in_flight},
            remembered={**given.remembered, **{slug: memory.recall(slug) for slug in slugs}},
            before=before,
            ended=ended,
            verdicts=memory.verdicts.read(),
            unfilled=template.unfilled,
            verifications=verifications,
        )
        rows = writer._foresee(make_rows(record), observation, record.verdicts, self.truth.committed, now)
        digests = memory.write_rows(before, rows)
        memory.summary.write(
            Summary("shop", "acme/shop", "https://git", now, "apply", 0, 0, 0, 0, 300.0, digests, "", ())
        )
        self.rows = memory.read_rows()
        assert self.rows == rows, "the rows read back otherwise"
        self.faces.tell(rows, now)
        self.faces.check(rows)
        for slug, row in rows.items():
            check_proof(row, memory.verification(slug).read())

    # What Airflow answers about runs, in place of `Runs` and of `Claims`

    def stand_in(self, *_: object) -> ProvenWorld:
        """Answer for either."""
        return self

    def find_living(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the runs that are at work."""
        return frozenset(run_ids) & {run.run_id for run in self.runs.values()}

    def find_holder(self, slug: str) -> str | None:
        """Return the run that claims the environment."""
        return self.runs[slug].run_id if slug in self.runs else None

    # The end

    def settle(self) -> None:
        """Let everything come to rest: values are there, everybody answers, and time goes by."""
        for name in SOURCES:
            self.truth.vault.setdefault(name, f"{name}-mended")
        for place in self.truth.places.values():
            place.is_mute = place.is_busy = False
        for number in range(PASSES_UNTIL_QUIET):
            self.finish()
            self.truth.now += 61 * MINUTE
            self.control()
            if not self.runs and number > 1:
                return
        raise AssertionError(f"no rest after {PASSES_UNTIL_QUIET} passes: {[str(each) for each in self.plan.actions]}")

    def check_rest(self) -> None:
        """See that every environment equals its source, or is a named hold."""
        held = {hold.home for hold in self.plan.holds}
        assert all(hold.reason.strip() for hold in self.plan.holds)
        for branch in BRANCHES:
            places = self.truth.list_previews(branch)
            if branch not in self.truth.heads:
                assert not places, f"{branch}'s preview is left over"
                continue
            assert len(places) == 1 or slug_branch(branch) in held, f"{branch} has {len(places)} previews"
            for place in places:
                history = place.history
                is_equal = history.head == self.truth.heads[branch] and not history.overridden_by
                assert is_equal or slug_branch(branch) in held, f"{branch} is not what was pushed"
                self.check_values(place)
        for name in ("staging", "production"):
            source, history = self._find_source(name), self.find_target(name).history
            is_equal = source is None or history.head == source.head
            assert is_equal or slug_target(name) in held, f"{name} is not its source"
        assert self.truth.find_release() is None or slug_target("production") in held, "a release is left open"

    def check_sleep(self) -> None:
        """See that all that is idle hibernates by one verdict, also after a run that kept it awake for a while."""
        self.truth.now += 3 * DAY
        self.clean()
        places = [place for place in self.truth.places.values() if place.branch]
        for place in places:
            place.is_busy = not is_asleep(place.deployment)
        self.live_on()
        for place in places:
            place.is_busy = False
        for _ in range(2):
            self.truth.now += 61 * MINUTE
            self.live_on()
        awake = [
            place.branch for place in self.truth.places.values() if place.branch and not is_asleep(place.deployment)
        ]
        assert not awake, f"awake: {awake}"

    def check_values(self, place: Place) -> None:
        """See that a preview holds what is mapped, and nothing that was; a person's variable stays."""
        template = fill_mapping(self.template, make_fields("shop", place.branch))
        wanted = {each["key"]: each.get("value") for each in template.body["environment_variables"]}
        there = {each.key: each.value for each in place.deployment.variables}
        # What nobody remembers to have come from the mapping counts as a person's.
        extra = there.keys() - wanted.keys() - {OWN}
        assert not extra or self.has_forgotten, f"{place.branch} has {extra}"
        assert {key: value for key, value in there.items() if key in wanted} == wanted, place.branch
        if not is_asleep(place.deployment):
            values = self.truth.read_secrets(template.mapped).values
            assert {key: place.values.get(key) for key in values} == dict(values), f"{place.branch} has old values"

    def check_proven(self) -> None:
        """See that what is said of what runs is what was found out."""
        for row in self.rows.values():
            if row.verification is not None and not row.run_id:
                known = self.ledger.get(row.verification.deploy_id, Proof.UNKNOWN)
                assert row.verification.proof in {known, Proof.UNKNOWN}, row
