"""What a deploy is decided by, as it is read: whose texts people are told, and what a first deploy needs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.observation.decisions import ChangeReader
from include.deploy_ops.run.job import Job
from tests.worlds.values.examples import make_project, sha

RELEASE = Job(Verb.DEPLOY, "main", sha("1"), "prod", "dep1", "moved", target="prod", commit=sha("2"), base=sha("3"))
NEW = Job(Verb.CREATE, "dev-x", sha("1"), "shop-dev-x", "", "the branch has no Deployment")


def make_reader(answer: Any, asked: list[str]) -> ChangeReader:
    """Return a reader, whose GitHub answers so to each question for a commit."""

    def get_commit(commit: str) -> Any:
        asked.append(commit)
        if isinstance(answer, Exception):
            raise answer
        return answer

    github: Any = SimpleNamespace(get_commit=get_commit, read_tree=lambda _: ())
    return ChangeReader(make_project(), github)


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (RELEASE, sha("1")),
        (replace(RELEASE, is_override=True), sha("2")),
        (replace(RELEASE, base=""), sha("2")),
        (replace(RELEASE, base="", commit=""), sha("1")),
    ],
)
def test_of_a_test_merge_the_head_tells_subject_and_author(job: Job, told: str) -> None:
    asked: list[str] = []
    subject, author = make_reader(SimpleNamespace(subject="Mend it" * 100, author="Ada"), asked).read_texts(job)
    assert (subject, author, asked) == (("Mend it" * 100)[:200], "Ada", [told])


def test_a_token_in_a_commits_first_line_is_handed_on_to_nobody() -> None:
    commit = SimpleNamespace(subject=f"Use ghp_{'a1' * 18} {'x' * 200}", author="https://ada:hunter2@host.example")
    subject, author = make_reader(commit, []).read_texts(RELEASE)
    assert (subject[:8], len(subject)) == ("Use *** ", 200)
    assert author == "https://***@host.example"


def test_a_commit_that_github_does_not_tell_costs_no_deploy() -> None:
    assert make_reader(RetryableError("GitHub is away"), []).read_texts(RELEASE) == ("", "")


def test_what_is_not_there_yet_needs_an_image() -> None:
    asked: list[str] = []
    commit = SimpleNamespace(tree=sha("4"), subject="Load orders", author="Ada")
    found, decided = make_reader(commit, asked).decide_first(NEW)
    assert (found.change_type, found.image_base, found.dags_base) == (ChangeType.IMAGE, None, None)
    assert (decided.change_type, decided.commit, decided.observed) == (ChangeType.IMAGE, sha("1"), "")
    assert (decided.subject, decided.author, decided.reason) == ("Load orders", "Ada", found.reason)
    assert set(asked) == {sha("1")}
