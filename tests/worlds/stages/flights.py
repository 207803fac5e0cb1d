"""Runs in flight, played task by task while trouble strikes; what they may do is checked by who moves the world."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.errors import DeployOpsError, ObservationError
from include.deploy_ops.core.plan.work import Verb
from tests.worlds.doubles.fuse import KilledError
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from tests.worlds.doubles.fuse import Fuse
    from tests.worlds.stages.stage import Run, Stage

TRIES = 2
"""A task of ours is tried so often (`retries` is 1)."""


NAMES = ("data-platform", "store")
"""What the repository is called below its owner, one after the other."""


@dataclass(frozen=True)
class Spent:
    """What a pass asked of GitHub and Astro, and of Airflow about runs, DAGs and the state stores."""

    github: int
    astro: int
    airflow: int


@dataclass(frozen=True)
class Interference:
    """What somebody does while a task is at its contact number `at` with the world."""

    at: int
    act: Callable[[], None]


Trouble = dict[str, Any] | int | Interference | None
"""A fault to plant in the sandbox, the contact at which the process dies, what somebody does meanwhile, or nothing."""


def expect_refusal(error: httpx.HTTPStatusError, status: int) -> None:
    """Raise the error again unless GitHub refused in this way."""
    if error.response.status_code != status:
        raise error


class Flights:
    """Control's passes, and the runs that they and people started, in the order in which they were."""

    def __init__(self, stage: Stage, fuse: Fuse) -> None:
        self.stage = stage
        self.fuse = fuse
        self.flying: list[Run] = []
        self.ended: list[Run] = []
        self.spent = Spent(0, 0, 0)
        self._orders: dict[str, list[str]] = {}
        self._shapes: dict[str, Any] = {}
        self._shaped_by: object = None

    # What the world checks

    def check_errand(self, job: Mapping[str, Any]) -> None:
        """See that the job may be planned now."""
        raise NotImplementedError

    def check_changes(self, run: Run, name: str) -> None:
        """See that what the run's task has done was right."""
        raise NotImplementedError

    def check_spending(self, spent: Spent) -> None:
        """See that an undisturbed pass asked for no more than what lives and what changed is worth."""
        raise NotImplementedError

    def hear(self, run: Run) -> None:
        """Do with a run that has no job of its own: it reads what people say, or tells them."""
        raise NotImplementedError

    # The repository's name

    def spell(self, pick: int) -> None:
        """Write the repository's name into the policy in other letters, which mean the same one to GitHub."""
        name = self.stage.author.repository
        self.stage.change_project(repository=(name, name.title(), name.upper())[pick % 3])

    def rename(self, pick: int) -> None:
        """Rename the repository at GitHub, or give it its old name back; later the policy follows.

        In between passes fail, say the new name and write nothing, and runs in flight may do nothing either.
        """
        (name,) = set(NAMES) - {self.stage.author.repository.partition("/")[2]}
        self.stage.rename_repository(name)
        self.stage.forget_requests()
        with pytest.raises(ObservationError, match=self.stage.author.repository):
            self.stage.plan()
        if pick % 2:
            self.finish_runs()
        assert not self.stage.list_requests("astro", WRITES), "written by a name that was given up"
        self.stage.change_project(repository=self.stage.author.repository)

    # Passes and runs

    def list_ready(self) -> list[Run]:
        """Return the runs that may go on."""
        return self.flying

    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make one pass, of whose runs only so many are started before a crash."""
        started: list[dict[str, Any]] = []
        self.stage.forget_requests()
        asked = self._count_asked()
        with self.meet(trouble):
            started = self.stage.run_plan(self.stage.make_plan_task())
        if trouble is None:
            github, astro = (len(self.stage.list_requests(face)) for face in ("github", "astro"))
            self.spent = Spent(github, astro, self._count_asked() - asked)
            self.check_spending(self.spent)
        for each in started[:dispatched]:
            if "job" not in each["conf"]:
                self.hear(self.stage.start_dispatched(each))
                continue
            assert each["trigger_run_id"] not in self.stage.airflow.states, "planned under a name that was used"
            self.check_errand(each["conf"]["job"])
            self.flying.append(self.stage.start_dispatched(each))

    def _count_asked(self) -> int:
        return self.stage.airflow.asked + sum(store.asked for store in self.stage.stores.values())

    def advance(self, run: Run, trouble: Trouble, aftermath: str = "failed") -> None:
        """Run one task of a run; `aftermath` is what comes of a crash: "retry", "failed", or "lost" with its run."""
        name = self.find_next(run)
        if name is None:
            self.end(run, "failed" if "failed" in run.states.values() else "success")
            return
        is_whole = False
        with self.meet(trouble):
            self.run_task(run, name)
            is_whole = True
        if not is_whole:
            run.states[name] = "failed"
        self.check_changes(run, name)
        if run.states[name] == "failed":
            self.follow_failure(run, name, aftermath, is_whole=is_whole)

    def run_task(self, run: Run, name: str) -> None:
        """Run the task if its turn has come, or skip it."""
        run._play_task(self._find_shape(run).task_dict[name])

    def advance_to(self, stop: int) -> Run | None:
        """Run one of the runs in flight up to one of the tasks that it has before it; return it."""
        if not (ready := self.list_ready()):
            return None
        run = ready[stop % len(ready)]
        ahead = self._list_ahead(run)
        while run in self.list_ready() and ahead and self.find_next(run) != ahead[stop % len(ahead)]:
            self.advance(run, None)
        return run if run in self.list_ready() else None

    def _list_ahead(self, run: Run) -> list[str]:
        verb = self.read_errand(run).get("verb")
        tasks = [task for task in self._find_shape(run).topological_sort() if task.task_id not in run.states]
        return [task.task_id for task in tasks if verb is None or Verb(verb) in getattr(task, "verbs", tuple(Verb))]

    def find_next(self, run: Run) -> str | None:
        """Return the task whose turn it is."""
        if run.dag_id not in self._orders:
            self._orders[run.dag_id] = [task.task_id for task in self._find_shape(run).topological_sort()]
        return next((name for name in self._orders[run.dag_id] if name not in run.states), None)

    def _find_shape(self, run: Run) -> Any:
        """Return the run's DAG as the policy makes it now, for its shape alone; what executes is made anew."""
        if self._shaped_by is not self.stage.scope:
            self._shapes.clear()
            self._shaped_by = self.stage.scope
        if run.dag_id not in self._shapes:
            self._shapes[run.dag_id] = run._make_dag()
        return self._shapes[run.dag_id]

    def read_errand(self, run: Run) -> dict[str, Any]:
        """Return the run's job as JSON, empty while a person's run has none."""
        found = [run.xcoms.get(task, {}).get("return_value") for task in ("claim", "prepare")]
        return dict(run.conf.get("job") or next(filter(None, found), {}))

    def stumble(self, stop: int, trouble: Trouble, aftermath: str) -> None:
        """Let one of the runs in flight meet trouble in one of the tasks that it has before it."""
        if run := self.advance_to(stop):
            self.advance(run, trouble, aftermath)

    def live_on(self) -> None:
        """Make an undisturbed pass, and let all runs end."""
        self.plan(None, 99)
        self.finish_runs()

    def finish_runs(self) -> None:
        """Let all runs go on until none can."""
        while ready := self.list_ready():
            self.advance(ready[0], None)

    def follow_failure(self, run: Run, name: str, aftermath: str, *, is_whole: bool) -> None:
        """Do what Airflow does after a failed or killed try."""
        is_final = is_whole and run.xcoms.get(name, {}).get("failure", {}).get("is_permanent", False)
        if aftermath == "retry" and run.tries[name] < TRIES and not is_final:
            del run.states[name]
        elif aftermath == "lost":
            self.end(run, "failed")

    def end(self, run: Run, state: str) -> None:
        """End the run."""
        self.stage.airflow.states[run.run_id] = state
        self.flying.remove(run)
        self.ended.append(run)

    def clean_database(self) -> None:
        """Let `airflow db clean` remove the runs that ended."""
        for run in self.ended:
            self.stage.airflow.states.pop(run.run_id, None)
            self.stage.airflow.tasks.pop(run.run_id, None)
        self.ended.clear()

    @contextmanager
    def meet(self, trouble: Trouble) -> Iterator[None]:
        """Let the trouble strike in the block, and end the block as it ends a task's process."""
        if isinstance(trouble, dict):
            self.stage.sandbox.plant(**trouble)
        try:
            with self._light(trouble):
                yield
        except KilledError:
            pass
        except (DeployOpsError, AirflowFailException):
            assert isinstance(trouble, dict), "failed although nothing was wrong"
        finally:
            if isinstance(trouble, dict):
                assert self.stage.sandbox.client.delete("/sandbox/faults").is_success

    def _light(self, trouble: Trouble) -> AbstractContextManager[None]:
        if isinstance(trouble, Interference):
            return self.fuse.interrupt(trouble.at, trouble.act)
        return self.fuse.burn(trouble if isinstance(trouble, int) else 0)
