"""Runs of the cleanup and orphans DAGs on the stage, with a person's answers played."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators import hitl
from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import TaskAwaitingInput

from dags.cleanup import make_cleanup_dag
from dags.orphans import make_orphans_dag
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from include.deploy_ops.core.template.template import fingerprint_template
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.observation.template import parse_template_text
from include.deploy_ops.operators.cleanup import find as cleanup
from include.deploy_ops.operators.cleanup.orphans import ORPHANS
from tests.worlds.doubles.airflow import DictStore, FakeOutlets
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.request import answer_request
from tests.worlds.stages.stage import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest

    from tests.worlds.stages.stage import Stage

FORM = {
    "dry_run": True,
    "project": "shop",
    "hibernate_after": "",
    "delete_after": "",
    "branches": "",
    "max_deletes": None,
    "reason": "",
}
MANUAL, SCHEDULED = "manual", "scheduled"


class AliasOutlets(FakeOutlets):
    """What a task says with its outlets, an alias among them: the assets that it adds are emitted."""

    def __getitem__(self, asset: Any) -> Any:
        if isinstance(asset, AssetAlias):
            return SimpleNamespace(add=lambda found: self.update({found.name: SimpleNamespace(extra={})}))
        return super().__getitem__(asset)


@dataclass
class AskingRun(Run):
    """A run that may stop and ask."""

    shown: dict[str, Any] = field(default_factory=dict)
    make_dag: Callable[[], Any] = make_orphans_dag

    def _make_dag(self) -> Any:
        return self.make_dag()

    def _make_context(self, task: Any) -> Any:
        return {**super()._make_context(task), "outlet_events": AliasOutlets(task)}

    def ask(self) -> dict[str, Any]:
        """Run up to the question and return what the person is shown."""
        self.step("find")
        return self.ask_again()

    def ask_again(self) -> dict[str, Any]:
        """Run the asking task's next try, as after an answer that was lost."""
        try:
            self.execute("approve")
        except TaskAwaitingInput as parked:
            return {**self.shown, "timeout": parked.timeout}
        raise AssertionError("nobody is asked")

    def answer(self, option: str, *, timedout: bool = False) -> Any:
        """Answer as Airflow hands it on: a person's choice, or the default when nobody answered in time."""
        return answer_request(self, option, timedout=timedout)

    def read_field(self, task_id: str, name: str) -> str:
        """Return what the task's last try shows as a rendered field, a row of its tables on a line."""
        return fold_page(str(getattr(self.tasks[task_id], name)))


def watch_questions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return where the newest question's page will be found; it must be JSON."""
    shown: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: shown.update(json.loads(json.dumps(detail))))
    return shown


@dataclass
class OrphansStage:
    """A stage with a policy file, which may be edited."""

    stage: Stage
    file: Path
    shown: dict[str, Any]
    text: str

    @classmethod
    def open(cls, stage: Stage, text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> OrphansStage:
        """Return the stage, with this policy in force."""
        made = cls(stage, file, watch_questions(monkeypatch), text)
        made.write_policy(text)
        monkeypatch.setenv(POLICY_VARIABLE, str(file))
        return made

    def write_policy(self, text: str) -> None:
        """Replace the policy."""
        self.file.write_text(text, encoding="utf-8")

    def leave(self, name: str, **changes: Any) -> str:
        """Make a Deployment whose project has left the policy, or with another mark; return its id."""
        mark = {"project": "gone", "repository": "acme/gone", **changes}
        return self.stage.make_deployment("dev-x", name=name, description=self.stage.write_mark("dev-x", **mark))

    def list_names(self) -> set[str]:
        """Return the names of the workspace's Deployments."""
        return {each["name"] for each in self.stage.list_deployments()}

    @property
    def store(self) -> DictStore:
        """Where the questions are remembered."""
        return self.stage.stores.setdefault(ORPHANS.name, DictStore())

    def start(self, run_type: str = MANUAL, **params: Any) -> AskingRun:
        """Return a run; without `dry_run` a person's is dry."""
        number = next(self.stage.numbers)
        filled: Mapping[str, Any] = {"dry_run": True, "project": "", **params}
        run = AskingRun(self.stage, "orphans", f"{run_type}__{number}", run_type, {}, dict(filled), shown=self.shown)
        self.stage.runs.append(run)
        self.stage.airflow.states[run.run_id] = "running"
        self.stage.airflow.tasks[run.run_id] = run.states
        return run


LIKE_THE_TEMPLATE = {
    "environmentVariables": [{"key": "STAGE", "value": "preview", "isSecret": False}],
    "contactEmails": ["data-platform@acme.example"],
}
AT_ONCE = timedelta(microseconds=1)
SOON = timedelta(microseconds=2)


@dataclass
class CleanupStage:
    """A stage whose previews nobody uses, and runs of the project's cleanup DAG."""

    stage: Stage
    shown: dict[str, Any]

    def plant(self, *branches: str) -> dict[str, str]:
        """Push branches of one commit, with a Deployment each that runs it; return the Deployments' ids by branch."""
        head = self.stage.push(branches[0])
        if others := branches[1:]:
            self.stage.author.git("push", "--quiet", "origin", *(f"HEAD:refs/heads/{name}" for name in others))
            self.stage.await_ci()
        ids = {name: self.stage.make_deployment(name, description=self._write_mark(name)) for name in branches}
        for name, deployment_id in ids.items():
            self.stage.edit_deployment(deployment_id, **LIKE_THE_TEMPLATE)
            self.record(deployment_id, name, head)
        return ids

    def _write_mark(self, branch: str) -> str:
        text = self.stage.author.git("show", "origin/main:deployments/preview.yaml")
        template = fingerprint_template(parse_template_text(self.stage.scope, text))
        return self.stage.write_mark(branch, template=template)

    def record(self, deployment_id: str, branch: str, head: str) -> None:
        """Let Astro have a DAG-only deploy of ours."""
        note = DeployNote(branch, head, head, run_id="r", attempt=1, is_forced=False)
        path = f"deployments/{deployment_id}/deploys"
        made = self.stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": format_note(note)})
        self.stage.ask_astro("POST", f"{path}/{made['id']}/finalize", {})

    def start(self, run_type: str = SCHEDULED, **params: Any) -> AskingRun:
        """Return a run; without `dry_run` a person's is dry."""
        number = next(self.stage.numbers)
        run = AskingRun(
            self.stage,
            self.stage.scope.cleanup_dag,
            f"{run_type}__{number}",
            run_type,
            {},
            {**FORM, **params},
            shown=self.shown,
            make_dag=lambda: make_cleanup_dag(self.stage.scope),
        )
        self.stage.runs.append(run)
        self.stage.airflow.states[run.run_id] = "running"
        self.stage.airflow.tasks[run.run_id] = run.states
        return run

    def run(self, run_type: str = SCHEDULED, **params: Any) -> AskingRun:
        """Play a run in which nobody is asked, to its end."""
        run = self.start(run_type, **params)
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
        return run

    def end(self, run: AskingRun) -> None:
        """Let a run be over."""
        self.stage.airflow.states[run.run_id] = "success"

    def list_standings(self) -> dict[str, tuple[str, str]]:
        """Return verb and standing of the remembered verdicts by branch."""
        verdicts = self.stage.memory.verdicts.read().values()
        return {verdict.branch: (verdict.verb, verdict.standing.value) for verdict in verdicts}

    def list_emitted(self) -> list[str]:
        """Return the runs that woke control."""
        return [event.source_run_id for event in self.stage.events.events if event.asset == self.stage.scope.fleet.name]

    def wake(self, branch: str, deployment_id: str, at: datetime) -> None:
        """Let control have seen that somebody woke the preview."""
        row = Row(branch, RowKind.PREVIEW, branch, branch, "shop.preview", State.LIVE, at, deployment_id=deployment_id)
        before = self.stage.memory.read_rows()
        self.stage.memory.write_rows(before, {**before, branch: replace(row, woken_at=at)})


def shift_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let cleanup runs take place later."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> datetime:  # type: ignore[override]  # a plain time, as all others are
            return datetime.now(tz) + by

    monkeypatch.setattr(cleanup, "datetime", Later)
