"""A GitHub in memory on which people speak, an Airflow that starts what they ask for, and crashes in between."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from include.deploy_ops.core.errors import WriteUnknownError
from include.deploy_ops.core.feedback.commands import (
    AGE_MAX,
    ENDS,
    EYES,
    LISTED_FOR,
    LOOKED_FOR,
    QUIET,
    Comment,
    Said,
    list_waiting,
    read_asked,
)
from include.deploy_ops.core.model import PullRequest
from include.deploy_ops.core.naming import read_comment, slug_branch
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.hooks.github.commands import PAGES_MAX
from include.deploy_ops.hooks.github.comment_answers import Given
from include.deploy_ops.operators.commands.answer import end_marks
from include.deploy_ops.operators.commands.hear import Hearing
from include.deploy_ops.operators.commands.speaker import Speaker
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.job import Job
from include.deploy_ops.run.memory import Claim, Memory
from include.deploy_ops.run.scope import make_scope
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.deploy_ops.hooks.github.commands import GithubCommandsHook
    from include.deploy_ops.observation.form_jobs import FormJobs
    from include.deploy_ops.run.forms import PreviewForm

US = 1
"""Our own account on GitHub."""

PAGE = 100
POLICY = """
control_plane: acme
projects:
  - name: shop
    repository: acme/pipes
    image: [reuse]
    previews: {branches: ["dev*"], template: preview.yaml, merged_into: [main]}
    feedback: {commands: true}
"""
PEOPLE = {"mona": "write", "boss": "admin", "guest": "read"}
LINES = ("/deploy-ops deploy", "/deploy-ops keep", "/deploy-ops destroy", "/deploy-ops dploy", "/deploy-ops", "thanks")


class CrashError(BaseException):
    """The worker was killed: nothing of ours may catch this."""


class Fuse:
    """Kills whoever is at the n-th write, before it or after it; or lets its answer be lost."""

    def __init__(self) -> None:
        self.left, self.kind = 0, ""

    def light(self, left: int, kind: str) -> None:
        """Let it strike at that write; 0 strikes never."""
        self.left, self.kind = left, kind

    def pass_by(self, act: Callable[[], Any]) -> Any:
        """Do it, unless it is struck."""
        self.left -= 1
        if self.left == 0 and self.kind == "before":
            raise CrashError
        done = act()
        if self.left == 0 and self.kind == "after":
            raise CrashError
        return done

    def send(self, act: Callable[[], Any]) -> Any:
        """Do it likewise; its answer may be lost, too."""
        is_lost = self.left == 1 and self.kind in {"unsent", "unanswered"}
        if is_lost:
            self.left = 0
            if self.kind == "unanswered":
                act()
            raise WriteUnknownError("no whole answer")
        return self.pass_by(act)


class FusedStore(DictStore):
    """A state store at whose writes one may be killed."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write the value."""
        write = super().set
        self._fuse.pass_by(lambda: write(key, value, retention=retention))


@dataclass
class FakeGithub:
    """Comments, reactions and replies; pull requests 1 to 3, of which the second is closed, and the third a fork's."""

    fuse: Fuse
    now: datetime
    comments: dict[int, Comment] = field(default_factory=dict)
    updated: dict[int, datetime] = field(default_factory=dict)
    signs: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    replies: list[tuple[int, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)

    def say(self, number: int, body: str, login: str, **changes: Any) -> Comment:
        """Let somebody comment."""
        at = self.now.replace(microsecond=0)
        user_id = US if login == "us" else 10 + len(login)
        said = Comment(next(self._ids), number, body, login, user_id, True, False, False, at)
        self.comments[said.id] = replace(said, **changes)
        self.updated[said.id] = self.now
        self.signs[said.id] = []
        return self.comments[said.id]

    def list_newest_comments(self, since: datetime) -> Said:
        newest = sorted(self.comments, key=lambda each: (self.updated[each], each), reverse=True)
        pages = sum(self.updated[each] >= since for each in newest) // PAGE + 1
        listed = newest[: PAGE * min(pages, PAGES_MAX)]
        found = (
            replace(self.comments[each], has_eyes=any(sign == EYES for _, sign in self.signs[each])) for each in listed
        )
        return Said(tuple(found))

    def find_pull(self, number: int) -> PullRequest | None:
        if number > 3:
            return None
        repo = 8 if number == 3 else 7
        return PullRequest(number, f"dev-{number}", "1" * 40, repo, "main", 7, number != 2, False, "")

    def read_permission(self, login: str, user_id: int) -> str:
        return PEOPLE.get(login, "none") if user_id == 10 + len(login) else "none"

    def react(self, comment_id: int, content: str) -> Given:
        def act() -> Given:
            known = (US, content) in self.signs[comment_id]
            if not known:
                self.signs[comment_id].append((US, content))
            return Given(not known, US)

        return cast("Given", self.fuse.send(act))

    def list_signs(self, comment_id: int, user_id: int) -> frozenset[str]:
        return frozenset(sign for user, sign in self.signs[comment_id] if user == user_id)

    def create_comment(self, number: int, body: str) -> int:
        def act() -> int:
            self.replies.append((number, self.now))
            return self.say(number, body, "us", is_person=False).id

        return int(self.fuse.send(act))

    def list_own(self, comment_id: int) -> set[str]:
        """Return our signs on the comment."""
        return {sign for user, sign in self.signs[comment_id] if user == US}


@dataclass
class CommandsWorld:
    """What people say, and what comes of it; whatever is begun is checked at that moment."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __post_init__(self) -> None:
        loaded = load_policy(POLICY, "policy.yaml")
        assert not loaded.problems
        self.scope = make_scope(loaded, loaded.policy.projects[0])
        self.fuse = Fuse()
        self.github = FakeGithub(self.fuse, self.now)
        self.since = self.now
        self.begun: Counter[int] = Counter()
        self.handed: list[str] = []
        self.lose_airflow()

    @property
    def memory(self) -> Memory:
        """What is remembered."""
        return Memory(self.store)

    # What people do, and what befalls

    def say(self, number: int, line: str, login: str, **changes: Any) -> int:
        """Let somebody comment; return the comment's id."""
        return self.github.say(number, line, login, **changes).id

    def edit(self, comment_id: int) -> None:
        """Let somebody edit a comment."""
        if comment_id in self.github.comments:
            self.github.comments[comment_id] = replace(self.github.comments[comment_id], is_edited=True)
            self.github.updated[comment_id] = self.now

    def look_on(self, comment_id: int) -> None:
        """Let somebody else give a comment eyes."""
        if comment_id in self.github.comments:
            self.github.signs[comment_id].append((99, EYES))

    def pass_time(self, minutes: float) -> None:
        """Let time go by."""
        self.now += timedelta(minutes=minutes)
        self.github.now = self.now

    def end_runs(self) -> None:
        """Let all runs be over."""
        self.airflow.states = dict.fromkeys(self.airflow.states, "success")

    def lose_memory(self) -> None:
        """Lose the state store: from now on words count anew."""
        self.store = FusedStore(self.fuse)
        self.since = self.now

    def lose_airflow(self) -> None:
        """Lose Airflow's database, runs and all."""
        self.airflow = FakeAirflow()
        self.handed.clear()
        self.lose_memory()

    # The commands DAG

    def hear(self, left: int = 0, kind: str = "") -> None:
        """Play a run of the DAG, in which somebody is killed, or an answer lost, at that write."""
        self.fuse.light(left, kind)
        try:
            self.handed = [*self._make_hearing().hear()]
            for run_id in self.handed:
                self.fuse.pass_by(lambda run_id=run_id: self._start(run_id))  # type: ignore[misc]
            end_marks(self._make_speaker(), self._runs, self.handed)
        except (CrashError, WriteUnknownError):
            pass
        finally:
            self.fuse.light(0, "")
            self.handed = []

    def _make_speaker(self) -> Speaker:
        return Speaker(cast("GithubCommandsHook", self.github), self.memory, lambda: self.now, lambda _: None)

    @property
    def _runs(self) -> Runs:
        return Runs(cast("Any", FakeTaskInstance(self.airflow, {}, "hear", 1)), self.scope.preview_dag)

    def _make_hearing(self) -> Hearing:
        claims = Claims(self.memory, self._runs)
        return Hearing(self.scope, self._make_speaker(), cast("FormJobs", self), claims, self.since)

    def make_preview_job(self, form: PreviewForm, person: str) -> Job:
        """Return the job of a form, as far as anybody here asks."""
        return Job(Verb.DEPLOY, form.branch, "1" * 40, "shop", "", form.reason, person=person)

    def _start(self, run_id: str) -> None:
        """Start the run, as Airflow does, unless it is there."""
        if run_id in self.airflow.states:
            return
        comment = self.github.comments[read_comment(run_id)]
        self.begun[comment.id] += 1
        self._check_begun(comment)
        self.airflow.states[run_id] = "running"
        slug = slug_branch(f"dev-{comment.number}")
        Memory(self.store).claim(slug, "manual").write(Claim(run_id, self.now))

    def _check_begun(self, comment: Comment) -> None:
        asked = read_asked(comment.body)
        assert self.begun[comment.id] == 1, f"begun twice: {comment}"
        assert asked is not None
        assert asked.word is not None
        assert comment.number == 1, "begun for a closed pull request, a fork's or an issue"
        assert comment.is_person
        assert comment.login in {"mona", "boss"}, f"begun for {comment.login}"
        assert self.now - comment.created_at <= AGE_MAX
        assert comment.created_at >= self.since.replace(microsecond=0), "begun although nobody listened then"
        assert self.github.list_own(comment.id) == {EYES}, "begun before it was marked, or after it was refused"

    # The end

    def settle(self) -> None:
        """Let no more trouble come, and everything be heard."""
        for _ in range(3 + len(self.github.comments)):
            self.end_runs()
            self.hear()
            if not self.list_waiting():
                return
        raise AssertionError(f"still waiting: {self.list_waiting()}")

    def list_waiting(self) -> tuple[Comment, ...]:
        """Return what control would still start a run for."""
        settled = self.memory.heard.read().settled
        said = self.github.list_newest_comments(self.now - LOOKED_FOR).comments
        return list_waiting(said, settled, self.since, self.now, "shop", ())

    def check_rest(self) -> None:
        """Every mark has its end, only what began or was answered has a rocket, and nobody was spoken to too often."""
        said = self.github.list_newest_comments(self.now - LISTED_FOR).comments
        listed = {each.id for each in said}  # what a flood washed away is lost
        for comment in self.github.comments.values():
            signs = self.github.list_own(comment.id)
            assert EYES not in signs or signs & ENDS or comment.id not in listed, (
                f"a mark without an end: {comment} {signs}"
            )
            if self.begun[comment.id]:
                assert EYES in signs
            elif "rocket" in signs:
                asked = read_asked(comment.body)
                assert asked is not None
                assert asked.word == "help", f"a rocket for nothing: {comment}"
        for number in (1, 2, 3):
            times = [at for pull, at in self.github.replies if pull == number]
            assert all(later - earlier >= QUIET for earlier, later in itertools.pairwise(times))
