"""A whole project in the storm: previews, promotion, staging, gated production, words and feedback.

People and troubles are the neighbours' affair. Here: passes and runs in flight, who is asked, and what may never be
seen after a task: twins, strangers' Deployments touched, deletes of what lives, questions asked twice.
"""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.naming import name_deployment, parse_mark, read_comment
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Feedback, Promotion
from tests.worlds.stages.commands import Conversation
from tests.worlds.stages.fixtures import POLICY
from tests.worlds.stages.flights import Flights
from tests.worlds.stages.promotion import POLICY as PROMOTION
from tests.worlds.stages.request import PRODUCTION, STAGING, answer_request
from tests.worlds.stages.stage import AT_ONCE
from tests.worlds.values.faces import Faces
from tests.worlds.values.trusted_release import Git, Record, Yes, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.worlds.doubles.fuse import Fuse
    from tests.worlds.stages.cleanup import OrphansStage
    from tests.worlds.stages.flights import Spent, Trouble
    from tests.worlds.stages.stage import Run, Stage

BRANCHES = ("dev-a", "dev/a", "dev-A", "dev-b")
INTO, DEPLOY_BRANCH, TRUNK = "staging", "astro_deploy", "main"
TARGETS = ("staging", "production")
TEMPLATE = "deployments/preview.yaml"
FAIR_WEATHER = {**AT_ONCE, "ci_fails": False}
BEHIND_S, AHEAD_S = -600.0, 600.0
"""How wrong the clocks of GitHub and Astro are at first, by ours, and at the most: they never go back, ours may."""
STRANGERS: tuple[dict[str, str], ...] = (
    {"branch": "dev-stranger", "description": "somebody's own, whatever it is called"},
    {"branch": "dev-other", "control_plane": "another-control-plane"},
    {"branch": "dev-elsewhere", "project": "elsewhere", "repository": "acme/elsewhere"},
)
"""Deployments in our workspace that are not ours: without a mark, or with another's."""


@dataclass
class Question:
    """A run that waits for a person; `is_lost`: Airflow or its state was lost since, so that nobody remembers it."""

    run: Run
    yes: Yes
    rules: str
    is_forced: bool
    is_lost: bool = False

    @property
    def subject(self) -> tuple[Any, ...]:
        """What is asked once."""
        return (self.run.dag_id, self.yes.release, self.rules)


@dataclass(frozen=True)
class Backup:
    """Airflow's database as it was: what stores hold, which runs there are and how far they are."""

    stores: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, str]
    paused: frozenset[str]
    events: int
    flying: tuple[tuple[Run, Mapping[str, Any]], ...]
    questions: tuple[tuple[Question, Mapping[str, Any]], ...]


class Storm(Flights):
    """The stage, what is in flight, what people said, and what Astro showed last."""

    def __init__(self, stage: Stage, fuse: Fuse, asked: Mapping[str, Any], orphans: OrphansStage) -> None:
        super().__init__(stage, fuse)
        stage.renew()
        self.orphans = orphans
        self.ahead_s = BEHIND_S
        self.change_sandbox(**FAIR_WEATHER, clock_ahead_s=self.ahead_s)
        stage.change_project(
            previews={"merged_into": (INTO, TRUNK)},
            limits={"max_deletes": 50, "max_delete_fraction": 1.0},
            promotion=Promotion.model_validate(PROMOTION),
            targets={"staging": STAGING, "production": PRODUCTION},
            image_timeout_s=1,
            feedback=Feedback(commands=True),
        )
        self.first_project = stage.scope.project
        self.asked = asked
        self.git = Git(stage.author)
        self.ids = {
            name: stage.make_deployment(name, name=target.deployment, description="", isDevelopmentMode=False)
            for name, target in stage.scope.project.targets.items()
        }
        self.strangers = [stage.make_deployment(**_describe(stage, each)) for each in STRANGERS]
        self.strangers_look = self.look_at_strangers()
        self.conversation = Conversation(stage)
        self.conversation.grant("mona", "write")
        self.template = stage.author.git("show", f"origin/main:{TEMPLATE}") + "\n"
        self.files = 0
        self.heads: list[str] = []
        self.said: list[int] = []
        self.begun: set[str] = set()
        self.expired: set[str] = set()
        self.kept: set[str] = set()
        self.strays: set[str] = set()
        self.questions: list[Question] = []
        self.approved: list[Yes] = []
        self.rejected: set[tuple[Any, ...]] = set()
        self.refusing: dict[str, tuple[Any, ...]] = {}
        self.backup: Backup | None = None
        self.previews = self.list_previews()
        self.faces = self._face()
        self.is_raced = False

    def _face(self) -> Faces:
        scope = self.stage.scope
        facts = gather_facts(scope.project, scope.control_plane, is_alone=True, airflow_url="", web_url="https://git")
        return Faces(facts)

    # What Airflow does

    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make one pass, and let people look at what an undisturbed one shows."""
        super().plan(trouble, dispatched)
        if trouble is None:
            rows = self.stage.memory.read_rows()
            self.faces.tell(rows, datetime.now(UTC))
            self.faces.check(rows)

    def list_ready(self) -> list[Run]:
        """Return the runs that may go on: of a DAG with one active run the oldest, and none of a paused DAG's."""
        first: dict[str, Run] = {}
        for run in self.flying:
            is_alone = run.dag_id not in {self.stage.scope.preview_dag, *self._list_request_dags()}
            first.setdefault(run.dag_id if is_alone else run.run_id, run)
        return [run for run in first.values() if run.dag_id in self.list_dags() - self.stage.airflow.paused]

    def list_dags(self) -> set[str]:
        """Return the DAGs that the policy has now."""
        scope = self.stage.scope
        targets = {scope.target_dag(name) for name in scope.project.targets}
        others = {scope.preview_dag, scope.promotion_dag, scope.feedback_dag, scope.commands_dag}
        return {*targets, *others, *self._list_request_dags()}

    def _list_request_dags(self) -> set[str]:
        scope = self.stage.scope
        return {scope.request_dag(name) for name, each in scope.project.targets.items() if each.pull_request}

    def hear(self, run: Run) -> None:
        """Let a run that has no job of its own fly like the others."""
        self.flying.append(run)

    def run_task(self, run: Run, name: str) -> None:
        """Run a task; a question parks its run, and a dispatch starts the runs that it is told to."""
        if name == "dispatch":
            self._dispatch(run)
            return
        try:
            super().run_task(run, name)
        except TaskAwaitingInput:
            self._park(run)

    def _dispatch(self, run: Run) -> None:
        teller = "hear" if run.dag_id == self.stage.scope.commands_dag else "recheck"
        told = run.xcoms.get(teller, {}).get("return_value") if run.states[teller] == "success" else None
        run.states["dispatch"] = "success" if told else "skipped"
        for each in told or []:
            if each["trigger_run_id"] not in self.stage.airflow.states:
                self._note_begun(each["trigger_run_id"])
                self.flying.append(self.stage.start_dispatched(each))

    def _note_begun(self, run_id: str) -> None:
        comment = read_comment(run_id)
        assert not comment or run_id not in self.begun, "begun twice by one comment"
        assert not comment or "eyes" in self.conversation.list_signs(comment), "begun before it was marked"
        self.begun.add(run_id)

    def end(self, run: Run, state: str) -> None:
        """End the run."""
        super().end(run, state)
        self.questions = [each for each in self.questions if each.run is not run]

    # Questions

    def _park(self, run: Run) -> None:
        job = self.read_errand(run)
        newest = [record.id for record in self.list_records("production")[-1:]]
        yes = Yes(job["head"], job["base"], job["commit"] or job["head"], *(newest or [""]))
        asked = Question(run, yes, self._describe_rules(job["target"]), is_forced=not job["work"])
        waiting = [each.subject for each in self.questions if not (each.is_forced or each.is_lost)]
        assert asked.is_forced or asked.subject not in waiting, "asked twice at once"
        assert asked.is_forced or asked.subject not in self.rejected, "asked again for what was rejected"
        self.flying.remove(run)
        self.questions.append(asked)

    def _describe_rules(self, target: str) -> str:
        found = self.stage.scope.target(target).model_copy(update={"requires": None})
        return repr((found, self.stage.scope.project.people))

    def answer(self, pick: int) -> None:
        """Answer one of the questions whose DAG is there: mostly yes; or no; or let its time run out."""
        open_ = [each for each in self.questions if each.run.dag_id in self.list_dags()]
        if not open_:
            return
        question = open_[pick % len(open_)]
        self.questions.remove(question)
        self.flying.append(question.run)
        is_yes = pick % 4 < 2
        try:
            answer_request(question.run, "Approve" if is_yes else "Reject", timedout=pick % 4 == 3)
        except (RetryableError, AirflowFailException):
            assert is_yes, "a no was refused"
            self.follow_failure(question.run, "approve", "retry", is_whole=True)
            return
        if is_yes:
            self.approved.append(question.yes)
        elif pick % 4 == 2 and not question.is_forced:
            self.refusing[question.run.run_id] = question.subject

    # Backups

    def back_up(self) -> None:
        """Keep Airflow's database as it is."""
        airflow, stage = self.stage.airflow, self.stage
        self.backup = Backup(
            stores={name: copy.deepcopy(store.values) for name, store in stage.stores.items()},
            states=dict(airflow.states),
            paused=frozenset(airflow.paused),
            events=len(stage.events.events),
            flying=tuple((run, _copy_run(run)) for run in self.flying),
            questions=tuple((each, _copy_run(each.run)) for each in self.questions),
        )

    def restore(self) -> None:
        """Let Airflow's database be what it was: later runs never were, and earlier ones are where they were then."""
        if (kept := self.backup) is None:
            return
        airflow, stage = self.stage.airflow, self.stage
        for name, store in stage.stores.items():
            store.values = copy.deepcopy(dict(kept.stores.get(name, {})))
        airflow.states.clear()
        airflow.states.update(kept.states)
        airflow.tasks = {run_id: tasks for run_id, tasks in airflow.tasks.items() if run_id in kept.states}
        airflow.paused = set(kept.paused)
        del stage.events.events[kept.events :]
        self.flying = [_put_back(run, copied) for run, copied in kept.flying]
        self.questions = [question for question, copied in kept.questions if _put_back(question.run, copied)]
        back = {id(run) for run in [*self.flying, *(each.run for each in self.questions)]}
        self.ended = [run for run in self.ended if id(run) not in back and run.run_id in kept.states]
        for run in [*self.flying, *(each.run for each in self.questions)]:
            airflow.tasks[run.run_id] = run.states
        self.doubt()

    def doubt(self) -> None:
        """Know that what people said may be forgotten: it may be asked again, and what they kept may go."""
        self.rejected.clear()
        self.refusing.clear()
        self.kept.clear()
        self.faces.forget()
        for question in self.questions:
            question.is_lost = True

    # What may never be

    def check_spending(self, spent: Spent) -> None:
        """See that a pass is bounded; by what exactly, the neighbours' lives say."""
        assert spent.github + spent.astro < 400, spent

    def check_errand(self, job: Mapping[str, Any]) -> None:
        """See that nothing is planned for a DAG that is paused, and no delete of what lives."""
        scope = self.stage.scope
        home = scope.target_dag(job["target"]) if job["target"] else None
        assert home not in self.stage.airflow.paused, f"planned to {job['verb']} {job['target']}, which is frozen"
        if job["verb"] == Verb.DELETE.value and self.lives(job["branch"]):
            assert job["deployment_id"] in self.expired, f"planned to delete {job['branch']}, which lives"

    def check_changes(self, run: Run, name: str) -> None:
        """See that what the task did to Astro was rightly done; what somebody did after our last look, nobody knows."""
        self._note_answers(run, name)
        is_raced, self.is_raced = self.is_raced, False
        before, self.previews = self.previews, self.list_previews()
        assert self.look_at_strangers() == self.strangers_look, f"{run.run_id} touched what is not ours"
        if before == self.previews:
            return
        marked = [mark.branch for mark in map(parse_mark, self.previews.values()) if mark and self.is_ours(mark)]
        assert len(marked) == len(set(marked)), f"two Deployments for a branch: {marked}"
        assert not self.stage.scope.is_dry, "written in `mode: plan`"
        for gone in set() if is_raced else before.keys() - self.previews.keys():
            self._check_delete(run, gone, before[gone])

    def _note_answers(self, run: Run, name: str) -> None:
        action = run.params.get("action") or (run.conf.get("job") or {}).get("verb")
        deployment_id = self.read_errand(run).get("deployment_id", "")
        if (action, name, run.states[name]) == ("keep", "decide", "success"):
            self.kept.add(deployment_id)
        if (action, name) == ("resume", "report"):
            self.kept.discard(deployment_id)
        if name == "report" and run.run_id in self.refusing:
            refused = self.refusing.pop(run.run_id)
            self.rejected |= {refused} if run.states[name] == "success" else set()

    def _check_delete(self, run: Run, deployment_id: str, description: str) -> None:
        mark = parse_mark(description)
        assert mark is not None
        assert self.is_ours(mark), "deleted what is not ours"
        if run.run_type == "manual" or read_comment(run.run_id) or not self.lives(mark.branch):
            return
        assert deployment_id in self.expired, f"{run.run_id} deleted {mark.branch}'s preview, which lives"
        assert deployment_id not in self.kept, f"{run.run_id} deleted {mark.branch}'s preview, which somebody keeps"

    def is_ours(self, mark: Any) -> bool:
        """Whether a mark is this control plane's and this project's, under the repository's present name."""
        project = self.stage.scope.project
        is_same = mark.repository.casefold() == project.repository.casefold()
        return is_same and (mark.control_plane, mark.project) == (self.stage.scope.control_plane, project.name)

    # What is seen

    def look_at_strangers(self) -> list[Any]:
        """Return all that Astro shows of the Deployments that are not ours."""
        return [
            (self.stage.ask_astro("GET", f"deployments/{each}"), self.stage.list_deploys(each))
            for each in self.strangers
        ]

    def list_previews(self) -> dict[str, str]:
        """Return the descriptions of the Deployments that bear a mark of ours, by id."""
        found = {each["id"]: each["description"] for each in self.stage.list_deployments()}
        return {key: said for key, said in found.items() if key not in {*self.strangers, *self.ids.values()}}

    def list_branches(self) -> dict[str, str]:
        """Return the heads of the branches on GitHub."""
        lines = self.stage.author.git("ls-remote", "--heads", "origin").splitlines()
        return {name.removeprefix("refs/heads/"): head for head, _, name in (line.partition("\t") for line in lines)}

    def list_pulls(self, state: str = "open", **query: str) -> list[dict[str, Any]]:
        """Return pull requests, by number."""
        asked = "&".join(f"{key}={value}" for key, value in {"state": state, "per_page": "100", **query}.items())
        found: list[dict[str, Any]] = []
        page = 1
        while page == 1 or len(found) == 100 * (page - 1):
            found += self.stage.author._api("GET", f"pulls?{asked}&page={page}").json()
            page += 1
        return sorted(found, key=lambda pull: int(pull["number"]))

    def lives(self, branch: str) -> bool:
        """Whether the branch's preview should be: it exists, and was not merged as it is with nothing left open."""
        if not (head := self.list_branches().get(branch)):
            return False
        pulls = [pull for pull in self.list_pulls("all") if pull["head"]["ref"] == branch]
        if any(pull["state"] == "open" for pull in pulls):
            return True
        return not any(pull["merged_at"] and pull["head"]["sha"] == head for pull in pulls)

    def name_of(self, branch: str) -> str:
        """Return the name of the branch's preview."""
        return name_deployment(self.stage.scope.project.name, branch)

    def find_preview(self, branch: str) -> str:
        """Return the id of the branch's Deployment, empty without one."""
        marks = {key: parse_mark(said) for key, said in self.list_previews().items()}
        return next((key for key, mark in marks.items() if mark and mark.branch == branch and self.is_ours(mark)), "")

    def list_records(self, target: str) -> list[Record]:
        """Return the target's deploys that succeeded, oldest first."""
        shown = self.stage.list_deploys(self.ids[target])
        return [read_record(each) for each in reversed(shown) if each["status"] == "DEPLOYED"]

    def plan_quietly(self) -> None:
        """Make an undisturbed pass."""
        self.plan(None, 99)

    def begin(self) -> None:
        """Let there be previews, a promotion, and a release that asks for production."""
        from tests.chaos import people

        for number, _ in enumerate(BRANCHES):
            people.push(self, number)
        people.open_pull(self, 0)
        self.live_on()
        self.live_on()
        people.open_release(self, 0)
        self.live_on()

    def change_sandbox(self, **settings: Any) -> None:
        """Let things take longer out there, fail, or have another time."""
        assert self.stage.sandbox.client.post("/sandbox/settings", json=settings).is_success

    def adopt_previews(self) -> None:
        """Let a person have the previews adopted that bear the repository's old name."""
        text = POLICY.format(host=self.stage.sandbox.host)
        (line,) = [line for line in text.splitlines() if "repository:" in line]
        self.orphans.write_policy(text.replace(line, f"    repository: {self.stage.author.repository}"))
        run = self.orphans.start(action="adopt", dry_run=False)
        run.step("find")
        self.git.fetch()
        is_broken = "schedular_size" in self.stage.author.git("show", f"origin/{TRUNK}:{TEMPLATE}")
        with contextlib.suppress(AirflowSkipException):  # there is nothing to adopt
            run.ask_again()
            run.answer("Approve")
            with pytest.raises(RetryableError) if is_broken else contextlib.nullcontext():
                run.step("adopt")
        self.stage.airflow.states[run.run_id] = "failed" if "failed" in run.states.values() else "success"
        self.previews = self.list_previews()

    def set_dry(self, *, is_dry: bool) -> None:
        """Set `mode: plan`, or end it."""
        self.stage.scope = replace(self.stage.scope, is_dry=is_dry)

    def interrupt(self, deed: Callable[[Storm, int], None], pick: int) -> None:
        """Let somebody act in the midst of a task."""
        self.is_raced = True
        deed(self, pick)

    def stumble_once(self, pick: int, trouble: Trouble, aftermath: str) -> None:
        """Let one task of one of the runs in flight be played, and trouble strike in it."""
        if ready := self.list_ready():
            self.advance(ready[pick % len(ready)], trouble, aftermath)


def _describe(stage: Stage, stranger: Mapping[str, str]) -> dict[str, str]:
    branch, told = stranger["branch"], {key: value for key, value in stranger.items() if key != "branch"}
    return {"branch": branch, "description": told.get("description") or stage.write_mark(branch, **told)}


def _copy_run(run: Run) -> dict[str, Any]:
    names = ("xcoms", "states", "tries", "parked")
    stores = {name: copy.deepcopy(store.values) for name, store in run.task_stores.items()}
    return {**{name: copy.deepcopy(getattr(run, name)) for name in names}, "task_stores": stores}


def _put_back(run: Run, copied: Mapping[str, Any]) -> Run:
    for name in ("xcoms", "states", "tries", "parked"):
        setattr(run, name, copy.deepcopy(copied[name]))
    for name, store in run.task_stores.items():
        store.values = copy.deepcopy(dict(copied["task_stores"].get(name, {})))
    return run
