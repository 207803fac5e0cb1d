"""A stage whose project has a promotion, and what its tests do: open pull requests, promote, look at the branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.naming import PROMOTION_SLUG
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Promotion
from include.deploy_ops.core.promotion.message import parse_trailers
from include.deploy_ops.run.job import PLANNED_RUN_TYPE, Job, make_dispatch
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES, Run, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.deploy_ops.core.plan.remembered import Remembered
    from include.deploy_ops.core.promotion.message import Trailers
    from include.deploy_ops.operators.promotion.promotion import PromoteOperator

POLICY = {"from": ["dev*"], "into": "staging", "deploy_branch": "astro_deploy"}
FORM = {"action": "promote", "reason": "to see it", "dry_run": False}


class PromotionRun(Run):
    """A run of the promotion DAG."""

    @property
    def record(self) -> str:
        """The decision record of the last try, a row of its tables on a line."""
        task: PromoteOperator = self.tasks["promote"]  # type: ignore[assignment]
        return fold_page(task.decision)


@dataclass
class Promotions:
    """A stage, as the deploy branch concerns it."""

    stage: Stage

    def __post_init__(self) -> None:
        self.change_promotion()

    def change_promotion(self, **changes: Any) -> None:
        """Edit the policy's promotion."""
        self.stage.change_project(promotion=Promotion.model_validate(POLICY | changes))

    # What people do

    def open_pull(self, branch: str, files: Mapping[str, str], base: str = "origin/staging") -> int:
        """Push a branch with files (text appended by path) and open its pull request into staging."""
        self.stage.push(branch, files, base)
        return self.stage.author.open_pull_request(branch, "staging", f"Change {branch}")

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        """Commit to a branch as it stands on GitHub, and push; return the head."""
        self.stage.author.start_branch(branch, f"origin/{branch}")
        return self.stage.push_more(branch, files)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask GitHub's API as a person would."""
        return self.stage.author._api(method, path, body or {}).json()

    def find_head(self, branch: str) -> str:
        """Return a branch's tip on GitHub, "" without one."""
        lines = self.stage.author.git("ls-remote", "origin", f"refs/heads/{branch}")
        return lines.partition("\t")[0]

    @property
    def tip(self) -> str:
        """The deploy branch's commit."""
        return self.find_head("astro_deploy")

    def list_files(self, commit: str) -> dict[str, str]:
        """Return path → mode and blob of a commit's files."""
        self.stage.author.git("fetch", "--quiet", "origin", commit)
        lines = self.stage.author.git("ls-tree", "-r", "-z", commit).split("\0")
        return {path: described for described, _, path in (line.partition("\t") for line in lines if line)}

    def show(self, commit: str, form: str) -> str:
        """Return what `git log --format` says of a commit."""
        self.stage.author.git("fetch", "--quiet", "origin", commit)
        return self.stage.author.git("log", "-1", f"--format={form}", commit)

    def read_trailers(self, commit: str) -> Trailers | None:
        return parse_trailers(self.show(commit, "%B"))

    @property
    def remembered(self) -> Remembered:
        return self.stage.memory.environment(PROMOTION_SLUG).read()

    # Runs

    def start(self) -> PromotionRun:
        """Return a run as control would start it, not yet claimed."""
        head, number = self.find_head("staging"), next(self.stage.numbers)
        work = f"{PROMOTION_SLUG}~promote~{head[:12]}~{'0' * 8}"
        job = Job(Verb.PROMOTE, "astro_deploy", head, "", "", "planned by the test", work=work)
        dispatched = make_dispatch(self.stage.seals, self.stage.scope.promotion_dag, f"{work}~{number}", job)
        return self._start(f"{work}~{number}", PLANNED_RUN_TYPE, dispatched["conf"], {})

    def start_form(self, **params: Any) -> PromotionRun:
        """Return a run that a person starts with the form, not yet claimed."""
        return self._start(f"manual__{next(self.stage.numbers)}", "manual", {}, FORM | params)

    def _start(self, run_id: str, run_type: str, conf: dict[str, Any], params: dict[str, Any]) -> PromotionRun:
        run = PromotionRun(self.stage, self.stage.scope.promotion_dag, run_id, run_type, conf, params)
        self.stage.runs.append(run)
        self.stage.airflow.states[run_id], self.stage.airflow.dags[run_id] = "running", run.dag_id
        self.stage.airflow.tasks[run_id] = run.states
        return run

    def promote(self) -> dict[str, Any]:
        """Play a planned run, which must end well; return what the promotion found."""
        return finish(self.start())

    def count_writes(self, act: Callable[[], object]) -> int:
        """Return how many writes to GitHub an action sends."""
        self.stage.forget_requests()
        act()
        return len(self.stage.list_requests("github", WRITES))


def finish(run: PromotionRun) -> dict[str, Any]:
    """Play a run, which must end well; return what the promotion found."""
    run.play()
    assert set(run.states.values()) == {"success"}, run.xcoms
    found: dict[str, Any] = run.xcoms["promote"]["return_value"]
    return found
