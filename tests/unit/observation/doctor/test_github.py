"""The doctor's look at GitHub, on the sandbox: each fault turns its check, what its advice says turns it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.feedback.comparison import LACK_REMEMBERED
from include.deploy_ops.core.feedback.values import FeedbackRecord, Kind, fingerprint_feedback, key_lack
from include.deploy_ops.core.policy.keys import Feedback, Target
from include.deploy_ops.core.promotion.message import Trailers, format_message
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.github.inspection import EXPIRY_HEADER, REACH_TRIES, REQUESTS_MAX, SCOPES_HEADER
from include.deploy_ops.observation.doctor.github import BRANCHES_MAX, OUTAGES_MAX, examine_github, open_inspection
from include.deploy_ops.run.memory import KnownRepository
from sandbox.identity import GITHUB_TOKEN, REPOSITORY_ID
from tests.worlds.doubles.github import GithubDouble, Reply, connect
from tests.worlds.doubles.unending_server import UnendingServer
from tests.worlds.stages.promotion import Promotions
from tests.worlds.stages.stage import WRITES, Stage

REPO = "/repos/acme/data-platform"
REFUSAL = {"message": "Resource not accessible by personal access token"}
FEW = 30
"""Requests that a usual project takes; `REQUESTS_MAX` is what none goes beyond."""

TARGET = {
    "deployment": "Production",
    "pull_request": {"from": "astro_deploy", "into": "main"},
    "merge": True,
    "requires": {"checks": "required"},
}


@dataclass
class World:
    """The stage with all that the policy may want of GitHub, and what people do there."""

    stage: Stage
    monkeypatch: pytest.MonkeyPatch
    now: datetime

    def examine(self, *, with_memory: bool = True) -> dict[str, Check]:
        """Return the checks by name."""
        github = open_inspection(self.stage.scope)
        checks = examine_github(self.stage.scope, github, self.now, self.stage.memory if with_memory else None)
        github.close()
        assert {check.area for check in checks} == {Area.GITHUB}
        return {check.name: check for check in checks}

    def plant(self, path: str = "", **fault: Any) -> None:
        self.stage.sandbox.plant(face="github", method="GET", path=path, times=None, **fault)

    def refuse(self, path: str) -> None:
        self.plant(path, status=403, body=REFUSAL)

    def clear(self) -> None:
        assert self.stage.sandbox.client.delete("/sandbox/faults").is_success

    def control(self, part: str, **body: Any) -> None:
        path = f"/sandbox/repositories/acme/data-platform/{part}"
        assert self.stage.sandbox.client.post(path, json=body).is_success

    def set_rules(self, branch: str, *rules: str, **more: Any) -> None:
        self.control("rules", branch=branch, rules=rules, **more)

    def set_password(self, password: str, **more: str) -> None:
        host = f"{self.stage.sandbox.url}/github/api/v3"
        connect(self.monkeypatch, **{"host": host, "password": password, **more})

    def end_token(self, days: float) -> None:
        self.plant(headers={EXPIRY_HEADER: f"{self.now + timedelta(days=days):%Y-%m-%d %H:%M:%S} UTC"})

    def delete_branch(self, name: str) -> None:
        self.stage.author.delete(name)

    def make_branch(self, name: str) -> None:
        self.stage.author.start_branch(name, "origin/main")
        self.stage.author.push(name, force=True)

    def remember_repository(self, number: int) -> None:
        self.stage.memory.repository.write(KnownRepository(number, self.stage.scope.project.repository))

    def push_promotion(self) -> None:
        """Push a commit to the deploy branch that a promotion of ours would have made."""
        git, scope = self.stage.author.git, self.stage.scope
        tip, tree = git("rev-parse", "origin/astro_deploy", "origin/astro_deploy^{tree}").split()
        message = format_message(Trailers(scope.control_plane, scope.project.name, tip, tree, ()), "staging", "it")
        made = git("commit-tree", tree, "-p", tip, "-m", message)
        git("push", "--quiet", "origin", f"{made}:refs/heads/astro_deploy")

    def tell_github(self) -> None:
        """Remember that feedback told each kind, and that nothing was refused."""
        told = {"status/x/y": "success", "deployment/dev/x": "success", "comment/1": "open"}
        records = {key: FeedbackRecord(id=1, state=state) for key, state in told.items()}
        self.stage.memory.feedback.write(self.stage.memory.feedback.read(), records)

    def remember_lack(self, kind: Kind) -> None:
        github = open_inspection(self.stage.scope)
        policy = fingerprint_feedback(self.stage.scope.project, is_alone=True)
        lack = FeedbackRecord(digest=github.fingerprint_access(), state="refused", policy=policy, at=self.now)
        github.close()
        known = self.stage.memory.feedback.read()
        self.stage.memory.feedback.write(known, known | {key_lack(kind): lack})


@pytest.fixture
def world(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a stage whose feedback was told and whose promotion has pushed: nothing is left that nobody knows."""
    Promotions(stage)
    stage.change_project(targets={"production": Target.model_validate(TARGET)}, feedback=Feedback())
    world = World(stage, monkeypatch, datetime.now(UTC).replace(microsecond=0))
    world.push_promotion()
    world.tell_github()
    world.remember_repository(REPOSITORY_ID)
    return world


UNTRIED = {"permission Workflows: write", "permission Administration: write"}
"""What nobody tried yet: nothing is red, but it is not known."""


def list_troubles(checks: dict[str, Check]) -> dict[str, Status]:
    """Return what is not ok, beside what nobody tried."""
    return {
        name: check.status for name, check in checks.items() if check.status is not Status.OK and name not in UNTRIED
    }


def test_where_all_is_well_nothing_is_red(world: World) -> None:
    found = world.examine()
    assert list_troubles(found) == {}
    assert {name: found[name].status for name in UNTRIED} == dict.fromkeys(UNTRIED, Status.NOT_KNOWN)
    assert found["token"].found == "a fine-grained personal access token of deploy-ops"
    assert found["pushes to astro_deploy"].found == "its tip is a commit of ours"
    assert "the tip of astro_deploy is a commit that we pushed" in found["permission Contents: write"].found


Act = Callable[[World], object]
CLASSIC = {SCOPES_HEADER: "read:org"}


def rename(world: World) -> None:
    world.stage.rename_repository("renamed")


def follow(world: World) -> None:
    world.stage.change_project(repository="acme/renamed")


def let_be(world: World) -> None:
    """Leave it as it is: what nobody tried is not known from the start."""
    assert world


def name_many(world: World) -> None:
    """Let the policy name more branches than are looked at."""
    names = tuple(f"from-{number}" for number in range(BRANCHES_MAX))
    for name in names:
        world.make_branch(name)
    world.stage.change_project(previews={"merged_into": names})


def name_few(world: World) -> None:
    """Let it name fewer."""
    world.stage.change_project(previews={"merged_into": ("staging", "main")})


FURTHER = "further branches"
"""A check that is there only where it is not well."""

FAULTS: tuple[tuple[Act, str, Status, str, Act], ...] = (
    (
        lambda world: world.set_password(GITHUB_TOKEN, host="http://127.0.0.1:9/api/v3"),
        "reachable",
        Status.FAIL,
        "correct the Airflow connection 'github_default'",
        lambda world: world.set_password(GITHUB_TOKEN),
    ),
    (
        lambda world: world.plant("/rate_limit", status=502),
        "reachable",
        Status.NOT_KNOWN,
        "look again later: https://www.githubstatus.com",
        World.clear,
    ),
    (rename, "repository", Status.FAIL, "write `repository: acme/renamed` for project shop", follow),
    (
        lambda world: world.remember_repository(1),
        "repository",
        Status.FAIL,
        "if it is this one, give the project another name",
        lambda world: world.stage.memory.repository.forget(),
    ),
    (
        lambda world: world.control("settings", archived=True),
        "repository",
        Status.FAIL,
        "unarchive it",
        lambda world: world.control("settings", archived=False),
    ),
    (
        lambda world: world.stage.change_project(repository="acme/none"),
        "repository",
        Status.FAIL,
        "correct `repository` in the policy",
        lambda world: world.stage.change_project(repository="acme/data-platform"),
    ),
    (
        lambda world: world.set_password("wrong"),
        "token",
        Status.FAIL,
        "write a token that is good into the password of connection 'github_default'",
        lambda world: world.set_password(GITHUB_TOKEN),
    ),
    (
        lambda world: world.plant("/user$", status=403, body={"message": "Resource not accessible by integration"}),
        "token",
        Status.WARN,
        "leave the password of connection 'github_default' empty",
        World.clear,
    ),
    (lambda world: world.plant("/user$", status=500), "token", Status.NOT_KNOWN, "HTTP 401", World.clear),
    (lambda world: world.end_token(14), "token's end", Status.WARN, "make a new token", World.clear),
    (lambda world: world.end_token(-1), "token's end", Status.FAIL, "make a new token", World.clear),
    (
        lambda world: world.plant(headers={EXPIRY_HEADER: "soon"}),
        "token's end",
        Status.NOT_KNOWN,
        "token's page",
        World.clear,
    ),
    (
        lambda world: world.plant(headers=CLASSIC),
        "permission Pull requests: write",
        Status.FAIL,
        "the scope `repo`",
        World.clear,
    ),
    (
        lambda world: world.refuse(r"/pulls\?per_page=1&"),
        "permission Pull requests: write",
        Status.FAIL,
        "'Pull requests: Read and write'",
        World.clear,
    ),
    (
        lambda world: world.refuse("/actions/runs"),
        "permission Actions: read",
        Status.FAIL,
        "'Actions: Read-only'",
        World.clear,
    ),
    (
        lambda world: world.plant("/deployments", status=500),
        "permission Deployments: write",
        Status.NOT_KNOWN,
        "'Deployments: Read and write'",
        World.clear,
    ),
    (
        lambda world: world.remember_lack(Kind.STATUS),
        "permission Commit statuses: write",
        Status.FAIL,
        "'Commit statuses: Read and write'",
        World.tell_github,
    ),
    (
        lambda world: world.plant(headers={"x-ratelimit-remaining": "100"}),
        "requests left",
        Status.WARN,
        "raise `poll_interval_s`",
        World.clear,
    ),
    (
        lambda world: world.plant(headers={"x-ratelimit-remaining": "0"}),
        "requests left",
        Status.FAIL,
        "give the project an App or a token of its own",
        World.clear,
    ),
    (
        lambda world: world.delete_branch("staging"),
        "branch staging",
        Status.FAIL,
        "make the branch, or correct promotion.into",
        lambda world: world.make_branch("staging"),
    ),
    (
        lambda world: world.stage.change_project(trunk="master"),
        "trunk",
        Status.FAIL,
        "the repository's default branch is main",
        lambda world: world.stage.change_project(trunk="main"),
    ),
    (
        lambda world: world.control("settings", allow_merge_commit=False),
        "merge commits into main",
        Status.FAIL,
        "allow merge commits",
        lambda world: world.control("settings", allow_merge_commit=True),
    ),
    (
        lambda world: world.set_rules("main", "pull_request", methods=["squash"]),
        "merge commits into main",
        Status.FAIL,
        "let the connection's App or user bypass it",
        lambda world: world.set_rules("main", "pull_request", methods=["squash"], bypass="pull_requests_only"),
    ),
    (
        lambda world: world.stage.require_checks("main", "ci/test"),
        "required checks of main",
        Status.WARN,
        "have the CI give it to commits of pull requests into main",
        lambda world: world.stage.set_check(world.stage.author.git("rev-parse", "origin/main"), "ci/test", "success"),
    ),
    (
        lambda world: world.stage.require_checks("main", "deploy-ops/previw"),
        "required checks of main",
        Status.FAIL,
        "or take them off the rules of main",
        lambda world: world.stage.require_checks("main", "deploy-ops/preview"),
    ),
    (
        lambda world: world.set_rules("astro_deploy", "update"),
        "pushes to astro_deploy",
        Status.FAIL,
        "let the connection's App or user bypass it always",
        lambda world: world.set_rules("astro_deploy", "update", bypass="always"),
    ),
    (
        lambda world: world.plant("/rules/branches/astro_deploy", status=500),
        "pushes to astro_deploy",
        Status.NOT_KNOWN,
        "HTTP 422 'Repository rule violations found'",
        World.clear,
    ),
    (
        lambda world: world.plant("/branches/astro_deploy$", status=500),
        "branch astro_deploy",
        Status.NOT_KNOWN,
        "run the doctor again",
        World.clear,
    ),
    (
        lambda world: world.stage.require_checks("staging", "ci/test"),
        "required checks of staging",
        Status.WARN,
        "have the CI give it to commits of pull requests into staging",
        lambda world: world.stage.require_checks("staging"),
    ),
    (
        lambda world: world.refuse(f"{REPO}$"),
        "permission Metadata: read",
        Status.FAIL,
        "'Metadata: Read-only'",
        World.clear,
    ),
    (
        lambda world: world.refuse("/branches/main$"),
        "permission Contents: write",
        Status.FAIL,
        "'Contents: Read and write'",
        World.clear,
    ),
    (
        lambda world: world.plant("/check-runs", status=500),
        "permission Checks: read",
        Status.NOT_KNOWN,
        "'Checks: Read-only'",
        World.clear,
    ),
    (
        let_be,
        "permission Workflows: write",
        Status.NOT_KNOWN,
        "see that the token has 'Workflows: Read and write'",
        lambda world: world.plant(headers={SCOPES_HEADER: "repo, workflow"}),
    ),
    (
        let_be,
        "permission Administration: write",
        Status.NOT_KNOWN,
        "or leave it out: it can be done without",
        lambda world: world.remember_lack(Kind.ENVIRONMENT),
    ),
    (name_many, FURTHER, Status.NOT_KNOWN, "look at them in GitHub", name_few),
)


def test_every_check_is_turned_by_one_of_the_faults(world: World) -> None:
    assert {*world.examine(), FURTHER} == {check for _, check, *_ in FAULTS}


@pytest.mark.parametrize(("break_it", "check", "status", "advice", "mend_it"), FAULTS)
def test_each_fault_turns_its_check_and_its_advice_turns_it_back(
    break_it: Act, check: str, status: Status, advice: str, mend_it: Act, world: World
) -> None:
    break_it(world)
    found = world.examine()[check]
    assert (found.status, advice in found.advice) == (status, True), found
    mend_it(world)
    mended = world.examine()
    assert list_troubles(mended) == {}
    assert check == FURTHER or mended[check].status is Status.OK


def test_a_repository_that_was_renamed_is_looked_at_all_the_same(world: World) -> None:
    rename(world)
    assert list_troubles(world.examine()) == {"repository": Status.FAIL}


READS = ("/user$", f"{REPO}$", r"/branches/main$", "/rules/branches/main", "/git/commits/", r"/pulls\?", "/check-runs")


@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("path", READS)
def test_one_fact_that_cannot_be_read_takes_out_no_other(path: str, status: int, world: World) -> None:
    """Whatever one address answers, what does not depend on it is told as before."""
    before = world.examine()
    world.plant(path, status=status, body=REFUSAL)
    found = world.examine()
    if (path, status) == (f"{REPO}$", 404):
        assert found["repository"].status is Status.FAIL  # then nothing below it is there either
        return
    changed = {name for name in before if found[name].status is not before[name].status}
    allowed = {
        "/user$": {"token", *UNTRIED},
        f"{REPO}$": {"repository", "merge commits into main", "permission Metadata: read"},
        r"/branches/main$": {
            "trunk",
            "merge commits into main",
            "required checks of main",
            "permission Contents: write",
        },
        "/rules/branches/main": {"merge commits into main", "required checks of main"},
        "/git/commits/": {"permission Contents: write"},
        r"/pulls\?": {"permission Pull requests: write"},
        "/check-runs": {"permission Checks: read"},
    }[path]
    assert changed <= allowed, changed


def test_a_look_asks_little_and_writes_nothing(world: World) -> None:
    world.stage.require_checks("main", "ci/none")
    world.set_rules("astro_deploy", "update")
    world.stage.forget_requests()
    world.examine()
    assert len(world.stage.list_requests("github")) <= FEW
    assert world.stage.list_requests("github", WRITES) == []


def test_however_much_a_policy_names_a_look_is_bounded(world: World) -> None:
    sources = {
        f"t{number}": Target.model_validate(
            {"deployment": f"T{number}", "pull_request": {"from": f"from-{number}", "into": f"into-{number}"}}
        )
        for number in range(40)
    }
    world.stage.change_project(targets=sources)
    for number in range(40):
        world.stage.require_checks(f"into-{number}", "ci/none")
    world.stage.forget_requests()
    found = world.examine()
    assert len(world.stage.list_requests("github")) <= REQUESTS_MAX
    assert found["further branches"].status is Status.NOT_KNOWN
    assert sum(name.startswith("branch ") for name in found) == BRANCHES_MAX - 1


def test_where_github_says_nothing_the_rest_is_not_asked(world: World) -> None:
    world.plant(drop=True)
    world.stage.forget_requests()
    found = world.examine()
    assert len(world.stage.list_requests("github")) == REACH_TRIES
    assert {check.status for check in found.values()} == {Status.NOT_KNOWN}


def test_one_lost_answer_is_asked_for_again(world: World) -> None:
    world.stage.sandbox.plant(face="github", method="GET", path="/rate_limit", times=1, status=503)
    assert list_troubles(world.examine()) == {}


@pytest.mark.parametrize("host", ["https://github.invalid/api/v3", "http://127.0.0.1:9/api/v3"])
def test_where_nothing_reaches_github_it_fails(host: str, world: World) -> None:
    """No name, and nobody who listens: that mends itself by no waiting."""
    world.set_password(GITHUB_TOKEN, host=host)
    found = world.examine()
    assert found["reachable"].status is Status.FAIL
    assert "correct the Airflow connection" in found["reachable"].advice


def test_an_answer_that_drips_is_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers so slowly is not mended by an edit of the connection."""
    monkeypatch.setattr(patience, "ANSWER_TIME_MAX_S", 0.3)
    with UnendingServer(b" ", 0.02) as server:
        world.set_password(GITHUB_TOKEN, host=f"http://{server.host}/api/v3")
        found = world.examine()
        assert server.requests == 1
    assert {check.status for check in found.values()} == {Status.NOT_KNOWN}
    assert "not complete after" in found["reachable"].found


def test_a_certificate_that_is_none_fails(world: World) -> None:
    """TLS is spoken to a port that speaks none."""
    world.set_password(GITHUB_TOKEN, host=f"{world.stage.sandbox.url}/github/api/v3".replace("http:", "https:"))
    assert world.examine()["reachable"].status is Status.FAIL


def test_a_few_silences_end_the_look(world: World) -> None:
    world.plant("/branches/|/pulls|/commits/|/actions", drop=True)
    world.stage.forget_requests()
    found = world.examine()
    silent = [each for each in world.stage.list_requests("github") if "/rate_limit" not in each]
    assert len(silent) <= OUTAGES_MAX + 2  # the account and the repository answered before
    assert "not asked" in found["branch astro_deploy"].found


def test_a_pause_that_github_asks_for_is_kept(world: World) -> None:
    world.plant("/branches/main$", status=429, headers={"retry-after": "3600"})
    world.stage.forget_requests()
    found = world.examine()
    *_, last = world.stage.list_requests("github")
    assert last.endswith("/branches/main")
    assert "asks to wait 3600 s" in found["trunk"].found


def test_without_a_memory_writes_are_not_known_where_nothing_on_github_shows_them(world: World) -> None:
    found = world.examine(with_memory=False)
    assert found["repository"].status is Status.OK
    assert set(list_troubles(found)) == {
        "permission Pull requests: write",
        "permission Commit statuses: write",
        "permission Deployments: write",
    }
    assert set(list_troubles(found).values()) == {Status.NOT_KNOWN}


def test_an_apps_permissions_are_what_github_grants_it(
    private_key: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one request that is no GET is the App's for its own token, as with everything that an App asks."""
    granted = {"contents": "read", "metadata": "read", "pull_requests": "read"}
    grant = {"token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z", "permissions": granted}
    extra = {"app_id": 1, "installation_id": 2, "private_key": private_key}
    with GithubDouble() as github:
        github.answers["/app/installations/2/access_tokens"] = Reply(grant, 201)
        github.answers["/rate_limit"] = Reply({"resources": {}})
        connect(monkeypatch, host=github.api_url, extra=extra)
        stage.change_project(feedback=Feedback())

        def examine() -> dict[str, Check]:
            hook = open_inspection(stage.scope)
            checks = examine_github(stage.scope, hook, datetime.now(UTC))
            hook.close()
            return {check.name: check for check in checks}

        found = examine()
        assert (found["token"].status, found["token"].found) == (Status.OK, "a GitHub App")
        assert found["permission Pull requests: write"].status is Status.FAIL
        assert found["permission Pull requests: write"].advice.startswith(
            "give the App 'Pull requests: Read and write'"
        )
        granted["pull_requests"] = "write"
        assert examine()["permission Pull requests: write"].status is Status.OK
        assert {asked.method for asked in github.asked} == {"POST", "GET"}
        assert {asked.path for asked in github.asked if asked.method == "POST"} == {
            "/app/installations/2/access_tokens"
        }


def test_a_connection_that_is_missing_is_told_with_what_to_do(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GITHUB_DEFAULT")
    hook = open_inspection(stage.scope)
    checks = examine_github(stage.scope, hook, datetime.now(UTC))
    assert checks[0].status is Status.FAIL
    assert "no such Airflow connection" in checks[0].found
    assert {check.status for check in checks[1:]} == {Status.NOT_KNOWN}


def test_a_refusal_counts_while_feedback_goes_by_it(world: World) -> None:
    world.remember_lack(Kind.STATUS)
    name = "permission Commit statuses: write"
    world.now += LACK_REMEMBERED - timedelta(seconds=1)
    assert world.examine()[name].status is Status.FAIL
    world.now += timedelta(seconds=1)
    assert world.examine()[name].status is Status.NOT_KNOWN


def test_what_github_does_not_show_was_no_read(world: World) -> None:
    world.stage.change_project(promotion=None, targets={}, trunk="master")
    assert world.examine()["permission Contents: read"].status is Status.NOT_KNOWN
    world.stage.change_project(repository="acme/none")
    found = world.examine()
    assert {found[f"permission {each}: read"].status for each in ("Metadata", "Contents")} == {Status.NOT_KNOWN}


def test_no_token_is_repeated_in_what_is_told(world: World) -> None:
    world.plant("/branches/", status=403, body={"message": f"no access for {GITHUB_TOKEN}"})
    assert GITHUB_TOKEN not in json.dumps([check.found for check in world.examine().values()])
