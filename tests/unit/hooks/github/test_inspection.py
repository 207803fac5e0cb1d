"""The look at a repository and its token: what headers tell, each question once, so many at the most, and GET alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from include.deploy_ops.core.doctor.branches import BranchState, Rule
from include.deploy_ops.core.doctor.github import RepositoryState
from include.deploy_ops.core.errors import ObservationError, ReadRefusedError, TokenRefusedError
from include.deploy_ops.hooks.github.http import UnavailableError
from include.deploy_ops.hooks.github.inspection import GithubInspectionHook
from tests.worlds.doubles.github import NOT_FOUND, REPO, TOKEN, GithubDouble, Reply, connect, make_pull, make_sha

EXPIRY = "GitHub-Authentication-Token-Expiration"
REPOSITORY: dict[str, Any] = {"id": 7, "full_name": "acme/pipes", "private": True, "default_branch": "main"}
LOOKS: tuple[Callable[[GithubInspectionHook], object], ...] = (
    lambda hook: hook.read_state(),
    lambda hook: hook.read_branch_state("main"),
    lambda hook: hook.list_rules("main"),
    lambda hook: hook.read_bypass(3),
    lambda hook: hook.list_recent_heads("main", 3),
    lambda hook: hook.find_login(),
    lambda hook: hook.probe("/deployments?per_page=1"),
)


@pytest.fixture
def hook(github: GithubDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubInspectionHook]:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    github.answers["/rate_limit"] = Reply({"resources": {}})
    hook = GithubInspectionHook("github_default", "acme/pipes")
    yield hook
    hook.close()


def reach(hook: GithubInspectionHook, github: GithubDouble, **headers: str) -> GithubInspectionHook:
    github.answers["/rate_limit"] = Reply(
        {}, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert hook.reach() == github.api_url
    return hook


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-12-05 11:52:36 UTC", datetime(2026, 12, 5, 11, 52, 36, tzinfo=UTC)),
        ("2026-12-05 11:52:36 -0400", datetime(2026, 12, 5, 11, 52, 36, tzinfo=timezone(timedelta(hours=-4)))),
        ("2026-12-05T11:52:36Z", datetime(2026, 12, 5, 11, 52, 36, tzinfo=UTC)),
    ],
)
def test_when_a_token_ends_is_read_of_the_header(
    told: str, expected: datetime, hook: GithubInspectionHook, github: GithubDouble
) -> None:
    assert reach(hook, github, **{EXPIRY: told}).read_ending() == expected


@pytest.mark.parametrize("told", ["soon", "", "2026-12-05", "2026-12-05 11:52:36"])
def test_a_header_that_says_no_time_is_told(told: str, hook: GithubInspectionHook, github: GithubDouble) -> None:
    with pytest.raises(ObservationError, match="which is no time"):
        reach(hook, github, **{EXPIRY: told}).read_ending()


def test_a_token_without_end_or_scopes_has_none(hook: GithubInspectionHook, github: GithubDouble) -> None:
    assert hook.signs == {}
    assert reach(hook, github).read_ending() is None
    assert hook.list_scopes() is None
    assert (hook.version, hook.is_app, hook.permissions) == ("", False, None)


@pytest.mark.parametrize(("told", "scopes"), [("repo, workflow", {"repo", "workflow"}), ("", set())])
def test_a_classic_token_is_told_by_its_scopes_also_where_it_has_none(
    told: str, scopes: set[str], hook: GithubInspectionHook, github: GithubDouble
) -> None:
    reach(hook, github, X_OAuth_Scopes=told, X_GitHub_Enterprise_Version="3.14.2")
    assert hook.list_scopes() == frozenset(scopes)
    assert hook.version == "3.14.2"


def test_a_server_without_limits_is_reached_too(hook: GithubInspectionHook, github: GithubDouble) -> None:
    github.answers["/rate_limit"] = Reply(NOT_FOUND | {"message": "Rate limiting is not enabled."}, 404)
    assert hook.reach() == github.api_url
    assert hook.quota is None


def test_a_token_that_is_refused_is_another_error_than_a_missing_permission(
    hook: GithubInspectionHook, github: GithubDouble
) -> None:
    github.answers["/rate_limit"] = Reply({"message": "Bad credentials"}, 401)
    with pytest.raises(TokenRefusedError, match="HTTP 401"):
        hook.reach()
    github.answers[REPO] = Reply({"message": "Resource not accessible by personal access token"}, 403)
    with pytest.raises(ReadRefusedError, match="not accessible by personal access token"):
        hook.read_state()


def test_a_repository_is_read_as_it_stands(hook: GithubInspectionHook, github: GithubDouble) -> None:
    roles = {"admin": False, "push": True, "pull": True}
    github.answers[REPO] = Reply(
        REPOSITORY | {"archived": True, "disabled": True, "allow_merge_commit": False, "permissions": roles}
    )
    assert hook.read_state() == RepositoryState(
        7,
        "acme/pipes",
        is_archived=True,
        is_disabled=True,
        default_branch="main",
        allows_merge_commits=False,
        roles=frozenset({"push", "pull"}),
    )
    github.answers[REPO] = Reply(REPOSITORY | {"private": False})
    assert hook.read_state() == RepositoryState(7, "acme/pipes", is_public=True, default_branch="main")
    github.answers.pop(REPO)
    assert hook.read_state() is None


def test_a_renamed_repository_is_followed_once_and_asked_by_its_new_name_then(
    hook: GithubInspectionHook, github: GithubDouble
) -> None:
    github.answers[REPO] = Reply({}, 301, {"Location": f"{github.api_url}/repositories/7"})
    github.answers["/repositories/7"] = Reply(REPOSITORY | {"full_name": "acme/tubes"})
    github.answers["/repos/acme/tubes/rules/branches/main?per_page=100"] = Reply([])
    found = hook.read_state()
    assert found is not None
    hook.follow(found.name)
    assert hook.list_rules("main") == ()
    assert [asked.status for asked in github.asked] == [301, 200, 200]


def test_a_branch_shows_its_tip_and_what_its_protection_requires(
    hook: GithubInspectionHook, github: GithubDouble
) -> None:
    protection = {"enabled": True, "required_status_checks": {"contexts": ["ci"], "checks": []}}
    body = {"name": "dev/a", "commit": {"sha": make_sha(1)}, "protected": True, "protection": protection}
    github.answers[f"{REPO}/branches/dev%2Fa"] = Reply(body)
    assert hook.read_branch_state("dev/a") == BranchState(make_sha(1), is_protected=True, checks=frozenset({"ci"}))
    assert hook.read_branch_state("none") is None
    github.answers[f"{REPO}/branches/main"] = Reply(body)
    with pytest.raises(ObservationError, match="another branch, dev/a"):
        hook.read_branch_state("main")


def test_rules_are_read_with_what_they_ask_for(hook: GithubInspectionHook, github: GithubDouble) -> None:
    rules = [
        {"type": "update", "ruleset_id": 3},
        {"type": "pull_request", "ruleset_id": 3, "parameters": {"allowed_merge_methods": ["squash"]}},
        {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "ci"}]}},
        {"type": "of_next_year", "parameters": {"more": [1]}},
    ]
    path = f"{REPO}/rules/branches/dev%2Fa?per_page=100"
    github.answers[path] = Reply(rules)
    assert hook.list_rules("dev/a") == (
        Rule("update", 3),
        Rule("pull_request", 3, merge_methods=frozenset({"squash"})),
        Rule("required_status_checks", checks=frozenset({"ci"})),
        Rule("of_next_year"),
    )
    github.answers[path] = Reply(rules, headers=github.link_to(f"{path}&page=2"))
    with pytest.raises(ObservationError, match="more than 100 rules"):
        hook.list_rules("dev/a")


def test_whether_a_ruleset_may_be_passed_over_is_githubs_word(hook: GithubInspectionHook, github: GithubDouble) -> None:
    github.answers[f"{REPO}/rulesets/3"] = Reply({"id": 3, "current_user_can_bypass": "always"})
    assert hook.read_bypass(3) == "always"
    github.answers[f"{REPO}/rulesets/3"] = Reply({"id": 3})
    assert (hook.read_bypass(3), hook.read_bypass(4)) == ("", "")
    github.answers[f"{REPO}/rulesets/3"] = Reply({"id": 4})
    with pytest.raises(ObservationError, match="another ruleset, 4"):
        hook.read_bypass(3)


def test_recent_heads_are_those_of_pull_requests_into_the_branch(
    hook: GithubInspectionHook, github: GithubDouble
) -> None:
    pulls = [make_pull(1), make_pull(2, base=make_pull(2)["base"] | {"ref": "other"}), make_pull(3), make_pull(3)]
    path = f"{REPO}/pulls?base=staging&direction=desc&per_page=2&sort=updated&state=all"
    github.answers[path] = github.answers[
        f"{REPO}/pulls?state=all&sort=updated&direction=desc&base=staging&per_page=2"
    ] = Reply(pulls)
    assert hook.list_recent_heads("staging", 2) == (make_sha(1), make_sha(3))


@pytest.mark.parametrize(
    ("reply", "login"),
    [
        (Reply({"login": "mona"}), "mona"),
        (Reply({"message": "Resource not accessible by integration"}, 403), None),
    ],
)
def test_a_token_stands_for_an_account_or_for_an_installation(
    reply: Reply, login: str | None, hook: GithubInspectionHook, github: GithubDouble
) -> None:
    github.answers["/user"] = reply
    assert hook.find_login() == login


def test_another_refusal_says_nothing_of_whose_token_it_is(hook: GithubInspectionHook, github: GithubDouble) -> None:
    github.answers["/user"] = Reply({"message": "Resource protected by organization SAML enforcement"}, 403)
    with pytest.raises(ReadRefusedError):
        hook.find_login()


def test_a_probe_goes_through_is_refused_or_hidden(hook: GithubInspectionHook, github: GithubDouble) -> None:
    path = f"{REPO}/deployments?per_page=1"
    github.answers[path] = Reply([])
    hook.probe("/deployments?per_page=1")
    github.answers[path] = Reply({"message": "Resource not accessible"}, 403)
    with pytest.raises(ReadRefusedError):
        hook.probe("/deployments?per_page=1")
    github.answers.pop(path)
    with pytest.raises(ObservationError, match="hides what a token may not see"):
        hook.probe("/deployments?per_page=1")


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_asked_twice_whatever_comes(
    look: Callable[[GithubInspectionHook], object], hook: GithubInspectionHook, github: GithubDouble
) -> None:
    class Down(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            del key, default
            return Reply({"message": "down"}, 502)

    github.answers = Down()
    with pytest.raises(UnavailableError):
        look(hook)
    assert [asked.method for asked in github.asked] == ["GET"]


def test_beyond_the_bound_nothing_is_sent(github: GithubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host=github.api_url, password=TOKEN)
    hook = GithubInspectionHook("github_default", "acme/pipes", requests_max=2)
    github.answers[REPO] = Reply(REPOSITORY)
    for _ in range(2):
        assert hook.read_state()
    with pytest.raises(ObservationError, match="was not asked: 2 requests are the most of one look"):
        hook.read_state()
    assert len(github.asked) == 2
    hook.close()


def test_an_app_tells_its_permissions_with_its_token(
    github: GithubDouble, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted = {"contents": "write", "metadata": "read"}
    grant = {"token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z", "permissions": granted}
    github.answers["/app/installations/2/access_tokens"] = Reply(grant, 201)
    extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
    connect(monkeypatch, host=github.api_url, extra=extra)
    hook = GithubInspectionHook("github_default", "acme/pipes")
    assert (hook.is_app, hook.permissions) == (True, None)
    assert reach(hook, github).permissions == granted
    for untold in ({}, {"permissions": "all"}):
        github.answers["/app/installations/2/access_tokens"] = Reply(
            {key: value for key, value in grant.items() if key != "permissions"} | untold, 201
        )
        hook.close()
        assert reach(hook, github).permissions is None
    hook.close()


def test_an_app_that_is_refused_is_a_refused_token(
    github: GithubDouble, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.answers["/app/installations/2/access_tokens"] = Reply({"message": "Integration not found"}, 404)
    extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
    connect(monkeypatch, host=github.api_url, extra=extra)
    hook = GithubInspectionHook("github_default", "acme/pipes")
    with pytest.raises(TokenRefusedError, match="check app_id, installation_id and private key"):
        hook.reach()
    assert hook.signs == {}
    hook.close()
