"""What people say to us on pull requests: the newest comments, who may push, and our own reactions.

Decides nothing. A reaction is GitHub's own test and set: it says whether this account had given it before.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from include.deploy_ops.core.errors import ObservationError, WriteUnknownError
from include.deploy_ops.core.feedback.commands import Said
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.comment_answers import (
    Given,
    find_oldest,
    parse_given,
    parse_permission,
    parse_said,
    parse_signs,
)
from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook
from include.deploy_ops.hooks.github.pull_answers import parse_pull_request

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.feedback.commands import Comment
    from include.deploy_ops.core.model import PullRequest

PAGES_MAX = 10
"""Pages of comments that are read at once: a thousand. Of a flood the older ones are not."""


class GithubCommandsHook(GithubFeedbackHook):
    """The repository hook, and what it takes to hear people and to answer by a sign."""

    def list_newest_comments(self, since: datetime) -> Said:
        """Return the comments that were written or edited since then, of issues, too, and others on the last page read.

        Newest first, as far as `PAGES_MAX` pages reach; one page as a rule.

        :raises ReadRefusedError: the token may not read comments.
        :raises ObservationError: the listing is malformed.
        """
        found: dict[int, Comment] = {}
        url = self.comments_url
        for _ in range(PAGES_MAX):
            answer = self.read(url)
            for each in parse_said(answer):  # what is written meanwhile moves others onto the next page: twice there
                found.setdefault(each.id, each)
            oldest = find_oldest(answer)
            if answer.next_url is None or oldest is None or oldest < since:
                return Said(tuple(found.values()))
            url = answer.next_url
        told = f"there are more than {len(found)} comments since {since:%Y-%m-%d %H:%M} UTC; older ones are not read"
        return Said(tuple(found.values()), told)

    def find_pull(self, number: int) -> PullRequest | None:
        """Return the pull request as it is now; None where the number is an issue's.

        :raises ObservationError: anything else than the pull request or GitHub's own 404.
        """
        answer = self.ask(f"/pulls/{number}")
        return None if answer.is_absent else parse_pull_request(answer, number).pull

    def read_permission(self, login: str, user_id: int) -> str:
        """Return what the account may do here: admin, write, read or none; none where the login is another's by now.

        :raises ObservationError: the answer is malformed.
        """
        answer = self.ask(f"/collaborators/{quote(login, safe='')}/permission")
        return "none" if answer.is_absent else parse_permission(answer, user_id)

    def react(self, comment_id: int, content: str) -> Given:
        """Give the comment our sign, once. Raises as `GithubFeedbackHook.create_comment`."""
        answer = self._send("POST", f"/issues/comments/{comment_id}/reactions", {"content": content})
        try:
            return Given(answer.status == HTTPStatus.CREATED, parse_given(answer))
        except ObservationError as error:
            raise WriteUnknownError(str(error)) from error

    def list_signs(self, comment_id: int, user_id: int) -> frozenset[str]:
        """Return which signs that account gave the comment.

        :raises ObservationError: the listing is malformed.
        """
        path = self._path(f"/issues/comments/{comment_id}/reactions?per_page={PAGE_SIZE}")
        found = (each for answer in self._list(path) for each in parse_signs(answer))
        return frozenset(content for user, content in found if user == user_id)
