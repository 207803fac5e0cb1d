"""Words on a pull request: what a comment asks for, whether it is heard, and why it is not done. Pure.

A comment counts by its first line alone, and from its first letter on: so nothing that is quoted, indented or fenced
is a command. What GitHub has to be asked for is asked elsewhere; here stands what follows from the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from include.deploy_ops.core.text.markdown import cut, render_table, write_code, write_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from include.deploy_ops.core.model import PullRequest

START = "/deploy-ops"
"""The word by which a comment speaks to us."""

OUR_MARKER = "<!-- deploy-ops "
"""What stands in each comment of ours, whoever's token wrote it."""

AGE_MAX = timedelta(minutes=30)
"""Nobody reckons with a word any more that is read later."""

LISTED_FOR = timedelta(days=1)
"""How long a comment may wait for an answer at all, such as one that bears a mark without an end."""

LOOKED_FOR = 2 * AGE_MAX
"""Of which time a pass reads each comment, however many there are: what is older would only be asked for anew."""

QUIET = timedelta(hours=1)
"""Between two replies of ours on one pull request."""

LINE_LENGTH_MAX = 120
WHY_LENGTH_MAX = 300
REPLIED_MAX = 5

EYES, ROCKET, CONFUSED = "eyes", "rocket", "confused"
"""Our reactions: before it is done, once its run is there, and where it is not done."""

ENDS = frozenset({ROCKET, CONFUSED})
_WRITERS = frozenset({"admin", "write"})


class Word(StrEnum):
    """What may be asked for."""

    DEPLOY = "deploy"
    KEEP = "keep"
    RESUME = "resume"
    REFRESH = "refresh"
    VERIFY = "verify"
    DESTROY = "destroy"
    HELP = "help"

    @property
    def action(self) -> str:
        """The action of the preview's form that does it."""
        return "delete" if self is Word.DESTROY else self.value

    @property
    def verb(self) -> str:
        """What its run is called by, whether the preview is there already or not."""
        return "update" if self is Word.REFRESH else self.action


_MEANINGS = {
    Word.DEPLOY: "deploys the branch's newest commit; makes the preview where there is none",
    Word.KEEP: "keeps the preview, however idle it is, until somebody resumes it",
    Word.RESUME: "ends that, and deploys what is newest",
    Word.REFRESH: "lays template, mapped connections and variables anew",
    Word.VERIFY: "asks the preview's Airflow whether what runs there works",
    Word.DESTROY: "deletes the preview, until the branch moves",
    Word.HELP: "shows this",
}


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue or a pull request, as GitHub lists it.

    `is_person`: an account of a person wrote it, and no app in their name. `has_eyes`: somebody gave it that sign.
    """

    id: int
    number: int
    body: str
    login: str
    user_id: int
    is_person: bool
    is_edited: bool
    has_eyes: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """The newest comments of a repository; `unread` says that there are more of the time that was asked for."""

    comments: tuple[Comment, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a first line says to us: `word` is None where it is none that we know; `rest` is what stands behind it."""

    line: str
    word: Word | None
    rest: tuple[str, ...] = ()


def read_asked(body: str) -> Asked | None:
    """Return what the comment's first line asks for; None where it does not speak to us."""
    line = body.partition("\n")[0].rstrip()
    first, *rest = line.split() or [""]
    if first != START or not line.startswith(START) or OUR_MARKER in body:
        return None
    name, *others = rest or [Word.HELP.value]
    word = Word(name) if name in set(Word) else None
    return Asked(cut(line, LINE_LENGTH_MAX), word, tuple(others))


def is_meant(asked: Asked, project: str, siblings: Collection[str]) -> bool:
    """Whether the project has to answer it: the one that is named, else the first one by name.

    :param siblings: the other projects of the repository that listen.
    """
    names = {project, *siblings}
    named = asked.rest[0] if asked.rest and asked.rest[0] in names else min(names)
    return named == project


def list_waiting(
    comments: Iterable[Comment],
    settled: Collection[int],
    since: datetime,
    now: datetime,
    project: str,
    siblings: Collection[str],
) -> tuple[Comment, ...]:
    """Return what is to be looked at, the oldest first: persons' words to this project since somebody listens.

    Of what is older only that which may bear a mark of ours without an end: the memory was lost in between. After a day
    nobody waits any more.

    :param settled: ids of comments that are answered.
    """
    # GitHub's times have no parts of a second.
    begin = since.replace(microsecond=0)
    found = []
    for comment in comments:
        asked = read_asked(comment.body)
        is_ours = asked is not None and comment.is_person and is_meant(asked, project, siblings)
        is_recent = now - comment.created_at < LISTED_FOR and (comment.created_at >= begin or comment.has_eyes)
        if is_ours and is_recent and comment.id not in settled:
            found.append(comment)
    return tuple(sorted(found, key=lambda comment: comment.id))


def find_fault(asked: Asked, project: str, siblings: Collection[str]) -> str:
    """Return why the line cannot be understood; empty where it can."""
    if asked.word is None:
        return "there is no such word"
    if asked.word is Word.HELP:
        return ""
    if not asked.rest and siblings:
        names = ", ".join(sorted({project, *siblings}))
        return f"this repository has several projects ({names}): name one behind the word"
    if asked.rest not in {(), (project,)}:
        return "nothing else may stand in its line"
    return ""


def refuse_comment(comment: Comment, since: datetime, now: datetime) -> str:
    """Return why the comment does not count, whatever it says; empty where it does."""
    if comment.created_at < since.replace(microsecond=0):
        return "it was written before anybody listened; write it again"
    if comment.is_edited:
        return "it was edited; write it again, as a new comment"
    if now - comment.created_at > AGE_MAX:
        return f"it was read more than {AGE_MAX.seconds // 60} minutes after it was written; write it again"
    return ""


def may_ask(permission: str) -> bool:
    """Whether who has this permission on the repository may push to it, and so may ask."""
    return permission in _WRITERS


def refuse_pull(pull: PullRequest) -> str:
    """Return why nothing is done for the pull request; empty where something may be."""
    if not pull.is_open:
        return f"pull request #{pull.number} is not open"
    if pull.is_from_fork:
        return "its code comes from a fork, which never gets a preview"
    return ""


def mark_reply(control_plane: str, project: str) -> str:
    """Return the hidden line that our reply begins with."""
    return f"{OUR_MARKER}commands of {control_plane}/{project} -->"


def write_reply(marker: str, refused: Sequence[tuple[str, str]], name: str) -> str:
    """Return the reply: what was not done, and why; and what may be asked for.

    :param refused: line and reason of each, no reason where only help was asked for.
    :param name: the project, where it has to be named; empty otherwise.
    """
    lines = [marker]
    for line, why in [each for each in refused if each[1]][:REPLIED_MAX]:
        said = write_code(cut(line, LINE_LENGTH_MAX))
        lines.append(f"- {said} was not done: {write_words(cut(why, WHY_LENGTH_MAX))}.")
    behind = f" {name}" if name else ""
    words = [(write_code(f"{START} {word}{'' if word is Word.HELP else behind}"), _MEANINGS[word]) for word in Word]
    table = render_table(("First line of a comment", "What it does for the pull request's preview"), words)
    return "\n".join([*lines, "", table])
