"""What runs do, restated in values alone, step by step: between two steps anything may happen, and any may be the last.

What decides is the product's own code; what reads and writes is Truth in place of Astro, and a real Memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.environment.rotation import Laid
from include.deploy_ops.core.errors import DeployOpsError, RetryableError, SupersededError
from include.deploy_ops.core.model import Mark
from include.deploy_ops.core.naming import DeployNote, format_mark, name_subject
from include.deploy_ops.core.plan.outcome import FAILED, SUCCESS, SUPERSEDED, Ended, Outcome
from include.deploy_ops.core.plan.remembered import Approval, Ending, Removal
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.template.mapping import fill_mapping, lay_mapping
from include.deploy_ops.core.template.template import (
    fingerprint_template,
    list_rendered,
    parse_template,
    render_deployment,
)
from include.deploy_ops.core.verification.judging import Findings, judge_findings
from include.deploy_ops.core.verification.standing import BEING_VERIFIED, OVERTAKEN, UNANSWERED
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.observation.checks import check_expired
from include.deploy_ops.operators.deploy.render import fingerprint_basis, name_template, recall_rendered
from tests.worlds.values.examples import PLANE
from tests.worlds.values.feedback_examples import BROKEN
from tests.worlds.values.truth import Place, Truth

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.plan.work import Work
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals

TEMPLATE = """\
deployment:
  environment_variables:
    - {is_secret: false, key: STAGE, value: preview}
    - {is_secret: true, key: TOKEN}
  configuration:
    name: ""
    description: made for a test
    runtime_version: 3.3-2
    dag_deploy_enabled: true
    ci_cd_enforcement: false
    scheduler_size: SMALL
    is_high_availability: false
    is_development_mode: true
    executor: CELERY
    scheduler_count: 1
    workspace_name: Data Platform
    deployment_type: STANDARD
    cloud_provider: AWS
    region: us-east-1
    default_task_pod_cpu: "0.25"
    default_task_pod_memory: 0.5Gi
    resource_quota_cpu: "10"
    resource_quota_memory: 20Gi
    workload_identity: ""
  worker_queues:
    - {name: default, max_worker_count: 10, min_worker_count: 0, worker_concurrency: 5, worker_type: A5}
"""
_PARSED = parse_template(TEMPLATE, "acme/shop/deployments/preview.yaml")


@dataclass
class World:
    """Truth, policy and memory, and what the checks have to know of both."""

    truth: Truth
    scope: Scope
    memory: Memory
    seals: Seals
    ledger: dict[str, Proof] = field(default_factory=dict)
    proven: dict[str, datetime] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    finished: dict[str, int] = field(default_factory=dict)
    sees_newer: bool = True

    @property
    def now(self) -> datetime:
        """The time."""
        return self.truth.now

    @property
    def template(self) -> Template:
        """The template, with what the policy maps."""
        return lay_mapping(_PARSED, self.scope.previews.environment.mapped)

    def find_place(self, deployment_id: str) -> Place:
        """Return a Deployment, as a run looks at it again right before it writes."""
        if deployment_id not in self.truth.places:
            raise SupersededError("the Deployment is gone")
        return self.truth.places[deployment_id]

    def find_target(self, name: str) -> Place:
        """Return a target's Deployment."""
        wanted = self.scope.target(name).deployment
        return next(place for place in self.truth.places.values() if place.deployment.name == wanted)

    def list_work(self) -> list[Work]:
        """Return what is due at targets now; who deploys or merges looks once more."""
        raise NotImplementedError

    def check_gates(self, job: Job) -> None:
        """See that nothing gets past a gate."""
        raise NotImplementedError


@dataclass
class Run:
    """One run, from step to step."""

    world: World
    job: Job
    run_id: str
    dag: str
    verdict: Verification | None = None
    is_settled: bool = False
    is_asked: bool = False
    has_updated: bool = False
    is_gone: bool = False
    steps: Iterator[None] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = self._live()

    @property
    def slug(self) -> str:
        """Its environment."""
        return self.job.slug

    def go_on(self) -> bool:
        """Take one step; return whether it goes on."""
        try:
            next(self.steps)
        except StopIteration:
            return False
        except SupersededError as error:
            self.report(SUPERSEDED, str(error))
            return False
        except DeployOpsError as error:
            self.report(FAILED, str(error))
            return False
        return True

    def die(self) -> None:
        """End in the midst of a step; the report tells of it."""
        if self.is_asked and self.verdict is None:
            self.report(FAILED if self.job.verb is Verb.VERIFY else SUCCESS, "killed")
        else:
            self.report(FAILED, "killed")

    def report(self, state: str, cause: str = "") -> None:
        """Tell how it ended, as the report step does."""
        world, job = self.world, self.job
        slot = world.memory.environment(self.slug)
        if self.is_gone and not job.is_expiry:
            slot.forget()
            world.memory.verification(self.slug).forget()
        elif job.verb is Verb.REQUEST:
            pass
        else:
            known, is_failure = slot.read(), state == FAILED
            endings = dict(known.endings)
            if job.work:
                endings[job.verb.value] = Ending(
                    job.work, world.now, is_failure, cause=cause if is_failure else "", is_skipped=state == SUPERSEDED
                )
            removal = known.removal if known.removal and known.removal.head == job.head else None
            known = replace(known, endings=endings, removal=removal)
            if self.has_updated:
                known = replace(known, rendered=self._list_rendered())
            if self.is_gone:
                known = replace(known, rendered=None, laid=None)
                world.memory.verification(self.slug).forget()
            slot.write(known)
        verdict = self._find_verdict()
        outcome = Outcome(
            self.run_id,
            self.dag,
            job.verb.value,
            state,
            world.now,
            1.0,
            job.deployed_commit,
            "image" if job.verb in {Verb.CREATE, Verb.DEPLOY} else "",
            why=cause if state == SUPERSEDED else job.reason,
            cause=cause if state == FAILED else "",
            is_forced=job.is_forced,
            person=job.person,
            pull=job.pull,
            proof=verdict.proof.value if verdict else "",
        )
        world.ended.append(Ended(self.slug, outcome))
        if job.work:
            world.finished[job.work] = world.finished.get(job.work, 0) + 1

    def _find_verdict(self) -> Verification | None:
        if self.verdict is not None or not self.is_asked:
            return self.verdict
        if self.job.verb is Verb.VERIFY or not self.is_settled:
            return None
        said = OVERTAKEN if not self.world.sees_newer else UNANSWERED
        return Verification("", self.job.deployed_commit, Proof.UNKNOWN, self.world.now, said)

    # The steps

    def _live(self) -> Iterator[None]:
        steps = {
            Verb.CREATE: self._create,
            Verb.DEPLOY: self._deploy,
            Verb.UPDATE: self._update,
            Verb.HIBERNATE: self._hibernate,
            Verb.DELETE: self._delete,
            Verb.MERGE: self._merge,
            Verb.REQUEST: self._request,
            Verb.VERIFY: self._verify_again,
        }
        yield
        yield from steps[self.job.verb]()
        self.report(SUCCESS)

    def _check_head(self) -> None:
        if self.world.truth.heads.get(self.job.branch) != self.job.head:
            raise SupersededError(f"{self.job.branch} moved")
        if self.job.pull and self.world.truth.find_base(self.job.commit) != self.world.truth.heads["main"]:
            raise SupersededError("the base moved")

    def _list_rendered(self) -> tuple[str, ...]:
        template = self.world.template
        return (*list_rendered(template), name_template(template))

    def _render(self, place: Place | None) -> dict[str, Any]:
        world, job, template = self.world, self.job, self.world.template
        observed = place.deployment if place else None
        given = recall_rendered(world.memory, job, observed) if observed else ()
        project = world.scope.project
        mark = Mark(PLANE, project.name, project.repository, job.branch, fingerprint_template(template))
        file: dict[str, Any] = render_deployment(
            fill_mapping(template, make_fields(project.name, job.branch)),
            name=job.deployment_name,
            description=format_mark(mark, template.description),
            workspace_name="Data Platform",
            observed=observed,
            rendered=given or (),
        )["deployment"]
        return file

    def _read_values(self, mapped: object) -> dict[str, str]:
        world = self.world
        if mapped != world.scope.previews.environment:
            raise SupersededError("previews.environment changed")
        return dict(world.truth.read_secrets(world.scope.previews.environment.mapped).values)

    def _write_laid(self, deployment_id: str, values: dict[str, str], at: datetime) -> None:
        slot = self.world.memory.environment(self.slug)
        if values:
            seals = self.world.seals.seal_values(deployment_id, values)
            slot.write(replace(slot.read(), laid=Laid(deployment_id, seals, at)))

    def _note_rendered(self, before: tuple[str, ...] = ()) -> None:
        slot = self.world.memory.environment(self.slug)
        rendered = tuple(dict.fromkeys((*before, *self._list_rendered())))
        slot.write(replace(slot.read(), rendered=rendered, laid=None))

    def _create(self) -> Iterator[None]:
        truth, mapped = self.world.truth, self.world.scope.previews.environment
        file = self._render(None)
        yield
        self._check_head()
        own = truth.list_previews(self.job.branch)
        if own:
            place = own[0]
        else:
            values, at = self._read_values(mapped), truth.now
            self._note_rendered()
            place = truth.make(self.job.deployment_name, self.job.branch)
            place.deployment = replace(place.deployment, description=file["configuration"]["description"])
            yield
            place.lay(file, values)
            yield
            self._write_laid(place.deployment.id, values, at)
        yield from self._deploy_to(place)

    def _update(self) -> Iterator[None]:
        truth, mapped = self.world.truth, self.world.scope.previews.environment
        place = self.world.find_place(self.job.deployment_id)
        basis, file = fingerprint_basis(place.deployment), self._render(place)
        yield
        place = self.world.find_place(self.job.deployment_id)
        if basis != fingerprint_basis(place.deployment):
            raise SupersededError("variables changed since it was rendered")
        values, at = self._read_values(mapped), truth.now
        before = recall_rendered(self.world.memory, self.job, place.deployment)
        self._note_rendered(before or ())
        yield
        if self.job.deployment_id not in truth.places:
            raise RetryableError("the Deployment is gone")
        place.lay(file, values)
        yield
        self._write_laid(place.deployment.id, values, at)
        self.has_updated = True

    def _deploy(self) -> Iterator[None]:
        job = self.job
        place = self.world.find_target(job.target) if job.target else self.world.find_place(job.deployment_id)
        yield from self._deploy_to(place)

    def _deploy_to(self, place: Place) -> Iterator[None]:
        job, truth = self.job, self.world.truth
        yield
        self._check_head()
        self.world.find_place(place.deployment.id)
        if place.history.newest_id != job.observed and job.observed:
            raise SupersededError("somebody deployed meanwhile")
        if job.target and job.work:
            if job.work not in {work.name for work in self.world.list_work()}:
                raise SupersededError("it is not due any more")
            self.world.check_gates(job)
        note = DeployNote(job.branch, job.deployed_commit, job.head, self.run_id, 1, is_forced=False)
        record = place.deploy(truth.now, note)
        yield
        if place.history.newest_id == record:
            self.is_settled = True
            yield from self._verify(place, record, job.deployed_commit)

    def _verify_again(self) -> Iterator[None]:
        job = self.job
        place = self.world.find_target(job.target) if job.target else self.world.find_place(job.deployment_id)
        history = place.history
        if not history.newest_id:
            raise RetryableError("nothing was deployed")
        yield from self._verify(place, history.newest_id, history.commit)

    def _verify(self, place: Place, record: str, commit: str) -> Iterator[None]:
        world, job = self.world, self.job
        rules = world.scope.project.find_verify(job.target)
        if rules is None:
            return
        self.is_asked = True
        if is_asleep(place.deployment):
            known = world.memory.verification(self.slug).read()
            is_judged = known is not None and known.proof in {Proof.VERIFIED, Proof.FAILED}
            if known is not None and is_judged and known.deploy_id == record:
                self.verdict = known
                return
            self._answer(judge_findings(Findings(problem="it hibernates"), record, commit, world.now))
            return
        self._remember(Verification(record, commit, Proof.PENDING, world.now, BEING_VERIFIED))
        yield
        is_older = place.history.newest_id != record or job.head != world.truth.heads.get(job.branch)
        if is_older and world.sees_newer:
            return
        if place.deployment.id not in world.truth.places:
            raise RetryableError("the Deployment is gone")
        fault = world.truth.faults.get(commit, "")
        problem = "HTTP 503" if place.is_mute else "" if fault != "silent" else "its Airflow has no DAG of this deploy"
        broken = (BROKEN,) if fault == "broken" and not place.is_mute else ()
        self._answer(judge_findings(Findings(broken, problem=problem), record, commit, world.now))

    def _answer(self, verification: Verification) -> None:
        self._remember(verification)
        self.verdict = verification

    def _remember(self, verification: Verification) -> None:
        self.world.memory.verification(self.slug).write(verification)
        self.world.ledger[verification.deploy_id] = verification.proof
        self.world.proven[verification.deploy_id] = verification.at

    def _hibernate(self) -> Iterator[None]:
        place = self._check_expired()
        if not is_asleep(place.deployment):
            self._check_unused(place)
            place.hibernate()
        yield

    def _delete(self) -> Iterator[None]:
        job, world = self.job, self.world
        yield
        if job.is_expiry:
            place = self._check_expired()
            self._check_unused(place)
            slot = world.memory.environment(self.slug)
            slot.write(replace(slot.read(), removal=Removal(job.head, "idle")))
        elif world.truth.heads.get(job.branch):
            raise SupersededError("the branch is back")
        yield
        world.truth.places.pop(job.deployment_id, None)
        self.is_gone = True

    def _check_expired(self) -> Place:
        """Look once more, by the product's own check."""
        world, place = self.world, self.world.find_place(self.job.deployment_id)
        hooks = cast("Any", world.truth)
        check_expired(world.scope, hooks, hooks, world.memory, self.job, place.deployment)
        return place

    def _check_unused(self, place: Place) -> None:
        """See that nobody who counts works there, whatever anybody remembers."""
        previews, now = self.world.scope.previews, self.world.now
        if not previews.counts_runs:
            return
        is_delete = self.job.verb is Verb.DELETE
        span = previews.delete_after if is_delete else previews.hibernate_after
        assert span is not None
        outside = max(self.world.truth.committed[self.job.head], place.records[-1].created_at)
        if is_delete and now - outside >= 2 * span:
            return
        assert not place.is_busy, f"{self.job.verb.value} over a run at work in {self.job.branch}"
        assert is_asleep(place.deployment) or not place.is_mute, f"{self.job.branch} was unreachable, and is given up"
        assert all(now - at >= span for at in place.runs), f"a person worked in {self.job.branch}"

    def _merge(self) -> Iterator[None]:
        world, job = self.world, self.job
        yield
        due = [
            work
            for work in world.list_work()
            if work.verb is Verb.MERGE
            and work.subject == name_subject(job.deployment_id, job.head, job.observed or "", job.base)
        ]
        release = world.truth.find_release()
        if not due or release is None:
            raise SupersededError("it is not due any more")
        rules = world.scope.target(job.target).verify
        history = world.find_target(job.target).history
        if rules is not None:
            proof = world.ledger.get(history.newest_id, Proof.UNKNOWN)
            fine = {Proof.VERIFIED, *((Proof.UNKNOWN, Proof.PENDING) if rules.unknown == "success" else ())}
            assert proof in fine, f"merged although {history.newest_id} is {proof}"
        world.check_gates(job)
        world.truth.merge(release, job.commit)

    def _request(self) -> Iterator[None]:
        world, job = self.world, self.job
        yield
        approval = Approval(
            job.head, job.base, job.observed or "", "ada", world.now, merges=True, commit=job.commit, kind="image"
        )
        world.memory.approval(self.slug).write(approval)
