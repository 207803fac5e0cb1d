"""The step of a question: what would another policy do now? Reads what a pass reads, and writes nothing anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from airflow.sdk import Param
from pydantic import StringConstraints

from include.deploy_ops.core.passes.answer import (
    Steps,
    count_changes,
    find_changes,
    list_expiry,
    list_steps,
    render_answer,
)
from include.deploy_ops.core.text.document import LENGTH_MAX
from include.deploy_ops.core.text.schema import StrictModel
from include.deploy_ops.core.view.pages import render_plan
from include.deploy_ops.observation.commit_checks import CheckReader
from include.deploy_ops.observation.observe import QuietObserver
from include.deploy_ops.observation.what_if import Weighed, WhatIf
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.run.forms import read_form
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.policy_texts import Alternative, load_alternative, read_places
from include.deploy_ops.run.store import DryStore
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, read_awaited

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.policy.keys import Project


class WhatIfForm(StrictModel):
    """What a person asks about: the text of the file in which the project stands, as it would be."""

    policy: Annotated[str, StringConstraints(min_length=1, max_length=LENGTH_MAX)]


def make_what_if_params() -> dict[str, Param]:
    """Return the fields of the form."""
    guide = "The whole file in which the project stands, with your change. Nothing of it comes into force"
    return {
        "policy": Param(
            "",
            description=guide,
            type="string",
            format="multiline",
            title="Policy",
            minLength=1,
            maxLength=LENGTH_MAX,
        )
    }


class WhatIfOperator(DeployOpsOperator):
    """Answers with numbers, and each environment beside what happens today; both plans as rendered fields."""

    answer = RenderedField()
    by_this_text = RenderedField()
    today = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> list[str]:
        """Return the numbers of the answer."""
        form = read_form(WhatIfForm, context["params"])
        # Before anything is asked: what the text may not say otherwise is what the asking goes by.
        other = load_alternative(self.scope, form.policy)
        now = datetime.now(UTC)
        weighing = self._begin(context, now)
        observation = weighing.look()
        today = weighing.weigh(weighing.scope, observation, observation.reading)
        scope = other.scope.recall(weighing.scope.targets)
        altered = weighing.alter(observation, scope)
        then = weighing.weigh(scope, observation, altered.reading)
        unknown = (*altered.unknown, *([f"what other projects would do: {other.problems}"] if other.problems else []))
        return self._tell(other, today, then, unknown, now)

    def _begin(self, context: Context, now: datetime) -> WhatIf:
        """Return what reads and decides, over a store that forgets what is written."""
        memory = Memory(DryStore(context["asset_state_store"][self.scope.fleet]))
        known = memory.continuity.read()
        scope = self.scope.recall((known and known.targets) or ())
        awaited = read_awaited(context["asset_state_store"][self.scope.repository].get(AWAITED_KEY))
        observer = QuietObserver(scope, self.github, self.astro, memory, self.seals)
        return WhatIf(scope, context["ti"], observer, CheckReader(self.github, awaited), now)

    def _tell(
        self, other: Alternative, today: Weighed, then: Weighed, unknown: tuple[str, ...], now: datetime
    ) -> list[str]:
        before, after = self.scope.project, other.scope.project
        changes = find_changes(before, after, _list_steps(before, today), _list_steps(after, then))
        plans = today.decision.plan, then.decision.plan
        page = render_answer(changes, *plans, unknown=unknown, tell=other.places.tell)
        self.answer = page
        told_today, told_then = read_places(before.name).tell, other.places.tell
        self.today = render_plan(plans[0], now, project=before, tell=told_today)
        self.by_this_text = render_plan(plans[1], now, project=after, tell=told_then)
        numbers = count_changes(changes)
        for line in numbers or ["nothing would be otherwise"]:
            self.log.info("%s", line)
        return numbers


def _list_steps(project: Project, weighed: Weighed) -> Steps:
    """Return what control does, and beside that what cleanup would decide."""
    decision = weighed.decision
    return {**list_expiry(weighed.expiry), **list_steps(project, decision.plan, decision.due)}
