"""What every operator of ours does alike: skip what the run does not need, and tell how it failed.

An expected failure is pushed as the XCom `failure` (class and cause), where the report step finds it.
"""

from __future__ import annotations

import errno
import functools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from include.deploy_ops.core.errors import (
    DeployOpsError,
    PermanentError,
    RetryableError,
    RunSpentError,
    SupersededError,
)
from include.deploy_ops.core.plan.work import REQUEST_DAG, Verb
from include.deploy_ops.core.preview.image_sources import find_build_ban
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.hooks.astro.api import AstroApiHook
from include.deploy_ops.operators.sealed import RESULT_KEY, SealingOperator
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.decision import CHANGE_TASK, CLAIM_TASK, read_decision
from include.deploy_ops.run.endings import SEEN_KEY, SUPERSEDED_KEY, mask_text
from include.deploy_ops.run.job import INFER, Job, load_job, open_conf
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.seals import Seals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from include.deploy_ops.core.model import ChangeDecision, Deployment
    from include.deploy_ops.core.plan.remembered import Approval
    from include.deploy_ops.hooks.github.commands import GithubCommandsHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.observation.checks import DueCheck
    from include.deploy_ops.observation.template import TemplateReader
    from include.deploy_ops.run.scope import Scope

IMAGE_TASK = "image"
VERIFY_TASK = "verify"
FAILURE_KEY = "failure"
RENDER_TASK, RENDERED_KEY, MAPPED_KEY, ANSWERS_KEY = "render_template", "rendered", "mapped", "answers"
REPAIRS_KEY = "repairs"
"""Seals of the differences that an update repairs."""
"""The task that renders a Deployment file, and under which keys it hands on what of it the template gave, where the
values come from that it left out, and as which repository GitHub knows the name.
"""
CAUSE_LENGTH_MAX = 600
"""Characters of a failure's cause that are remembered for plan and page; the log has all of it."""

STEP_TIME_MAX = timedelta(minutes=15)
"""How long one try may hold a worker that asks GitHub, Astro and registries alone; not counted while it is parked."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""How the kernel says that nothing can be written on this worker."""

STEP: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(seconds=15), "execution_timeout": STEP_TIME_MAX}
"""How long a try takes at most, and how it is tried again: never not at all, since Airflow may fail a task that resumes
soon after it parked."""

Method = TypeVar("Method", bound="Callable[..., Any]")


class OutsideLink(BaseOperatorLink):
    """A button on the task that leads outside; without an address where an operator declares that it has the button."""

    name = ""

    def __init__(self, url: str = "") -> None:
        self.url = url

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address."""
        return self.url


class PullRequestLink(OutsideLink):
    """The branch's pull request on GitHub."""

    name = "Pull request"


class CommitLink(OutsideLink):
    """The commit on GitHub."""

    name = "Commit"


class AstroLink(OutsideLink):
    """The Deployment's page in Astro."""

    name = "Deployment in Astro"


class AirflowLink(OutsideLink):
    """The Deployment's own Airflow UI."""

    name = "Its Airflow UI"


SOURCE_LINKS = (PullRequestLink(), CommitLink())
DEPLOYMENT_LINKS = (AstroLink(), AirflowLink())


class RenderedField:
    """A text that a task makes and shows under Rendered Templates, also where it failed; declared in its class by name.

    Empty until then: Airflow renders it like a template before the task begins, and shows it again afterwards. It
    stands there as it is, so it is written by `core/text/plain.py`, or it is a document.

    :param renderer: what it is, where it is no plain text: "yaml".
    """

    def __init__(self, renderer: str = "") -> None:
        self.renderer = renderer

    def __set_name__(self, owner: type[BaseOperator], name: str) -> None:
        before, renderers = (vars(owner).get(key) for key in ("template_fields", "template_fields_renderers"))
        owner.template_fields = (*(before or ()), name)
        owner.template_fields_renderers = {**(renderers or {}), **({name: self.renderer} if self.renderer else {})}
        owner.overwrite_rtif_after_execution = True

    def __get__(self, task: BaseOperator | None, owner: type[BaseOperator]) -> str:
        return ""  # until the task has one of its own: what an instance holds goes before this


def tell_failures(method: Method) -> Method:
    """Seal what the task returns, and turn our errors into Airflow's.

    Superseded → skipped, permanent → failed without retry, others → retried, as is a worker's full disk. What failed,
    why, and what to do stand in the log before Airflow's traceback, which is that of our error alone: what caused it is
    a part of the why.
    """

    @functools.wraps(method)
    def told(self: SealingOperator, context: Context, *args: Any, **kwargs: Any) -> Any:
        try:
            result = _tell_room(method, self, context, *args, **kwargs)
        except SupersededError as error:
            self.log.info("superseded: %s", error)
            context["ti"].xcom_push(SUPERSEDED_KEY, mask_text(str(error))[:CAUSE_LENGTH_MAX])
            if error.seen is not None:
                context["ti"].xcom_push(SEEN_KEY, error.seen)
            raise AirflowSkipException(f"superseded: {error}") from None
        except DeployOpsError as error:
            is_permanent = isinstance(error, PermanentError)
            cause = mask_text(str(error))[:CAUSE_LENGTH_MAX]  # here, where the secrets in use are known
            context["ti"].xcom_push(FAILURE_KEY, {"is_permanent": is_permanent, "cause": cause})
            _tell_failure(self.log, context, error)
            if is_permanent or isinstance(error, RunSpentError):
                raise AirflowFailException(mask_text(str(error))) from None
            raise error from None
        self.seal_result(context, result)
        return result

    return told  # type: ignore[return-value]  # same signature, Airflow's exceptions


def _tell_room(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call it, and say what to do where this worker has no room."""
    try:
        return method(*args, **kwargs)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise RetryableError(
            f"this worker cannot write {error.filename or 'its files'}: {error.strerror}; free its disk, or name a"
            " folder with room in its TMPDIR"
        ) from error


def _tell_failure(log: Any, context: Context, error: DeployOpsError) -> None:
    """Log what failed, why, and what to do: a line each, but that a reason of several lines keeps them."""
    ti = context["ti"]
    what = f"{ti.task_id} of {context['dag_run'].run_id} failed, try {ti.try_number} of {ti.max_tries + 1}"
    why = "; caused by ".join([str(error), *_list_causes(error)])
    log.error("What:       %s", what)
    log.error("Why:        %s", mask_text(why).replace("\n", "\n            "))
    log.error("What to do: %s", _advise(error, is_last=ti.try_number > ti.max_tries))


def _list_causes(error: BaseException) -> Iterator[str]:
    """Yield what stands behind an error, as a traceback would, each that its text does not tell already."""
    told = str(error)
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        if str(cause) not in told or not str(cause):
            yield f"{type(cause).__name__}: {mask_text(str(cause))[:CAUSE_LENGTH_MAX]}"
        error = cause


def _advise(error: DeployOpsError, *, is_last: bool) -> str:
    if isinstance(error, PermanentError):
        return "mend what the line above names; until then only clearing the run tries the same again"
    if isinstance(error, RunSpentError):
        return "nothing, if control started the run: its next pass plans anew; your own run: trigger it once more"
    if is_last:
        return "mend what the line above names, then clear the run; what control started it plans anew by itself"
    return "nothing yet: Airflow tries it again by itself"


def _name_sources(job: Job) -> Iterator[tuple[type[OutsideLink], Literal["commit", "pull"], str | int]]:
    """Yield what the job is about on GitHub: the button, and which page it leads to."""
    if job.deployed_commit:
        yield CommitLink, "commit", job.deployed_commit
    if job.pull:
        yield PullRequestLink, "pull", job.pull


class ShownLog:
    """A task's log in which what is unseen is shown: names of branches and words of others stand in its lines."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __getattr__(self, level: str) -> Callable[..., None]:
        tell = getattr(self._log, level)
        return lambda text, *args, **given: tell("%s", reveal(str(text) % args if args else str(text)), **given)


class DeployOpsOperator(SealingOperator):
    """Base of the operators that work for one project. Each reads the project's memory, and is tried once more.

    Hooks are made where they are first used, and those with large libraries behind them imported there: Airflow parses
    the DAG file anew for every task that it starts.

    :param scope: the project and its control plane.
    """

    operator_extra_links: Collection[BaseOperatorLink] = ()
    """The task's buttons. A task has some that does what its run is for, or that people open when it fails; none on the
    way there: Airflow writes each as an XCom of its own.
    """

    verbs: ClassVar[tuple[Verb, ...]] = tuple(Verb)
    """The verbs of the runs in which the task has something to do."""

    job_task: ClassVar[str] = CLAIM_TASK
    """The task that returns the run's job."""

    def __init__(self, *, scope: Scope, **kwargs: Any) -> None:
        super().__init__(**{"inlets": [scope.fleet], **STEP, "execution_timeout": self.find_time_max(scope), **kwargs})
        self.scope = scope
        self._idle: list[str] = []
        self._result: Any = None

    @property
    def log(self) -> Any:
        """The task's log."""
        return ShownLog(super().log)

    def find_time_max(self, scope: Scope) -> timedelta:  # noqa: ARG002 - the CLI's steps need it
        """Return how long one try may take; what a step runs for longer has a shorter time limit of its own."""
        return STEP_TIME_MAX

    @functools.cached_property
    def github(self) -> GithubPullsHook:
        """The project's repository."""
        from include.deploy_ops.checkout.trees import fetch_trees
        from include.deploy_ops.hooks.github.pulls import GithubPullsHook

        project = self.scope.project
        return GithubPullsHook(project.github_conn_id, project.repository, fetch_trees=fetch_trees)

    @functools.cached_property
    def commands(self) -> GithubCommandsHook:
        """The project's repository, for what people say there."""
        from include.deploy_ops.hooks.github.commands import GithubCommandsHook

        return GithubCommandsHook(self.scope.project.github_conn_id, self.scope.project.repository)

    @functools.cached_property
    def astro(self) -> AstroApiHook:
        """The project's Astro workspace, for reading.

        :raises PolicyError: the connection leads to a workspace that the project may not use.
        """
        hook = AstroApiHook(self.scope.project.astro_conn_id)
        if self.scope.workspaces:
            self.scope.require_workspace(hook.connection.workspace_id)
        return hook

    @functools.cached_property
    def registry(self) -> RegistryHook:
        """The registries of the project's images."""
        from include.deploy_ops.hooks.registry.registry import RegistryHook

        return RegistryHook(self.scope.project.registry_conn_id, login_hosts=self.scope.project.login_hosts)

    @functools.cached_property
    def seals(self) -> Seals:
        """The seals of the project: of its Astro token."""
        return Seals(self.scope.control_plane, (self.astro.connection.token,))

    def memory(self, context: Context) -> Memory:
        """Return what is remembered of the project's environments."""
        return Memory(context["asset_state_store"][self.scope.fleet])

    def know_targets(self, context: Context) -> Scope:
        """Return the scope with all targets; those of files that cannot be read are the ones that control noted.

        :raises RetryableError: one cannot be read, and nobody knows its targets.
        """
        noted = self.memory(context).continuity.read() if self.scope.unread else None
        if self.scope.unread and (noted is None or noted.targets is None):
            told = " and ".join(self.scope.unread)
            raise RetryableError(f"{told} cannot be read, and nobody knows which Deployments are its targets; mend it")
        return self.scope.recall((noted and noted.targets) or ())

    def due_check(self, context: Context) -> DueCheck:
        """Return what asks once more, right before a write, whether it is due and approved."""
        from include.deploy_ops.observation.checks import DueCheck

        return DueCheck(self.scope, self.github, self.astro, self.memory(context), self.seals)

    def template_reader(self, context: Context) -> TemplateReader:
        """Return what reads trunk's head, and the template there."""
        from include.deploy_ops.observation.template import TemplateReader

        return TemplateReader(self.scope, self.github, self.memory(context), self.seals)

    def list_rules(self, job: Job, decision: ChangeDecision | None = None) -> list[str]:
        """Return by which keys of the policy the run does this, and decided on a deploy's kind, with their places."""
        from include.deploy_ops.core.passes.why import find_change_rules, find_rule  # not where DAG files are parsed
        from include.deploy_ops.run.policy_texts import read_places

        project, places = self.scope.project, read_places(self.scope.project.name)
        made = [f"a form of {job.person or 'a person'}"] if job.is_forced else [places.tell(find_rule(project, job))]
        if job.deploy_type != INFER and not job.is_forced:
            made.append(places.tell(("targets", job.target, "deploy_type")))
        judged = find_change_rules(project, decision) if decision is not None else ()
        return [*filter(None, made), *map(places.tell, judged)]

    def void_approval(self, context: Context, job: Job, approval: Approval, why: str) -> NoReturn:
        """End the run since what was approved cannot be deployed; control asks anew, a person has to.

        The yes stays where the request put it, and counts no more: a newer one may lie there by now.
        """
        if job.is_forced:
            raise PermanentError(f"{why}; trigger a new request")
        environment = self.memory(context).environment(job.slug)
        environment.write(replace(environment.read(), voided_at=approval.at))
        raise SupersededError(f"{why}; the next request asks anew")

    def runs(self, context: Context) -> Runs:
        """Return the answers to questions about the runs of the task's own DAG."""
        return Runs(context["ti"], self.dag_id)

    def pre_execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Take the buttons away until they have an address.

        Airflow writes an empty one, too, when the task ends and whenever it parks: over what the part before wrote.
        """
        self.operator_extra_links = ()

    def finish(self, result: Any, *, idle: Iterable[str]) -> Any:
        """Return the result, having the named tasks skipped at once instead of started to find nothing to do."""
        self._idle, self._result = sorted(idle), result
        return result

    def post_execute(self, context: Context, result: Any = None) -> None:  # noqa: ARG002 - Airflow gives no result
        """Skip the idle tasks: Airflow ends this one as successful, but loses its result, so that is pushed here."""
        if self._idle:
            context["ti"].xcom_push(RESULT_KEY, self._result)
            raise DownstreamTasksSkipped(tasks=self._idle)

    def begin(self, context: Context) -> Job:
        """Return the run's job, take over what was read of GitHub for it, and link the task to what it is about.

        Skips the task as `need_errand`.
        """
        job = self.need_errand(context)
        if job.answers:
            self.github.remember(job.answers)
        for button, kind, name in _name_sources(job):
            if self.has_button(button):
                self.link(button, self.github.web_url(kind, name))
        return job

    def need_errand(self, context: Context) -> Job:
        """Return the run's job; skip the task when the run holds no environment, or is about something else."""
        job = self.need_job(context)
        if job.verb not in self.verbs:
            raise AirflowSkipException(f"not needed: this run is to {job.verb.value}")
        if job.problem:
            raise PermanentError(job.problem)
        return job

    def need_job(self, context: Context) -> Job:
        """Return the run's job; skip the task where the run has none.

        :raises PermanentError: it is not what the task made that makes it, or about another DAG's environment.
        """
        value = self.read(context, self.job_task)
        if value is None:
            raise AirflowSkipException(f"'{self.job_task}' was skipped: the run has no errand, or does not hold it")
        return self.own(load_job(value))

    def read_conf(self, context: Context) -> Job:
        """Return the job of a run that a DAG of ours triggered.

        :raises PermanentError: no DAG of ours made its conf for this run, or it is about another DAG's environment.
        """
        run = context["dag_run"]
        return self.own(open_conf(self.seals, self.dag_id, run.run_id, run.conf or {}))

    def own(self, job: Job) -> Job:
        """Return the job, if its environment is one of the task's own DAG's.

        Conf and XComs may be rewritten by whoever may edit that one DAG's runs; another environment's rights are those
        of another DAG.

        :raises PermanentError: it is not.
        """
        homes = {self.scope.name_dag(job.home_dag), self.scope.name_dag(f"{job.home_dag}.{REQUEST_DAG}")}
        if self.dag_id not in homes:
            raise PermanentError(
                f"the job of this run is about {job.environment}, which is not worked on by {self.dag_id}; its conf or"
                " an XCom was changed: look at Airflow's audit log, and let control plan anew"
            )
        return job

    def read_decision(self, context: Context) -> Any:
        """Return the run's decision on the change type, as `load_decision` reads it; None where none was made."""
        return read_decision(functools.partial(self.read, context))

    def need_decision(self, context: Context) -> Any:
        """Return it; skip the task when there is none to go on with."""
        decided = self.read_decision(context)
        if decided is None:
            raise AirflowSkipException(f"nothing to do: '{CHANGE_TASK}' was skipped")
        return decided

    def has_button(self, button: type[OutsideLink]) -> bool:
        """Whether a task of this kind has the button, be there an address or not."""
        return any(isinstance(each, button) for each in type(self).operator_extra_links)

    def link(self, button: type[OutsideLink], url: str) -> None:
        """Let the task's button lead there, if it has that button."""
        if url and self.has_button(button):
            others = (each for each in self.operator_extra_links if not isinstance(each, button))
            self.operator_extra_links = (*others, button(url))

    def link_deployment(self, deployment: Deployment) -> None:
        """Link the task to the Deployment."""
        self.link(AstroLink, deployment.astro_url)
        self.link(AirflowLink, deployment.airflow_url)

    def refuse_new_name(self) -> None:
        """Raise RetryableError while nothing may get a new name: who mends that tells nobody."""
        if self.scope.new_name_ban:
            raise RetryableError(self.scope.new_name_ban)

    def find_build_ban(self, job: Job) -> str:
        """Return why no image may be built for the job, by the policy as it is now; empty where it may."""
        return find_build_ban(self.scope.project, job.target, self.scope.target(job.target) if job.target else None)

    def is_dry(self, job: Job | None) -> bool:
        """Whether nothing may be written: in `mode: plan`, and in a form's dry run; None in a run without a job."""
        return self.scope.is_dry or (job is not None and job.is_dry)

    def refuse_dry(self, job: Job | None, what: str) -> None:
        """Skip a write where nothing may be written, saying what would have been done."""
        if self.is_dry(job):
            raise AirflowSkipException(f"{'mode: plan' if self.scope.is_dry else 'dry run'}; would {what}")

    def need(self, context: Context, task_id: str) -> Any:
        """Return what an earlier task of the run found; skip when it found nothing to go on with."""
        value = self.read(context, task_id)
        if value is None:
            raise AirflowSkipException(f"nothing to do: '{task_id}' was skipped")
        return value
