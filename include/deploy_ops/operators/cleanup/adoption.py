"""The step of orphans that adopts: after a rename a project's previews get the mark with the repository's new name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.orphans import Fate, Orphan, find_namesake
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.template.template import fingerprint_template
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.hooks.secrets import read_secrets
from include.deploy_ops.observation.template import read_template
from include.deploy_ops.operators.cleanup.orphans import AgreedOrphansOperator
from include.deploy_ops.operators.deploy.render import render_preview
from include.deploy_ops.run.scope import make_scope

if TYPE_CHECKING:
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.file import LoadedPolicy
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.astro.cli import AstroCli


class AdoptOrphansOperator(AgreedOrphansOperator):
    """Marks anew what was agreed on; control looks after it from its next pass on."""

    fate = Fate.ADOPT

    def act(
        self, loaded: LoadedPolicy, astro: AstroApiHook, cli: AstroCli, deployment: Deployment, orphan: Orphan
    ) -> str:
        """Update it to the template, with the project's mark; a branch that has a preview gets no second one."""
        from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook  # not where DAG files are parsed

        project = find_namesake(loaded, orphan.mark)
        if project is None:
            return f"left alone: the policy has no project '{orphan.mark.project}' of another repository any more"
        there, here = (read_astro_connection(each) for each in (orphan.conn_id, project.astro_conn_id))
        if there.workspace != here.workspace:
            return "left alone: it is in another workspace than the project's, where nobody would look after it"
        scope, branch = make_scope(loaded, project), orphan.mark.branch
        if own := find_previews(astro.list_deployments(), scope.control_plane, project).get(branch):
            return f"left alone: '{branch}' has a preview already, '{own[0][0].name}' ({own[0][0].id})"
        github = DeployOpsGithubHook(project.github_conn_id, project.repository)
        try:
            template = read_template(scope, github, github.get_branch(project.trunk).head)
        finally:
            github.close()
        # What differs from the template since is control's to tell, and to update, also where the template is as before
        # by then: what it got of two is neither's.
        before, now = orphan.mark.template, fingerprint_template(template)
        text = render_preview(
            scope,
            astro,
            template,
            branch=branch,
            name=deployment.name,
            observed=deployment,
            rendered=before if before == now else hash_text(f"{before} {now}", len(now)),
        )
        cli.update(deployment.id, text, read_secrets(scope.previews.environment.mapped))
        return f"adopted for {branch} of {project.repository}"
