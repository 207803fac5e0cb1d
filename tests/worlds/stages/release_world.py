"""A stage with promotion, staging and gated production, moved together with the trusted model of releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.naming import PROMOTION_SLUG, slug_target
from include.deploy_ops.core.policy.keys import Approvers, Feedback, Promotion, Requires
from tests.worlds.stages.flights import Flights, Interference, Spent, Trouble, expect_refusal
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.promotion import FORM
from tests.worlds.stages.promotion import POLICY as PROMOTION
from tests.worlds.stages.request import PRODUCTION, STAGING, answer_request
from tests.worlds.stages.world import IGNORES, age_claims, age_histories, drop_ignored
from tests.worlds.values.faces import Faces, check_proof, check_row
from tests.worlds.values.trusted_release import Git, Model, Record, Release, Yes, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.worlds.doubles.fuse import Fuse
    from tests.worlds.stages.stage import Run, Stage

Move = Callable[["ReleaseWorld", int], None]
BRANCHES = ("dev-a", "dev/b")
INTO, DEPLOY_BRANCH, TRUNK = "staging", "astro_deploy", "main"
TARGETS = ("staging", "production")
"""What they are called at first; the policy may rename them, and their Deployments stay."""
RENAMED = {"staging": "stage", "production": "prod"}
SLUGS = (*map(slug_target, TARGETS), PROMOTION_SLUG)
PERSON = "7"
"""The id in Airflow of whoever answers."""
APPROVERS = (
    None,
    Approvers(users=(PERSON,)),
    Approvers(users=("9",)),
    Approvers(not_requester=True),
)
GATES: tuple[Requires | None, ...] = (
    Requires.model_validate({"windows": {"deny": ["2000-01-01/9999-12-30"], "timezone": "UTC"}}),
    Requires.model_validate({"windows": {"deny": ["2000-01-01"], "timezone": "UTC"}}),
    None,
)
"""Never open, open by now, and none."""
PEOPLE: tuple[dict[str, str], ...] = ({}, {"deploy-ops": PERSON}, {"deploy-ops": "8"})
"""Who the one who opens pull requests is in Airflow."""
FILES = ("dags/f{n}.py", "dags/f{n}.py", "include/f{n}.py", "docs/f{n}.txt", "f{n}.md", "dags/shared.py")
QUIET = timedelta(hours=2)
PASSES_UNTIL_QUIET = 14
GITHUB_BASE, GITHUB_EACH, ASTRO_MAX, AIRFLOW_MAX = 12, 6, 4, 200


Key = tuple[str, str, Release]
"""What a person is asked once: the target's name, its rules, and of which head, base and newest deploy."""


@dataclass
class Question:
    """A run that waits for a person, and what production ran when it asked.

    `is_lost`: the state store was lost since, so that nobody remembers it.
    """

    run: Run
    yes: Yes
    is_forced: bool
    key: Key
    is_lost: bool = False


@dataclass
class Answers:
    """What people said about a target under one of its names."""

    resumed: set[str]
    rejected: set[Release]
    perhaps_rejected: set[Release]


class ReleaseWorld(Flights):
    """The stage and the model moved together, what is in flight between them, and who is asked."""

    def __init__(self, stage: Stage, fuse: Fuse, asked: Mapping[str, Any]) -> None:
        super().__init__(stage, fuse)
        stage.renew()
        project = stage.scope.project.model_copy(
            update={
                "previews": None,
                "promotion": Promotion.model_validate(PROMOTION),
                "targets": {"staging": STAGING, "production": PRODUCTION},
                "image_timeout_s": 1,
            }
        )
        stage.scope = replace(stage.scope, project=project)
        self.asked = asked
        self.model = Model()
        self.git = Git(stage.author)
        self.ids = {
            name: stage.make_deployment(name, name=target.deployment, description="", isDevelopmentMode=False)
            for name, target in project.targets.items()
        }
        self.names = {name: name for name in TARGETS}
        self.put_aside: dict[str, Answers] = {}
        self.questions: list[Question] = []
        self.answered: dict[str, Key] = {}
        self.standing: Key | None = None
        self.unanswered: set[Release] = set()
        self.misread: set[str] = set()
        self.own_merges: list[int] = []
        self.files = 0
        facts = gather_facts(
            project, stage.scope.control_plane, is_alone=True, airflow_url="https://airflow", web_url="https://git"
        )
        self.faces = Faces(replace(facts, feedback=Feedback()))
        self.refused: dict[str, Release] = {}
        self.outdated: set[str] = set()
        self.has_raced = False
        self.has_ignored = False

    def begin(self, pick: int) -> None:
        """Let a pull request be promoted and shown on staging, and another one ask for production."""
        self.push(pick)
        self.open(pick)
        self.live_on()
        self.open_release(pick)
        self.live_on()

    # What people do in the repository

    def push(self, pick: int) -> None:
        """Push a dev branch, new or not."""
        branch = BRANCHES[pick % len(BRANCHES)]
        self._commit(branch, pick // len(BRANCHES), new_from=f"origin/{INTO}")

    def remake(self, pick: int) -> None:
        """Delete a dev branch and make another one of its name before anybody has looked."""
        branch = BRANCHES[pick % len(BRANCHES)]
        self.git.fetch()
        if self.git.find(branch):
            self.stage.author.delete(branch)
        self.push(pick)

    def push_into(self, pick: int) -> None:
        """Push to staging without a pull request."""
        self._commit(INTO, pick)

    def push_trunk(self, pick: int) -> None:
        """Push a hotfix to main: DAGs or what deploys nothing, for which a merge needs no image of its own."""
        self._commit(TRUNK, (0, 3, 4, 5)[pick % 4])

    def stray(self, pick: int) -> None:
        """Let a stranger commit to the deploy branch."""
        self.model.strays.add(self._commit(DEPLOY_BRANCH, pick))

    def _commit(self, branch: str, pick: int, new_from: str = "") -> str:
        self.files += 1
        path = FILES[pick % len(FILES)].format(n=self.files)
        self.git.fetch()
        self.stage.author.git(
            "checkout", "--quiet", "-B", "desk", f"origin/{branch}" if self.git.find(branch) else new_from
        )
        head = self.stage.author.commit({path: f"# {self.files}\n"}, f"Change {path}")
        self.stage.author.push(branch)
        self.stage.await_ci()
        return head

    def open(self, pick: int) -> None:
        """Open a dev branch's pull request, where GitHub sees something to merge and no open one."""
        self._open(BRANCHES[pick % len(BRANCHES)], INTO)

    def open_release(self, _pick: int) -> None:
        """Open the pull request into main."""
        self._open(DEPLOY_BRANCH, TRUNK)

    def _open(self, branch: str, base: str) -> None:
        try:
            self.stage.author.open_pull_request(branch, base, f"Merge {branch}")
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 422)

    def merge(self, pick: int) -> None:
        """Merge a dev branch's pull request in one of three ways, unless it conflicts."""
        self._merge(INTO, pick)

    def merge_release(self, pick: int) -> None:
        """Merge the pull request into main before it is deployed, as nobody should."""
        self._merge(TRUNK, pick)

    def _merge(self, base: str, pick: int) -> None:
        if not (pulls := self.list_pulls(base)):
            return
        number = pulls[pick % len(pulls)]["number"]
        try:
            self.stage.author.merge(number, ("merge", "squash", "rebase")[pick % 3])
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 405)
        self.stage.await_ci()

    def draft(self, pick: int) -> None:
        """Turn an open pull request into a draft, which feeds nothing and is no release, or back."""
        if pulls := [*self.list_pulls(INTO), *self.list_pulls(TRUNK)]:
            self.stage.set_draft(pulls[pick % len(pulls)]["number"], is_draft=pick // 2 % 2 > 0)

    def close(self, pick: int) -> None:
        """Close a pull request, and perhaps open it again."""
        pulls = [*self.list_pulls(INTO), *self.list_pulls(TRUNK)]
        for state in ("closed", "open")[: 1 + pick % 2]:
            if pulls:
                self.stage.author._api("PATCH", f"pulls/{pulls[pick % len(pulls)]['number']}", {"state": state})

    def list_pulls(self, base: str) -> list[dict[str, Any]]:
        """Return the open pull requests into the branch, by number."""
        found = self.stage.author._api("GET", f"pulls?state=open&per_page=100&base={base}").json()
        return sorted(found, key=lambda pull: int(pull["number"]))

    # What people do to the policy

    def move_repository(self, pick: int) -> None:
        """Rename the repository at GitHub and in the policy."""
        self.rename(pick)
        self.git.author = self.stage.author
        self._note_edit()

    def spell_repository(self, pick: int) -> None:
        """Write the repository's name in other letters."""
        self.spell(pick)
        self._note_edit()

    def ignore(self, pick: int) -> None:
        """Change what the policy ignores: nobody is asked again for that, unless it makes another deploy of it."""
        self.has_ignored = True
        self.stage.change_project(ignore=IGNORES[pick % len(IGNORES)])
        self._note_edit()

    def change_people(self, pick: int) -> None:
        """Change who is who."""
        self.stage.change_project(people=PEOPLE[pick % len(PEOPLE)])
        self._note_edit()

    def change_approvers(self, pick: int) -> None:
        """Change who may approve."""
        self._change_target("production", approvers=APPROVERS[pick % len(APPROVERS)])

    def change_gates(self, pick: int) -> None:
        """Close production's gates, or open them: no question is another for that, and no yes less."""
        standing = self.standing
        self._change_target("production", requires=GATES[pick % len(GATES)])
        self.standing = standing

    @property
    def is_gated(self) -> bool:
        """Whether production's gates are closed."""
        return self.stage.scope.target(self.names["production"]).requires is GATES[0]

    def describe_rules(self) -> str:
        """Return the rules of production by which a question is another."""
        return repr(self.stage.scope.target(self.names["production"]).model_copy(update={"requires": None}))

    def change_merging(self, pick: int) -> None:
        """Let production's deploys be merged, or not."""
        self._change_target("production", merge=pick % 2 > 0)

    def change_branch(self, pick: int) -> None:
        """Let staging follow another branch."""
        self._change_target("staging", branch=(DEPLOY_BRANCH, INTO)[pick % 2])

    def rename_target(self, pick: int) -> None:
        """Rename a target in the policy, or give it its first name back: the runs of a name wait until it is back."""
        self._rename_target(TARGETS[pick % 2], is_back=False)

    def _rename_target(self, target: str, *, is_back: bool) -> None:
        before = self.names[target]
        after = target if is_back or before != target else RENAMED[target]
        if before == after:
            return
        known = self.stage.scope.project.targets
        self.stage.change_project(targets={after if key == before else key: each for key, each in known.items()})
        self.names[target] = after
        self._swap_answers(target, before, after)
        self._note_edit()

    def _swap_answers(self, target: str, before: str, after: str) -> None:
        """Know what people said about the target under its other name, and put aside what they said under this one."""
        ids = {each.id for each in self.list_records(target)} | {""}
        said = Answers(self.model.resumed & ids, set(), set())
        self.model.resumed -= said.resumed
        if target == "production":
            said.rejected, said.perhaps_rejected = set(self.model.rejected), set(self.model.perhaps_rejected)
            self.standing = None
        back = self.put_aside.pop(after, Answers(set(), set(), set()))
        self.put_aside[before] = said
        self.model.resumed |= back.resumed
        if target == "production":
            self.model.rejected, self.model.perhaps_rejected = back.rejected, back.perhaps_rejected

    def _change_target(self, name: str, **changes: Any) -> None:
        called = self.names[name]
        targets = self.stage.scope.project.targets
        self.stage.change_project(targets={**targets, called: targets[called].model_copy(update=changes)})
        self._note_edit()
        if name == "production":
            self.standing = None

    def _note_edit(self) -> None:
        """Know that what nobody answered, or answers, may be asked again."""
        self.outdated |= {run.run_id for run in [*self.flying, *(each.run for each in self.questions)]}
        lapsed = self.model.rejected & self.unanswered
        self.model.rejected -= lapsed
        self.model.perhaps_rejected |= lapsed

    def _mend_policy(self) -> None:
        """Undo what keeps the control plane from coming to rest."""
        for target in TARGETS:
            self._rename_target(target, is_back=True)
        self.stage.change_project(ignore=IGNORES[0], people={})
        self._change_target("production", approvers=None, merge=True, requires=None)

    # What people do elsewhere

    def read_stale(self, pick: int) -> None:
        """Let Astro answer a pass with a list that lacks a target's newest deploys."""
        target = TARGETS[pick % 2]
        records = self.stage.list_deploys(self.ids[target])[1 + pick // 2 % 2 :]
        self.misread.add(target)
        with self.stage.show_records(self.ids[target], records):
            self.plan(None, 99)

    def deploy_by_hand(self, pick: int) -> None:
        """Let somebody deploy to a target, or roll it back, beside us."""
        path = f"deployments/{self.ids[TARGETS[pick % 2]]}/deploys"
        records = self.list_records(TARGETS[pick % 2])
        if pick % 4 > 1 and records:
            self.stage.ask_astro("POST", f"{path}/{records[0].id}/rollback", {"description": "back"})
        else:
            made = self.stage.ask_astro("POST", path, {"type": "DAG_ONLY", "description": "by hand"})
            self.stage.ask_astro("POST", f"{path}/{made['id']}/finalize", {})

    def force(self, pick: int) -> None:
        """Force a deploy by form: the source, a branch or a commit of the deploy branch, of one kind or another."""
        self.git.fetch()
        ours = self.stage.author.git("rev-list", "-6", f"origin/{DEPLOY_BRANCH}").split()
        refs = ["", TRUNK, *ours, *filter(self.git.find, BRANCHES)]
        kind = "image-and-dags" if pick % 5 == 0 else "infer"
        self._start_form(TARGETS[pick % 2], action="deploy", ref=refs[pick // 2 % len(refs)], deploy_type=kind)

    def resume(self, pick: int) -> None:
        """End a target's hold by form."""
        self._start_form(TARGETS[pick % 2], action="resume")

    def _start_form(self, target: str, action: str, **params: str) -> None:
        scope = self.stage.scope
        is_request = target == "production" and action == "deploy"
        filled = {"action": action, "deploy_type": "infer", "reason": "to see it", **params}
        called = self.names[target]
        dag_id = scope.request_dag(called) if is_request else scope.target_dag(called)
        self._start_by_hand(dag_id, filled)

    def adopt(self, _pick: int) -> None:
        """Take over the deploy branch by form."""
        self._start_by_hand(self.stage.scope.promotion_dag, FORM | {"action": "adopt"})

    def promote(self, _pick: int) -> None:
        """Ask for a promotion by form."""
        self._start_by_hand(self.stage.scope.promotion_dag, dict(FORM))

    def _start_by_hand(self, dag_id: str, params: dict[str, Any]) -> None:
        run_id = f"manual__{next(self.stage.numbers)}"
        self.flying.append(self.stage.start({}, run_id, "manual", dag_id=dag_id, **params))

    def answer(self, pick: int) -> None:
        """Answer one of the questions whose DAG is there: mostly yes; or no; or let its time run out."""
        open_ = self.list_open()
        if not open_:
            return
        question = open_[pick % len(open_)]
        self.questions.remove(question)
        is_yes, yes, run = pick % 4 < 2, question.yes, question.run
        self.flying.append(run)
        try:
            answer_request(run, "Approve" if is_yes else "Reject", timedout=pick % 4 == 3)
        except (RetryableError, AirflowFailException):
            assert is_yes, "a no was refused"
            assert not self.may_approve(), f"{PERSON}'s yes does not count, who may approve"
            self.follow_failure(run, "approve", "retry", is_whole=True)
            return
        if is_yes:
            assert self.may_approve() is not False, f"{PERSON}'s yes counts, who may not approve"
            self.model.approved.append(yes)
            self.answered[run.run_id] = question.key
        elif not question.is_forced:
            self.refused[run.run_id] = yes.release
            self.unanswered |= {yes.release} if pick % 4 == 3 else set()

    def list_open(self) -> list[Question]:
        """Return the questions that can be answered: of DAGs that the policy has."""
        return [each for each in self.questions if each.run.dag_id in self.list_dags()]

    def may_approve(self) -> bool | None:
        """Whether the person who answers may approve by the policy; None where that hangs on who wrote what."""
        target = self.stage.scope.target(self.names["production"])
        if target.approvers is None:
            return True
        return None if target.approvers.not_requester else PERSON in target.approvers.users

    def list_dags(self) -> tuple[str, ...]:
        """Return the DAGs that there are by the policy."""
        scope, called = self.stage.scope, self.names
        targets = (scope.target_dag(each) for each in called.values())
        return (*targets, scope.promotion_dag, scope.request_dag(called["production"]))

    def pause(self, pick: int) -> None:
        """Freeze a DAG, or let it go on."""
        names = self.list_dags()
        self.stage.airflow.paused ^= {names[pick % len(names)]}

    def break_ci(self, pick: int) -> None:
        """Let CI fail for a while."""
        self._set_ci(fails=bool(pick % 2))

    def _set_ci(self, *, fails: bool) -> None:
        assert self.stage.sandbox.client.post("/sandbox/settings", json={"ci_fails": fails}).is_success

    def forget(self, _pick: int) -> None:
        """Lose the state store."""
        self.stage.stores.clear()
        self.model.forget()
        self.put_aside.clear()
        self.standing = None
        for question in self.questions:
            question.is_lost = True
        self.faces.forget()

    def purge(self, _pick: int) -> None:
        """Clean Airflow's database."""
        self.clean_database()

    # What the control plane does

    def plan(self, trouble: Trouble, dispatched: int) -> None:
        """Make one pass, and let people look at what it shows."""
        super().plan(trouble, dispatched)
        if trouble is None:
            self.look()

    def look(self) -> None:
        """See that row, comment, status and Astro's records do not contradict each other."""
        rows = self.stage.memory.read_rows()
        self.faces.tell(rows, datetime.now(UTC))
        self.faces.check(rows)
        for target in set(TARGETS) - self.model.doubtful - self.misread:
            row = rows[slug_target(self.names[target])]
            check_row(row, self.list_records(target), is_overridden=self.is_overridden(target))
            check_proof(row, self.stage.memory.verification(row.slug).read())

    def list_ready(self) -> list[Run]:
        """Return the runs that may go on: of a DAG with one active run the oldest, and none of a frozen DAG's.

        Nor does Airflow run anything of a DAG that is gone, since its target has another name in the policy.
        """
        first: dict[str, Run] = {}
        for run in self.flying:
            is_alone = not run.dag_id.endswith(".request")
            first.setdefault(run.dag_id if is_alone else run.run_id, run)
        there = set(self.list_dags()) - self.stage.airflow.paused
        return [run for run in first.values() if run.dag_id in there]

    def run_task(self, run: Run, name: str) -> None:
        """Run a task; a question parks its run, and a dispatch starts the run that it is told to."""
        if name == "dispatch":
            self._dispatch(run)
            return
        try:
            super().run_task(run, name)
        except TaskAwaitingInput:
            self._ask(run)

    def interfere(self, move: Move, pick: int, stop: int, at: int) -> None:
        """Let one of the runs in flight go on, and somebody act in the midst of one of its tasks."""
        if (run := self.advance_to(stop)) is None:
            return
        name = self.find_next(run)

        def act() -> None:
            self.has_raced |= name in {
                "deploy",
                "merge",
            }  # between our last look and the write, for which nothing helps
            move(self, pick)

        self.advance(run, Interference(at, act))

    def _dispatch(self, run: Run) -> None:
        told = run.xcoms.get("recheck", {}).get("return_value") if run.states["recheck"] == "success" else None
        run.states["dispatch"] = "success" if told else "skipped"
        for each in told or []:
            if each["trigger_run_id"] not in self.stage.airflow.states:
                self.flying.append(self.stage.start_dispatched(each))

    def _ask(self, run: Run) -> None:
        job = self.read_errand(run)
        for shown in filter(None, (job["head"], job["base"])) if job["pull"] and not job["is_override"] else ():
            assert shown[:12] in self.asked["body"]
        assert (job["commit"] or job["head"])[:12] in self.asked["subject"]
        records = self.list_records("production")
        newest = records[-1].id if records else ""
        yes = Yes(job["head"], job["base"], job["commit"] or job["head"], newest)
        called = self.names["production"]
        key = (called, self.describe_rules(), yes.release)
        if job["work"]:
            assert not self.is_gated, "asked before the gates are open"
            assert yes.release not in self.model.rejected, "asked again for what was rejected"
            assert key != self.standing, "asked again for what was approved"
            waiting = [each.key for each in self.questions if not (each.is_forced or each.is_lost)]
            assert key not in waiting, "asked twice at once"
        self.flying.remove(run)
        self.questions.append(Question(run, yes, is_forced=not job["work"], key=key))

    def end(self, run: Run, state: str) -> None:
        """End the run."""
        super().end(run, state)
        self.questions = [each for each in self.questions if each.run is not run]

    def check_errand(self, job: Mapping[str, Any]) -> None:
        """Nothing is planned that is frozen, or overridden."""
        scope, called = self.stage.scope, job["target"]
        home = scope.target_dag(called) if called else scope.promotion_dag
        assert home not in self.stage.airflow.paused, f"planned to {job['verb']} {called}, which is frozen"
        target = next((name for name, each in self.names.items() if each == called), "")
        if target and target not in self.model.doubtful | self.misread:
            assert not self.model.is_overridden(self.list_records(target)), f"planned to {job['verb']} {target}"

    def check_changes(self, run: Run, name: str) -> None:
        """Take note of what a person decided by form, and look at what a merge made."""
        state, params = run.states[name], run.params
        is_forced = not self.read_errand(run).get("work")
        assert (name, state, is_forced) != ("claim", "skipped", True), "dropped without a word"
        if name == "report" and run.run_id in self.refused:
            release = self.refused[run.run_id]
            is_overtaken = run.run_id in self.outdated or not self._is_open(release)
            holds = state == "success" and not (release in self.unanswered and is_overtaken)
            (self.model.rejected if holds else self.model.perhaps_rejected).add(release)
            self.standing = None
        if name == "recheck" and run.run_id in self.answered:
            self._note_approval(run, state, is_forced=is_forced)
        if name == "decide" and params.get("action") == "resume":
            self._note_resume(run, state)
        if name == "promote" and params.get("action") == "adopt":
            self._note_adoption(run, state)
        if name == "merge" and state == "success":
            self._check_merge(run)
        if state == "skipped":
            self._note_void(run, name)
        if (name, state, run.dag_id) == ("deploy", "success", self.stage.scope.target_dag(self.names["production"])):
            is_asked = not is_forced and not self.has_raced
            assert not is_asked or self.may_approve() is not False, "deployed by a yes of who may approve no more"
            is_new = not run.xcoms["deploy"]["return_value"]["said"].endswith("by an earlier try of this run")
            is_bound = is_new and not (self.has_raced or self.read_errand(run)["skips"])
            assert not (is_bound and self.is_gated), "deployed while a gate was closed, which nobody skipped"

    def _is_open(self, release: Release) -> bool:
        """Whether GitHub has it still, and no draft: only then that nobody answered in time is an answer."""
        self.git.fetch()
        heads = [pull["head"]["sha"] for pull in self.list_pulls(TRUNK) if not pull["draft"]]
        return (heads, self.git.find(TRUNK)) == ([release[0]], release[1])

    def _note_approval(self, run: Run, state: str, *, is_forced: bool) -> None:
        """Know that the yes to a planned request stands, unless it was given under other rules than those of now."""
        called = self.names["production"]
        key, now = self.answered[run.run_id], (called, self.describe_rules())
        if not is_forced:
            self.standing = key if state == "success" and key[:2] == now else None

    def _note_void(self, run: Run, name: str) -> None:
        """Know that a yes counts no more where its deploy became another one: by what the policy ignores alone."""
        if "the next request asks anew" in run.xcoms.get(name, {}).get("superseded", ""):
            assert self.has_ignored, "a yes is void although nothing moved"
            self.standing = None

    def check_spending(self, spent: Spent) -> None:
        """See that a pass costs what lives: branches, targets, open pull requests."""
        pulls = len(self.list_pulls(INTO)) + len(self.list_pulls(TRUNK))
        assert spent.github <= GITHUB_BASE + GITHUB_EACH * pulls, f"{spent} for {pulls} pull requests"
        assert spent.astro <= ASTRO_MAX, f"{spent}"
        assert spent.airflow <= AIRFLOW_MAX, f"{spent}"

    def _note_resume(self, run: Run, state: str) -> None:
        called = run.dag_id.rpartition(".")[2]
        target = next(name for name, each in self.names.items() if each == called)
        if state == "failed":
            self.model.doubtful.add(target)
        elif state == "success":
            self.model.resumed.add(self.list_records(target)[-1].id if self.list_records(target) else "")

    def _note_adoption(self, run: Run, state: str) -> None:
        tip = self.read_errand(run).get("commit", "")
        if state == "success":
            self.model.adopted.add(tip)
        elif state == "failed":
            self.model.doubtful.add(DEPLOY_BRANCH)

    def _check_merge(self, run: Run) -> None:
        """See that what we merged is what production runs, and that somebody approved it."""
        job = self.read_errand(run)
        merged = self.stage.author.show_pull_request(job["pull"])["merge_commit_sha"]
        if job["pull"] in self.own_merges or self.has_raced:
            return
        self.own_merges.append(job["pull"])
        base, head = self.git.list_parents(merged)
        assert any((yes.head, yes.base) == (head, base) for yes in self.model.approved), "merged without approval"
        self.check_content("production", merged)

    # What is seen

    def list_records(self, target: str) -> list[Record]:
        """Return the target's deploys that succeeded, oldest first."""
        shown = self.stage.list_deploys(self.ids[target])
        return [read_record(each) for each in reversed(shown) if each["status"] == "DEPLOYED"]

    def check_content(self, target: str, commit: str) -> None:
        """Compare what the target runs with a commit, but for what the policy ignores."""
        found = drop_ignored(self.stage.list_files(self.ids[target]))
        assert found == drop_ignored(self.git.hash_files(commit)), f"{target} does not run {commit}"

    # The end

    def settle(self) -> None:
        """Let everything come to rest: no more trouble, nothing frozen, each question is answered with yes."""
        self.stage.airflow.paused.clear()
        self._set_ci(fails=False)
        self._mend_policy()
        for _ in range(PASSES_UNTIL_QUIET):
            self.build_again()
            self.finish_runs()
            while self.list_open():
                self.answer(0)
                self.finish_runs()
            self.pass_time(0)
            self.plan(None, 99)
            if not self.list_ready():
                return
        raise AssertionError(f"no rest after {PASSES_UNTIL_QUIET} passes: {[run.run_id for run in self.flying]}")

    def build_again(self) -> None:
        """Let CI build what it failed to: the heads that are there now."""
        builds = self.stage.sandbox.client.get("/sandbox/ci").json()["builds"]
        built = {build["sha"] for build in builds if build["state"] == "done"}
        self.git.fetch()
        for head in {self.git.find(branch) for branch in (INTO, DEPLOY_BRANCH, TRUNK)} - built:
            self.stage.author.git("push", "--quiet", "--force", "origin", f"{head}:refs/heads/again")
            self.stage.await_ci()

    def pass_time(self, _pick: int) -> None:
        """Make all that is remembered older."""
        memory = self.stage.memory
        age_histories(memory)
        self.misread.clear()
        for slug in SLUGS:
            for slot in (memory.environment(slug), memory.requests(slug)):
                known: Any = slot.read()
                endings = {
                    key: replace(ending, ended_at=ending.ended_at - QUIET)
                    for key, ending in (known.endings if known else {}).items()
                }
                if endings:
                    slot.write(replace(known, endings=endings))
            age_claims(memory, slug)

    def read_holds(self) -> dict[str, str]:
        """Return what a pass holds, by environment; it must start nothing."""
        task = self.stage.make_plan_task()
        assert self.stage.run_plan(task) == []
        lines = [line.split(" | ") for line in fold_page(task.plan).splitlines() if line.startswith("| hold |")]
        return {name: reason for _, name, _, reason in lines}

    def check_rest(self) -> None:
        """Every target equals its source, or is held for a reason that the model knows of."""
        self.git.fetch()
        holds = self.read_holds()
        self.check_deploy_branch(holds.pop(DEPLOY_BRANCH, ""))
        self.check_staging(holds.pop("staging", ""))
        self.check_production(holds.pop("production", ""))
        assert not holds
        for target in TARGETS:
            records = self.list_records(target)
            self.model.check_records(self.git, records, is_gated=target == "production", has_raced=self.has_raced)
            if records and records[-1].how:
                self.check_content(target, records[-1].commit)

    def check_deploy_branch(self, held: str) -> None:
        """See that it is what it is derived to be, unless a stranger's commit is its tip, and lost nobody's commit."""
        tip, into = self.git.find(DEPLOY_BRANCH), self.git.find(INTO)
        self.git.check_no_empty_promotions(tip)
        assert all(self.git.is_in(stray, tip) for stray in self.model.strays), "somebody's commit was lost"
        is_stray = tip in self.model.strays - self.model.adopted and not self.git.is_in(tip, into)
        self.check_hold(DEPLOY_BRANCH, held, "neither a commit of" if is_stray else "")
        if not held:
            heads = [pull["head"]["sha"] for pull in self.list_pulls(INTO) if not pull["draft"]]
            assert self.git.list_entries(tip) == self.git.derive(into, heads)

    def check_staging(self, held: str) -> None:
        """See that it runs the deploy branch, unless somebody overrode that."""
        self.check_hold("staging", held, "overridden by" if self.is_overridden("staging") else "")
        if not held:
            self.check_content("staging", self.git.find(self.stage.scope.target("staging").branch or ""))

    def check_production(self, held: str) -> None:
        """No release is left open, unless it conflicts, was rejected, or somebody overrode what runs there."""
        pulls = self.list_pulls(TRUNK)
        head, base = self.git.find(DEPLOY_BRANCH), self.git.find(TRUNK)
        records = self.list_records("production")
        newest = records[-1].id if records else ""
        expected = ""
        if self.is_overridden("production"):
            expected = "overridden by"
        elif pulls and pulls[0]["draft"]:
            expected = "it is a draft"
        elif pulls and self.git.conflicts(base, head):
            expected = "conflicts with"
        elif pulls and (head, base, newest) in self.model.rejected:
            expected = "rejected"
        elif pulls and (head, base, newest) in self.model.perhaps_rejected and "rejected" in held:
            return
        self.check_hold("production", held, expected)
        assert held or not pulls, "a release is left open"

    def is_overridden(self, target: str) -> bool:
        """Whether the target's newest deploy is somebody's own."""
        return self.model.is_overridden(self.list_records(target))

    def check_hold(self, name: str, held: str, expected: str) -> None:
        """See that it is held when it must be, for that reason and no other; a doubtful hold may be there or not."""
        if name not in self.model.doubtful:
            assert bool(held) == bool(expected), f"{name}: held: {held or 'not'}; expected: {expected or 'not'}"
        assert expected in held or (name in self.model.doubtful and not held), f"{name}: {held}, not {expected}"
