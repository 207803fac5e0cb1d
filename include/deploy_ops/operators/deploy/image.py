"""The image step: finds, before anything is created, where an image deploy's image comes from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.change.change_type import ChangeRules
from include.deploy_ops.core.errors import (
    DeployOpsError,
    ImageRefusedError,
    PermanentError,
    RetryableError,
    SupersededError,
)
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy import values as policy_values
from include.deploy_ops.core.preview.image_sources import (
    OF_BUILD,
    OF_CI,
    OF_PREVIEW,
    Need,
)
from include.deploy_ops.core.text.document import read_document
from include.deploy_ops.core.view.pages import render_source
from include.deploy_ops.observation.checks import check_wanted, read_heads
from include.deploy_ops.observation.images import ImageReuse, list_served, open_astro_registry
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.run.decision import load_decision
from include.deploy_ops.triggers.image import ImageAvailableTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.deploy_ops.core.plan.remembered import Approval
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.run.job import Job


class FindImageOperator(DeployOpsOperator):
    """Takes the first source of the project's `image` list that can serve, awaiting the CI without a worker slot.

    What was approved is taken as it was approved. Returns `source`, the `commit` it serves, `notes` (why not the
    sources before it), the image's `origin` as deploy notes tell it, and what the source is: `image`, `digest`,
    `runtime_version` of one to copy, with the `deployment` whose it is for "reuse"; the `engine` for "build".
    The same is the rendered field `decision`. Skipped when the run deploys no image.
    """

    verbs = (Verb.CREATE, Verb.DEPLOY)
    decision = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Return the source, or park until the CI's image is there."""
        job = self.begin(context)
        kind = load_decision(self.need_decision(context)).change_type
        if kind is not ChangeType.IMAGE:
            raise AirflowSkipException(f"no image needed: {kind.value}")
        if approval := self.find_approval(context, job):
            return self._take_approved(context, job, approval)
        return self._find_former(context, job) if job.undoes else self._find(context, job, start=0, notes=[])

    def find_approval(self, context: Context, job: Job) -> Approval | None:
        """Return the yes by which the image is deployed: it names the image, and no other is looked for."""
        return self.due_check(context).find_approval(job)

    @tell_failures
    def resume(
        self, context: Context, event: Mapping[str, Any], *, source: str, notes: list[str], deadline: str = ""
    ) -> dict[str, Any]:
        """Go on when the awaited image is there, or with the next source when it is not to be had.

        Where a head moved, the run ends as superseded, or waits on until the same `deadline` if it is wanted all the
        same.
        """
        job = self.begin(context)
        sources = self.scope.project.image
        start = sources.index(source) if source in sources else 0  # the policy may have moved meanwhile
        if event["state"] == "moved":
            self.log.info("%s", event["detail"])
            check_wanted(self.scope, self.github, job)
            return self._find(context, job, start=start, notes=notes, deadline=deadline)
        if event["state"] == "found":
            # The event names the image; what is in it is read here, where an error ends a task and no trigger.
            found = self._look([event["image"]], self.registry)
            if found is None:
                raise RetryableError(f"{event['image']} was there and vanished; look at the registry's retention")
            return self._take(job, source, {**found, "origin": _name_origin(job)}, notes)
        why = event.get("detail") or f"no image within {self.scope.project.image_timeout_s} s; did the CI's build fail?"
        following = start + 1 if source in sources else 0
        return self._find(context, job, start=following, notes=[*notes, f"{source}: {why}"])

    def _find(self, context: Context, job: Job, *, start: int, notes: list[str], deadline: str = "") -> dict[str, Any]:
        """Return the source; `deadline` is until when the first of them is awaited, where that was begun before."""
        for number, source in enumerate(self.scope.project.image[start:]):
            match source:
                case policy_values.REUSE:
                    found, why = self._reuse(context, job)
                case policy_values.BUILD:
                    found, why = self._prepare_build(job)
                case pattern:
                    found, why = self._look_for_ci(context, job, pattern, notes, "" if number else deadline)
            if why:
                notes.append(f"{source}: {why}")
            if found is not None:
                return self._take(job, source, found, notes)
        raise self._explain_failure(job, notes)

    def _explain_failure(self, job: Job, notes: list[str]) -> DeployOpsError:
        """Return why no source serves, as an error: for good where only the policy can mend it."""
        sources = self.scope.project.image
        said = f"no image for {job.deployed_commit[:12]}: {'; '.join(notes)}"
        # The CI may still push it, and another target's image may serve a release a moment later.
        is_awaited = any(policy_values.COMMIT_FIELD in each for each in sources)
        is_awaited = is_awaited or (bool(job.target) and policy_values.REUSE in sources)
        if policy_values.BUILD in sources and not is_awaited and self.find_build_ban(job):
            return PermanentError(said)
        return RetryableError(
            f"{said}. Let the repository's CI push one, "
            f"add a source to the project's `image` list, or run where a container engine is"
        )

    def _take(self, job: Job, source: str, found: dict[str, Any], notes: list[str]) -> dict[str, Any]:
        if source != policy_values.BUILD and not found["runtime_version"]:
            raise RetryableError(
                f"{found['image']} has no label io.astronomer.docker.runtime.version; build it FROM Astro Runtime"
            )
        taken = {"source": source, "commit": job.deployed_commit, "notes": notes, **found}
        self.decision = render_source(taken)
        self.log.info("image from %s: %s", source, self.decision)
        return taken

    def _find_former(self, context: Context, job: Job) -> dict[str, Any]:
        """Return the very image that ran, and was verified, with the commit to which a rollback goes.

        Behind an approval no other takes its place: what a name in the CI's registry means now was approved by nobody.
        """
        found, why = self._make_reuse(context, job).find_former()
        if found is not None:
            return self._take(job, policy_values.REUSE, found, [])
        if self.scope.target(job.target).approval == "required":
            raise PermanentError(f"no image for {job.deployed_commit[:12]}: {why}, and nobody approved another one")
        return self._find(context, job, start=0, notes=[why])

    def _reuse(self, context: Context, job: Job) -> tuple[dict[str, Any] | None, str]:
        if job.is_forced and job.deploy_type == ChangeType.IMAGE.value:
            return None, "a person forced an image deploy, so as not to run the image that is deployed"
        return self._make_reuse(context, job).find()

    def _make_reuse(self, context: Context, job: Job) -> ImageReuse:
        need, registry = self._find_need(context, job), open_astro_registry(self.scope)
        return ImageReuse(self.scope, self.github, self.astro, registry, job.deployed_commit, need)

    def _take_approved(self, context: Context, job: Job, approval: Approval) -> dict[str, Any]:
        """Return the image that was approved, by its digest; one that is built then had none to be approved."""
        source = approval.image_source
        if source == policy_values.BUILD:
            found, why = self._prepare_build(job, is_approved=True)
        elif approval.image:
            registry = open_astro_registry(self.scope) if source == policy_values.REUSE else self.registry
            found, why = self._look([approval.image], registry), f"{approval.image} is not in the registry any more"
        else:
            found, why = None, f"{approval.person} approved a deploy without an image, and one is needed now"
        if found is None:
            self.void_approval(context, job, approval, why)
        return self._take(job, source, {**found, "origin": approval.image_origin}, [])

    def _prepare_build(self, job: Job, *, is_approved: bool = False) -> tuple[dict[str, Any] | None, str]:
        """Return the engine; what was approved waits for one, as no other source may take its place."""
        from include.deploy_ops.engine.installed_engine import EngineMissingError, find_engine

        if why := self.find_build_ban(job):
            return None, why
        try:
            return {"engine": str(find_engine()), "origin": OF_BUILD if job.target else OF_PREVIEW}, ""
        except EngineMissingError as error:
            if is_approved:
                raise RetryableError(
                    f"a build was approved, and this worker has no container engine for it: {error}. Run the project's "
                    "deploys where one answers; the approval holds"
                ) from None
            return None, str(error)

    def _look_for_ci(
        self, context: Context, job: Job, pattern: str, notes: list[str], deadline: str
    ) -> tuple[dict[str, Any] | None, str]:
        need = self._find_need(context, job)
        references: list[str] = []
        found = None
        try:
            # One after the other: the commits before this one are read only where its own image is not there.
            rules = ChangeRules.of(self.scope.project)
            for commit in list_served(self.github, rules, job.deployed_commit, has_dag_deploys=need.has_dag_deploys):
                references.append(pattern.replace("{sha}", commit))
                if found := self._look(references[-1:], self.registry):
                    break
        except ImageRefusedError as error:
            return None, str(error).rstrip(".")
        if found is None:
            self._await(job, references, pattern, notes, deadline)
        return {**found, "origin": _name_origin(job)}, ""

    def _look(self, references: list[str], registry: RegistryHook) -> dict[str, Any] | None:
        for reference in references:
            if image := registry.find_image(reference):
                return {"image": reference, "runtime_version": image.runtime_version, "digest": image.digest}
        return None

    def _await(self, job: Job, references: list[str], source: str, notes: list[str], deadline: str) -> NoReturn:
        until = datetime.now(UTC) + timedelta(seconds=self.scope.project.image_timeout_s)
        deadline = deadline or until.isoformat()
        self.refuse_dry(job, f"await {references[0]}")
        heads = read_heads(self.scope, self.github, job)
        check_wanted(self.scope, self.github, job)  # after they were read: what moves from now on, the trigger sees
        self.log.info("awaiting %s until %s", references[0], deadline)
        self.defer(
            trigger=ImageAvailableTrigger(
                registry_conn_id=self.scope.project.registry_conn_id,
                login_hosts={name: list(hosts) for name, hosts in self.scope.project.login_hosts.items()},
                candidates=references,
                deadline=deadline,
                heads=heads,
                github_conn_id=self.scope.project.github_conn_id if heads else "",
                repository=self.scope.project.repository if heads else "",
            ),
            method_name="resume",
            kwargs={"source": source, "notes": notes, "deadline": deadline},
        )
        raise AssertionError("defer raises")

    def _find_need(self, context: Context, job: Job) -> Need:
        """Return what the image has to serve; where it carries the DAGs, only one with the same DAGs does."""
        if not job.deployment_id:  # it is made as rendered, and the CLI's default is DAGs beside the image
            configuration = read_document(self.need(context, "render_template"))["deployment"]["configuration"]
            runtime, has_dag_deploys = configuration.get("runtime_version"), configuration.get("dag_deploy_enabled")
            return Need("", str(runtime or ""), has_dag_deploys is not False)  # a target is there already
        deployment = self.astro.get_deployment(job.deployment_id)
        if deployment is None:
            raise SupersededError(f"Deployment {job.deployment_id} of {job.environment} is gone")
        return Need(
            deployment.id, deployment.runtime_version, deployment.is_dag_deploy_enabled, is_target=bool(job.target)
        )


def _name_origin(job: Job) -> str:
    return OF_CI if job.target else OF_PREVIEW


def name_by_digest(found: Mapping[str, Any]) -> str:
    """Return the name of an image that was found, by its digest; empty where it is not built yet."""
    digest = found.get("digest", "")
    if not digest:
        return ""
    repository = str(found["image"]).partition("@")[0]
    head, slash, name = repository.rpartition("/")
    return f"{head}{slash}{name.partition(':')[0]}@{digest}"
