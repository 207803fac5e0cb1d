"""The step of a template run that shows: what changed in production, field by field, and the files to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.template.text import render_proposal
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.operators.template.inspection import INSPECT_TASK

if TYPE_CHECKING:
    from airflow.sdk import Context

PROPOSE_TASK = "propose"


class CompareOperator(DeployOpsOperator):
    """Shows the table, the template as it would be and its snapshot, whether or not they may be proposed.

    Writes nothing. What is proposed is compared once more, on top of trunk's head as it is then.
    """

    table = RenderedField()
    template_file = RenderedField("yaml")
    snapshot_file = RenderedField("yaml")

    @tell_failures
    def execute(self, context: Context) -> bool:
        """Compare, show, and return whether there is anything to propose."""
        from include.deploy_ops.observation.reference import read_proposal

        project = self.scope.project
        trunk = self.github.get_branch(project.trunk)
        proposal = read_proposal(self.scope, self.github, self.need(context, INSPECT_TASK), trunk.head)
        self.table = render_proposal(proposal, project.trunk)
        if proposal.is_needed:
            self.template_file, self.snapshot_file = proposal.template, proposal.snapshot
        self.log.info("%s", self.table)
        return proposal.is_needed
