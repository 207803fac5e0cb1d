"""The render step: template on trunk + branch → the Deployment file for the CLI, checked against Astro's options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.environment.mapping import write_mapped
from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.errors import (
    DeployOpsError,
    PermanentError,
    RetryableError,
    SupersededError,
    TemplateError,
)
from include.deploy_ops.core.model import Deployment, Mark
from include.deploy_ops.core.naming import format_mark, hash_text, parse_mark
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.template.mapping import (
    describe_uninherited,
    fill_mapping,
    find_unfilled,
    find_uninherited,
)
from include.deploy_ops.core.template.options import check_against_options
from include.deploy_ops.core.template.rules import find_sleep_problems, name_deployment_type
from include.deploy_ops.core.template.template import (
    dump_deployment,
    find_added,
    find_fixed_differences,
    fingerprint_template,
    list_rendered,
    render_deployment,
)
from include.deploy_ops.observation.drift import DriftReader
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.observation.template import parse_template_text
from include.deploy_ops.operators.base import (
    ANSWERS_KEY,
    MAPPED_KEY,
    RENDERED_KEY,
    REPAIRS_KEY,
    DeployOpsOperator,
    RenderedField,
    tell_failures,
)
from include.deploy_ops.run.job import dump_answers

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.observation.template import TemplateReader
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope


BASIS_KEY = "basis"
_TEMPLATE = "template "


def fingerprint_basis(deployment: Deployment | None) -> str:
    """Return what of a Deployment went into the file: an update replaces all of it, and finds its target by name."""
    if deployment is None:
        return ""
    variables = [(each.key, each.is_secret, each.value) for each in deployment.variables]
    return hash_text(repr((deployment.name, variables, deployment.contact_emails)), 16)


def render_preview(
    scope: Scope,
    astro: AstroApiHook,
    template: Template,
    *,
    branch: str,
    name: str,
    observed: Deployment | None,
    rendered: str = "",
    given: tuple[str, ...] = (),
) -> str:
    """Return the Deployment file of a branch's preview, with the project's mark.

    :param name: of one that is to be created; an observed one keeps its own.
    :param rendered: the fingerprint of the template that the mark tells, if not this one's.
    :param given: the variables that the observed one got from the template before.
    """
    mark = Mark(
        control_plane=scope.control_plane,
        project=scope.project.name,
        repository=scope.project.repository,
        branch=branch,
        template=rendered or fingerprint_template(template),
    )
    document = render_deployment(
        fill_mapping(template, make_fields(scope.project.name, branch)),
        name=name,
        description=format_mark(mark, template.description),
        workspace_name=astro.find_workspace_name(),
        observed=observed,
        rendered=given,
    )
    return dump_deployment(document)


def name_template(template: Template) -> str:
    """Return which template it was, as it is remembered among what a Deployment got from it."""
    return f"{_TEMPLATE}{fingerprint_template(template)}"


def recall_rendered(memory: Memory, job: Job, observed: Deployment) -> tuple[str, ...] | None:
    """Return what the Deployment got from the template before; None where nobody knows.

    What is about another template than its mark tells counts as forgotten: a memory that was restored from a backup
    may be older, and what it tells a person's by now. A release before 0.3 did not note the template.
    """
    rendered = memory.environment(job.slug).read().rendered
    if rendered is None:
        return None
    mark = parse_mark(observed.description)
    names = [part.removeprefix(_TEMPLATE) for part in rendered if part.startswith(_TEMPLATE)]
    return rendered if not names or (mark is not None and mark.template in names) else None


class RenderTemplateOperator(DeployOpsOperator):
    """Renders the Deployment file and returns its text, which holds no secret: a template may not."""

    verbs = (Verb.CREATE, Verb.UPDATE, Verb.ADOPT)
    document = RenderedField("yaml")

    @tell_failures
    def execute(self, context: Context) -> str:
        """Return the Deployment file's text."""
        job = self.begin(context)
        project = self.scope.project
        require_same_repository(self.memory(context), self.github)  # its template would be another's
        self.write(context, ANSWERS_KEY, dump_answers(self.github.hand_on_name()))
        reader = self.template_reader(context)
        trunk_head = reader.find_trunk()
        template = self._read_template(job, reader, trunk_head)
        cloud_provider = str(template.configuration.get("cloud_provider", ""))
        options = self.astro.get_deployment_options(name_deployment_type(template.configuration), cloud_provider)
        check_against_options(template, options, is_update=job.verb is not Verb.CREATE)
        if job.verb is not Verb.UPDATE and (keys := find_uninherited(template, self.scope.previews.inherit)):
            raise self._refuse(job, describe_uninherited(template.source, keys))
        observed = self._observe(job)
        if job.verb is Verb.ADOPT and observed and (fixed := find_fixed_differences(template, observed)):
            raise PermanentError(f"'{observed.name}' cannot become a preview, Astro cannot change {'; '.join(fixed)}")
        if job.verb is not Verb.CREATE:
            self.write(context, BASIS_KEY, fingerprint_basis(observed))
        self._warn_of_sleep(template)
        given = self._find_rendered(context, job, template, observed)
        self.write(context, RENDERED_KEY, [*list_rendered(template), name_template(template)])
        if template.mapped:
            self.write(context, MAPPED_KEY, write_mapped(template.mapped))
        self._note_repairs(context, job, template, observed)
        self.document = self._write_notes(template) + render_preview(
            self.scope,
            self.astro,
            template,
            branch=job.branch,
            name=job.deployment_name,
            observed=observed,
            given=given,
        )
        self.log.info(
            "rendered %s for %s from %s at %s", job.deployment_name, job.branch, project.trunk, trunk_head[:12]
        )
        return self.document

    def _note_repairs(self, context: Context, job: Job, template: Template, observed: Deployment | None) -> None:
        """Hand on what the update repairs; what a person has laid anew by the form may be repaired once more."""
        if job.verb is not Verb.UPDATE or observed is None or job.is_forced:
            return
        reader = DriftReader(self.scope, self.memory(context), self.seals, template)
        if repairs := reader.seal(job.branch, observed):
            self.write(context, REPAIRS_KEY, repairs)

    def _read_template(self, job: Job, reader: TemplateReader, trunk_head: str) -> Template:
        """Return trunk's template."""
        try:
            return parse_template_text(self.scope, reader.read_text(trunk_head))
        except TemplateError as error:
            raise self._refuse(job, str(error)) from (None if job.is_forced else error)

    def _refuse(self, job: Job, why: str) -> DeployOpsError:
        """Return the error for a template that cannot be used; in a planned run it broke since, and comes again.

        A permanent one would be remembered against the template that was planned, and outlast the mend.
        """
        return (
            TemplateError(why) if job.is_forced else RetryableError(f"the template broke since this was planned: {why}")
        )

    def _write_notes(self, template: Template) -> str:
        """Return what the file alone does not tell, as comments at its top: the CLI passes them over."""
        secrets = [each.key for each in template.mapped if each.is_secret]
        notes = {
            "without the values that previews.environment lays in when the Astro CLI is called": secrets,
            "from previews.environment in place of the template's own": template.replaced,
            "secrets that nothing fills, empty until a person sets them in Astro": find_unfilled(template),
        }
        return "".join(f"# {note}: {', '.join(keys)}\n" for note, keys in notes.items() if keys)

    def _warn_of_sleep(self, template: Template) -> None:
        """Say what keeps the preview from hibernating where the policy wants it to."""
        configuration = template.configuration
        if self.scope.previews.hibernate_after is None or not configuration.get("is_development_mode"):
            return
        for problem in find_sleep_problems(configuration):
            self.log.warning("previews.hibernate_after will fail: %s: %s", template.source, problem)

    def _find_rendered(
        self, context: Context, job: Job, template: Template, observed: Deployment | None
    ) -> tuple[str, ...]:
        """Return what the Deployment got from the template before; where nobody knows, say what stays therefore.

        An adopted one got nothing from it, whatever an earlier preview of the branch did.
        """
        if observed is None or job.verb is Verb.ADOPT:
            return ()
        rendered = recall_rendered(self.memory(context), job, observed)
        if rendered is not None:
            return rendered
        if added := find_added(template, observed):
            self.log.warning(
                "%s stay: nobody remembers whether the template had them or a person added them; remove by hand what "
                "is not wanted",
                ", ".join(added),
            )
        return ()

    def _observe(self, job: Job) -> Deployment | None:
        if job.verb is Verb.CREATE:
            return None
        deployment = self.astro.get_deployment(job.deployment_id)
        if deployment is None:
            raise SupersededError(f"Deployment {job.deployment_id} is gone")
        return deployment
