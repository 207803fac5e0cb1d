"""Tokens and passwords as canaries: whatever fails, and whatever repeats them, none is in what a run leaves or says.

GitHub, Astro, the registry and the Astro CLI each fail in several ways, and their answers repeat every secret, plain,
as a URL writes it and as base64. Read are XComs, `conf`, stores, rendered fields, logs, errors and command lines.
"""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.plan.work import Verb
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD, REGISTRY_USER

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

BRANCH = "dev-x"
SECRETS = (ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD)
LOGINS = (f"{REGISTRY_USER}:{REGISTRY_PASSWORD}", f"cli:Bearer {ASTRO_TOKEN}", f"x-access-token:{GITHUB_TOKEN}")
ENCODED = tuple(base64.b64encode(login.encode()).decode() for login in LOGINS)
CANARIES = (*SECRETS, *map(quote, SECRETS), *ENCODED)
OWN = {
    "github": (GITHUB_TOKEN, ENCODED[2]),
    "astro": (ASTRO_TOKEN,),
    "registry": (REGISTRY_PASSWORD, ENCODED[0]),
}
"""What each is sent, and so can repeat; of what it never had, it can only say what was said to it by others."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the command lines of all that is started."""
    found: list[str] = []
    start = subprocess.Popen.__init__

    def note(self: Any, argv: Any, *args: Any, **options: Any) -> None:
        found.append(json.dumps([str(word) for word in argv]))
        start(self, argv, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", note)
    return found


@pytest.fixture
def private(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Let the registry ask for a login, and the connection have it."""
    login = {"conn_type": "docker", "login": REGISTRY_USER, "password": REGISTRY_PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_CI_REGISTRY", json.dumps(login))
    stage.change_project(registry_conn_id="ci_registry")
    return stage


def read_everything(runs: list[Run], stage: Stage, log: str, commands: list[str]) -> str:
    """Return all that the runs left and said."""
    fields = [str(vars(task).get(name)) for run in runs for task in run.tasks.values() for name in task.template_fields]
    kept = [[run.xcoms, run.conf, run.states] for run in runs] + [store.values for store in stage.stores.values()]
    return "\n".join([json.dumps(kept), *fields, log, *commands])


def assert_clean(said: str, canaries: tuple[str, ...] = CANARIES) -> None:
    found = [canary[:6] for canary in canaries if canary in said]
    assert found == []


STATUSES = [400, 401, 403, 404, 409, 422, 429, 500]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("face", OWN)
def test_what_a_service_repeats_of_its_secret_is_nowhere(
    private: Stage, face: str, status: int, commands: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    private.push(BRANCH)
    (run,) = private.plan()
    said = " ".join([*OWN[face], *map(quote, OWN[face])])
    headers = {"Location": said, "X-Said": said, "Retry-After": "0"}
    private.sandbox.plant(
        face=face,
        path="/",
        status=status,
        body={"message": said, "errors": [{"message": said}]},
        headers=headers,
        times=None,
    )
    errors = []
    for step in ("claim", "change_type", "render_template", "image"):
        try:
            run.step(step)
        except Exception as error:  # noqa: BLE001 - whatever it ends in
            errors.append(f"{error!r} {error.__cause__!r}" if isinstance(error, DeployOpsError) else str(error))
    run.play()
    private.sandbox.client.delete("/sandbox/faults")
    assert {"failed", "upstream_failed"} & set(run.states.values())
    told = read_everything([run], private, f"{_read_ours(caplog)}{errors}", commands)
    assert_clean(told, (*OWN[face], *map(quote, OWN[face])))


def _read_ours(caplog: pytest.LogCaptureFixture) -> str:
    """Return what the product logged; what HTTP libraries say for debugging is off in Airflow."""
    ours = [each for each in caplog.records if each.name.startswith(("include.", "airflow."))]
    return "\n".join(each.getMessage() for each in ours)


@pytest.mark.parametrize("command", ["create", "deploy"])
@pytest.mark.parametrize("ending", ["Error: {said}", "panic: {said}", "{said}", "Error: invalid email: {said}"])
def test_what_the_cli_repeats_is_nowhere(
    stage: Stage, command: str, ending: str, commands: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    stage.push(BRANCH)
    (run,) = stage.plan()
    said = f"{ASTRO_TOKEN} {quote(ASTRO_TOKEN)} Bearer {ASTRO_TOKEN}"
    stage.sandbox.plant(cli=command, exit=1, stderr=ending.format(said=said))
    run.play()
    assert run.states[command] == "failed"
    assert run.read_failure(command)["cause"]
    assert_clean(read_everything([run], stage, _read_ours(caplog), commands))


def test_a_run_that_ends_well_leaves_no_secret(
    private: Stage, commands: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    head = private.push(BRANCH, {"requirements.txt": "# more\n"})
    (run,) = private.plan()
    run.play()
    assert run.states["settle"] == "success", run.states
    assert len(commands) > 3
    assert head
    assert_clean(read_everything([run], private, _read_ours(caplog), commands))


@pytest.mark.parametrize("variable", ["AIRFLOW_CONN_ASTRO_DEFAULT", "AIRFLOW_CONN_GITHUB_DEFAULT"])
@pytest.mark.parametrize("broken", ["\n{token}", "{token} ", "{token}\u202e"])
def test_a_connection_that_is_wrong_is_told_without_its_password(
    stage: Stage, variable: str, broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    head = stage.push(BRANCH)
    run = stage.start_planned(Verb.DEPLOY, BRANCH, head, "cldep1")
    token = ASTRO_TOKEN if "ASTRO" in variable else GITHUB_TOKEN
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    connection = {
        "conn_type": "http",
        "host": stage.sandbox.url,
        "password": broken.format(token=token),
        "extra": extra,
    }
    monkeypatch.setenv(variable, json.dumps(connection))
    with pytest.raises(DeployOpsError) as caught:
        run.step("change_type")
    assert_clean(read_everything([run], stage, f"{_read_ours(caplog)}{caught.value!r}", []))
