"""A stage and the trusted model, moved together: people push, runs go on task by task, trouble strikes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.naming import name_deployment, parse_mark, parse_note, read_comment, slug_branch
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.observation.past import FORGOTTEN_MAX
from include.deploy_ops.run.claims import MANUAL, PLANNED
from include.deploy_ops.run.memory import ENVIRONMENT_PARTS
from tests.worlds.stages.commands import Conversation
from tests.worlds.stages.fixtures import POLICY
from tests.worlds.stages.fleet import push_branches
from tests.worlds.stages.flights import Flights, Spent, Trouble, expect_refusal
from tests.worlds.stages.spending import count_pages
from tests.worlds.values.trusted_model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.deploy_ops.run.memory import Memory
    from tests.worlds.doubles.fuse import Fuse
    from tests.worlds.stages.cleanup import OrphansStage
    from tests.worlds.stages.stage import Run, Stage

BRANCHES = ("dev-a", "dev/a", "dev-A")
IGNORES = (("*.md", "docs/"), ("*.md", "docs/", "notes/"), ("*.md",))
TEMPLATE = "deployments/preview.yaml"
FILES = ("dags/f{n}.py", "include/f{n}.py", "docs/f{n}.txt", "f{n}.md")
WORDS = ("deploy", "destroy", "keep", "resume", "dploy")
LOST: tuple[dict[str, Any], ...] = (
    {"face": "github", "method": "POST", "path": "/reactions$", "drop": "after"},
    {"face": "github", "method": "POST", "path": "/reactions$", "status": 502},
)
"""What may befall the sign of a comment."""
QUIET = timedelta(hours=2)
PASSES_UNTIL_QUIET = 10
GITHUB_BASE, GITHUB_EACH = 9, 4
ASTRO_BASE, ASTRO_EACH = 2, 2
CONCERN_EACH = 8
"""Requests to GitHub by which a pass learns of a branch what it changes: a comparison, a commit, its top folders."""
AIRFLOW_BASE, AIRFLOW_EACH = 340, 12
SHARDS = 160
"""Keys of the state store that a pass may read and write beyond those of the one before."""
FORGETTING = (len(ENVIRONMENT_PARTS) + 2) * FORGOTTEN_MAX
"""Calls by which a pass forgets environments whose branches have gone."""
AUTHORS = 12
"""Heads whose authors one pass asks for, and some more."""


class World(Flights):
    """The stage and the model moved together, and what is in flight between them."""

    def __init__(self, stage: Stage, fuse: Fuse, orphans: OrphansStage) -> None:
        super().__init__(stage, fuse)
        stage.renew()
        self.orphans = orphans
        self.model = Model()
        self.files = 0
        self.template = stage.author.git("show", f"origin/main:{TEMPLATE}") + "\n"
        self.heads: list[str] = []
        self.seen = self.list_previews()
        self.is_crowded = False
        self.is_by_change = False
        self.conversation = Conversation.listen(stage)
        self.said: list[int] = []
        self.begun: set[str] = set()
        self.hearing_trouble: Trouble = None

    # What people do in the repository

    def push(self, branch: str, pick: int) -> None:
        """Push a new branch, or one more commit."""
        self.files += 1
        path = FILES[pick % len(FILES)].format(n=self.files)
        self._move_to(branch, self.model.heads.get(branch, "origin/main"), {path: f"# {self.files}\n"})

    def jump(self, branch: str, pick: int) -> None:
        """Let a branch jump to where any of them was: back, sideways, or into being again."""
        if self.heads:
            self._move_to(branch, self.heads[pick % len(self.heads)], {})

    def _move_to(self, branch: str, base: str, files: dict[str, str]) -> None:
        author = self.stage.author
        author.git("fetch", "--quiet", "--prune")
        author.git("checkout", "--quiet", "-B", "desk", base)
        head = author.commit(files, f"Change {', '.join(files)}") if files else author.git("rev-parse", "HEAD")
        author.push(branch, force=True)
        self.stage.await_ci()
        self.model.move(branch, head)
        self.heads.append(head)

    def delete(self, branch: str, _pick: int) -> None:
        """Delete a branch."""
        if branch in self.model.heads:
            self.stage.author.delete(branch)
            self.model.delete(branch)

    def remake(self, branch: str, pick: int) -> None:
        """Delete a branch and make another one of its name before anybody has looked."""
        self.delete(branch, pick)
        self.push(branch, pick)

    def open(self, branch: str, pick: int) -> None:
        """Open a pull request, where GitHub sees something to merge and no open one."""
        if branch not in self.model.heads:
            return
        try:
            number = self.stage.author.open_pull_request(branch, ("main", "staging")[pick % 2], f"Merge {branch}")
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 422)
        else:
            self.model.pulls[number] = branch

    def merge(self, branch: str, pick: int) -> None:
        """Merge one of the branch's pull requests, a new one if need be, in one of three ways, unless it conflicts."""
        for base in range(1 + (pick % 4 == 0)):
            self.open(branch, base)
        number = self._find_pull(branch)
        if not number:
            return
        try:
            self.stage.author.merge(number, ("merge", "squash", "rebase")[pick % 3])
        except httpx.HTTPStatusError as error:
            expect_refusal(error, 405)
        else:
            self.stage.await_ci()
            self.model.merge(number)

    def draft(self, branch: str, pick: int) -> None:
        """Turn the branch's pull request into a draft, which has its preview too and cannot be merged, or back."""
        if number := self._find_pull(branch):
            self.stage.set_draft(number, is_draft=pick % 3 > 0)

    def close(self, branch: str, pick: int) -> None:
        """Close the branch's pull request, and perhaps open it again."""
        if not (number := self._find_pull(branch)):
            return
        for state in ("closed", "open")[: 1 + pick % 2]:
            self.stage.author._api("PATCH", f"pulls/{number}", {"state": state})
        if pick % 2 == 0:
            del self.model.pulls[number]

    def _find_pull(self, branch: str) -> int:
        return next((number for number, source in sorted(self.model.pulls.items()) if source == branch), 0)

    def edit_template(self, _branch: str, pick: int) -> None:
        """Change the template on trunk in something that an update brings to Deployments that are there."""
        stage_name = ("preview", "review", "trial")[pick % 3]
        self.template = self.template.replace(f'value: "{read_stage(self.template)}"', f'value: "{stage_name}"')
        self.write_template(lambda _: self.template)

    def break_template(self, _branch: str, _pick: int) -> None:
        """Misspell a key of the template."""
        self.write_template(lambda text: text.replace("scheduler_size", "schedular_size"))

    # What people do to the control plane

    def force(self, branch: str, pick: int) -> None:
        """Fill in the form."""
        if branch not in self.model.heads:
            return
        action = ("deploy", "delete")[pick % 2]
        if action == "delete":
            self.model.doubtful.add((branch, self.model.heads[branch]))
        else:
            self.model.removed.discard((branch, self.model.heads[branch]))
        self.flying.append(self.stage.start_form(branch=branch, action=action))

    def speak(self, branch: str, pick: int) -> None:
        """Say a word on the branch's pull request; whoever hears it may die of it, or GitHub may."""
        if not (number := self._find_pull(branch)):
            return
        self.said.append(self.conversation.say(f"/deploy-ops {WORDS[pick % len(WORDS)]}", number=number))
        self.hearing_trouble = (None, pick, *LOST)[pick % (2 + len(LOST))]

    def hear(self, run: Run) -> None:
        """Play a run that reads what people say, and start what it begins."""
        trouble, self.hearing_trouble = self.hearing_trouble, None
        with self.meet(trouble):
            told = run.step("hear")
            for each in told:
                self._begin(each)
            run.step("answer")
        self.stage.airflow.states[run.run_id] = "success"

    def _begin(self, each: Mapping[str, Any]) -> None:
        run_id, job = each["trigger_run_id"], each["conf"]["job"]
        assert run_id not in self.begun, "begun twice by one comment"
        assert "eyes" in self.conversation.list_signs(read_comment(run_id)), "begun before it was marked"
        self.begun.add(run_id)
        at = job["branch"], self.model.heads[job["branch"]]
        if job["verb"] == Verb.DELETE.value or at in self.model.removed:
            self.model.doubtful.add(at)  # its run may find another one at work
        if job["verb"] != Verb.KEEP.value:
            self.model.removed.discard(at)
        self.flying.append(self.stage.start_dispatched(each))

    def clear(self, _branch: str, pick: int) -> None:
        """Clear a failed run, long ago as that may be: its failed tasks, what follows, and their setup."""
        failed = [run for run in self.ended if "failed" in run.states.values()]
        if not failed:
            return
        run = failed[pick % len(failed)]
        kept = {name for name, state in run.states.items() if state == "success" and name not in {"claim", "report"}}
        for name in run.states.keys() - kept:
            del run.states[name]
        self.stage.airflow.states[run.run_id] = "running"
        self.ended.remove(run)
        self.flying.append(run)

    def freeze(self, _branch: str, _pick: int) -> None:
        """Pause the preview DAG for a pass, which starts nothing."""
        before = list(self.flying)
        self.stage.airflow.paused.add(self.stage.scope.preview_dag)
        self.plan(None, 99)
        planned = [run for run in self.flying if run in before or not read_comment(run.run_id)]
        assert planned == before, "started although the DAG is paused"
        self.stage.airflow.paused.clear()

    def keep(self, branch: str, pick: int) -> None:
        """Let somebody say by form that the branch's preview shall be kept, or no longer."""
        if branch in self.model.heads:
            self.flying.append(self.stage.start_form(branch=branch, action=("keep", "keep", "resume")[pick % 3]))

    def expire(self, branch: str, _pick: int) -> None:
        """Let cleanup have found the branch's preview idle, and its notice have passed."""
        found = [key for key, name in self.list_previews().items() if name == self.name_of(branch)]
        if branch not in self.model.heads or not found:
            return
        head, newest = self.model.heads[branch], [each["id"] for each in self.list_deployed(found[0])]
        now, reason = datetime.now(UTC), "idle for long"
        about = (branch, found[0], self.name_of(branch), head, newest[0] if newest else "")
        verdict = Verdict("delete", *about, now, now, now, reason, "cleanup")
        self.stage.memory.verdicts.write(self.stage.memory.verdicts.read() | {found[0]: verdict})
        self.model.expired.add((branch, head))

    def crowd(self, size: int) -> None:
        """Let there be many branches whose previews were removed, and let all of them go at once: passes cost the same.

        They are remembered as the first pass of all remembers old branches.
        """
        if self.is_crowded:
            return
        self.is_crowded = True
        self.live_on()
        before = self.pass_once()
        heads = push_branches(self.stage, [f"dev-over-{number}" for number in range(size)])
        memory, old = self.stage.memory, datetime.now(UTC) - timedelta(days=99)
        known, times = memory.backlog.read(), memory.commit_times.read()
        memory.backlog.write(known, known | {slug_branch(name): head for name, head in heads.items()})
        memory.commit_times.write(times, times | dict.fromkeys(heads.values(), old))
        self._check_flat(before, count_pages(self.stage))
        self.stage.author.git("push", "--quiet", "origin", "--delete", *heads)
        self._check_flat(before, count_pages(self.stage))

    def pass_once(self) -> Spent:
        """Make an undisturbed pass, and return what it cost."""
        self.plan(None, 99)
        return self.spent

    def _check_flat(self, before: Spent, pages: int) -> None:
        """See that the pass which finds out, and the one after it, cost about what the last one before it did."""
        for spent in (self.pass_once(), self.pass_once()):
            assert spent.github <= before.github + 2 * pages + AUTHORS, f"{before}, then {spent}"
            assert spent.astro <= before.astro + 2, f"{before}, then {spent}"
            assert spent.airflow <= before.airflow + SHARDS + FORGETTING, f"{before}, then {spent}"

    def move_repository(self, _branch: str, pick: int) -> None:
        """Rename the repository at GitHub and in the policy; nothing is done to its previews until one adopts them."""
        self.rename(pick)
        if pick % 4 > 1:
            self.plan(None, 99)
            self.finish_runs()
        self._adopt_all()

    def _adopt_all(self) -> None:
        text = POLICY.format(host=self.stage.sandbox.host)
        (repository,) = [line for line in text.splitlines() if "repository:" in line]
        self.orphans.write_policy(text.replace(repository, f"    repository: {self.stage.author.repository}"))
        run = self.orphans.start(action="adopt", dry_run=False)
        run.step("find")
        try:
            run.ask_again()
        except AirflowSkipException:  # there is nothing to adopt
            return
        run.answer("Approve")
        run.step("adopt")

    def spell_repository(self, _branch: str, pick: int) -> None:
        """Write the repository's name in other letters."""
        self.spell(pick)

    def ignore(self, _branch: str, pick: int) -> None:
        """Change what the policy ignores."""
        self.stage.change_project(ignore=IGNORES[pick % len(IGNORES)])

    def exclude(self, branch: str, pick: int) -> None:
        """Let the policy exclude a branch, or none any more."""
        self.model.excluded = {branch} if pick % 2 else set()
        self.stage.change_project(previews={"exclude": ("develop", *self.model.excluded)})

    def choose_when(self, _branch: str, pick: int) -> None:
        """Let the policy make previews only of what changes something, or of each branch."""
        self.is_by_change = pick % 3 > 0
        self.stage.change_project(previews={"when": "changed" if self.is_by_change else "always"})

    def has_change(self, branch: str) -> bool:
        """Whether the branch changes something since it parted from trunk that the policy does not ignore."""
        author, head = self.stage.author, self.model.heads[branch]
        author.git("fetch", "--quiet", "--prune")
        names = author.git("diff", "--name-only", author.git("merge-base", "origin/main", head), head).splitlines()
        ignored = tuple(rule for rule in self.stage.scope.project.ignore if rule.endswith("/"))
        return any(not name.endswith(".md") and not name.startswith(ignored) for name in names)

    def override(self, _branch: str, pick: int) -> None:
        """Change the policy's overrides."""
        configuration = {"scheduler_size": ("SMALL", "MEDIUM")[pick % 2]}
        self.stage.change_project(previews={"overrides": {"configuration": configuration}})

    def stay_dry(self, _branch: str, _pick: int) -> None:
        """Set `mode: plan` for a pass, which starts nothing, and for the runs in flight, which write nothing."""
        before = list(self.flying)
        self.stage.scope = replace(self.stage.scope, is_dry=True)
        self.plan(None, 99)
        assert self.flying == before, "started in `mode: plan`"
        self.finish_runs()
        self.stage.scope = replace(self.stage.scope, is_dry=False)

    def forget(self, _branch: str, _pick: int) -> None:
        """Lose the state store."""
        self.stage.stores.clear()
        self.model.forget()

    def purge(self, _branch: str, _pick: int) -> None:
        """Clean Airflow's database."""
        self.clean_database()

    def read_stale(self, branch: str, pick: int) -> None:
        """Let Astro answer a pass with a list that lacks the branch's newest deploys."""
        for deployment_id, name in self.list_previews().items():
            if name == self.name_of(branch):
                records = self.stage.list_deploys(deployment_id)[1 + pick % 2 :]
                with self.stage.show_records(deployment_id, records):
                    self.plan(None, 99)

    def write_template(self, change: Callable[[str], str]) -> None:
        """Commit another template to trunk."""
        author = self.stage.author
        author.git("fetch", "--quiet", "--prune")
        author.git("checkout", "--quiet", "-B", "desk", "origin/main")
        file = author.folder / TEMPLATE
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
        if author.git("status", "--porcelain"):
            author.commit({}, "Change the template")
            author.push("main")
            self.stage.await_ci()

    # What the control plane does

    def check_errand(self, job: Mapping[str, Any]) -> None:
        """Nothing is planned but what the model wants as well."""
        branch = job["branch"]
        if job["verb"] == Verb.DELETE.value:
            is_expired = (branch, job["head"]) in self.model.expired
            assert self.model.is_over(branch) or is_expired, f"planned to delete {branch}, which lives"
        else:
            assert branch not in self.model.excluded
            assert self.model.lives(branch), f"planned to {job['verb']} {branch}, which does not live"
            assert job["head"] == self.model.heads[branch]
        if job["verb"] == Verb.CREATE.value:
            assert self.model.is_wanted(branch), f"planned to create {branch}, which somebody removed"
            assert not self.is_by_change or self.has_change(branch), f"planned to create {branch}, of no concern"

    def check_spending(self, spent: Spent) -> None:
        """See that a pass costs what lives: branches, and their Deployments and pull requests."""
        live = len(self.model.heads) + len(self.seen) + len(self.model.pulls)
        pages = count_pages(self.stage)
        each = GITHUB_EACH + CONCERN_EACH * self.is_by_change
        assert spent.github <= GITHUB_BASE + 2 * pages + each * live, f"{spent} for {live} and {pages} pages"
        assert spent.astro <= ASTRO_BASE + ASTRO_EACH * live, f"{spent} for {live}"
        assert spent.airflow <= AIRFLOW_BASE + AIRFLOW_EACH * live, f"{spent} for {live}"

    # What is seen in Astro

    def list_previews(self) -> dict[str, str]:
        """Return the Deployments' names by id."""
        return {each["id"]: each["name"] for each in self.stage.list_deployments()}

    def list_marked(self) -> list[str]:
        """Return the branches whose marks the Deployments bear, once for each Deployment."""
        marks = [parse_mark(each["description"]) for each in self.stage.list_deployments()]
        return [mark.branch for mark in marks if mark]

    def name_of(self, branch: str) -> str:
        """Return the name of the branch's preview."""
        return name_deployment(self.stage.scope.project.name, branch)

    def check_changes(self, run: Run, name: str) -> None:
        """Whatever a task created or deleted, the model agrees at this moment."""
        job = self.read_errand(run)
        self._note_keep(run, name, job)
        after = self.list_previews()
        assert after == self.seen or not self.stage.scope.is_dry, "written in `mode: plan`"
        for gone in self.seen.keys() - after.keys():
            self._check_delete(run, job, gone)
        for made in [after[each] for each in after.keys() - self.seen.keys()]:
            assert made == self.name_of(job["branch"])
            assert made not in self.seen.values(), f"created {made} twice"
            assert self.model.lives(job["branch"]) or is_by_person(run), f"created {made}, which does not live"
        self.seen = after

    def _check_delete(self, run: Run, job: Mapping[str, Any], deployment_id: str) -> None:
        name, branch = self.seen[deployment_id], job["branch"]
        assert name == self.name_of(branch)
        if is_by_person(run):
            self.model.remove(branch, job["head"])
        elif self.model.lives(branch):
            assert (branch, self.model.heads[branch]) in self.model.expired, f"deleted {name}, whose branch lives"
            assert deployment_id not in self.model.kept, f"deleted {name}, which somebody keeps"
            self.model.remove(branch, job["head"])

    def _note_keep(self, run: Run, name: str, job: Mapping[str, Any]) -> None:
        action, state = run.params.get("action") or find_action(run), run.states[name]
        if (action, name, state) == ("keep", "decide", "success"):
            self.model.kept.add(job["deployment_id"])
        if (action, name) == ("resume", "report"):
            self.model.kept.discard(job.get("deployment_id", ""))

    # The end

    def settle(self) -> None:
        """Let everything come to rest: no more trouble, the template is mended, and time passes."""
        self.model.excluded.clear()
        self.is_by_change = False
        self.stage.change_project(previews={"exclude": ("develop",), "when": "always"}, ignore=IGNORES[0])
        self.write_template(lambda _: self.template or _)
        for _ in range(PASSES_UNTIL_QUIET):
            self.finish_runs()
            self.let_time_pass()
            self.plan(None, 99)
            if not self.flying and not self._list_unanswered():
                return
        raise AssertionError(f"no rest after {PASSES_UNTIL_QUIET} passes: {[run.run_id for run in self.flying]}")

    def let_time_pass(self) -> None:
        """Make all that is remembered older."""
        memory = self.stage.memory
        for branch in BRANCHES:
            environment = memory.environment(slug_branch(branch))
            known = environment.read()
            endings = {
                verb: replace(ending, ended_at=ending.ended_at - QUIET) for verb, ending in known.endings.items()
            }
            if endings:
                environment.write(replace(known, endings=endings))
            age_claims(memory, slug_branch(branch))
        age_histories(memory)
        if (last := memory.commands_run.read()) is not None:
            memory.commands_run.write(replace(last, at=last.at - QUIET))
        begun = memory.begun_deletes.read()
        memory.begun_deletes.write(tuple(replace(each, at=each.at - QUIET) for each in begun))

    def _list_unanswered(self) -> list[int]:
        """Return the comments that bear our mark and no end of it."""
        signs = {each: set(self.conversation.list_signs(each)) for each in self.said}
        return [each for each, found in signs.items() if "eyes" in found and not found & {"rocket", "confused"}]

    def check_rest(self) -> None:
        """Every preview equals its branch, and none is left over, missing or done twice."""
        there = {each["name"]: each for each in self.stage.list_deployments()}
        for branch in BRANCHES:
            deployment = there.pop(self.name_of(branch), None)
            if deployment is None:
                is_away = not self.model.is_wanted(branch) or self.model.is_doubtful(branch)
                assert is_away, f"{branch} has no preview"
            else:
                assert self.model.lives(branch), f"{branch}'s preview is left over"
                self.check_preview(branch, deployment["id"])
        assert not there, f"left over: {sorted(there)}"

    def list_deployed(self, deployment_id: str) -> list[dict[str, Any]]:
        """Return the records of deploys that succeeded, newest first."""
        return [each for each in self.stage.list_deploys(deployment_id) if each["status"] == "DEPLOYED"]

    def check_preview(self, branch: str, deployment_id: str) -> None:
        """Compare the files, but for those that the policy ignores, the template's values, and the deploy records."""
        head = self.model.heads[branch]
        wanted, found = self.stage.author.hash_files(head), self.stage.list_files(deployment_id)
        assert drop_ignored(found) == drop_ignored(wanted), f"{branch} is not what was pushed"
        notes = [parse_note(each["description"]) for each in self.list_deployed(deployment_id)]
        heads = [note.head for note in notes if note and not note.is_forced]
        assert all(one != other for one, other in pairwise(heads)), f"{branch} was deployed twice at one head"
        shown = self.stage.ask_astro("GET", f"deployments/{deployment_id}")
        values = {each["key"]: each.get("value") for each in shown["environmentVariables"]}
        assert values["STAGE"] == read_stage(self.template), "the template's change did not arrive"


def is_by_person(run: Run) -> bool:
    """Whether a person asked for the run, by form or by comment."""
    return run.run_type == "manual" or read_comment(run.run_id) > 0


def find_action(run: Run) -> str:
    """Return what a comment asked for, as the form calls it; empty where none did."""
    if not read_comment(run.run_id):
        return ""
    job = run.conf["job"]
    return "resume" if job.get("ends_keep") else str(job["verb"])


def age_claims(memory: Memory, slug: str) -> None:
    """Make the claims older, from which a run without a report counts: a planned one may have claimed as a person's."""
    for register in (PLANNED, MANUAL):
        slot = memory.claim(slug, register)
        if claim := slot.read():
            slot.write(replace(claim, at=claim.at - QUIET))


def age_histories(memory: Memory) -> None:
    """Let what was read of deploy records have been read long ago."""
    known = memory.histories.read()
    aged = {key: replace(each, read_at=each.read_at and each.read_at - QUIET) for key, each in known.items()}
    memory.histories.write(known, aged)


def drop_ignored(files: dict[str, str]) -> dict[str, str]:
    """Return the files without those that the policy says deploy nothing."""
    return {name: sha for name, sha in files.items() if not fnmatch(name, "*.md") and not name.startswith("docs/")}


def read_stage(template: str) -> str:
    """Return the value of the template's variable STAGE."""
    return template.partition('key: "STAGE"')[2].partition('value: "')[2].partition('"')[0]
