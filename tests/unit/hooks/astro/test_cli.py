"""Calling the Astro CLI: a real executable that writes down how it was called and says what a test tells it to."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.core.errors import ObservationError, PermanentError, RetryableError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.hooks.astro.cli import PRINTED_MAX, AstroCli, ShownEngine
from include.deploy_ops.hooks.astro.cli_endings import DeploymentExistsError, DeploymentGoneError
from tests.worlds.doubles.worker import forbid_confinement

TOKEN = "astro-token-that-must-not-show"  # noqa: S105 - opens nothing
DOCUMENT = "deployment:\n    configuration:\n        name: n\n    metadata:\n        deployment_id: cldep1\n\n"
PUSHED = "Successfully pushed image to Astronomer registry. Navigate to the Astronomer UI\n"
UPLOADED = "\nSuccessfully uploaded DAGs with version v1 to Astro. Navigate to the Airflow UI\n"

STAND_IN = """#!{python} -I
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
home = pathlib.Path(os.environ["ASTRO_HOME"])
config = home / ".astro" / "config.yaml"
files = {{path.name: path.read_text() for path in pathlib.Path.cwd().iterdir() if path.is_file()}}
call = dict(argv=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(), home=str(home), files=files)
call |= dict(config=json.loads(config.read_text()), mode=config.stat().st_mode, home_mode=home.parent.stat().st_mode)
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
said = json.loads((here / "said").read_text())
print(said["stdout"], end="", flush=True)
print(said["stderr"], end="", file=sys.stderr, flush=True)
time.sleep(said["seconds"])
sys.exit(said["exit_code"])
"""


class StandIn:
    """The executable, what it shall say, and how it was called."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "astro"
        self.path.write_text(STAND_IN.format(python=sys.executable))
        self.path.chmod(0o755)

    def say(self, stdout: str = "", stderr: str = "", exit_code: int = 0, seconds: float = 0) -> None:
        said = {"stdout": stdout, "stderr": stderr, "exit_code": exit_code, "seconds": seconds}
        self.path.with_name("said").write_text(json.dumps(said))

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self.path.with_name("calls")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def astro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    stand_in = StandIn(folder)
    connect(monkeypatch, stand_in)
    forbid_confinement(monkeypatch)  # it writes beside itself
    return stand_in


def connect(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn, **fields: Any) -> None:
    extra = {"organization_id": "clorg", "workspace_id": "clws", "cli": str(stand_in.path), **fields.pop("extra", {})}
    connection = {"conn_type": "http", "host": "http://127.0.0.1:8900/astro", "password": TOKEN, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps({**connection, "extra": extra}))


@pytest.fixture
def cli(astro: StandIn) -> AstroCli:
    assert astro.path.exists()
    return AstroCli("astro_default", timeout_s=20)


def test_each_call_has_a_private_home_that_goes_with_it(astro: StandIn, cli: AstroCli) -> None:
    astro.say("Astro CLI Version: 1.45.0\n")
    assert (cli.version(), cli.version()) == ("1.45.0", "1.45.0")
    first, second = astro.calls
    assert first["home"] != second["home"]
    assert not Path(first["home"]).exists()
    assert (stat.S_IMODE(first["home_mode"]), stat.S_IMODE(first["mode"])) == (0o700, 0o600)
    assert not first["cwd"].startswith(first["home"])


def test_config_names_workspace_and_api_and_nothing_that_phones_home(astro: StandIn, cli: AstroCli) -> None:
    astro.say("Astro CLI Version: 1.45.0\n")
    cli.version()
    assert astro.calls[0]["config"] == {
        "context": "localhost",
        "contexts": {
            "localhost": {
                "domain": "localhost",
                "organization": "clorg",
                "organization_product": "HOSTED",
                "workspace": "clws",
            }
        },
        "telemetry": {"enabled": "false"},
        "upgrade_message": "false",
        "local": {"core": "http://127.0.0.1:8900/astro", "platform": "cloud", "registry": "127.0.0.1:8900"},
    }


def test_astros_own_domain_needs_no_local_settings(
    astro: StandIn, cli: AstroCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, astro, host="")
    astro.say("Astro CLI Version: 1.45.0\n")
    cli.version()
    config = astro.calls[0]["config"]
    assert config["context"] == "astronomer.io"
    assert config["contexts"]["astronomer_io"]["domain"] == "astronomer.io"
    assert "local" not in config


def test_registry_can_be_another_host(astro: StandIn, cli: AstroCli, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, astro, extra={"registry": "127.0.0.1:5000"})
    astro.say("Astro CLI Version: 1.45.0\n")
    cli.version()
    assert astro.calls[0]["config"]["local"]["registry"] == "127.0.0.1:5000"


def test_token_is_in_the_environment_and_nowhere_else(
    astro: StandIn, cli: AstroCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "airflow's own")
    lines: list[str] = []
    cli = AstroCli("astro_default", timeout_s=20, on_line=lines.append)
    astro.say(f"Bearer {TOKEN}\n", f"Error: {TOKEN} is refused\n", exit_code=1)
    with pytest.raises(RetryableError) as caught:
        cli.deploy("cldep1", cwd=tmp_path, kind=ChangeType.DAGS, description="d")
    (call,) = astro.calls
    assert call["env"]["ASTRO_API_TOKEN"] == TOKEN
    assert call["env"]["ASTRO_TELEMETRY_DISABLED"] == "1"
    assert "AIRFLOW__CORE__FERNET_KEY" not in call["env"]
    assert TOKEN not in json.dumps([call["argv"], call["config"], lines, str(caught.value)])
    assert sorted(lines) == ["Bearer ***", "Error: *** is refused"]


def test_signed_upload_address_shows_without_its_signature(astro: StandIn, tmp_path: Path) -> None:
    lines: list[str] = []
    cli = AstroCli("astro_default", timeout_s=20, on_line=lines.append)
    astro.say("", 'Error: Put "https://blob.example/x/y?se=2026&sig=abc%2Bdef&sp=w": EOF\n', exit_code=1)
    with pytest.raises(RetryableError, match=r'Put "https://blob.example/x/y\?\*\*\*": EOF') as caught:
        cli.deploy("cldep1", cwd=tmp_path, kind=ChangeType.DAGS, description="d")
    assert "abc" not in str(caught.value) + "".join(lines)


def test_usage_after_an_error_of_create_is_not_told(astro: StandIn) -> None:
    lines: list[str] = []
    cli = AstroCli("astro_default", timeout_s=20, on_line=lines.append)
    usage = "Usage:\n  astro deployment create [flags]\n\nFlags:\n      --wait\n"
    astro.say("", f"Error: planted\n{usage}", exit_code=1)
    for _ in range(2):
        with pytest.raises(RetryableError, match="planted"):
            cli.create("deployment: {}\n")
    assert lines == ["Error: planted", "Error: planted"]


def test_create_returns_the_id_of_the_printed_document(astro: StandIn, cli: AstroCli) -> None:
    astro.say(DOCUMENT)
    assert cli.create("deployment: {}\n") == "cldep1"
    (call,) = astro.calls
    assert call["argv"] == ["deployment", "create", "--deployment-file", "deployment.yaml"]
    assert call["files"] == {"deployment.yaml": "deployment: {}\n"}


def test_a_json_document_is_read_too(astro: StandIn, cli: AstroCli) -> None:
    astro.say(json.dumps({"deployment": {"metadata": {"deployment_id": "cldep1"}}}, indent=4) + "\n")
    assert cli.create("{}") == "cldep1"


@pytest.mark.parametrize(
    "stdout", ["", "Usage of something\n", "deployment:\n  metadata:\n    deployment_id: ''\n", "deployment: [\n"]
)
def test_create_without_a_document_is_no_success(astro: StandIn, cli: AstroCli, stdout: str) -> None:
    astro.say(stdout)
    with pytest.raises(RetryableError, match=r"`astro deployment create`.*without saying that it succeeded"):
        cli.create("deployment: {}\n")


def test_document_counts_only_with_exit_code_0(astro: StandIn, cli: AstroCli) -> None:
    astro.say(DOCUMENT, "Error: planted\n", exit_code=1)
    with pytest.raises(RetryableError, match="planted"):
        cli.create("deployment: {}\n")


def test_update_of_another_deployment_is_told(astro: StandIn, cli: AstroCli) -> None:
    astro.say(DOCUMENT)
    cli.update("cldep1", "deployment: {}\n")
    assert astro.calls[0]["argv"] == ["deployment", "update", "cldep1", "--deployment-file", "deployment.yaml"]
    with pytest.raises(PermanentError, match="changed cldep1 instead of cldep2"):
        cli.update("cldep2", "deployment: {}\n")


def test_dags_are_deployed_from_the_project(astro: StandIn, cli: AstroCli, tmp_path: Path) -> None:
    astro.say(f"Using an Astro API Token\n{UPLOADED}\n Airflow UI: org.astronomer.run/x\n\n")
    description = "--dags $(x) 'q' [deploy-ops/1 run=r try=1 ]"
    outcome = cli.deploy("cldep1", cwd=tmp_path, kind=ChangeType.DAGS, description=description)
    assert outcome.last_line == UPLOADED.strip()
    assert outcome.seconds > 0
    (call,) = astro.calls
    assert call["argv"] == [
        *("deploy", "cldep1", "-f", "--workspace-id=clws"),
        *(f"--description={description}", "--dags", "--dags-path=dags"),
    ]
    assert call["cwd"] == str(tmp_path.resolve())
    assert "container" not in call["config"]


def test_image_is_built_or_named(astro: StandIn, cli: AstroCli, tmp_path: Path) -> None:
    astro.say(PUSHED)
    cli.deploy("cldep1", cwd=tmp_path, kind=ChangeType.IMAGE, description="d")
    engine = {"DOCKER_HOST": "unix:///engine.sock", "PATH": f"/engine:{os.environ['PATH']}", "ASTRO_API_TOKEN": "no"}
    cli.deploy(
        "cldep1",
        cwd=tmp_path,
        kind=ChangeType.IMAGE,
        description="d",
        image_name="ghcr.io/acme/x:1",
        engine=ShownEngine("podman", engine),
    )
    built, named = astro.calls
    assert built["argv"][-1] == "--description=d"
    assert "container" not in built["config"]
    assert named["argv"][-2:] == ["--description=d", "--image-name=ghcr.io/acme/x:1"]
    assert named["config"]["container"] == {"binary": "podman"}
    assert named["env"]["DOCKER_HOST"] == "unix:///engine.sock"
    assert named["env"]["PATH"].startswith("/engine:")
    assert named["env"]["ASTRO_API_TOKEN"] == TOKEN


@pytest.mark.parametrize(("kind", "image"), [(ChangeType.NONE, None), (ChangeType.DAGS, "x:1")])
def test_what_makes_no_deploy_is_a_callers_mistake(
    astro: StandIn, cli: AstroCli, tmp_path: Path, kind: ChangeType, image: str | None
) -> None:
    with pytest.raises(ValueError, match="nothing can be deployed"):
        cli.deploy("cldep1", cwd=tmp_path, kind=kind, description="d", image_name=image)
    assert astro.calls == []


@pytest.mark.parametrize(("kind", "marker"), [(ChangeType.DAGS, PUSHED), (ChangeType.IMAGE, UPLOADED)])
def test_the_other_kinds_marker_is_no_success(
    astro: StandIn, cli: AstroCli, tmp_path: Path, kind: ChangeType, marker: str
) -> None:
    astro.say(marker)
    with pytest.raises(RetryableError, match="without saying that it succeeded"):
        cli.deploy("cldep1", cwd=tmp_path, kind=kind, description="d")


def test_delete_hibernate_and_wake_name_the_deployment_and_the_workspace(astro: StandIn, cli: AstroCli) -> None:
    astro.say("Using an Astro API Token\n\nSuccessfully deleted deployment dev-x\n")
    assert cli.delete("cldep1").last_line == "Successfully deleted deployment dev-x"
    astro.say("\nSuccessfully overrode to hibernate until further notice\n")
    cli.hibernate("cldep1")
    astro.say("\nSuccessfully overrode to wake up until 2026-11-24T01:33:51Z\n")
    cli.wake_up("cldep1", timedelta(hours=2))
    common = ["cldep1", "-f", "--workspace-id=clws"]
    assert [call["argv"] for call in astro.calls] == [
        ["deployment", "delete", *common],
        ["deployment", "hibernate", *common],
        ["deployment", "wake-up", *common, "--for=7200s"],
    ]
    with pytest.raises(RetryableError):
        cli.hibernate("cldep1")  # it said that it woke


@pytest.mark.parametrize("wrong", ["", " ", "-f", "a b", "x/y", "cldep1\n"])
def test_an_empty_or_strange_id_never_reaches_the_cli(
    astro: StandIn, cli: AstroCli, wrong: str, tmp_path: Path
) -> None:
    for call in (cli.delete, cli.hibernate, cli.wake_up, lambda one: cli.update(one, "x")):
        with pytest.raises(PermanentError, match="is no Deployment's id"):
            call(wrong)
    with pytest.raises(PermanentError, match="is no Deployment's id"):
        cli.deploy(wrong, cwd=tmp_path, kind=ChangeType.DAGS, description="d")
    assert astro.calls == []


def test_named_errors_reach_the_caller(astro: StandIn, cli: AstroCli) -> None:
    gone = "Error: the Deployment specified was not found in this workspace. "
    gone += "Your account or API Key may not have access to the deployment specified"
    astro.say("", gone + "\n", exit_code=1)
    with pytest.raises(DeploymentGoneError):
        cli.delete("cldep1")
    astro.say("", "Error: deployment: dev-x already exists: use deployment update\nUsage:\n  lots\n", exit_code=1)
    with pytest.raises(DeploymentExistsError, match="already exists") as caught:
        cli.create("deployment: {}\n")
    assert "lots" not in str(caught.value)
    assert "'astro_default'" in str(caught.value)


def test_a_call_that_hangs_is_ended_and_leaves_nothing(astro: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    astro.say('Put "https://blob.example/x?sig=abc" hangs\n', seconds=60)
    with caplog.at_level("INFO"), pytest.raises(RetryableError, match=r"did not end within 1 s") as caught:
        AstroCli("astro_default", timeout_s=1).delete("cldep1")
    assert "hangs" in caplog.text
    assert "abc" not in f"{caplog.text}{caught.value}"
    assert not Path(astro.calls[0]["home"]).exists()


def test_a_killed_task_ends_the_running_call_and_starts_none(astro: StandIn) -> None:
    lines: list[str] = []
    cli = AstroCli("astro_default", timeout_s=30, on_line=lines.append)
    astro.say("running\n", seconds=60)

    def end_when_running() -> None:
        while not lines:
            time.sleep(0.01)
        cli.end()

    ender = threading.Thread(target=end_when_running)
    ender.start()
    with pytest.raises(RetryableError, match="stopped on request"):
        cli.delete("cldep1")
    ender.join()
    assert not Path(astro.calls[0]["home"]).exists()
    with pytest.raises(RetryableError, match="stopped on request before it started"):
        cli.delete("cldep1")
    assert len(astro.calls) == 1


def test_missing_executable_and_connection_are_told(astro: StandIn, cli: AstroCli) -> None:
    astro.path.unlink()
    with pytest.raises(RetryableError, match=r"bin/astro` was not found"):
        cli.version()
    with pytest.raises(ObservationError, match="no Airflow connection 'nobody'"):
        AstroCli("nobody").version()


INSPECTED = {"deployment": {"environment_variables": [{"key": "STAGE", "value": "productions-own-value"}]}}


def test_inspect_returns_the_document_and_tells_nothing_of_it(astro: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    lines: list[str] = []
    astro.say(json.dumps(INSPECTED, indent=4) + "\n", "a word\n")
    cli = AstroCli("astro_default", timeout_s=20, on_line=lines.append)
    assert cli.inspect("cldep1") == INSPECTED
    (call,) = astro.calls
    assert call["argv"] == ["deployment", "inspect", "cldep1", "--output=json", "--workspace-id=clws"]
    assert lines == ["a word"]
    assert "productions-own-value" not in caplog.text


@pytest.mark.parametrize(
    ("stdout", "stderr", "exit_code", "error", "said"),
    [
        ("no Deployments found in workspace clws\n", "", 0, DeploymentGoneError, "the workspace has no Deployment"),
        ("", "Error: planted\n", 1, RetryableError, "planted"),
        ('{"productions-own-value": ', "", 0, RetryableError, "ended without saying that it succeeded"),
        ('["productions-own-value"]', "", 0, RetryableError, "ended without saying that it succeeded"),
        ("Canceling productions-own-value\n", "", 1, RetryableError, "failed with exit code 1"),
    ],
)
def test_an_inspect_without_a_document_says_why_and_quotes_nothing(
    astro: StandIn, cli: AstroCli, stdout: str, stderr: str, exit_code: int, error: type[Exception], said: str
) -> None:
    astro.say(stdout, stderr, exit_code)
    with pytest.raises(error, match=said) as caught:
        cli.inspect("cldep1")
    assert "productions-own-value" not in str(caught.value)


def test_an_inspect_that_is_stopped_leaves_nothing_in_the_log(astro: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    astro.say(json.dumps(INSPECTED) + "\n", seconds=30)
    with pytest.raises(RetryableError, match="did not end within"):
        AstroCli("astro_default", timeout_s=1).inspect("cldep1")
    assert "productions-own-value" not in caplog.text


def test_an_endless_document_is_not_read_to_its_end(astro: StandIn, cli: AstroCli) -> None:
    astro.say("x" * (PRINTED_MAX + 1))
    with pytest.raises(PermanentError, match="printed more than"):
        cli.inspect("cldep1")
