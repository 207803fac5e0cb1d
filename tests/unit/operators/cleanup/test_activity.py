"""Previews whose own Airflow is asked, on the sandbox: a person's run keeps one awake, and silence does as well."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.cleanup.expiry import UNASKED
from sandbox.identity import ASTRO_TOKEN
from tests.worlds.stages.cleanup import AT_ONCE, MANUAL, CleanupStage, watch_questions
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from include.deploy_ops.core.cleanup.use import Use
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
HOUR = timedelta(hours=1)
PARSE_S = 90.0
"""How long a busy machine may parse."""


class Lived:
    """One preview that runs its head, in a project in which runs count."""

    def __init__(self, stage: Stage, shown: dict[str, Any]) -> None:
        self.stage = stage
        self.cleanup = CleanupStage(stage, shown)
        self.id = stage.create_preview(BRANCH, stage.push(BRANCH))
        assert stage.plan() == []
        stage.change_project(previews={"activity": ("deploys", "runs"), "hibernate_after": AT_ONCE})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the preview's Airflow as a person."""
        address = self.stage.find_deployment(BRANCH)["webServerAirflowApiUrl"]

        answer = self.stage.sandbox.client.request(
            method, f"http://{address}{path}", json=body, headers={"Authorization": f"Bearer {ASTRO_TOKEN}"}
        )
        assert answer.is_success, answer.text
        return answer.json()

    def start_run(self) -> str:
        """Start a run of a paused DAG, which stays in the queue; return its path."""
        deadline = time.monotonic() + PARSE_S
        while not (dags := self.ask("GET", "/dags")["dags"]):  # which waits for a parse, for seconds
            assert time.monotonic() < deadline, "nothing is parsed"
        dag_id = dags[0]["dag_id"]
        run = self.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        return f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}"

    def clean_up(self) -> tuple[str, str]:
        """Let cleanup run; return verdict and reason of the preview."""
        table = self.cleanup.run().read_field("find", "table")
        (row,) = [line for line in table.splitlines() if f"| {BRANCH} |" in line]
        cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
        return cells[-2], cells[-1]

    def play_hibernation(self) -> Run:
        """Make a pass that lets the preview hibernate, and play the run."""
        (run,) = self.stage.plan()
        assert run.conf["job"]["verb"] == "hibernate"
        run.play()
        return run

    @property
    def use(self) -> Use:
        return self.stage.memory.uses.read()[self.id]

    def let_an_hour_pass(self) -> None:
        """Let what was told be so old that it is asked again."""
        before = self.stage.memory.uses.read()
        self.stage.memory.uses.write(before, {self.id: replace(self.use, asked_at=self.use.asked_at - HOUR)})

    def list_asked(self) -> list[str]:
        """Return what the preview's Airflow was asked since requests were forgotten."""
        return self.stage.list_requests("airflow")

    def count_hibernations(self) -> int:
        """Return how often Astro was asked to let something hibernate."""
        return sum("hibernation-override" in each for each in self.stage.list_requests("astro", WRITES))


@pytest.fixture
def lived(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Lived:
    return Lived(stage, watch_questions(monkeypatch))


def test_a_life(lived: Lived) -> None:
    stage = lived.stage
    stage.forget_requests()
    word, reason = lived.clean_up()
    assert (word, reason.rpartition(", ")[2]) == ("hibernate", "no run by a person")
    assert len(lived.list_asked()) == 2
    # Somebody begins to work there before control acts: it is seen at the last moment, by effect.
    run = lived.start_run()
    assert lived.play_hibernation().states["hibernate"] == "skipped"
    assert lived.count_hibernations() == 0
    assert stage.find_deployment(BRANCH)["status"] == "HEALTHY"
    assert lived.use.running.startswith("a run of ")
    # Within the hour nobody is asked again, neither by passes nor by another cleanup.
    stage.forget_requests()
    assert stage.plan() == []
    word, reason = lived.clean_up()
    assert (word, "is in flight" in reason) == ("keep", True)
    assert lived.list_asked() == []
    # The run is over: what counted is named, and stands while it sleeps.
    lived.ask("PATCH", run, {"state": "success"})
    lived.let_an_hour_pass()
    word, reason = lived.clean_up()
    assert (word, "last run by a person 20" in reason) == ("hibernate", True)
    assert lived.play_hibernation().states["hibernate"] == "success"
    assert stage.find_deployment(BRANCH)["status"] == "HIBERNATING"
    assert lived.count_hibernations() == 1
    told = lived.use
    assert told.run_at is not None
    lived.let_an_hour_pass()
    stage.forget_requests()
    stage.change_project(previews={"delete_after": timedelta(days=2)})
    word, reason = lived.clean_up()
    assert (word, reason.startswith("a person started a run at")) == ("keep", True)
    assert lived.list_asked() == []
    assert lived.use.run_at == told.run_at
    assert stage.ask_astro("GET", "tokens?limit=100")["tokens"] == []


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 403}, {"status": 200, "body": {"dag_runs": "many"}}],
    ids=["503", "403", "malformed"],
)
def test_who_gives_no_answer_is_kept_and_costs_itself_alone(lived: Lived, fault: dict[str, Any]) -> None:
    assert lived.clean_up()[0] == "hibernate"
    lived.stage.sandbox.plant(face="airflow", path=".*", times=None, **fault)
    assert lived.play_hibernation().states["hibernate"] == "skipped"
    assert lived.stage.find_deployment(BRANCH)["status"] == "HEALTHY"
    ending = lived.stage.memory.environment(BRANCH).read().endings["hibernate"]
    assert ending.is_skipped, "counted as done, it would never be tried again"
    lived.let_an_hour_pass()
    word, reason = lived.clean_up()
    assert word == "keep"
    assert "whether somebody works there is not known" in reason
    assert lived.count_hibernations() == 0


def test_a_dry_run_mints_no_token_and_writes_nothing(lived: Lived) -> None:
    lived.stage.forget_requests()
    run = lived.cleanup.run(MANUAL)
    assert UNASKED in run.read_field("find", "table")
    assert lived.stage.list_requests("astro", WRITES) == []
    assert lived.stage.memory.uses.read() == {}


def test_without_runs_in_the_policy_nobody_is_asked(lived: Lived) -> None:
    lived.stage.change_project(previews={"activity": ("deploys",)})
    lived.stage.forget_requests()
    word, reason = lived.clean_up()
    assert (word, "run" in reason) == ("hibernate", False)
    assert lived.play_hibernation().states["hibernate"] == "success"
    assert lived.list_asked() == []
    assert lived.stage.memory.uses.read() == {}
