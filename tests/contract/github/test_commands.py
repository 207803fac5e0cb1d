"""Everything that is asked of GitHub to hear people, and what it is answered there, is as GitHub describes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.errors import WriteRefusedError
from include.deploy_ops.core.feedback.commands import Said
from include.deploy_ops.hooks.github.commands import PAGES_MAX, GithubCommandsHook
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.github.test_requests import assert_described
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect

DAY_AGO = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def hook(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubCommandsHook]:
    """Give a hook on a repository with an open pull request."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev-a")
    hook = GithubCommandsHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def test_what_hearing_asks_is_described(hub: Hub, hook: GithubCommandsHook, outgoing: Outgoing, judge: Judge) -> None:
    assert hook.list_newest_comments(DAY_AGO) == Said()
    number = hub.github.say(REPOSITORY, 1, "mona", "/deploy-ops help", age_s=60.0)
    (said,) = hook.list_newest_comments(DAY_AGO).comments
    assert (said.id, said.number, said.login, said.is_person, said.is_edited) == (number, 1, "mona", True, False)
    assert not said.has_eyes
    assert hub.github.grant(REPOSITORY, "mona", "write")
    assert hook.read_permission("mona", said.user_id) == "write"
    assert hook.read_permission("mona", said.user_id + 1) == "none"  # another account has the name by now
    pull = hook.find_pull(1)
    assert pull is not None
    assert not pull.is_from_fork
    assert hook.find_pull(9) is None
    given = [hook.react(number, "eyes") for _ in range(2)]
    assert [each.is_new for each in given] == [True, False]
    assert hook.react(number, "rocket").is_new
    assert hook.list_signs(number, given[0].user_id) == {"eyes", "rocket"}
    assert hook.list_signs(number, said.user_id) == set()
    (said,) = hook.list_newest_comments(DAY_AGO).comments
    assert said.has_eyes
    assert not said.is_edited
    with pytest.raises(WriteRefusedError):
        hook.react(number + 1000, "eyes")
    assert_described(outgoing, judge)


def count_pages(outgoing: Outgoing) -> int:
    """Return how many pages of comments were asked for."""
    return sum(each.path.endswith("/issues/comments") for each in outgoing.exchanges)


def test_further_pages_are_read_until_what_is_known_and_no_more_than_ten(
    hub: Hub, hook: GithubCommandsHook, outgoing: Outgoing
) -> None:
    hub.settings.page_limit = 2
    old = [hub.github.say(REPOSITORY, 1, "mona", "old", age_s=7200.0) for _ in range(5)]
    new = [hub.github.say(REPOSITORY, 1, "mona", f"new {number}") for number in range(5)]
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    found = hook.list_newest_comments(hour_ago)
    assert [each.id for each in found.comments] == [*reversed(new), old[-1]], (
        "a page that reaches back far enough ends it"
    )
    assert (found.unread, count_pages(outgoing)) == ("", 3)
    assert [each.id for each in hook.list_newest_comments(DAY_AGO).comments] == [*reversed(new), *reversed(old)]
    assert len(hook.list_newest_comments(datetime.now(UTC) + timedelta(hours=1)).comments) == 2
    for number in range(2 * PAGES_MAX):
        hub.github.say(REPOSITORY, 1, "eve", f"flood {number}")
    before = count_pages(outgoing)
    cut = hook.list_newest_comments(hour_ago)
    assert (len(cut.comments), count_pages(outgoing) - before) == (2 * PAGES_MAX, PAGES_MAX)
    assert cut.unread.startswith(f"there are more than {2 * PAGES_MAX} comments since {hour_ago:%Y-%m-%d}")
