"""A state machine: people, faults and crashes in any order; in the end every preview equals its branch, none is left.

The real DAGs' tasks run against the real sandbox, one task at a time, beside a model that is simple enough to be
trusted. `DEPLOY_OPS_EXAMPLES=200` plays more lives than `make test` does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.unit.operators.conftest import AT_ONCE
from tests.unit.operators.fuse import Fuse
from tests.unit.operators.world import BRANCHES, TEMPLATE, Trouble, World, read_stage

if TYPE_CHECKING:
    import pytest

    from tests.unit.operators.stage import Stage

EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "8"))
PHASES = [each for each in Phase if each.name not in os.environ.get("NOPHASE", "").split()]
FILES = ("dags/f{n}.py", "include/f{n}.py", "docs/f{n}.txt", "f{n}.md")
FAULTS: tuple[dict[str, Any], ...] = (
    {"face": "github", "status": 502, "times": 20, "path": "/api/v3/"},
    {"face": "github", "drop": "after", "times": 20, "path": "/api/v3/.*pulls"},
    {"face": "github", "status": 500, "times": 20, "path": "/git-upload-pack"},
    {"face": "astro", "status": 503, "times": 20},
    {"face": "astro", "method": "POST", "path": "/deployments$", "drop": "after"},
    {"face": "astro", "method": "POST", "path": "/deployments$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/deployments/[^/]+$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "drop": "after"},
    {"face": "astro", "method": "DELETE", "drop": "after"},
    {"face": "registry", "status": 500, "times": 20},
    {"cli": "deploy", "exit_0_without_deploying": True},
    {"cli": "deploy", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "create", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "update", "exit": 1, "stderr": "Error: the moon is in the way"},
    {"cli": "delete", "exit": 1, "stderr": "Error: the moon is in the way"},
)
branches = st.sampled_from(BRANCHES)
troubles = st.one_of(
    st.none(), st.none(), st.integers(1, 12), st.integers(1, 60), st.sampled_from(FAULTS)
)  # nothing, a crash at that contact with the world, or a fault outside
picks = st.integers(0, 99)


def refuse_other_than(status: int, error: httpx.HTTPStatusError) -> int:
    """Return 0 when GitHub refused with this status; anything else is a fault of the test."""
    if error.response.status_code != status:
        raise error
    return 0


class People(RuleBasedStateMachine):
    """Everything that may happen to a repository, its previews and the machines that keep them."""

    stage: Stage
    fuse: Fuse

    def __init__(self) -> None:
        super().__init__()
        client = self.stage.sandbox.client
        assert client.post("/sandbox/reset").is_success
        assert client.post("/sandbox/settings", json=AT_ONCE).is_success
        self.stage.stores.clear()
        self.stage.runs.clear()
        self.stage.airflow.states.clear()
        self.stage.airflow.tasks.clear()
        self.stage.airflow.paused.clear()
        self.world = World(self.stage, self.fuse)
        self.stage.author.git("fetch", "--quiet", "--prune")
        self.world.template = self.stage.author.git("show", f"origin/main:{TEMPLATE}") + "\n"
        self.model = self.world.model

    # The repository

    @rule(branch=branches, path=st.sampled_from(FILES))
    def push(self, branch: str, path: str) -> None:
        """Push a new branch, or one more commit."""
        self.world.push(branch, self.model.heads.get(branch, "origin/main"), path)

    @precondition(lambda self: self.world.last_heads)
    @rule(branch=branches, pick=picks)
    def force_push(self, branch: str, pick: int) -> None:
        """Let a branch jump to where any of them was: back, sideways, or into being again."""
        known = sorted(self.world.last_heads.values())
        self.world.move_to(branch, known[pick % len(known)], {})

    @precondition(lambda self: self.model.heads)
    @rule(branch=branches)
    def delete_branch(self, branch: str) -> None:
        """Delete a branch."""
        if branch in self.model.heads:
            self.stage.author.delete(branch)
            self.model.delete(branch)

    @precondition(lambda self: self.model.heads)
    @rule(branch=branches, base=st.sampled_from(["main", "staging"]))
    def open_pull(self, branch: str, base: str) -> None:
        """Open a pull request, where GitHub sees something to merge and no open one."""
        if branch in self.model.heads and (number := self.ask_pull(branch, base)):
            self.model.pulls[number] = branch

    def ask_pull(self, branch: str, base: str) -> int:
        """Return the new pull request's number, 0 if GitHub sees no reason for one."""
        try:
            return self.stage.author.open_pull_request(branch, base, f"Merge {branch}")
        except httpx.HTTPStatusError as error:
            return refuse_other_than(422, error)

    @precondition(lambda self: self.model.pulls)
    @rule(pick=picks, method=st.sampled_from(["merge", "squash", "rebase"]))
    def merge_pull(self, pick: int, method: str) -> None:
        """Merge a pull request in one of three ways, unless it conflicts."""
        number = sorted(self.model.pulls)[pick % len(self.model.pulls)]
        try:
            self.stage.author.merge(number, method)
        except httpx.HTTPStatusError as error:
            refuse_other_than(405, error)
        else:
            self.stage.await_ci()
            self.model.merge(number)

    @precondition(lambda self: self.model.pulls)
    @rule(pick=picks, is_reopened=st.booleans())
    def close_pull(self, pick: int, is_reopened: bool) -> None:
        """Close a pull request, and perhaps open it again."""
        number = sorted(self.model.pulls)[pick % len(self.model.pulls)]
        for state in ("closed", "open")[: 1 + is_reopened]:
            self.stage.author._api("PATCH", f"pulls/{number}", {"state": state})
        if not is_reopened:
            del self.model.pulls[number]

    @rule(stage_name=st.sampled_from(["preview", "review", "trial"]))
    def edit_template(self, stage_name: str) -> None:
        """Change the template on trunk in something that an update brings to Deployments that are there."""
        known = self.world.template
        self.world.template = known.replace(f'value: "{read_stage(known)}"', f'value: "{stage_name}"')
        self.world.write_template(lambda _: self.world.template)

    @rule()
    def break_template(self) -> None:
        """Misspell a key of the template."""
        self.world.write_template(lambda text: text.replace("scheduler_size", "schedular_size"))

    @rule(is_small=st.booleans())
    def edit_policy(self, is_small: bool) -> None:
        """Change the policy's overrides."""
        size = "SMALL" if is_small else "MEDIUM"
        self.stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": size}}})

    @rule(is_excluded=st.booleans())
    def exclude(self, is_excluded: bool) -> None:
        """Let the policy exclude a branch, or no longer."""
        self.model.excluded = {BRANCHES[0]} if is_excluded else set()
        self.stage.change_project(previews={"exclude": ("develop", *self.model.excluded)})

    @rule(is_dry=st.booleans())
    def edit_mode(self, is_dry: bool) -> None:
        """Set the policy's mode: `plan`, or `apply`."""
        self.stage.scope = replace(self.stage.scope, is_dry=is_dry)

    # The control plane, and what happens to it

    @rule(trouble=troubles, dispatched=st.sampled_from([99, 99, 99, 1, 0]))
    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make a pass of control."""
        self.world.plan(trouble, dispatched)

    @precondition(lambda self: self.world.flying)
    @rule(
        pick=picks, steps=st.integers(1, 12), trouble=troubles, aftermath=st.sampled_from(["retry", "failed", "lost"])
    )
    def advance(self, pick: int, steps: int, trouble: Trouble, aftermath: str) -> None:
        """Let a run go on for some tasks, the last of which meets trouble."""
        run = self.world.flying[pick % len(self.world.flying)]
        for left in range(steps, 0, -1):
            if run in self.world.flying:
                self.world.advance(run, trouble if left == 1 else None, aftermath)

    @precondition(lambda self: any("failed" in run.states.values() for run in self.world.ended))
    @rule(pick=picks)
    def clear(self, pick: int) -> None:
        """Clear a failed run, long ago as that may be: its failed tasks, what follows, and their setup."""
        failed = [run for run in self.world.ended if "failed" in run.states.values()]
        run = failed[pick % len(failed)]
        kept = {name for name, state in run.states.items() if state == "success" and name not in {"claim", "report"}}
        for name in run.states.keys() - kept:
            del run.states[name]
        self.stage.airflow.states[run.run_id] = "running"
        self.world.ended.remove(run)
        self.world.flying.append(run)

    @precondition(lambda self: self.model.heads)
    @rule(branch=branches, action=st.sampled_from(["deploy", "delete"]))
    def force(self, branch: str, action: str) -> None:
        """Fill in the form."""
        if branch in self.model.heads:
            if action == "delete":
                self.model.doubtful.add((branch, self.model.heads[branch]))
            else:
                self.model.removed.discard((branch, self.model.heads[branch]))
            self.world.flying.append(self.stage.start_form(branch=branch, action=action))

    @rule(is_paused=st.booleans())
    def freeze(self, is_paused: bool) -> None:
        """Pause or unpause the preview DAG."""
        paused = self.stage.airflow.paused
        (paused.add if is_paused else paused.discard)(self.stage.scope.preview_dag)

    @rule()
    def pass_time(self) -> None:
        """Let hours go by."""
        self.world.let_time_pass()

    @rule()
    def forget(self) -> None:
        """Lose the state store."""
        self.stage.stores.clear()
        self.model.forget()

    @invariant()
    def check_twins(self) -> None:
        """See that no branch has two Deployments."""
        names = list(self.world.list_previews().values())
        assert len(names) == len(set(names))

    def teardown(self) -> None:
        """Come to rest, and look."""
        self.world.settle()
        self.world.check_rest()


def test_every_life_ends_with_previews_that_equal_their_branches(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = type("Lives", (People,), {"stage": stage, "fuse": Fuse(monkeypatch)})
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=PHASES,
        ),
    )
