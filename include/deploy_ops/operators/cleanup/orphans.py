"""The steps of orphans: find what a project that left the policy has left behind, ask, do what was agreed.

Works for the whole installation, so it reads the policy when it runs, and again before each delete: nothing may be
concluded from a file of which a part is wrong. What is adopted instead of deleted: `adoption.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import TypeAdapter

from include.deploy_ops.core.cleanup.orphans import (
    Fate,
    Orphan,
    find_orphans,
    judge_deployment,
    list_connections,
    require_whole,
)
from include.deploy_ops.core.errors import DeployOpsError, PolicyError, RetryableError
from include.deploy_ops.core.text.markdown import describe_span, quote_table
from include.deploy_ops.core.text.plain import lay_table, write_plain
from include.deploy_ops.hooks.astro.api import AstroApiHook
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.hooks.astro.cli_endings import DeploymentGoneError
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.observation.branch_life import decide_fate
from include.deploy_ops.operators.answer import AskOperator, load_answer
from include.deploy_ops.operators.base import STEP_TIME_MAX, RenderedField, tell_failures
from include.deploy_ops.operators.cleanup.form import read_orphans_form
from include.deploy_ops.operators.sealed import SealingOperator
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.questions import Questions
from include.deploy_ops.run.scope import load_policy_file
from include.deploy_ops.run.seals import Seals

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.file import LoadedPolicy

FIND_TASK, APPROVE_TASK = "find", "approve"
ANSWER_TIMEOUT = timedelta(days=3)
"""How long a list may wait for its yes; the next week's run asks again."""

DELETES_TIME_MAX = timedelta(hours=3)
"""For all deletes of one try; one call of the CLI may take half an hour. What is left is deleted by the next try."""

ORPHAN_QUESTIONS_KEY = "questions"
ORPHANS = Asset("deploy_ops.orphans")
"""Nothing waits for it; its state store keeps what was asked."""

_ORPHANS = TypeAdapter(tuple[Orphan, ...])

WriteTable = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
"""Writes headings and rows of somebody's texts for one reader: in columns, or as Markdown."""


def name_asked(orphans: Iterable[Orphan]) -> dict[str, Any]:
    """Return what a question about these is about."""
    return {"deployments": sorted(f"{each.fate.value} {each.deployment_id}" for each in orphans)}


class OrphansOperator(SealingOperator):
    """Base of the three: what they hand on is sealed by the tokens of those Astro connections that it is about."""

    def need_orphans(self, context: Context) -> tuple[Orphan, ...]:
        """Return what the run asks about; skip the task when that is nothing."""
        found = _ORPHANS.validate_python(context["ti"].xcom_pull(task_ids=FIND_TASK) or ())
        if not found:
            raise AirflowSkipException("nothing to ask about; the find task's table says what was found")
        self.choose_seals(found)
        self.read(context, FIND_TASK)
        return found

    def choose_seals(self, found: Iterable[Orphan]) -> None:
        """Seal by the tokens through which these were found; another project's connection may come or go meanwhile."""
        tokens = [read_astro_connection(each).token for each in sorted({each.conn_id for each in found})]
        self.seals = Seals(load_policy_file().policy.control_plane, tuple(tokens))


class FindOrphansOperator(OrphansOperator):
    """Returns the orphans that are asked about, as JSON: None in a dry run. All that were found are shown."""

    table = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> list[dict[str, Any]] | None:
        """Look into every workspace of the policy."""
        form = read_orphans_form(context["params"], context["dag_run"].run_type)
        loaded = load_policy_file()
        require_whole(loaded)
        orphans = (each for each in _look(loaded) if form.project in {"", each.mark.project})
        found = [decide_fate(loaded, each) for each in orphans]
        run_id, now = context["dag_run"].run_id, datetime.now(UTC)
        questions = Questions(
            context["asset_state_store"][ORPHANS], ORPHAN_QUESTIONS_KEY, Runs(context["ti"], self.dag_id)
        )
        asking = questions.find_asking(but=run_id)
        is_dry = form.dry_run or loaded.policy.mode == "plan"
        meant = [] if is_dry else [each for each in found if each.fate is Fate(form.action)]
        asked = [each for each in meant if each.deployment_id not in asking]
        if asked:
            questions.note(run_id, [each.deployment_id for each in asked], now)
        notes = {each.deployment_id: _describe_fate(each, form.action, is_dry=is_dry, asking=asking) for each in found}
        workspaces = ", ".join(map(write_plain, list_connections(loaded))) or "no Astro connection"
        self.table = (
            f"{_say_count(found)} in the workspaces of {workspaces}\n\n{render_orphans(found, now, notes, lay_table)}"
        )
        for each in found:
            self.log.info("%s (%s): %s; %s", each.name, each.deployment_id, each.reason, notes[each.deployment_id])
        if not asked:
            return None
        self.choose_seals(asked)
        return list(_ORPHANS.dump_python(tuple(asked), mode="json"))


def _render_endings(endings: Sequence[tuple[Orphan, str]]) -> str:
    rows = [(f"{each.name} ({each.deployment_id})", said) for each, said in endings]
    return lay_table(("Deployment", "what became of it"), rows)


def _look(loaded: LoadedPolicy) -> list[Orphan]:
    """Return the orphans of all workspaces, each once: two connections may lead to the same one."""
    found: dict[str, Orphan] = {}
    for conn_id in list_connections(loaded):
        with AstroApiHook(conn_id) as astro:
            for each in find_orphans(loaded, conn_id, astro.list_deployments()):
                found.setdefault(each.deployment_id, each)
    return list(found.values())


_OTHERWISE = {
    Fate.DELETE: "its branch is gone, or its project: the form's action 'delete' asks whether to delete it",
    Fate.ADOPT: "never deleted while its branch lives; the form's action 'adopt' asks whether to mark it anew",
    Fate.STAY: "left alone",
}


def _describe_fate(orphan: Orphan, action: str, *, is_dry: bool, asking: dict[str, str]) -> str:
    if orphan.fate is not Fate(action):
        return _OTHERWISE[orphan.fate]
    if is_dry:
        return "dry run: nobody is asked"
    if run_id := asking.get(orphan.deployment_id):
        return f"asked about already, by run {run_id}"
    return "deleted after approval" if orphan.fate is Fate.DELETE else "adopted after approval"


def _say_count(found: Sequence[Orphan]) -> str:
    return f"{len(found)} orphan{'' if len(found) == 1 else 's'}"


def render_orphans(found: Sequence[Orphan], now: datetime, notes: dict[str, str], write: WriteTable) -> str:
    """Return the table: Deployment, project, repository, branch, age, status, reason, and the note of each."""
    if not found:
        return "Nothing of ours belongs to a project that has left the policy."
    rows = [
        (
            f"{each.name} ({each.deployment_id})",
            each.mark.project,
            each.mark.repository,
            each.mark.branch,
            describe_span(now - each.created_at if each.created_at else None),
            each.status,
            each.reason,
            notes.get(each.deployment_id, ""),
        )
        for each in found
    ]
    return write(("Deployment", "project", "repository", "branch", "age", "status", "reason", "what now"), rows)


class ApproveOrphansOperator(OrphansOperator, AskOperator):
    """Asks whether the listed Deployments may be deleted, or adopted; returns the answer, also a no."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            subject="Delete Deployments of projects that left the policy?", response_timeout=ANSWER_TIMEOUT, **kwargs
        )

    def put_question(self, context: Context) -> NoReturn:
        """Name the list, and park the task."""
        found = self.need_orphans(context)
        count = f"{len(found)} Deployment{'' if len(found) == 1 else 's'}"
        is_adoption = found[0].fate is Fate.ADOPT
        notes = {each.deployment_id: f"through connection {each.conn_id}" for each in found}
        if is_adoption:
            self.subject = f"Adopt {count} whose project has a repository of another name now?"
            effect = (
                "Approving marks exactly these anew, and gives them the preview template's configuration. From then on "
                "they follow their branches in the repository that the policy names. Was it renamed, or is it another?"
            )
        else:
            self.subject = f"Delete {count} of projects that left the policy?"
            effect = "Approving deletes exactly these, each looked at again right before. They cannot be brought back."
        self.body = f"{effect}\n\n{render_orphans(found, datetime.now(UTC), notes, quote_table)}"
        self.ask(context, name_asked(found))

    def choose_seals_of(self, context: Context) -> None:
        """Seal by the tokens of what the run asks about."""
        self.need_orphans(context)


class AgreedOrphansOperator(OrphansOperator):
    """Does what was agreed on; what changed since is left alone, and one failure does not keep the others."""

    fate: ClassVar[Fate]
    outcome = RenderedField()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "execution_timeout": STEP_TIME_MAX + DELETES_TIME_MAX})
        self._cli: AstroCli | None = None
        self._is_ended = False

    @tell_failures
    def execute(self, context: Context) -> None:
        """Take one after the other, then fail if one of them failed; a policy gone wrong ends it at once."""
        asked = self.need_orphans(context)
        found = [each for each in asked if each.fate is self.fate]
        if not found:
            raise AirflowSkipException(f"nothing to {self.fate.value}: the run asked about something else")
        answer = load_answer(self.read(context, APPROVE_TASK))
        if not answer.is_approved:
            raise AirflowSkipException(f"nothing to {self.fate.value}: {answer.describe_rejection()}")
        answer.require(name_asked(asked))
        endings: list[tuple[Orphan, str]] = []
        failed: list[str] = []
        for each in found:
            try:
                endings.append((each, self._take(each)))
            except PolicyError:
                raise
            except DeployOpsError as error:
                endings.append((each, f"failed: {error}"))
                failed.append(f"{each.name} ({each.deployment_id}): {error}")
            self.outcome = _render_endings(endings)
            self.log.info("%s (%s): %s", each.name, each.deployment_id, endings[-1][1])
            if self._is_ended:
                break
        if failed:
            what = f"{len(failed)} of {len(endings)} Deployments to {self.fate.value}"
            raise RetryableError(f"{what} failed: {'; '.join(failed)}")

    def on_kill(self) -> None:
        """End the running CLI call, and begin none any more."""
        self._is_ended = True
        if self._cli is not None:
            self._cli.end()

    def _take(self, orphan: Orphan) -> str:
        """Look again at the policy, at Astro and at the branch, then act; return what became of it."""
        # The answer may have taken days: a project may be back in the policy, and a mark may be another.
        loaded = load_policy_file()
        with AstroApiHook(orphan.conn_id) as astro:
            deployment = astro.get_deployment(orphan.deployment_id)
            if deployment is None:
                return "was gone already"
            now = judge_deployment(loaded, orphan.conn_id, deployment)
            if now is None or (now.mark, now.name) != (orphan.mark, orphan.name):
                return "left alone: its mark or name changed, or the policy has its project or target again"
            if (now := decide_fate(loaded, now)).fate is not self.fate:
                return f"left alone: {now.reason}"
            if loaded.policy.mode == "plan":
                return "left alone: mode: plan, nothing is written"
            self._cli = AstroCli(orphan.conn_id, on_line=self.log.info)
            return self.act(loaded, astro, self._cli, deployment, now)

    def act(
        self, loaded: LoadedPolicy, astro: AstroApiHook, cli: AstroCli, deployment: Deployment, orphan: Orphan
    ) -> str:
        """Do it, and return what became of it."""
        raise NotImplementedError


class DeleteOrphansOperator(AgreedOrphansOperator):
    """Deletes what was agreed on."""

    fate = Fate.DELETE

    def act(
        self, loaded: LoadedPolicy, astro: AstroApiHook, cli: AstroCli, deployment: Deployment, orphan: Orphan
    ) -> str:
        """Delete it, and see that it is gone."""
        del loaded, deployment
        try:
            cli.delete(orphan.deployment_id)
        except DeploymentGoneError:
            return "was gone already"
        if astro.get_deployment(orphan.deployment_id) is not None:
            raise RetryableError("the CLI deleted it, but Astro still shows it; clear the task to look again")
        return "deleted"
