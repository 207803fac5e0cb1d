"""Tokens and passwords as canaries: whatever fails, and whatever repeats them, none is in what a run leaves or says.

GitHub, Astro, the registry and the Astro CLI each fail in several ways, and their answers repeat every secret, plain,
as a URL writes it and as base64. Read are XComs, `conf`, stores, rendered fields, logs, errors and command lines; for
mapped values, of which more spellings count, also what Astro shows, and leftover files.
"""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.process.scratch import choose_scratch
from sandbox.identity import ASTRO_TOKEN, GITHUB_TOKEN, REGISTRY_PASSWORD, REGISTRY_USER
from tests.worlds.stages.mapping import EXTRA_TOKEN, KEY, MAPPING, PASSWORD, LaidFiles, map_environment, set_source

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log
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


# What previews are given: values of the management Airflow that the policy maps.

LINES = "c4nary-line-one-of-a-key\nc4nary-line-two-of-a-key"
OTHER = "c4nary-of-after-the-rotation"


def spell(secret: str) -> list[str]:
    """Return spellings in which programs repeat what they were sent."""
    once = json.dumps(secret)[1:-1]
    by_go = once.replace("&", "\\u0026")
    return [
        *(secret, once, by_go, json.dumps(once)[1:-1], json.dumps(by_go)[1:-1], json.dumps(secret, ensure_ascii=False)),
        *(quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()),
        f"postgresql://preview_reader:{quote(secret, safe='')}@warehouse.acme.example/analytics",
        *(base64.b64encode(f"{before}{secret}:after".encode()).decode() for before in ("", "a", "ab")),
    ]


MAPPED_CANARIES = (PASSWORD, KEY, EXTRA_TOKEN, OTHER, "c4nary", *(quote(each, safe="") for each in (PASSWORD, KEY)))
MAPPED_ENCODED = tuple(base64.b64encode(each.encode()).decode()[:16] for each in (PASSWORD, KEY, EXTRA_TOKEN))
MAPPED_SAID = " ".join(form for each in (PASSWORD, KEY, EXTRA_TOKEN) for form in spell(each))
MAPPED_ENDINGS = [
    ("create", "Error: {said}"),
    ("create", "{said}"),
    ("create", "Error: deployment: {said} already exists: use it"),
    ("update", "panic: {said}"),
]


@pytest.fixture
def mapped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Let the policy map canaries."""
    set_source(monkeypatch)
    map_environment(stage, MAPPING)
    return stage


def start_mapped(stage: Stage, verb: str) -> Run:
    """Return the planned run that creates or updates the preview, the step before its call."""
    stage.push(BRANCH)
    (run,) = stage.plan()
    if verb == "update":
        assert "failed" not in run.play().values()
        stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
        (run,) = stage.plan()
    assert run.conf["job"]["verb"] == verb
    return run


def assert_untold(stage: Stage, log: Log, commands: list[str], *errors: str) -> None:
    """Fail where a canary is in anything that runs left or said, or that stands outside."""
    outside = json.dumps([stage.list_deployments(), stage.ask_astro("GET", "deployments?limit=1000")])
    said = "\n".join([read_everything(stage.runs, stage, log.read(), commands), outside, *errors])
    assert [each[:9] for each in (*MAPPED_CANARIES, *MAPPED_ENCODED) if each in said] == []
    left = [path for path in choose_scratch().rglob("*") if path.is_file()]
    assert not [path for path in left if b"c4nary" in path.read_bytes()]


@pytest.mark.parametrize(("verb", "ending"), MAPPED_ENDINGS)
def test_what_the_cli_repeats_is_told_nowhere(
    mapped: Stage, log: Log, commands: list[str], verb: str, ending: str
) -> None:
    run = start_mapped(mapped, verb)
    mapped.sandbox.plant(cli=verb, exit=1, stderr=ending.format(said=MAPPED_SAID))
    run.play()
    assert run.states[verb] == "failed"
    assert run.read_failure(verb)["cause"]
    assert_untold(mapped, log, commands, repr(run.read_failure(verb)))


@pytest.mark.parametrize(
    ("verb", "method", "status"), [("create", "POST", 400), ("create", "GET", 500), ("update", "POST", 500)]
)
def test_what_astro_repeats_is_told_nowhere(
    mapped: Stage, log: Log, commands: list[str], verb: str, method: str, status: int
) -> None:
    run = start_mapped(mapped, verb)
    run.step("claim")
    run.step("render_template")
    body = {"message": MAPPED_SAID, "requestBody": MAPPED_SAID, "errors": [MAPPED_SAID]}
    fault: dict[str, Any] = {"face": "astro", "method": method, "path": "/deployments/[^/]+$", "times": None}
    mapped.sandbox.plant(**fault, status=status, body=body)
    run.play()
    assert mapped.sandbox.client.delete("/sandbox/faults").is_success
    assert run.states[verb] == "failed"
    assert_untold(mapped, log, commands, repr(run.read_failure(verb)))


def test_a_whole_life_tells_nothing(
    mapped: Stage, log: Log, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LaidFiles()
    files.watch(monkeypatch)
    run = start_mapped(mapped, "update")
    set_source(monkeypatch, password=LINES, key=OTHER)
    assert "failed" not in run.play().values()
    assert KEY in files.texts[0]  # else nothing is proven
    assert OTHER in files.texts[-1]
    dry = mapped.start_form(branch=BRANCH, dry_run=True)
    dry.play()
    assert_untold(mapped, log, commands)
    assert not [path for path in files.paths if path.exists()]


@pytest.mark.parametrize("gone", ["AIRFLOW_CONN_PREVIEW_WAREHOUSE", "AIRFLOW_VAR_PREVIEW_KEY"])
def test_what_is_missing_is_named_and_the_rest_untold(
    mapped: Stage, log: Log, commands: list[str], monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.delenv(gone)
    run = mapped.start_planned(Verb.CREATE, BRANCH, mapped.push(BRANCH))
    run.play()
    cause = run.read_failure("create")["cause"]
    assert gone.partition("_PREVIEW_")[2].lower() in cause
    assert_untold(mapped, log, commands, cause)
