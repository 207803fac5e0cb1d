"""The plan step of control: observe, compare, schedule; claim for what starts, and return only that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from include.deploy_ops.desired import describe_merge, find_merge
from include.deploy_ops.naming import name_run, slug_branch
from include.deploy_ops.operators.base import DeployOpsOperator, tell_failures
from include.deploy_ops.operators.claims import PLANNED, Claims
from include.deploy_ops.operators.classify import escape_cell
from include.deploy_ops.operators.difference import Comparer, Seen
from include.deploy_ops.operators.job import INFER, conf_of
from include.deploy_ops.operators.metrics import gauge_pass
from include.deploy_ops.operators.observe import Observer
from include.deploy_ops.operators.runs import Runs
from include.deploy_ops.operators.show import Shower
from include.deploy_ops.operators.tell import dispatch_telling
from include.deploy_ops.planner import Difference, Hold, HoldKind, Verb, Work
from include.deploy_ops.schedule import BRAKE_WINDOW, Action, Circumstances, Ending, Plan, Remembered, Removal, schedule
from include.deploy_ops.triggers.repository import CURSOR_KEY, WAKE_AT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import Context

    from include.deploy_ops.operators.memory import Memory

IDLE = "idle before the control plane's first pass"


class PlanOperator(DeployOpsOperator):
    """Returns the keyword arguments of one dispatch per action; the whole plan is the rendered field `plan`."""

    template_fields: Sequence[str] = ("plan",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "md"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = ""

    @tell_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Plan one pass."""
        memory, now = self.memory(context), datetime.now(UTC)
        observer = Observer(self.scope, self.github, self.astro, memory)
        comparer = Comparer(self.scope, observer)
        seen = comparer.look()
        difference = comparer.compare(seen)
        self._remember_backlog(observer, difference, now)
        given = self._read_circumstances(context, observer, difference, now)
        plan = schedule(difference, given, self.scope.project.limits, self._max_live)
        plan = self._claim(context, self._check_creates(plan))
        self._remember(context, memory, plan, given)
        telling = self._show(context, Shower(self.scope, self.github, memory), seen, plan, given)
        self.plan = render_plan(plan, now)
        for line in [*map(str, plan.actions), *map(str, plan.holds)]:
            self.log.info("%s", line)
        self.log.info("%d actions, %d holds, %d previews live", len(plan.actions), len(plan.holds), plan.live)
        return [*(self._dispatch(action) for action in plan.actions), *telling]

    def _show(
        self, context: Context, shower: Shower, seen: Seen, plan: Plan, given: Circumstances
    ) -> list[dict[str, Any]]:
        """Leave what people look at, and return the run that tells GitHub of it; whatever fails here stops no deploy.

        What starts in this pass is claimed already. The log says what failed, and the summary's age shows on the page.
        """
        runs = Runs(context["ti"], self.scope.feedback_dag)
        try:
            shown = shower.show(context, seen, plan, given)
            gauge_pass(self.scope.project.name, shown.rows.values(), given.now)
            return dispatch_telling(self.scope, shower.memory, runs, shown.digests, given.now)
        except Exception:
            self.log.exception("what people look at could not be written; what this pass decided goes on")
            return []

    @property
    def _max_live(self) -> int:
        return self.scope.project.previews.max_live if self.scope.project.previews else 0

    def _dispatch(self, action: Action) -> dict[str, Any]:
        target = action.work.target
        deploy_type = self.scope.target(target).deploy_type if target else INFER
        dag_id = self.scope.name_dag(action.work.dag)
        return {"trigger_dag_id": dag_id, "trigger_run_id": action.run_id, "conf": conf_of(action, deploy_type)}

    def _remember_backlog(self, observer: Observer, difference: Difference, now: datetime) -> None:
        """On the first pass ever, count old branches without a Deployment as removed for idleness."""
        memory = observer.memory
        if not memory.is_first_pass():
            return
        previews = self.scope.project.previews
        if previews is not None and (delete_after := previews.delete_after):
            times = observer.read_commit_times(branch.head for branch in difference.missing)
            old = [branch for branch in difference.missing if times[branch.head] < now - delete_after]
            memory.write_backlog({}, {slug_branch(branch.name): branch.head for branch in old})
        memory.remember_first_pass(now)

    def _read_circumstances(
        self, context: Context, observer: Observer, difference: Difference, now: datetime
    ) -> Circumstances:
        memory = observer.memory
        backlog = self._read_backlog(memory, difference)
        has_room = difference.live < self._max_live
        named = [
            work for work in difference.works if work.slug not in backlog and (has_room or work.verb is not Verb.CREATE)
        ]
        known = {work.slug: memory.read_environment(work.slug) for work in named}
        works = [work for work in named if not _is_held_anyway(work, known[work.slug], now)]
        finished = {work.name: self._runs_in(context, work.dag).find_last_attempt(work.name) for work in works}
        holders = {work.slug: self._claims(context, work).find_holder(work.slug) for work in works}
        for work in works:
            if run := _find_living(self._runs_in(context, work.dag), work, finished[work.name]):
                holders[work.slug] = run
        in_flight = {slug: run for slug, run in holders.items() if run}
        return Circumstances(
            now=now,
            policy=self.scope.policy,
            in_flight=in_flight,
            updates_in_flight=_count_flights(works, in_flight, Verb.UPDATE),
            creates_in_flight=_count_flights(works, in_flight, Verb.CREATE),
            remembered=backlog
            | known
            | {work.slug: _add_lost_ending(memory, known[work.slug], work, finished[work.name]) for work in works},
            finished=finished,
            delete_times=memory.read_delete_times(),
            blocked=self._find_blocks(context, works),
            committed_at=self._read_ages(observer, difference),
            released=frozenset(memory.read_released()),
        )

    def _read_backlog(self, memory: Memory, difference: Difference) -> dict[str, Remembered]:
        """Return the old branches that still count as removed, of which nothing else need be read."""
        creates = [work for work in difference.works if work.verb is Verb.CREATE]
        heads = memory.read_backlog() if creates else {}
        removal = {work.slug: Removal(work.head, IDLE) for work in creates if heads.get(work.slug) == work.head}
        return {slug: Remembered(removal=each) for slug, each in removal.items()}

    def _runs_in(self, context: Context, dag: str) -> Runs:
        return Runs(context["ti"], self.scope.name_dag(dag))

    def _claims(self, context: Context, work: Work) -> Claims:
        return Claims(self.memory(context), self._runs_in(context, work.home_dag))

    def _find_blocks(self, context: Context, works: Iterable[Work]) -> dict[str, str]:
        """Return why the DAGs of this work may start nothing; a frozen target is not asked about either."""
        homes = {work.dag: work.home_dag for work in works}
        if self.scope.is_dry:
            return dict.fromkeys(homes, "mode: plan, nothing is written")
        found: dict[str, str] = {}
        for dag, home in homes.items():
            blocks = [self._runs_in(context, each).find_block() for each in sorted({dag, home})]
            if told := next(filter(None, blocks), ""):
                found[dag] = told
        return found

    def _read_ages(self, observer: Observer, difference: Difference) -> dict[str, datetime]:
        """Return when heads were committed, only where not every create fits and the newest goes first."""
        creates = [work for work in difference.works if work.verb is Verb.CREATE]
        if not 0 < self._max_live - difference.live < len(creates):
            return {}
        return observer.read_commit_times(work.head for work in creates)

    def _check_creates(self, plan: Plan) -> Plan:
        """Ask for a new preview's pull requests by name: an old merge may lie beyond what the passes have read."""
        kept: list[Action] = []
        holds = list(plan.holds)
        for action in plan.actions:
            reason = self._find_end(action.work) if action.work.verb is Verb.CREATE else ""
            if reason:
                holds.append(
                    Hold(action.work.branch, Verb.CREATE.value, f"{reason}, at this head", kind=HoldKind.ENDED)
                )
            else:
                kept.append(action)
        return replace(plan, actions=tuple(kept), holds=tuple(holds))

    def _find_end(self, work: Work) -> str:
        branch = self.github.find_branch_beside(work.branch, self.scope.project.trunk)
        if branch is None:
            return "the branch is gone"
        merge = find_merge(self.scope.project, branch, self.github.list_pull_requests_from(work.branch))
        return describe_merge(merge) if merge else ""

    def _claim(self, context: Context, plan: Plan) -> Plan:
        """Claim what the actions work on; a request claims nothing, and so is never in the way."""
        kept: list[Action] = []
        holds = list(plan.holds)
        for action in plan.actions:
            work = action.work
            is_claimed = work.verb is not Verb.REQUEST
            if is_claimed and (holder := self._claims(context, work).plan(work.slug, action.run_id)):
                holds.append(Hold(work.environment, work.verb.value, f"in flight: {holder}", kind=HoldKind.FLIGHT))
            else:
                kept.append(action)
        return replace(plan, actions=tuple(kept), holds=tuple(holds))

    def _remember(self, context: Context, memory: Memory, plan: Plan, given: Circumstances) -> None:
        recent = [time for time in given.delete_times if given.now - time < BRAKE_WINDOW]
        deletes = [given.now for action in plan.actions if action.work.verb is Verb.DELETE]
        if deletes or len(recent) != len(given.delete_times):
            memory.write_delete_times([*recent, *deletes])
        store = context["asset_state_store"][self.scope.repository]
        if plan.wake_at is not None:
            store.set(WAKE_AT_KEY, plan.wake_at.isoformat())
        events: Any = context.get("triggering_asset_events") or {}
        for event in events.get(self.scope.repository, ()):
            cursor = (event.extra or {}).get("payload", event.extra or {}).get(CURSOR_KEY)
            if cursor:
                store.set(CURSOR_KEY, cursor)


def _find_living(runs: Runs, work: Work, attempt: int) -> str | None:
    """Return the work's latest run if it is at work, whatever the claims say: they may have been lost."""
    run_id = name_run(work.name, attempt)
    return run_id if attempt and runs.is_alive(run_id) else None


def _is_held_anyway(work: Work, known: Remembered, now: datetime) -> bool:
    """Whether Airflow need not be asked: an old repository has hundreds that were removed, or are told of their end."""
    if work.due_at is not None and work.due_at > now:
        return True
    return work.verb is Verb.CREATE and known.removal is not None and known.removal.head == work.head


def _add_lost_ending(memory: Memory, known: Remembered, work: Work, finished: int) -> Remembered:
    """Return what is remembered; a run that ended without its report counts as failed when it was dispatched."""
    claim = memory.read_claim(work.slug, PLANNED) if finished else None
    if claim is None or claim.run_id != name_run(work.name, finished):
        return known
    ending = Ending(work.name, claim.at, is_failure=True, cause="its run ended without a report")
    return replace(known, endings={**known.endings, work.verb.value: ending})


def _count_flights(works: Iterable[Work], in_flight: Mapping[str, str], verb: Verb) -> int:
    return sum(1 for work in works if work.verb is verb and work.slug in in_flight)


def render_plan(plan: Plan, now: datetime) -> str:
    """Return the plan as a Markdown table: what starts, what is held, and why."""
    lines = [
        f"{len(plan.actions)} actions, {len(plan.holds)} holds, {plan.live} previews live, {now:%Y-%m-%d %H:%M:%S} UTC"
    ]
    if plan.actions or plan.holds:
        lines += ["", "| | environment | what | why |", "|---|---|---|---|"]
    for action in plan.actions:
        work = action.work
        what = f"{work.verb.value} at `{work.head[:12]}`"
        lines.append(f"| start | `{escape_cell(work.environment)}` | {what} | {escape_cell(work.reason)} |")
    lines += [
        f"| hold | `{escape_cell(hold.environment)}` | {hold.what} | {escape_cell(hold.reason)} |"
        for hold in plan.holds
    ]
    return "\n".join(lines)
