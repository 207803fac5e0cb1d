"""The verify step: waits, without a worker slot, until the Deployment's own Airflow has parsed what was deployed.

Then, where the policy wants it, until its smoke runs ended. What it tells is judged here, and remembered; a deploy that
does not work fails the run, and is no failed deploy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException
from pydantic import TypeAdapter

from include.deploy_ops.core.environment.pools import Pool
from include.deploy_ops.core.errors import PermanentError, UnverifiedError
from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.hibernation import is_asleep
from include.deploy_ops.core.target.settling import describe_unsettled
from include.deploy_ops.core.verification.fallback import note_verdict
from include.deploy_ops.core.verification.judging import Findings, cut_said, judge_findings, tell_errors
from include.deploy_ops.core.verification.mute import keep_mutes, mute_errors
from include.deploy_ops.core.verification.smoke import (
    Candidate,
    Start,
    count_attempt,
    mask_run,
    name_run,
    plan_runs,
    settle_runs,
)
from include.deploy_ops.core.verification.standing import BEING_VERIFIED, advise, keep_verdict, tell_standing
from include.deploy_ops.core.verification.verdict import Proof, SmokeRun, Verification
from include.deploy_ops.observation.changed_dags import (
    drop_plain,
    read_branch_changes,
    read_changed_dags,
    read_dag_files,
)
from include.deploy_ops.observation.checks import check_mark, check_target, read_heads
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.base import DEPLOYMENT_LINKS, SOURCE_LINKS, DeployOpsOperator, tell_failures
from include.deploy_ops.operators.metrics import count_verification
from include.deploy_ops.run.decision import load_decision
from include.deploy_ops.run.endings import VERDICT_KEY, mask_text
from include.deploy_ops.triggers.masks import Given, read_mask
from include.deploy_ops.triggers.smoke import SmokeRunsTrigger
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.keys import Verify
    from include.deploy_ops.run.job import Job

_FINDINGS = TypeAdapter(Findings)
_VERIFICATION = TypeAdapter(Verification)
_CANDIDATES = TypeAdapter(tuple[Candidate, ...])
_STARTS = TypeAdapter(tuple[Start, ...])
_POOLS = TypeAdapter(tuple[Pool, ...])
_RUNS = TypeAdapter(tuple[SmokeRun, ...])
ASLEEP = "it hibernates; wake it, then verify it by the form"

STRANGE = "nobody knows which commit runs there; deploy one"


@dataclass(frozen=True, slots=True)
class _Record:
    """The deploy record that is verified; `unsettled` is why the Deployment does not run it, empty where it does.

    `is_plain`: a run of ours deployed what the source had, and all of it.
    """

    deployment: Deployment
    deploy_id: str
    commit: str
    unsettled: str = ""
    is_plain: bool = False

    @property
    def problem(self) -> str:
        """Why its Airflow need not be asked; empty where it may."""
        if is_asleep(self.deployment):
            return ASLEEP
        return self.unsettled or ("" if self.commit else STRANGE)


@dataclass(frozen=True, slots=True)
class _Files:
    """Files of the commit that is verified, below the DAG folder.

    `all` that Airflow may parse; those of them that are `changed` from what ran before; and what is `touched` since the
    merge base, gone ones too.
    """

    all: frozenset[str]
    changed: frozenset[str]
    touched: frozenset[str]


class VerifyDeployOperator(DeployOpsOperator):
    """Asks the Deployment's Airflow whether what was deployed works; returns `{"proof", "said", "deploy_id"}`.

    What cannot be told fails nothing. After a form's action it is about the newest record, whoever deployed it.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY, Verb.VERIFY, Verb.MUTE)
    operator_extra_links = (*SOURCE_LINKS, *DEPLOYMENT_LINKS)

    @tell_failures
    def execute(self, context: Context) -> NoReturn:
        """Park until the Deployment's Airflow has parsed the deploy."""
        job = self.begin(context)
        rules = self._find_rules(job)
        record = self._find_record(context, job)
        self.refuse_dry(job, f"verify deploy {record.deploy_id} of {job.environment}")
        self.link_deployment(record.deployment)
        now = datetime.now(UTC)
        if record.problem:
            self._leave_unknown(context, job, record, record.problem)
        try:
            trigger = self._make_trigger(context, job, rules, record, now)
        except PermanentError as error:  # of the commit: asking anew would fail alike
            self._leave_unknown(context, job, record, str(error))
        known = self.memory(context).verification(job.slug).read()
        begun = Verification(
            record.deploy_id,
            record.commit,
            Proof.PENDING,
            now,
            BEING_VERIFIED,
            attempt=count_attempt(known, record.deploy_id) if rules.dags else 0,
            unpaused=known.unpaused if known is not None else (),
            runtime=record.deployment.runtime_version if job.target and record.is_plain else "",
        )
        self._remember(context, job, begun)
        self.log.info("waiting for the Airflow of %s until %s", record.deployment.name, trigger.deadline)
        self.defer(
            trigger=trigger, method_name="resume", kwargs={"deploy_id": record.deploy_id, "commit": record.commit}
        )
        raise AssertionError("defer raises")

    @tell_failures
    def resume(self, context: Context, event: Mapping[str, Any], deploy_id: str, commit: str) -> dict[str, Any]:
        """Judge what was seen, remember the verdict, and fail where it does not work."""
        job = self.begin(context)
        if event["state"] == "overtaken":
            raise AirflowSkipException(f"not verified: {event['detail']}")
        rules = self._find_rules(job)
        findings = _FINDINGS.validate_python(event["findings"])
        mutes = self.memory(context).mutes(job.slug)
        muted = () if job.target else mutes.read()
        findings = replace(findings, broken=mute_errors(findings.broken, muted))
        # Of files that were not seen it is not known whether their errors are still there.
        if muted and not findings.problem:
            mutes.write(keep_mutes(findings.broken, muted))
        verification = judge_findings(
            findings,
            deploy_id,
            commit,
            datetime.now(UTC),
            event["seconds"],
            fails=rules.import_errors == "fail",
            compared=rules.compare_with or "",
        )
        verification = self._carry_on(context, job, verification)
        verification = replace(verification, said=cut_said("; ".join([verification.said, *event["notes"]])))
        if verification.proof is Proof.VERIFIED and rules.dags:
            verification = self._start_runs(context, job, rules, verification, event.get("candidates", ()))
        return self._conclude(context, job, verification)

    @tell_failures
    def resume_runs(self, context: Context, event: Mapping[str, Any], verification: dict[str, Any]) -> dict[str, Any]:
        """Judge what became of the runs, remember the verdict, and fail where one failed.

        :param verification: what is known without them, as JSON, with the DAGs that are not run.
        """
        job = self.begin(context)
        before = _VERIFICATION.validate_python(verification)
        if newer := event.get("overtaken"):
            unpaused = tuple(event["unpaused"])
            self._remember(context, job, replace(before, proof=Proof.PENDING, said=BEING_VERIFIED, unpaused=unpaused))
            raise AirflowSkipException(f"not verified: {newer}")
        runs = [*before.runs, *_RUNS.validate_python(event["runs"])]
        settled = settle_runs(before, runs, event["seconds"])
        return self._conclude(context, job, replace(settled, at=datetime.now(UTC), unpaused=tuple(event["unpaused"])))

    def _start_runs(
        self, context: Context, job: Job, rules: Verify, verification: Verification, candidates: Sequence[Any]
    ) -> Verification:
        """Park until the runs ended; where there is none to start, return the verdict with those that are not.

        Which DAGs may be unpaused is stored before it parks: whatever dies afterwards, the next pass pauses them again.
        """
        rule_pairs = [(rule.dag, rule.conf) for rule in rules.dags]
        run_id = name_run(verification.deploy_id, verification.attempt)
        starts, skipped = plan_runs(
            rule_pairs, _CANDIDATES.validate_python(candidates), run_id, may_unpause=not job.target
        )
        deployment_id = self._find_deployment(context, job).id
        given = self._find_given(context, job, deployment_id)
        mask = read_mask(given)  # an id that is not asked for was handed on as it is, unless it holds a value
        skipped = tuple(mask_run(run, mask) for run in skipped)
        if not starts:
            return settle_runs(verification, skipped, 0)
        wanted = {start.dag_id for start in starts if start.may_unpause}
        unpaused = tuple(sorted(wanted.union(verification.unpaused)))
        now = datetime.now(UTC)
        told = f"{BEING_VERIFIED}: {len(starts)} smoke run{'s' * (len(starts) != 1)}"
        begun = replace(verification, proof=Proof.PENDING, at=now, said=told, unpaused=unpaused)
        if unpaused:
            self.memory(context).unpausing.write(rules.airflow_conn_id or "")  # before: by it the next pass looks
        self._remember(context, job, begun)
        deadline = now + rules.timeout
        self.log.info("%s until %s", told, f"{deadline:%Y-%m-%d %H:%M:%S} UTC")
        project = self.scope.project
        self.defer(
            trigger=SmokeRunsTrigger(
                astro_conn_id=project.astro_conn_id,
                deployment_id=deployment_id,
                airflow_conn_id=rules.airflow_conn_id,
                starts=_STARTS.dump_python(starts, mode="json"),
                unpaused=list(unpaused),
                started_at=now.isoformat(),
                deadline=deadline.isoformat(),
                has_logs=rules.show_logs or self._is_private(context),
                heads=self._list_heads(job),
                github_conn_id=project.github_conn_id,
                repository=project.repository,
                deploy_id=verification.deploy_id,
                owner=self.scope.owner,
                given=given,
            ),
            method_name="resume_runs",
            kwargs={"verification": _VERIFICATION.dump_python(replace(verification, runs=skipped), mode="json")},
        )
        raise AssertionError("defer raises")

    def _conclude(self, context: Context, job: Job, verification: Verification) -> dict[str, Any]:
        """Remember the verdict, return it in short, and fail where what was deployed does not work."""
        verdict = self._remember(context, job, verification)
        self.log.info("deploy %s of %s: %s", verification.deploy_id, job.environment, verification.said)
        if verification.proof is Proof.FAILED:
            raise UnverifiedError(f"{tell_errors(verification)}\n{advise(verification)}")
        return verdict

    def _leave_unknown(self, context: Context, job: Job, record: _Record, problem: str) -> NoReturn:
        """Remember that nobody asks, and why, and skip the step; what was found out of this very deploy stands."""
        unknown = judge_findings(
            Findings(problem=mask_text(problem)), record.deploy_id, record.commit, datetime.now(UTC)
        )
        self._remember(context, job, self._carry_on(context, job, unknown))
        raise AirflowSkipException(unknown.said)

    def _carry_on(self, context: Context, job: Job, verification: Verification) -> Verification:
        """Return the verdict with what stays whatever it is: the attempt at this record, and what is to be paused."""
        known = self.memory(context).verification(job.slug).read()
        if known is None:
            return verification
        is_same = known.deploy_id == verification.deploy_id
        attempt, runtime = (known.attempt, known.runtime) if is_same else (0, "")
        return replace(verification, attempt=attempt, unpaused=known.unpaused, runtime=runtime)

    def _find_rules(self, job: Job) -> Verify:
        rules = self.scope.project.find_verify(job.target)
        if rules is None:
            raise AirflowSkipException("the policy wants nothing verified here")
        return rules

    def _find_record(self, context: Context, job: Job) -> _Record:
        """Return the record that this run deployed, else the newest one."""
        if job.verb in {Verb.VERIFY, Verb.MUTE}:
            deployment = self._find_deployment(context, job)
            history = read_history(self.astro.list_deploys(deployment.id), self.scope.owner)
            if not history.newest_id:
                raise PermanentError(f"nothing was deployed to {deployment.name} yet; deploy first")
            unsettled = describe_unsettled(deployment, history)
            is_plain = not (history.is_strangers or history.overridden_by)
            return _Record(deployment, history.newest_id, history.commit, unsettled, is_plain)
        settled = self.need(context, "settle")
        if settled["state"] == "overtaken":
            raise AirflowSkipException("the deploy was overtaken; who deployed after it is verified instead")
        deployment = self._find_deployment(context, job)
        decided = self.read_decision(context)
        is_plain = bool(decided) and not (job.is_override or load_decision(decided).is_partial)
        return _Record(deployment, settled["deploy_id"], job.deployed_commit, is_plain=is_plain)

    def _find_deployment(self, context: Context, job: Job) -> Deployment:
        """Return the Deployment that is verified, having seen that it still is what the run is about."""
        if job.verb in {Verb.VERIFY, Verb.MUTE}:
            return self._check(context, job, job.deployment_id)
        return self._check(context, job, self.need(context, "deploy")["deployment_id"])

    def _check(self, context: Context, job: Job, deployment_id: str) -> Deployment:
        if job.target:
            return check_target(self.scope, self.astro, job)
        return check_mark(self.know_targets(context), self.astro, job, deployment_id)

    def _make_trigger(
        self, context: Context, job: Job, rules: Verify, record: _Record, now: datetime
    ) -> DeployVerifiedTrigger:
        project = self.scope.project
        files = self._read_files(context, job, record.commit)
        compared, lack = self._find_compared(rules)
        theirs = project.find_verify(rules.compare_with) if rules.compare_with else None
        return DeployVerifiedTrigger(
            astro_conn_id=project.astro_conn_id,
            deployment_id=record.deployment.id,
            deploy_id=record.deploy_id,
            owner=self.scope.owner,
            airflow_conn_id=rules.airflow_conn_id,
            files=sorted(files.all),
            changed=sorted(files.changed),
            touched=sorted(files.touched),
            started_at=now.isoformat(),
            deadline=(now + rules.timeout).isoformat(),
            compared_id=compared,
            compared_lack=lack,
            compared_conn_id=theirs.airflow_conn_id if theirs else None,
            given=self._find_given(context, job, record.deployment.id),
            is_public=not (rules.show_logs or self._is_private(context)),
            heads=self._list_heads(job),
            github_conn_id=project.github_conn_id,
            repository=project.repository,
            smoke=[rule.dag for rule in rules.dags],
            pools=None if job.target else _POOLS.dump_python(self.scope.previews.environment.wanted_pools, mode="json"),
        )

    def _find_given(self, context: Context, job: Job, deployment_id: str) -> dict[str, Any] | None:
        """Return what tells a trigger which values the Deployment was given; a target is given none."""
        if job.target:
            return None
        laid = self.memory(context).environment(job.slug).read().laid
        seals = dict(laid.seals) if laid is not None and laid.deployment_id == deployment_id else {}
        mapped = tuple(each for each in self.scope.previews.environment.mapped if each.is_secret)
        given = Given(self.scope.control_plane, self.scope.project.astro_conn_id, deployment_id, mapped, seals)
        return given.write()

    def _list_heads(self, job: Job) -> dict[str, str]:
        """Return the heads whose moving is deployed next, so that nobody waits for this deploy; none of an override.

        Of a preview its own alone: others begin whenever somebody merges something. What comes next behind an approval
        may take days: until then what runs there would neither be verified nor be rolled back.
        """
        if job.is_override or (job.target and self._is_gated_rollback(job)):
            return {}
        return {job.branch: job.head} | (read_heads(self.scope, self.github, job) if job.target else {})

    def _is_gated_rollback(self, job: Job) -> bool:
        target = self.scope.target(job.target)
        return target.approval == "required" and target.verify is not None and target.verify.rolls_back

    def _find_compared(self, rules: Verify) -> tuple[str, str]:
        """Return the id of the Deployment that is compared with, empty where none is; and why although one should."""
        if not rules.compare_with:
            return "", ""
        name = self.scope.target(rules.compare_with).deployment
        found = [each.id for each in self.astro.list_deployments() if each.name == name and not each.problem]
        return (found[0], "") if len(found) == 1 else ("", f"Astro shows no Deployment '{name}'")

    def _read_files(self, context: Context, job: Job, commit: str) -> _Files:
        """Return what the commit has below the DAG folder, and what of it differs."""
        project, github = self.scope.project, self.github
        every = read_dag_files(project, github, commit)
        row = self.memory(context).read_row(job.slug)
        branch = row.base if row is not None and row.base and not job.target else project.trunk
        touched = _place(read_branch_changes(project, github, branch, commit))
        before = self._find_before(context)
        changed = _place(read_changed_dags(project, github, before, commit)) if before else None
        if job.verb in {Verb.VERIFY, Verb.MUTE}:
            changed = frozenset()  # what runs there runs there for a while
        fresh = every if changed is None else changed & every
        return _Files(every, drop_plain(project, github, commit, fresh), every if touched is None else touched)

    def _find_before(self, context: Context) -> str:
        """Return the commit whose DAGs ran before this run deployed; empty where there was none."""
        value = self.read_decision(context)
        return (load_decision(value).dags_base if value else None) or ""

    def _is_private(self, context: Context) -> bool:
        """Whether only members read what is told on GitHub; a repository of which nobody knows counts as public."""
        return require_same_repository(self.memory(context), self.github).is_public is False

    def _remember(self, context: Context, job: Job, verification: Verification) -> dict[str, Any]:
        """Remember what is known, and return it in short; of a verdict tell the report step, and count it."""
        if job.target and verification.proof in {Proof.VERIFIED, Proof.FAILED}:
            verified = self.memory(context).verified(job.slug)
            before = verified.read()
            # First: what was verified once must not look as if it never was, whatever dies in between.
            if (after := note_verdict(before, verification)) != before:
                verified.write(after)
        slot = self.memory(context).verification(job.slug)
        kept = keep_verdict(slot.read(), verification)
        slot.write(kept)
        told = _shorten(kept)
        if verification.proof is not Proof.PENDING:
            self.write(context, VERDICT_KEY, told)
            count_verification(self.scope, job, verification)
        return told


def _shorten(verification: Verification) -> dict[str, Any]:
    return {"proof": verification.proof.value, "said": tell_standing(verification), "deploy_id": verification.deploy_id}


def _place(paths: frozenset[str] | None) -> frozenset[str] | None:
    """Return paths relative to the root as paths below the DAG folder."""
    return None if paths is None else frozenset(path.removeprefix("dags/") for path in paths)
