"""First step of a template run: read the Deployment that the template is made from, and hand on its normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.naming import parse_mark
from include.deploy_ops.core.template.normal_form import CopyRules, make_normal_form
from include.deploy_ops.operators.base import tell_failures
from include.deploy_ops.operators.deploy.deployment import AstroCliOperator
from include.deploy_ops.process.redaction import redact_shapes, redact_urls

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.model import Deployment

INSPECT_TASK = "inspect"


class InspectOperator(AstroCliOperator):
    """Returns the normal form of the policy's `previews.template_from`, as a Deployment file.

    What it reads beside that, values of variables above all, leaves this task by no way: no log, no XCom, no error.
    """

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Inspect it by the Astro CLI, whose plain answer has what its template has not."""
        del context
        deployment = self._find_source()
        self.link_deployment(deployment)
        previews = self.scope.previews
        document = make_normal_form(
            self.cli.inspect(deployment.id), CopyRules(previews.copy_variables, previews.inherit, _looks_secret)
        )
        variables = document["deployment"].get("environment_variables", ())
        copied = [each["key"] for each in variables if each["value"]]
        self.log.info(
            "%s (%s): %d variables, of which %s came with their values",
            deployment.name,
            deployment.id,
            len(variables),
            ", ".join(copied) or "none",
        )
        return document

    def _find_source(self) -> Deployment:
        """Return the Deployment that the policy names; a preview is none, since it is made of the template."""
        name = self.scope.project.template_source
        if not name:
            raise PermanentError(f"project {self.scope.project.name} has no previews.template_from any more")
        self._refuse_foreign(name)
        found = [each for each in self.astro.list_deployments() if each.name == name]
        if len(found) != 1:
            raise RetryableError(
                f"previews.template_from: found {len(found) or 'no'} Deployments called '{name}' in the workspace of "
                f"connection '{self.scope.project.astro_conn_id}'; write the name of a target, or of one that is there"
            )
        if parse_mark(found[0].description) is not None:
            raise PermanentError(
                f"previews.template_from: '{name}' is a preview, which is made of the template itself; name another"
            )
        return found[0]

    def _refuse_foreign(self, name: str) -> None:
        """Raise RetryableError while nobody knows whether the Deployment is a target of a file that cannot be read.

        Its settings would come into this project's repository, which the other file's owner never allowed.
        """
        is_own = name in {each.deployment for each in self.scope.project.targets.values()}
        if self.scope.unread and not is_own:
            told = " and ".join(self.scope.unread)
            raise RetryableError(
                f"previews.template_from: '{name}' is no target of this project, and may be another file's: {told} "
                "cannot be read; mend that first"
            )


def _looks_secret(text: str) -> bool:
    return redact_shapes(redact_urls(text)) != text
