"""A stage whose template is made from a production, and what its tests do: change that, run, look at GitHub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES, Run, Stage
from tests.worlds.values.inspected import CONNECTION_VALUE, PRODUCTION_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

BRANCH = "deploy-ops/template-shop"
TEMPLATE, SNAPSHOT = "deployments/preview.yaml", "deployments/preview.snapshot.yaml"
VARIABLES = [
    {"key": "STAGE", "value": PRODUCTION_VALUE, "isSecret": False},
    {"key": "API_TOKEN", "value": "a-secret-of-production", "isSecret": True},
    {"key": "AIRFLOW_CONN_WAREHOUSE", "value": CONNECTION_VALUE, "isSecret": False},
]
HIDDEN = (PRODUCTION_VALUE, CONNECTION_VALUE, "a-secret-of-production")
"""What of production may be found nowhere."""


@dataclass
class Reference:
    """A stage with a production, as the template concerns it."""

    stage: Stage
    production: str = ""

    def __post_init__(self) -> None:
        self.stage.change_project(previews={"template_from": "production", "overrides": {}})
        self.production = self.stage.make_deployment(
            "", name="Production", description="by hand", isDevelopmentMode=False, environmentVariables=VARIABLES
        )

    def change(self, **changes: Any) -> None:
        """Edit production as a person would in Astro's UI."""
        self.stage.edit_deployment(self.production, **{"environmentVariables": VARIABLES, **changes})

    def commit(self, files: dict[str, str | None], message: str = "by a person", branch: str = "main") -> str:
        """Let a person replace files of a branch (None removes one); return the head."""
        author = self.stage.author
        author.start_branch("work", f"origin/{branch}")
        for path, text in files.items():
            if text is None:
                author.git("rm", "--quiet", path)
            else:
                (author.folder / path).write_text(text, encoding="utf-8")
                author.git("add", path)
        author.git("commit", "--quiet", "--message", message)
        author.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        self.stage.await_ci()
        return author.git("rev-parse", "HEAD").strip()

    def find_head(self, branch: str) -> str:
        """Return a branch's tip on GitHub, "" without one."""
        lines = self.stage.author.git("ls-remote", "origin", f"refs/heads/{branch}")
        return lines.partition("\t")[0]

    @property
    def tip(self) -> str:
        """The tip of our branch."""
        return self.find_head(BRANCH)

    def show(self, commit: str, form: str) -> str:
        """Return what `git log --format` says of a commit."""
        self.stage.author.git("fetch", "--quiet", "origin", commit)
        return self.stage.author.git("log", "-1", f"--format={form}", commit).strip()

    def read(self, path: str, commit: str = "") -> str:
        """Return a file of a commit, of our branch's tip without one."""
        commit = commit or self.tip
        self.stage.author.git("fetch", "--quiet", "origin", commit)
        return self.stage.author.git("show", f"{commit}:{path}") + "\n"

    def read_deployment(self, path: str, commit: str = "") -> dict[str, Any]:
        """Return what stands below `deployment` in a file of a commit."""
        found: dict[str, Any] = yaml.safe_load(self.read(path, commit))["deployment"]
        return found

    def list_changes(self, commit: str) -> list[str]:
        """Return the paths that a commit changes."""
        self.stage.author.git("fetch", "--quiet", "origin", commit)
        return self.stage.author.git("diff", "--name-only", f"{commit}^", commit).split()

    def list_pulls(self) -> list[dict[str, Any]]:
        """Return the pull requests from our branch, the newest last."""
        found = self.stage.author._api("GET", "pulls?state=all&direction=asc").json()
        return [each for each in found if each["head"]["ref"] == BRANCH]

    def close(self, number: int) -> None:
        """Let a person close a pull request."""
        self.stage.author._api("PATCH", f"pulls/{number}", {"state": "closed"})

    def start(self, run_type: str = "scheduled", **params: Any) -> Run:
        """Return a run, by default of the clock."""
        number, dag = next(self.stage.numbers), self.stage.scope.template_dag
        return self.stage.start({}, f"{run_type}__{number}", run_type, dag_id=dag, **{"dry_run": False, **params})

    def run(self, run_type: str = "scheduled", **params: Any) -> Run:
        """Play a run, which must not fail."""
        run = self.start(run_type, **params)
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
        return run

    def propose(self) -> dict[str, Any]:
        """Play a run, and return the one pull request that is open then."""
        self.run()
        (pull,) = [each for each in self.list_pulls() if each["state"] == "open"]
        return pull

    def merge(self, number: int) -> None:
        """Merge the pull request as people do here, by squashing it."""
        self.stage.author.merge(number)
        self.stage.await_ci()

    def list_writes(self, act: Callable[[], object]) -> list[str]:
        """Return the writes to GitHub of an action."""
        self.stage.forget_requests()
        act()
        return self.stage.list_requests("github", WRITES)


def read_field(run: Run, task_id: str, name: str) -> str:
    """Return a rendered field of a run's task, a row of its tables on a line."""
    return fold_page(str(getattr(run.tasks[task_id], name)))
