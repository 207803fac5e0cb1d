"""The plan step of control: observe, compare, schedule; claim for what starts, and return only that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.feedback.commands import LOOKED_FOR
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.passes.decision import Decision, find_bars, find_late_bars
from include.deploy_ops.core.passes.reading import Bar, PassFacts
from include.deploy_ops.core.plan.pulse import OPEN_AGAIN, find_next_look
from include.deploy_ops.core.plan.remembered import BegunDelete, OpenQuestion
from include.deploy_ops.core.plan.schedule import BRAKE_WINDOW, Circumstances, schedule
from include.deploy_ops.core.plan.work import Action, Difference, Hold, HoldKind, Plan, Verb, Work
from include.deploy_ops.core.target.comparison import fingerprint_rules
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.core.view.pages import render_plan
from include.deploy_ops.observation.circumstances import CircumstancesReader
from include.deploy_ops.observation.commit_checks import CheckReader
from include.deploy_ops.observation.concerns import ConcernCheck
from include.deploy_ops.observation.creates import CreateCheck
from include.deploy_ops.observation.difference import Comparer, Observation
from include.deploy_ops.observation.observe import Observer
from include.deploy_ops.observation.preview_checks import PreviewChecks
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.operators.control.pace import Pace
from include.deploy_ops.operators.control.pausing import Pausing
from include.deploy_ops.operators.control.row_writer import RowWriter, WrittenRows
from include.deploy_ops.operators.metrics import gauge_pass
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.command_runs import dispatch_commands
from include.deploy_ops.run.feedback_runs import dispatch_feedback, is_untold
from include.deploy_ops.run.job import INFER, make_dispatch, make_job
from include.deploy_ops.run.policy_texts import read_places
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, read_awaited, write_awaited
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, CURSOR_KEY, WAKE_AT_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.passes.rules import Rules
    from include.deploy_ops.hooks.github.commit_checks import CommitChecks
    from include.deploy_ops.observation.past import PastPreviews
    from include.deploy_ops.run.memory import Memory


class PlanOperator(DeployOpsOperator):
    """Returns the keyword arguments of one dispatch per action; the whole plan is the rendered field `plan`."""

    plan = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Plan one pass."""
        memory, now = self.memory(context), datetime.now(UTC)
        pace = Pace.read(context, self.scope, now)
        pace.put_off()
        # Whatever becomes of this pass, another one follows soon; its end knows better when.
        self._wake(context, now + OPEN_AGAIN)
        context["asset_state_store"][self.scope.repository].set(BEGUN_AT_KEY, wrap_value(now.isoformat()))
        self._note_pass(context, memory, now)
        observer = Observer(self.scope, self.github, self.astro, memory, self.seals)
        reader = CheckReader(self.github, self._read_awaited(context))
        known = memory.continuity.read()
        comparer = Comparer(self.scope.recall((known and known.targets) or ()), observer, reader)
        observation = comparer.look()
        compared = comparer.compare(observation, now)
        difference = self._hold_new(compared, memory)
        self._remember_backlog(observer, difference, now)
        creates = CreateCheck(self.scope, self.github, memory, observation.snapshot, difference, now)
        difference = creates.hold_rejected(difference)
        trunk = observation.snapshot.find_head(self.scope.project.trunk)
        difference = ConcernCheck(self.scope, self.github, memory, trunk, now).hold_unconcerned(difference)
        given = CircumstancesReader(self.scope, context["ti"], observer, memory).read(difference, now)
        for slug, wait in given.stuck.items():
            self.log.warning("%s: %s", given.in_flight[slug], wait)
        decision, bars = self._schedule(difference, given, creates, PreviewChecks(self.scope.project, reader))
        facts = PassFacts(observation.reading, given, (*find_bars(compared, difference), *bars))
        self._keep_snapshot(context, comparer.scope.rules, facts, decision)
        plan = decision.plan
        self._leave_awaited(context, plan, reader)
        # Claimed, then remembered, then returned to the task that dispatches: whatever dies in between, no run is at
        # work that nobody knows of, and the brake counts a delete too many rather than one too few.
        plan = self._claim(context, plan)
        self._remember(context, memory, plan, given)
        writer = RowWriter(self.scope, self.github, memory, difference.unfilled, difference.drift)
        written = None if pace.rest_until else self._show(context, writer, observation, plan, given)
        if written is not None and observation.past is not None:
            plan = replace(plan, over=self._note_past(context, observation.past, plan, creates, written))
        feedback_runs = self._tell(context, memory, written, now)
        commands_runs, is_asked = self._listen(context, memory, now)
        is_left = False
        if written is not None and not (plan.actions or self.scope.is_dry):
            is_left = self._pause_again(context, memory, written, observation)
        tell = read_places(self.scope.project.name).tell
        self.plan = render_plan(plan, now, difference.notes, difference.drift, project=self.scope.project, tell=tell)
        for line in [*map(str, plan.actions), *map(str, plan.holds)]:
            self.log.info("%s", line)
        is_busy = bool(given.in_flight) or is_left or is_asked or self._is_unfinished(memory, written)
        self._wake(context, pace.rest(find_next_look(plan, now, is_busy=is_busy)))
        counts = len(plan.actions), len(plan.holds), plan.live, len(plan.over)
        self.log.info("%d actions, %d holds, %d previews live, %d over", *counts)
        return [*(self._dispatch(action) for action in plan.actions), *feedback_runs, *commands_runs]

    def _note_pass(self, context: Context, memory: Memory, now: datetime) -> None:
        """Note the pass, before anything can fail; where there was a hole, nobody let anything pass the brake."""
        known, continuity = memory.continuity.read(), memory.read_continuity(now)
        if continuity.since == now:
            self.log.warning(
                "%s: what people said before may be forgotten, and is asked or told anew",
                f"no pass was noted since {known.seen_at:%Y-%m-%d %H:%M} UTC" if known else "no pass is remembered",
            )
            if memory.released.read():
                memory.released.write({})
        if known is None:  # as after a release before 0.3; a crash before the pass is noted has it done again
            memory.gather()
        is_lost = known is None and continuity.since == now
        doubted = sorted(self.scope.home_dags) if is_lost else continuity.busy
        busy = tuple(dag for dag in doubted if Runs(context["ti"], dag).has_living())
        since = (continuity.heard_since or now) if self.scope.is_listening else None
        targets = continuity.targets if self.scope.unread else tuple(sorted(self.scope.targets))
        memory.continuity.write(replace(continuity, busy=busy, heard_since=since, targets=targets))

    def _wake(self, context: Context, at: datetime | None) -> None:
        """Leave the time at which the trigger wakes control for the trigger."""
        store = context["asset_state_store"][self.scope.repository]
        store.set(WAKE_AT_KEY, wrap_value(None if at is None else at.isoformat()))

    def _read_awaited(self, context: Context) -> dict[str, CommitChecks]:
        """Return what the last pass found of the commits whose checks it awaited."""
        store = context["asset_state_store"][self.scope.repository]
        return read_awaited(store.get(AWAITED_KEY)) if self.scope.project.awaited_checks else {}

    def _leave_awaited(self, context: Context, plan: Plan, reader: CheckReader) -> None:
        """Leave the commits whose checks are awaited for the trigger, the targets' first."""
        holds = sorted((hold for hold in plan.holds if hold.checked), key=lambda hold: not hold.slug)
        heads = [hold.checked for hold in holds]
        if heads or reader.known:
            store = context["asset_state_store"][self.scope.repository]
            store.set(AWAITED_KEY, write_awaited(heads, reader.found))

    def _show(
        self, context: Context, writer: RowWriter, observation: Observation, plan: Plan, given: Circumstances
    ) -> WrittenRows | None:
        """Leave what people look at; whatever fails here stops no deploy, and returns None.

        What starts in this pass is claimed already. The log says what failed, and the summary's age shows on the page.
        """
        try:
            written = writer.write(context, observation, plan, given)
            gauge_pass(self.scope.project.name, written.rows.values(), given.now)
        except Exception:
            self.log.exception("what people look at could not be written; what this pass decided goes on")
            return None
        return written

    def _keep_snapshot(self, context: Context, rules: Rules, facts: PassFacts, decision: Decision) -> None:
        """Keep what this pass goes by, where the policy asks for it; whatever fails here stops no deploy."""
        if not self.scope.project.snapshots:
            return
        from include.deploy_ops.run.snapshots import Snapshots

        try:
            snapshots = Snapshots(context["asset_state_store"][self.scope.fleet], self.scope.project.snapshots)
            if said := snapshots.keep(rules, facts, decision):
                self.log.warning("%s", said)
        except Exception:
            self.log.exception("this pass could not be kept for a replay; what it decides goes on")

    def _pause_again(self, context: Context, memory: Memory, written: WrittenRows, observation: Observation) -> bool:
        """Pause what a verification that died left unpaused; return whether a later pass has something to try.

        A failure stops nothing.
        """
        try:
            claims = Claims(memory, Runs(context["ti"], self.scope.preview_dag))
            pausing = Pausing(self.scope, self.astro, memory, claims)
            return pausing.pause_again(written.rows, written.verifications, observation.observed.deployments)
        except Exception:
            self.log.exception("what may be left unpaused was not looked at")
            return True

    def _tell(
        self, context: Context, memory: Memory, written: WrittenRows | None, now: datetime
    ) -> list[dict[str, Any]]:
        """Return the run that tells GitHub of what was written; a failure stops no deploy either."""
        if written is None:
            return []
        try:
            return dispatch_feedback(
                self.scope, memory, Runs(context["ti"], self.scope.feedback_dag), written.digests, now
            )
        except Exception:
            self.log.exception("no run could be started that tells GitHub; what this pass decided goes on")
            return []

    def _listen(self, context: Context, memory: Memory, now: datetime) -> tuple[list[dict[str, Any]], bool]:
        """Return the run that does what people say on pull requests, and whether somebody waits for an answer.

        A failure stops no deploy.
        """
        known = memory.continuity.read()
        if known is None or known.heard_since is None:
            return [], False
        try:
            runs = Runs(context["ti"], self.scope.commands_dag)
            said = self.commands.list_newest_comments(now - LOOKED_FOR)
            if said.unread:
                self.log.warning("%s", said.unread)
            return dispatch_commands(self.scope, said.comments, memory, runs, known.heard_since, now)
        except Exception:
            self.log.exception("what people say on pull requests could not be read; what this pass decided goes on")
            return [], True

    def _is_unfinished(self, memory: Memory, written: WrittenRows | None) -> bool:
        """Whether something of what people are shown, or told, is left to be done."""
        return written is None or written.is_busy or is_untold(self.scope, memory, written.digests)

    def _note_past(
        self, context: Context, past: PastPreviews, plan: Plan, creates: CreateCheck, written: WrittenRows
    ) -> tuple[str, ...]:
        """Note what is over, and forget what is gone; return the branches that were not looked at."""
        memory = self.memory(context)
        claims = Claims(memory, Runs(context["ti"], self.scope.preview_dag))

        def forget(slug: str) -> bool:
            if claims.find_holder(slug):
                return False
            memory.forget_environment(slug)
            return True

        ended = [
            hold.environment
            for hold in plan.holds
            if hold.kind.is_settled and hold.what == Verb.CREATE.value and creates.is_final(hold.home)
        ]
        return past.note(memory, ended, written.rows.keys(), written.dropped, forget)

    def _dispatch(self, action: Action) -> dict[str, Any]:
        target = action.work.target
        deploy_type = self.scope.target(target).deploy_type if target else INFER
        dag_id = self.scope.name_dag(action.work.dag)
        of_work = self.github.hand_on(action.work.branch, action.work.deployed_commit)
        answers = (*self.github.hand_on_name(), *of_work)
        return make_dispatch(self.seals, dag_id, action.run_id, make_job(action, deploy_type, answers))

    def _hold_new(self, difference: Difference, memory: Memory) -> Difference:
        """Return the difference in which nothing is done while names may be another's: of the project's, if it is new.

        Or where nobody knows any more which Deployments are targets of a file that cannot be read.
        """
        known = memory.continuity.read()
        is_known = known is not None and known.targets is not None and not memory.is_first_pass()
        if not self.scope.new_name_ban or is_known:
            return difference
        holds = (
            Hold(work.environment, work.verb.value, self.scope.new_name_ban, kind=HoldKind.WAITING, slug=work.slug)
            for work in difference.works
        )
        return replace(difference, works=(), holds=(*difference.holds, *holds))

    def _remember_backlog(self, observer: Observer, difference: Difference, now: datetime) -> None:
        """On the first pass ever, count old branches without a Deployment as removed for idleness."""
        memory = observer.memory
        if self.scope.new_name_ban or not memory.is_first_pass():
            return
        previews = self.scope.project.previews
        if previews is not None and (delete_after := previews.delete_after):
            times = observer.read_commit_times(branch.head for branch in difference.missing)
            old = [branch for branch in difference.missing if times[branch.head] < now - delete_after]
            memory.backlog.write({}, {slug_branch(branch.name): branch.head for branch in old})
        memory.remember_first_pass(now)

    def _claims(self, context: Context, work: Work) -> Claims:
        return Claims(self.memory(context), Runs(context["ti"], self.scope.name_dag(work.home_dag)))

    def _schedule(
        self, difference: Difference, given: Circumstances, creates: CreateCheck, checks: PreviewChecks
    ) -> tuple[Decision, tuple[Bar, ...]]:
        """Return what is decided, and what GitHub said against parts of it.

        The room of a preview that is not to be made after all, or waits, goes to the next.
        """
        while True:
            held = checks.hold_unmet(creates.hold_rejected(difference))
            plan = schedule(held, given, self.scope.project.limits, self.scope.max_live)
            if not (creates.check(plan) or checks.check(plan)):
                asked = checks.defer_unasked(creates.defer_unasked(plan))
                return Decision(held, asked), (*find_bars(difference, held), *find_late_bars(plan, asked))

    def _claim(self, context: Context, plan: Plan) -> Plan:
        """Claim what the actions work on; a request claims nothing, and so is never in the way."""
        kept: list[Action] = []
        holds = list(plan.holds)
        for action in plan.actions:
            work = action.work
            is_claimed = work.verb is not Verb.REQUEST
            if is_claimed and (holder := self._claims(context, work).plan(work.slug, action.run_id)):
                said = f"in flight: {holder}"
                holds.append(Hold(work.environment, work.verb.value, said, kind=HoldKind.FLIGHT, slug=work.slug))
            else:
                kept.append(action)
        return replace(plan, actions=tuple(kept), holds=tuple(holds))

    def _remember(self, context: Context, memory: Memory, plan: Plan, given: Circumstances) -> None:
        works = [action.work for action in plan.actions if action.work.verb is Verb.DELETE]
        deletes = {work.deployment_id: BegunDelete(given.now, work.deployment_id) for work in works}
        kept = [
            each
            for each in given.begun_deletes
            if given.now - each.at < BRAKE_WINDOW and each.deployment_id not in deletes
        ]
        if deletes or len(kept) != len(given.begun_deletes):
            memory.begun_deletes.write((*kept, *deletes.values()))
        for work, run_id in ((action.work, action.run_id) for action in plan.actions):
            if work.verb is Verb.REQUEST:
                rules = fingerprint_rules(self.scope.target(work.target), self.scope.project.people)
                question = memory.question(work.slug)
                question.write(OpenQuestion(run_id, work.subject, rules).follow(question.read()))
        pending = {hold.awaits: given.pending.get(hold.awaits, given.now) for hold in plan.holds if hold.awaits}
        if pending != given.pending:
            memory.pending.write(pending)
        store = context["asset_state_store"][self.scope.repository]
        # Saved here, by who acted on it: a trigger that ends between its event and its cursor would lose the event. Of
        # several events a run may be told of some only; an older cursor does no harm, it makes one more pass.
        events: Any = context.get("triggering_asset_events") or {}
        for event in events.get(self.scope.repository, ()):
            cursor = (event.extra or {}).get("payload", event.extra or {}).get(CURSOR_KEY)
            if cursor:
                store.set(CURSOR_KEY, wrap_value(cursor))
