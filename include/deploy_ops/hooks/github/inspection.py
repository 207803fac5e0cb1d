"""Look at one repository and at the token itself: so many questions at the most, and never a write.

Each is asked once; the first, whether GitHub answers at all, once more where it did not.

Beside the answers it keeps what GitHub says of the token in their headers. It judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.http import GithubAnswer, GithubReader, MovedError
from include.deploy_ops.hooks.github.inspection_answers import (
    parse_branch_state,
    parse_bypass,
    parse_end,
    parse_login,
    parse_repository_state,
    parse_rules,
)
from include.deploy_ops.hooks.github.installation import InstallationAuth
from include.deploy_ops.hooks.github.pull_answers import parse_pull_requests
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.deploy_ops.core.doctor.branches import BranchState, Rule
    from include.deploy_ops.core.doctor.github import RepositoryState

REQUESTS_MAX = 60
"""Of one look. A usual project takes 15 to 30; what is asked beyond is answered here, as not asked."""

REACH_TRIES = 2
"""How often the first question is asked: one lost answer would leave all others unasked."""

SCOPES_HEADER = "x-oauth-scopes"
"""What a classic token may; no other kind of token is answered with it (apps: scopes for OAuth apps)."""
EXPIRY_HEADER = "github-authentication-token-expiration"
VERSION_HEADER = "x-github-enterprise-version"
_KEPT = frozenset({SCOPES_HEADER, EXPIRY_HEADER, VERSION_HEADER, "date"})
_BY_APP = "by integration"
"""How GitHub's refusal ends where the token is an app's: it stands for no user."""


@dataclass(eq=False, repr=False)
class InspectingReader(GithubReader):
    """Reads as its base does, until so many requests are spent.

    `signs` are the headers by which GitHub tells of the token and of itself, of all answers so far.
    """

    requests_max: int = REQUESTS_MAX
    asked: int = field(default=0, init=False)
    signs: dict[str, str] = field(default_factory=dict, init=False)

    def read_following(self, path: str) -> GithubAnswer:
        """Read once, where a repository was renamed under its present name."""
        try:
            return self._read_told(f"{self._base_url}{path}", None)
        except MovedError as error:
            return self._read_told(f"{self._base_url}/repositories/{error.repository_id}", None)

    def _send(self, request: str, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if self.asked == self.requests_max:
            raise ObservationError(f"{request} was not asked: {self.requests_max} requests are the most of one look")
        self.asked += 1
        status, answered, body = super()._send(request, url, headers)
        self.signs |= {name: value for name, value in answered.items() if name in _KEPT}
        return status, answered, body


class GithubInspectionHook(DeployOpsGithubHook):
    """The repository hook for a look at all that the product needs there. Raises as that does.

    :param github_conn_id: the Airflow connection's id.
    :param repository: owner/name.
    :param requests_max: how many requests it sends at the most; only an App's own token takes one more.
    """

    def __init__(self, github_conn_id: str, repository: str, *, requests_max: int = REQUESTS_MAX) -> None:
        super().__init__(github_conn_id, repository, tries=1)
        self._requests_max = requests_max

    @property
    def signs(self) -> Mapping[str, str]:
        """The headers, by lower-case name, in which GitHub told of the token, of its own version and of its clock."""
        return self._reader.signs if isinstance(self._reader, InspectingReader) else {}

    @property
    def address(self) -> str:
        """The API's base URL."""
        return self.get_conn().requester.base_url

    @property
    def version(self) -> str:
        """The version that GitHub Enterprise Server told; empty for github.com."""
        return self.signs.get(VERSION_HEADER, "")

    @property
    def is_app(self) -> bool:
        """Whether the connection is a GitHub App's."""
        return isinstance(self.get_conn().requester.auth, InstallationAuth)

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the App's installation may, as GitHub told with its token; None before, and where it told nothing."""
        auth = self.get_conn().requester.auth
        return auth.permissions if isinstance(auth, InstallationAuth) else None

    def reach(self) -> str:
        """Return the API's address, if it answers there; the question counts against no limit.

        Where limits are switched off, as GitHub Enterprise Server can, it answers that there is no such thing.
        """
        self._open_reader().read("/rate_limit", tries=REACH_TRIES)
        return self.address

    def read_ending(self) -> datetime | None:
        """Return when the token ends; None where GitHub names no end.

        :raises ObservationError: what it says is no time.
        """
        told = self.signs.get(EXPIRY_HEADER)
        try:
            return None if told is None else parse_end(told)
        except ValueError as error:
            raise ObservationError(f"the header {EXPIRY_HEADER} says {told!r:.60}, which is no time") from error

    def list_scopes(self) -> frozenset[str] | None:
        """Return the scopes of a classic token; None for any other."""
        told = self.signs.get(SCOPES_HEADER)
        return None if told is None else frozenset(filter(None, map(str.strip, told.split(","))))

    def find_login(self) -> str | None:
        """Return the account that the token stands for; None for a token of an app's installation."""
        try:
            return parse_login(self._require(self._open_reader().read("/user")))
        except ReadRefusedError as error:
            if _BY_APP in str(error):
                return None
            raise

    def read_state(self) -> RepositoryState | None:
        """Return the repository as it stands, under whichever name; None where GitHub shows none to this token."""
        answer = self._open_reader().read_following(self._path(""))
        return None if answer.is_absent else parse_repository_state(answer)

    def follow(self, name: str) -> None:
        """Ask on under another name, to which the repository was renamed: GitHub would redirect each question."""
        self.repository = name

    def read_branch_state(self, name: str) -> BranchState | None:
        """Return a branch and what its protection shows; None where there is none."""
        answer = self.ask(f"/branches/{quote(name, safe='')}")
        return None if answer.is_absent else parse_branch_state(answer, name)

    def list_rules(self, branch: str) -> tuple[Rule, ...]:
        """List the active rules of all rulesets for a branch of that name, whether or not there is one."""
        answer = self.ask(f"/rules/branches/{quote(branch, safe='')}?per_page={PAGE_SIZE}", is_required=True)
        if answer.next_url is not None:
            raise ObservationError(f"{answer.request} answered with more than {PAGE_SIZE} rules, which are not read")
        return parse_rules(answer)

    def read_bypass(self, ruleset: int) -> str:
        """Return GitHub's word for when this token may pass over a ruleset; empty where it says nothing of it."""
        answer = self.ask(f"/rulesets/{ruleset}")
        return "" if answer.is_absent else parse_bypass(answer, ruleset)

    def list_recent_heads(self, base: str, count: int) -> tuple[str, ...]:
        """List the heads of the pull requests into a branch that changed last, open or not."""
        query = f"/pulls?state=all&sort=updated&direction=desc&base={quote(base, safe='')}&per_page={count}"
        pulls = parse_pull_requests(self.ask(query, is_required=True))
        heads = [pull.head_sha for pull in pulls if pull.base_ref == base]
        return tuple(dict.fromkeys(heads))[:count]

    def probe(self, path: str) -> None:
        """Ask for something below the repository, so that a refusal shows; what is there does not matter.

        :raises ReadRefusedError: the token may not.
        :raises ObservationError: there is no such thing, or it is hidden from this token.
        """
        answer = self._open_reader().read(self._path(path))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ObservationError(f"{answer.request} answered HTTP 404, as GitHub also hides what a token may not see")

    def _open_reader(self) -> InspectingReader:
        if not isinstance(self._reader, InspectingReader):
            self._reader = InspectingReader(
                self.get_conn().requester,
                self.token,
                tries=1,
                cache=self._cache,
                sleep=self._sleep,
                conn_id=self.github_conn_id,
                requests_max=self._requests_max,
            )
        return self._reader
