"""Awaits what should come true in the stack, as seen from outside, and proves deployed files against the commit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from demo.author import Author
from demo.outside import Outside
from demo.person import Approval, Person
from demo.settings_file import read_settings
from demo.stack import ROOT, Stack, tell_load

PROJECT = "data_platform"
CONTROL_DAG = "data_platform.control"
PREVIEW_DAG = "data_platform.preview"
PROMOTION_DAG = "data_platform.promotion"
STAGING_DAG = "data_platform.staging"
PRODUCTION_DAG = "data_platform.production"
PRODUCTION_REQUEST_DAG = "data_platform.production.request"
FEEDBACK_DAG = "data_platform.feedback"
CLEANUP_DAG = "data_platform.cleanup"
WHAT_IF_DAG = "data_platform.what_if"
ORPHANS_DAG = "orphans"
DOCTOR_DAG = "deploy_ops.doctor"
DAGS = (
    PREVIEW_DAG,
    PROMOTION_DAG,
    STAGING_DAG,
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    FEEDBACK_DAG,
    CLEANUP_DAG,
    WHAT_IF_DAG,
    ORPHANS_DAG,
    DOCTOR_DAG,
    CONTROL_DAG,
)
"""All of them, control last: what it dispatches starts at once."""
ENDED = frozenset({"success", "failed"})
_PASSES = 3
"""Of how many passes the plans are read: what one said may be over with the next."""


class WitnessError(Exception):
    """Something did not come true; the text says what, and what was seen instead."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A person who pushes, waits, and checks."""

    stack: Stack
    author: Author
    outside: Outside
    person: Person

    def await_true(self, what: str, look: Callable[[], Any]) -> tuple[Any, float]:
        """Return what the look finds as soon as it finds something, and after how many seconds."""
        start = time.monotonic()
        for _ in self.stack.ticks(self.stack.patience_s, what):
            if found := look():
                return found, time.monotonic() - start
        raise WitnessError(f"{what}: not within {self.stack.patience_s:.0f} s; {self._describe_runs()}{tell_load()}")

    def _describe_runs(self) -> str:
        runs = self.outside.list_runs("~")[:6]
        told = (f"{run['dag_id']} {run['dag_run_id']} {run['state']}" for run in runs)
        return "; ".join(told) or "no run was started"

    def change_sandbox(self, **settings: float) -> None:
        """Change how the sandbox behaves, by names of its settings."""
        self._post("settings", settings)

    def grant(self, login: str, permission: str) -> None:
        """Let somebody have this permission on the repository: `admin`, `write`, `read` or `none`."""
        self._post(f"repositories/{self.author.repository}/collaborators/{login}", {"permission": permission})

    def say(self, number: int, login: str, body: str) -> int:
        """Let somebody comment on the pull request; return the comment's id."""
        said = {"user": login, "body": body}
        return int(self._post(f"repositories/{self.author.repository}/pulls/{number}/comments", said).json()["id"])

    def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return self.stack.sandbox.post(f"/sandbox/{path}", json=body).raise_for_status()

    def await_watch(self) -> None:
        """Return once the repository is watched: the trigger's first event made a pass."""

        def look() -> bool:
            runs = self.outside.list_runs(CONTROL_DAG)
            return any(run["run_type"] == "asset_triggered" and run["state"] == "success" for run in runs)

        self.await_true("the repository to be watched", look)

    def find_runs(self, slug: str, verb: str, head: str = "") -> list[dict[str, Any]]:
        """Return the ended preview runs of this environment, verb and (where given) head, newest first."""
        pattern = re.compile(rf"{re.escape(slug)}~{verb}~{head[:12]}")
        runs = self.outside.list_runs(PREVIEW_DAG)
        return [run for run in runs if pattern.match(run["dag_run_id"]) and run["state"] in ENDED]

    def await_run(self, slug: str, verb: str, head: str = "") -> dict[str, Any]:
        """Return the newest such run once one ended; a failed one is an error."""
        run: dict[str, Any] = self.await_true(
            f"the {verb} run of {slug} {head[:12]} to end", lambda: next(iter(self.find_runs(slug, verb, head)), None)
        )[0]
        return self._require_success(run)

    def _require_success(self, run: dict[str, Any]) -> dict[str, Any]:
        if run["state"] != "success":
            raise WitnessError(f"run {run['dag_run_id']} {run['state']}: {self.link(run)}")
        return run

    def await_end(self, dag_id: str, prefix: str = "", besides: Container[str] = ()) -> dict[str, Any]:
        """Return the DAG's newest run whose id begins so and is not in `besides`, once it ended in whatever way."""

        def look() -> dict[str, Any] | None:
            found = select_run(self.outside.list_runs(dag_id), prefix, besides)
            return found if found and found["state"] in ENDED else None

        run: dict[str, Any] = self.await_true(f"the run {prefix}… of {dag_id} to end", look)[0]
        return run

    def await_success(self, dag_id: str, prefix: str = "", besides: Container[str] = ()) -> dict[str, Any]:
        """Return the run as `await_end` does; a failed one is an error."""
        return self._require_success(self.await_end(dag_id, prefix, besides))

    def await_plan(self, words: str, dag_id: str = CONTROL_DAG) -> str:
        """Return the line of a plan that holds the words, once one of the newest passes says so."""

        def look() -> str:
            runs = [run["dag_run_id"] for run in self.outside.list_runs(dag_id) if run["state"] == "success"]
            plans = (self.outside.read_log(dag_id, run_id, "plan") for run_id in runs[:_PASSES])
            return next((line for plan in plans for line in plan.splitlines() if words in line), "")

        return str(self.await_true(f"{dag_id} to say {words!r}", look)[0])

    def await_mergeable(self, number: int) -> dict[str, Any]:
        """Return the pull request once GitHub knows whether it can be merged, which takes it a moment."""

        def look() -> dict[str, Any] | None:
            pull = self.author.show_pull_request(number)
            return None if pull["mergeable"] is None else pull

        pull: dict[str, Any] = self.await_true(f"GitHub to test the merge of #{number}", look)[0]
        return pull

    def await_approval(self, dag_id: str, prefix: str = "") -> Approval:
        """Return what a run of the DAG asks, once it can be answered.

        Who ends sooner than a person would, lets Airflow fail the task (see `REST_S`).
        """
        approval: Approval = self.await_true(
            f"a question of {dag_id}",
            lambda: next((each for each in self.person.list_approvals(dag_id) if each.run_id.startswith(prefix)), None),
        )[0]
        self.await_true(f"{approval.subject!r} to be read", lambda: approval.is_rested)
        return approval

    def await_deployment(self, branch: str) -> tuple[dict[str, Any], float]:
        """Return the branch's Deployment once it is there, and after how many seconds."""
        return self.await_true(f"{branch} to get a Deployment", lambda: self.outside.find_deployment(branch))

    def await_deletion(self, branch: str) -> float:
        """Return after how many seconds the branch has no Deployment any more."""
        return self.await_true(f"{branch}'s Deployment to go", lambda: self.outside.find_deployment(branch) is None)[1]

    def await_deploy(self, branch: str, commit: str, besides: str = "") -> tuple[dict[str, Any], float]:
        """Return the newest record once it deployed the commit and is not `besides`, and after how many seconds."""
        return self._await_record(branch, lambda: self.outside.find_deployment(branch), commit, besides)

    def await_target_deploy(self, name: str, commit: str, besides: str = "") -> tuple[dict[str, Any], float]:
        """Return the newest record of the Deployment of that name as `await_deploy` does."""
        return self._await_record(name, lambda: self.outside.find_named(name), commit, besides)

    def _await_record(
        self, whose: str, find: Callable[[], dict[str, Any] | None], commit: str, besides: str
    ) -> tuple[dict[str, Any], float]:
        def look() -> dict[str, Any] | None:
            deployment = find()
            newest = next(iter(self.outside.list_deploys(deployment["id"])), None) if deployment else None
            is_it = newest and f" commit={commit} " in newest["description"] and newest["id"] != besides
            return newest if is_it else None

        return self.await_true(f"{commit[:12]} to be deployed to {whose}", look)

    def check_files(self, branch: str, commit: str) -> int:
        """Return how many deployed files equal the commit's; one that differs, lacks or is too many is an error."""
        return self._check_files(branch, self.outside.find_deployment(branch), commit)

    def check_target_files(self, name: str, commit: str) -> int:
        """Return what `check_files` does of the Deployment of that name; the commit may be on no branch."""
        self.author.fetch(commit)
        return self._check_files(name, self.outside.find_named(name), commit)

    def _check_files(self, whose: str, deployment: dict[str, Any] | None, commit: str) -> int:
        if deployment is None:
            raise WitnessError(f"{whose} has no Deployment")
        deployed, wanted = self.outside.list_files(deployment["id"]), self.author.hash_files(commit)
        if deployed != wanted:
            differing = sorted(name for name in deployed | wanted if deployed.get(name) != wanted.get(name))
            raise WitnessError(f"deployed files differ from {commit[:12]}: {', '.join(differing[:10])}")
        return len(wanted)

    def link(self, run: dict[str, Any]) -> str:
        """Return the run's page in the Airflow UI."""
        return self.outside.link(run["dag_id"], run["dag_run_id"])


def make_witness(stack: Stack) -> Witness:
    """Return a witness with a fresh clone and the tokens of the settings file, which open the sandbox only."""
    settings = read_settings(ROOT / "airflow_settings.yaml", stack.ports)
    connections = {entry["conn_id"]: entry for entry in settings["connections"]}
    author = Author(stack.home / "author", stack.ports.sandbox_url, connections["github_default"]["conn_password"])
    author.clone()
    astro = connections["astro_default"]
    organization = astro["conn_extra"]["organization_id"]
    outside = Outside(stack.ports, stack.api, stack.sandbox, organization, astro["conn_password"])
    return Witness(stack, author, outside, Person(stack.api))


def select_run(runs: Iterable[dict[str, Any]], prefix: str, besides: Container[str]) -> dict[str, Any] | None:
    """Return the first run whose id begins so and is not in `besides`."""
    ids = ((run, str(run["dag_run_id"])) for run in runs)
    return next((run for run, run_id in ids if run_id.startswith(prefix) and run_id not in besides), None)
