"""The first step of the commands DAG: read what people said, mark what may be done, refuse the rest."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RateLimitError, WriteRefusedError
from include.deploy_ops.core.feedback.commands import (
    CONFUSED,
    ENDS,
    EYES,
    LISTED_FOR,
    QUIET,
    ROCKET,
    START,
    Asked,
    Comment,
    Word,
    find_fault,
    list_waiting,
    mark_reply,
    may_ask,
    read_asked,
    refuse_comment,
    refuse_pull,
    write_reply,
)
from include.deploy_ops.core.naming import name_comment_run, slug_branch
from include.deploy_ops.core.text.plain import write_items
from include.deploy_ops.observation.form_jobs import FormJobs
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.operators.commands.speaker import Speaker
from include.deploy_ops.run.claims import Claims
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.forms import PreviewForm, read_form
from include.deploy_ops.run.job import Job, make_dispatch
from include.deploy_ops.run.memory import Permission

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.hooks.github.comment_answers import Given
    from include.deploy_ops.run.scope import Scope

HEAR_TASK = "hear"
LOOKED_AT_MAX = 10
"""Comments that one run looks at; of a flood the rest waits, and grows too old."""

KNOWN_FOR = timedelta(minutes=5)
"""How long what somebody may do is believed."""


class HearOperator(DeployOpsOperator):
    """Returns the keyword arguments of one dispatch per word that is done; all that was heard is the field `heard`."""

    heard = RenderedField()

    @tell_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Answer what waits."""
        memory = self.memory(context)
        self.refuse_dry(None, "do what people say on pull requests")
        known = memory.continuity.read()
        if known is None or known.heard_since is None:
            raise AirflowSkipException("control has made no pass since words on pull requests count")
        runs = self.runs(context).of(self.scope.preview_dag)
        jobs, speaker = FormJobs(self.scope, self.github, self.astro), Speaker(self.commands, memory)
        hearing = Hearing(self.scope, speaker, jobs, Claims(memory, runs), known.heard_since)
        try:
            begun = hearing.hear()
        finally:
            self.heard = "\n".join(write_items(hearing.told))
            for line in hearing.told:
                self.log.info("%s", line)
        make = functools.partial(make_dispatch, self.seals, self.scope.preview_dag)
        return [make(run_id, job) for run_id, job in begun.items()]


@dataclass
class Hearing:
    """One reading of what people said.

    :param since: when words began to count.
    """

    scope: Scope
    speaker: Speaker
    jobs: FormJobs
    claims: Claims
    since: datetime
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun: dict[str, Job] = {}
        self._refused: dict[int, list[tuple[str, str]]] = {}
        self._pulls: dict[int, PullRequest | None] = {}
        self._failed: list[DeployOpsError] = []

    def hear(self) -> dict[str, Job]:
        """Answer what waits, as far as one run does; return what is to be begun, by the run's id.

        :raises DeployOpsError: nothing could be begun, and something could not be answered.
        """
        project, now = self.scope.project.name, self.speaker.clock()
        found = self.speaker.github.list_newest_comments(now - LISTED_FOR)
        said = found.comments
        self.told += [found.unread] if found.unread else []
        self.speaker.forget({each.id for each in said})
        waiting = list_waiting(said, self.speaker.heard.settled, self.since, now, project, self.scope.listeners)
        for comment in waiting[:LOOKED_AT_MAX]:
            try:
                self._answer(comment, read_asked(comment.body) or Asked("", None))
            except DeployOpsError as error:
                # It is looked at again by a later run, and a mark that it bears by then has no end.
                self.told.append(f"{_name(comment)} is left to a later run: {error}")
                self._failed.append(error)
                if isinstance(error, RateLimitError):
                    break
        self._reply(said)
        if self._failed and not self._begun:
            raise self._failed[0]
        return self._begun

    def _answer(self, comment: Comment, asked: Asked) -> None:
        """Begin what is asked for, refuse it, or end what an earlier run left without an end."""
        try:
            pull = self._need_pull(comment)  # before any mark: an issue gets none
            # GitHub says whether the mark is new: where it is not, an earlier run gave it, whatever is remembered.
            given = self.speaker.react(comment.id, EYES) if comment.has_eyes else None
            if given is not None and not given.is_new:
                self._end(comment, asked, given)
                return
            run_id, job = self._judge(comment, asked, pull)
            given = given or self.speaker.react(comment.id, EYES)
            # A run that refused it may have died before it remembered that.
            if not given.is_new or self._list_ends(comment, given):
                self._end(comment, asked, given)
                return
            self._begun[run_id] = job
            self.speaker.note_run(job.slug, run_id)
            self.told.append(f"{_name(comment)}: {job.verb.value} {job.branch}, for {job.person}")
        except _IgnoredError as error:
            self._settle(comment, str(error))
        except _HelpError as error:
            self.speaker.react(comment.id, ROCKET)
            self._refused.setdefault(comment.number, []).append((asked.line, ""))
            self._settle(comment, str(error))
        except PermanentError as error:
            self._refuse(comment, asked, str(error), is_told=not isinstance(error, _StrangerError))
        except WriteRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self._settle(comment, "it was deleted")

    def _judge(self, comment: Comment, asked: Asked, pull: PullRequest) -> tuple[str, Job]:
        """Return the run that is to be started, and what it is to do.

        :raises PermanentError: it is not done, and why.
        """
        if not may_ask(self._read_permission(comment)):
            raise _StrangerError(f"{comment.login} may not push to {self.scope.project.repository}")
        if why := refuse_comment(comment, self.since, self.speaker.clock()) or refuse_pull(pull):
            raise PermanentError(why)
        if why := find_fault(asked, self.scope.project.name, self.scope.listeners):
            raise PermanentError(why)
        if asked.word is None or asked.word is Word.HELP:
            raise _HelpError("help was asked for")
        slug = slug_branch(pull.head_ref)
        if holder := self._find_holder(slug):
            raise PermanentError(f"run {holder} works on it now; write it again once that has ended")
        return name_comment_run(slug, asked.word.verb, comment.id), self._make_job(comment, asked.word, pull)

    def _make_job(self, comment: Comment, word: Word, pull: PullRequest) -> Job:
        """Return the job that the form would give, with who asked."""
        reason = f"{START} {word.value} on #{pull.number}"
        form = read_form(PreviewForm, {"branch": pull.head_ref, "action": word.action, "reason": reason})
        job = self.jobs.make_preview_job(form, f"{comment.login} on GitHub")
        if job.problem:
            raise PermanentError(job.problem)
        return replace(job, pull=pull.number)

    def _need_pull(self, comment: Comment) -> PullRequest:
        """Return the pull request under which it stands; raise _IgnoredError where it is none."""
        if (pull := self._find_pull(comment.number)) is None:
            raise _IgnoredError("it is about an issue")
        return pull

    def _find_pull(self, number: int) -> PullRequest | None:
        if number not in self._pulls:
            self._pulls[number] = self.speaker.github.find_pull(number)
        return self._pulls[number]

    def _find_holder(self, slug: str) -> str:
        """Return the run that works on the preview, or is about to."""
        if any(job.slug == slug for job in self._begun.values()):
            return self.speaker.heard.begun[slug]  # it is started once this step has ended
        last = self.speaker.heard.begun.get(slug, "")
        return last if last and self.claims.runs.is_alive(last) else self.claims.find_holder(slug) or ""

    def _read_permission(self, comment: Comment) -> str:
        """Return what who wrote it may do, as of the last minutes."""
        key, now = f"{comment.login} {comment.user_id}", self.speaker.clock()
        known = self.speaker.heard.people.get(key)
        if known is None or now - known.at >= KNOWN_FOR:
            known = Permission(self.speaker.github.read_permission(comment.login, comment.user_id), now)
            self.speaker.note(key, known, now - KNOWN_FOR)
        return known.level

    def _end(self, comment: Comment, asked: Asked, given: Given) -> None:
        """Give the mark its end that an earlier run did not: nothing is begun a second time."""
        if self._list_ends(comment, given):
            self._settle(comment, "it was answered before")
        elif self._has_run(comment):
            self.speaker.react(comment.id, ROCKET)
            self._settle(comment, "its run was started before")
        else:
            self._refuse(comment, asked, "it was read, and nobody knows whether it was begun; write it again")

    def _has_run(self, comment: Comment) -> bool:
        """Whether the comment's run is there, whatever it says by now."""
        pull = self._find_pull(comment.number)
        slug = slug_branch(pull.head_ref) if pull else ""
        return any(self.claims.runs.exists(name_comment_run(slug, word.verb, comment.id)) for word in Word if slug)

    def _list_ends(self, comment: Comment, given: Given) -> frozenset[str]:
        return self.speaker.github.list_signs(comment.id, given.user_id) & ENDS

    def _refuse(self, comment: Comment, asked: Asked, why: str, *, is_told: bool = True) -> None:
        self.speaker.react(comment.id, CONFUSED)
        if is_told:
            self._refused.setdefault(comment.number, []).append((mask_text(asked.line), mask_text(why)))
        self._settle(comment, why)

    def _settle(self, comment: Comment, why: str) -> None:
        self.speaker.settle(comment.id)
        self.told.append(f"{_name(comment)} is not done: {why}")

    def _reply(self, said: Sequence[Comment]) -> None:
        """Say on each pull request why something was not done; what is left unsaid, the sign says."""
        marker, now = mark_reply(self.scope.control_plane, self.scope.project.name), self.speaker.clock()
        recent = {each.number for each in said if each.body.startswith(marker) and now - each.created_at < QUIET}
        name = self.scope.project.name if self.scope.listeners else ""
        for number, refused in self._refused.items():
            try:
                if number not in recent and self.speaker.reply(number, write_reply(marker, refused, name)):
                    self.told.append(f"replied on #{number}")
            except DeployOpsError as error:
                self.told.append(f"no reply on #{number}: {error}")


class _IgnoredError(PermanentError):
    """Nobody asked anything of us."""


class _StrangerError(PermanentError):
    """Who asks may not; nobody is told why, since anybody may comment."""


class _HelpError(PermanentError):
    """Nothing is to be done but to say what may be asked for."""


def _name(comment: Comment) -> str:
    return f"comment {comment.id} of {comment.login} on #{comment.number}"
