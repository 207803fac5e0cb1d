"""Runs of the cleanup and orphans DAGs on the stage, with a person's answers played."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from dags.orphans import make_orphans_dag
from include.deploy_ops.operators.orphans import ORPHANS
from include.deploy_ops.operators.scope import POLICY_VARIABLE
from tests.unit.operators.doubles import DictStore
from tests.unit.operators.request_stage import answer_request
from tests.unit.operators.stage import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest

    from tests.unit.operators.stage import Stage

MANUAL, SCHEDULED = "manual", "scheduled"


@dataclass
class AskingRun(Run):
    """A run that may stop and ask."""

    shown: dict[str, Any] = field(default_factory=dict)
    make_dag: Callable[[], Any] = make_orphans_dag

    def _make_dag(self) -> Any:
        return self.make_dag()

    def ask(self) -> dict[str, Any]:
        """Run up to the question and return what the person is shown."""
        self.step("find")
        return self.ask_again()

    def ask_again(self) -> dict[str, Any]:
        """Run the asking task's next try, as after an answer that was lost."""
        try:
            self.execute("approve")
        except TaskAwaitingInput as parked:
            self.states["approve"] = "awaiting_input"
            return {**self.shown, "timeout": parked.timeout}
        raise AssertionError("nobody is asked")

    def answer(self, option: str, *, timedout: bool = False) -> Any:
        """Answer as Airflow hands it on: a person's choice, or the default when nobody answered in time."""
        return answer_request(self, option, timedout=timedout)

    def read_field(self, task_id: str, name: str) -> str:
        """Return what the task's last try shows as a rendered field."""
        return str(getattr(self.tasks[task_id], name))


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
