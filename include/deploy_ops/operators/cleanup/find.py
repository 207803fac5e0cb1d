"""The find step of cleanup: reviews every preview, remembers what was decided, and says what must be asked.

Deletes and hibernates nothing: control acts on what is remembered. What a person must agree to is remembered as asked,
so that nothing is done about it, and holds up nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias
from pydantic import TypeAdapter

from include.deploy_ops.core.cleanup.expiry import IdleFinding, Question
from include.deploy_ops.core.cleanup.text import (
    FINDINGS_SHOWN,
    AskedWork,
    count_verdicts,
    list_asked_works,
    render_findings,
    sort_findings,
)
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.view.pages import render_rules
from include.deploy_ops.observation.observe import Observer
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.operators.cleanup.form import read_cleanup_form
from include.deploy_ops.operators.cleanup.review import Review, ReviewResult, merge_verdicts
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.policy_texts import read_places
from include.deploy_ops.run.questions import Questions
from include.deploy_ops.run.store import DryStore, Store

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.text.schema import Location
    from include.deploy_ops.run.scope import Scope

FIND_TASK, APPROVE_TASK, REMEMBER_TASK = "find", "approve", "remember"
QUESTIONS_KEY = "cleanup.questions"


@dataclass(frozen=True, slots=True)
class Found:
    """What the steps after it are told: what is asked, and the first findings, what is about to happen before all.

    `count` is how many findings there are in all, `allowed` how many deletes nobody is asked about.
    """

    is_dry: bool
    count: int
    allowed: int
    verdicts: tuple[Verdict, ...] = ()
    works: tuple[AskedWork, ...] = ()
    findings: tuple[IdleFinding, ...] = ()


_FOUND = TypeAdapter(Found)


def load_found(value: Any) -> Found:
    """Return what the find step returned."""
    return _FOUND.validate_python(value)


def make_alias(scope: Scope) -> AssetAlias:
    """Return the alias by which the find step wakes control, in those runs only that changed something."""
    return AssetAlias(f"deploy_ops.{scope.project.name}.cleanup")


class FindExpiredOperator(DeployOpsOperator):
    """Decides what expires, writes it to memory, and shows every preview with its verdict as a table."""

    table = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Review, remember, and return what the other steps need."""
        run, now = context["dag_run"], datetime.now(UTC)
        form = read_cleanup_form(context["params"], self.scope.project, run.run_type)
        is_dry = form.dry_run or self.scope.is_dry
        store: Store = context["asset_state_store"][self.scope.fleet]
        store = DryStore(store) if is_dry else store
        memory, runs = Memory(store), self.runs(context)
        questions = Questions(store, QUESTIONS_KEY, runs)
        review = Review(
            scope=self.know_targets(context),
            observer=Observer(self.scope, self.github, self.astro, memory, self.seals),
            form=form,
            questions=questions,
            runs=runs,
            preview_runs=Runs(context["ti"], self.scope.preview_dag),
            run_id=run.run_id,
            now=now,
            is_dry=is_dry,
        ).decide()
        self._tell(review, is_dry=is_dry, reason=form.reason)
        question = review.question
        if question.is_asked:
            questions.note(run.run_id, name_question(question), now)
        if _remember(memory, review) and not is_dry:
            context["outlet_events"][make_alias(self.scope)].add(self.scope.fleet)
        found = _make_found(review, is_dry=is_dry)
        is_waiting = question.is_asked and not is_dry
        return dict(
            self.finish(
                _FOUND.dump_python(found, mode="json"), idle=() if is_waiting else (APPROVE_TASK, REMEMBER_TASK)
            )
        )

    def _tell(self, review: ReviewResult, *, is_dry: bool, reason: str) -> None:
        """Show the table, and log it line by line."""
        headline = f"{'Dry run: nothing is written. ' if is_dry else ''}{count_verdicts(review.findings)}"
        asked = len(review.question.verdicts) + len(review.question.works)
        if asked:
            headline += (
                f"; {asked} deletes at once are more than the {review.allowed} that need no approval: "
                f"a person {'would be' if is_dry else 'is'} asked"
            )
        self.table = f"{headline}\n\n{render_findings(review.findings)}{render_rules(self._list_rules())}"
        self.log.info("%s%s", headline, f"; asked for: {reason}" if reason else "")
        for each in sort_findings(review.findings):
            self.log.info("%s %s (%s): %s", each.verdict, each.branch, each.deployment_name, each.reason)

    def _list_rules(self) -> list[str]:
        """Return the keys of the policy by which previews expire, with their places; a form's are in its run."""
        places = read_places(self.scope.project.name)
        keys = ("hibernate_after", "delete_after", "delete_notice", "keep_label", "activity")
        rules: list[Location] = [*(("previews", key) for key in keys), ("limits", "max_deletes")]
        return [places.tell(rule) for rule in (*rules, ("limits", "max_delete_fraction"))]


def _make_found(review: ReviewResult, *, is_dry: bool) -> Found:
    return Found(
        is_dry=is_dry,
        count=len(review.findings),
        allowed=review.allowed,
        verdicts=review.question.verdicts,
        works=list_asked_works(review.question.works),
        findings=sort_findings(review.findings)[:FINDINGS_SHOWN],
    )


def name_question(question: Question | Found) -> tuple[str, ...]:
    """Return what the question is about, by name: so it is known that it was asked."""
    verdicts = [f"{verdict.deployment_id} at {verdict.head}" for verdict in question.verdicts]
    return (*verdicts, *(work.subject for work in question.works))


def _remember(memory: Memory, review: ReviewResult) -> bool:
    """Write what was decided, besides what other runs wrote meanwhile; return whether anything changed."""
    current = memory.verdicts.read()
    verdicts = merge_verdicts(review.before, review.verdicts, current)
    if verdicts != current:
        memory.verdicts.write(verdicts)
    released = memory.released.read()
    due = {each: person for each, person in released.items() if each in review.deletes}
    if due != released:  # done, or not wanted any more
        memory.released.write(due)
    refused = memory.refused.read()
    if refused.keys() & review.reopened:
        memory.refused.write({subject: by for subject, by in refused.items() if subject not in review.reopened})
    return verdicts != current
