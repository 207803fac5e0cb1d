"""People who say words on a pull request of the stage's repository, and the runs that hear them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.policy.keys import Feedback
from sandbox.identity import GITHUB_TOKEN
from tests.worlds.doubles.airflow import FakeAirflow

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

API = "/github/api/v3/repos"
BRANCH, WRITER, STRANGER = "dev-x", "mona", "stranger"
QUIET_FEEDBACK = Feedback(comments=False, statuses=False, deployments=False, commands=True)


@dataclass
class Conversation:
    """A branch with a pull request, on which people speak, since control listens."""

    stage: Stage
    branch: str = BRANCH
    head: str = ""
    number: int = 0
    begun: list[Run] = field(default_factory=list)

    @classmethod
    def listen(cls, stage: Stage) -> Conversation:
        """Let the policy listen, to one person who may push; where that one speaks, has to be said then."""
        stage.change_project(feedback=QUIET_FEEDBACK)
        said = cls(stage)
        said.grant(WRITER, "write")
        return said

    @classmethod
    def open(cls, stage: Stage, branch: str = BRANCH, *, is_frozen: bool = True) -> Conversation:
        """Return a pull request of which control knows, and a person who may push.

        :param is_frozen: control has made no preview of the branch.
        """
        said = cls.listen(stage)
        said.branch, said.head = branch, stage.push(branch)
        said.number = stage.author.open_pull_request(branch, "staging", "Load orders")
        if is_frozen:
            said.freeze()
        for run in stage.plan():
            run.play()
        return said

    def freeze(self) -> None:
        """Pause the preview DAG: control starts nothing of its own."""
        self.stage.airflow.paused.add(self.stage.scope.preview_dag)

    @property
    def repository(self) -> str:
        """The repository below the sandbox's control."""
        return f"/sandbox/repositories/{self.stage.author.repository}"

    def grant(self, login: str, permission: str) -> None:
        """Let somebody have this permission on the repository."""
        path = f"{self.repository}/collaborators/{login}"
        assert self.stage.sandbox.client.post(path, json={"permission": permission}).is_success

    def say(self, body: str, user: str = WRITER, number: int = 0, **more: Any) -> int:
        """Let somebody comment; return the comment's id."""
        path = f"{self.repository}/pulls/{number or self.number}/comments"
        answer = self.stage.sandbox.client.post(path, json={"user": user, "body": body, **more})
        assert answer.is_success, answer.text
        return int(answer.json()["id"])

    def move_since(self, **span: float) -> None:
        """Let words have counted for longer."""
        memory = self.stage.memory
        known = memory.continuity.read()
        assert known is not None
        assert known.heard_since is not None
        memory.continuity.write(replace(known, heard_since=known.heard_since - timedelta(**span)))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask GitHub's API with our token."""
        headers = {"Authorization": f"token {GITHUB_TOKEN}"}
        url = f"{API}/{self.stage.author.repository}{path}"
        answer = self.stage.sandbox.client.request(method, url, headers=headers, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def name_run(self, comment_id: int, verb: str = "deploy") -> str:
        """Return the run that the comment may start."""
        return f"{self.branch}~{verb}~comment~{comment_id}~1"

    def list_signs(self, comment_id: int) -> list[str]:
        """Return the reactions to the comment, oldest first."""
        return [each["content"] for each in self.ask("GET", f"/issues/comments/{comment_id}/reactions")]

    def list_replies(self, number: int = 0) -> list[str]:
        """Return our replies on the pull request."""
        said = self.ask("GET", f"/issues/{number or self.number}/comments?per_page=100")
        return [each["body"] for each in said if each["body"].startswith("<!-- deploy-ops commands ")]

    def find_hearing(self) -> Run | None:
        """Make a pass; return the run of the commands DAG that it starts, if any."""
        found = [run for run in self.stage.plan() if run.dag_id == self.stage.scope.commands_dag]
        assert len(found) <= 1
        return found[0] if found else None

    def hear(self) -> list[Run]:
        """Make a pass, and play what it starts of the commands DAG; return the runs that were begun."""
        run = self.find_hearing()
        return [] if run is None else self.play(run)

    def play(self, run: Run) -> list[Run]:
        """Play a run of the commands DAG; return the runs that it begins."""
        told = run.step("hear")
        begun = [self.stage.start_dispatched(each) for each in told if each["trigger_run_id"] not in self.known]
        run.step("answer")
        self.end(run)
        self.begun += begun
        return begun

    def end(self, run: Run, state: str = "success") -> None:
        """Let the run be over."""
        self.stage.airflow.states[run.run_id] = state

    @property
    def known(self) -> set[str]:
        """The runs that Airflow knows."""
        return set(self.stage.airflow.states)

    def lose_airflow(self) -> None:
        """Lose all that Airflow has: its runs, and what is remembered."""
        self.stage.airflow = FakeAirflow()
        self.stage.stores.clear()
