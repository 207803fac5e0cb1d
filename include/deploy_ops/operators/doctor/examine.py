"""The doctor's look at one project: every area is looked at, shown as a table, and kept for whoever asks later."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from include.deploy_ops.core.doctor.check import Status
from include.deploy_ops.core.doctor.examination import (
    Examination,
    bound_examination,
    count_checks,
    has_failed,
    render_checks,
    summarize_failures,
)
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.observation.doctor.examination import examine
from include.deploy_ops.observation.doctor.means import Inside
from include.deploy_ops.observation.doctor.trunk import TrunkReader
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.run.sights import HEALTH_KEY, read_sights
from include.deploy_ops.run.store import VALUE_BYTES_MAX

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.run.scope import Scope

_FRAME_BYTES = 512
"""What stands beside the checks in what is kept: Airflow lets a run's id have 250 characters."""


class ExamineOperator(DeployOpsOperator):
    """Shows how a project stands, and fails where a check does, with what to do in one line.

    So Airflow's own alerts tell a platform team, and the red task is the one of the project; it is not tried again,
    since a person mends what fails. What cannot be looked at is not known, and fails nothing: an outage of GitHub is
    told by control. It writes what it found to the project's own memory, in `mode: plan` as well, and nothing else.
    """

    table = RenderedField()

    def __init__(self, *, scope: Scope, **kwargs: Any) -> None:
        # By its name alone: of an asset that a DAG file holds without its watcher, Airflow would end the trigger.
        repository = Asset.ref(name=scope.repository.name)
        super().__init__(scope=scope, **{"inlets": [scope.fleet, repository], **kwargs})

    @cached_property
    def trunk(self) -> TrunkReader:
        """Trunk, of which each fact is read once."""
        return TrunkReader(self.scope, self.github)

    @tell_failures
    def execute(self, context: Context) -> None:
        """Look, show and keep."""
        now = datetime.now(UTC)
        checks = examine(self, self._see(context), now)
        self.table = render_checks(checks)
        examination = Examination(now, checks, run_id=context["dag_run"].run_id)
        self.memory(context).examination.write(bound_examination(examination, VALUE_BYTES_MAX - _FRAME_BYTES))
        for check in checks:
            if check.status is not Status.OK:
                self.log.info("%s %s is %s: %s; %s", check.area, check.name, check.status, check.found, check.advice)
        self.log.info("%s", count_checks(checks))
        if has_failed(checks):
            raise PermanentError(summarize_failures(checks))

    def examine(self) -> tuple[Check, ...]:
        """Return the checks as they are outside of Airflow, where connections come from the environment."""
        return examine(self, None, datetime.now(UTC))

    def _see(self, context: Context) -> Inside:
        sights = read_sights(context["asset_state_store"][self.scope.repository].get(HEALTH_KEY))
        return Inside(self.runs(context), self.memory(context), sights)
