"""What the stand-in's deploys send, run and leave behind. What they print is in the table of recorded cases."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.identity import ASTRO_TOKEN, RUNTIME_LABEL
from tests.sandbox.cli.stage import Stage, commit, make_engine, run_git

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSPECT = f'inspect --format {{{{ index .Config.Labels "{RUNTIME_LABEL}" }}}} <NS>/airflow:latest'
REMOTE = "<API>/astro/<NS>/airflow:deploy-<TIME>"
BUILD = "build --format docker -t <NS>/airflow:latest -f Dockerfile . --platform=linux/amd64"
PUSH = ["login <API> -u cli --password-stdin", f"push {REMOTE}"]


@pytest.fixture
def stage(stage: Stage, tmp_path: Path) -> Stage:
    make_engine(tmp_path / "tools")
    stage.world.registry.stand_in = ({RUNTIME_LABEL: "3.3-2"}, [])
    stage.create()
    return stage


def deploy(stage: Stage, *flags: str, cwd: Path | None = None) -> dict[str, Any]:
    """Deploy, and return the body that created the record."""
    result = stage.run("deploy", stage.id, *flags, cwd=cwd)
    assert result.returncode == 0, result.stderr
    place = next(i for i, line in enumerate(stage.world.requests) if line.endswith("/deploys"))
    body: dict[str, Any] = stage.world.bodies[place]
    return body


def test_github_origin_is_sent_as_github_metadata(stage: Stage) -> None:
    head = run_git(stage.project, "rev-parse", "HEAD")

    assert deploy(stage, "--dags", "-f") == {
        "description": "first line",
        "git": {
            "account": "acme",
            "authorName": "t",
            "branch": "dev-x",
            "commitSha": head,
            "commitUrl": f"https://github.com/acme/data-platform/commit/{head}",
            "provider": "GITHUB",
            "repo": "data-platform",
        },
        "type": "DAG_ONLY",
    }


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9/acme/data-platform.git", "git@git.example:acme/x.git"])
def test_any_other_origin_is_sent_as_it_is_configured(stage: Stage, origin: str) -> None:
    run_git(stage.project, "remote", "set-url", "origin", origin)

    git = deploy(stage, "--dags", "-f")["git"]

    assert (git["provider"], git["remoteUrl"]) == ("GENERIC", origin)
    assert "commitUrl" not in git


def test_an_scp_like_github_origin_is_github(stage: Stage) -> None:
    run_git(stage.project, "remote", "set-url", "origin", "git@github.com:acme/data-platform.git")

    assert deploy(stage, "--dags", "-f")["git"]["account"] == "acme"


def test_a_detached_head_is_recorded_as_head(stage: Stage) -> None:
    run_git(stage.project, "checkout", "-q", "--detach")

    assert deploy(stage, "--dags", "-f")["git"]["branch"] == "HEAD"


def test_a_project_in_a_subfolder_records_its_path(stage: Stage) -> None:
    inner = stage.project / "deep" / "er"
    (inner / ".astro").mkdir(parents=True)
    (inner / ".astro" / "config.yaml").touch()
    (inner / "dags").mkdir()
    (inner / "dags" / "b.py").touch()
    commit(stage.project, "inner")

    assert deploy(stage, "--dags", "-f", cwd=inner)["git"]["path"] == "deep/er"


def test_untracked_files_do_not_make_a_tree_dirty(stage: Stage) -> None:
    (stage.project / "new.txt").touch()

    assert "git" in deploy(stage, "--dags")


def test_without_git_metadata_the_subject_describes_nothing(stage: Stage) -> None:
    run_git(stage.project, "remote", "remove", "origin")

    assert deploy(stage, "--dags", "-f") == {"description": "", "type": "DAG_ONLY"}


def test_git_metadata_can_be_switched_off_by_the_project(stage: Stage) -> None:
    (stage.project / ".astro" / "config.yaml").write_text("deploy:\n  git_metadata: false\n")

    assert "git" not in deploy(stage, "--dags", "-f")


def test_a_long_subject_is_cut_at_72_bytes(stage: Stage) -> None:
    commit(stage.project, "ä" * 80)

    assert deploy(stage, "--dags", "-f")["description"] == "ä" * 36


def test_a_named_image_is_deployed_without_git_metadata(stage: Stage) -> None:
    assert deploy(stage, "-f", "--image-name", "ci:1") == {"description": "", "type": "IMAGE_AND_DAG"}


def test_a_named_image_needs_no_project(stage: Stage, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    body = deploy(stage, "--image", "--image-name", "ci:1", "--description", "a $(b) 'c'", cwd=empty)

    assert body == {"description": "a $(b) 'c'", "type": "IMAGE_ONLY"}
    assert list(empty.iterdir()) == []


def test_a_built_image_takes_these_commands_in_this_order(stage: Stage) -> None:
    deploy(stage, "-f")

    local = "<NS>/airflow:latest"
    assert stage.engine_commands == [BUILD, INSPECT, f"tag {local} {REMOTE}", *PUSH, f"rmi {REMOTE}"]


def test_a_named_image_takes_these_commands_in_this_order(stage: Stage) -> None:
    deploy(stage, "-f", "--image-name", "ci:1")

    local = "<NS>/airflow:latest"
    assert stage.engine_commands == [
        f"tag ci:1 {local}",
        INSPECT,
        f"tag {local} {REMOTE}",
        *PUSH,
        f"rmi {REMOTE}",
    ]


def test_an_astronomer_base_image_is_pulled(stage: Stage) -> None:
    (stage.project / "Dockerfile").write_text("FROM astrocrpublic.azurecr.io/runtime:3.3-2\n")

    deploy(stage, "-f")

    assert stage.engine_commands[0] == BUILD.replace("docker -t", "docker --pull -t")


def test_the_token_goes_to_the_engine_by_stdin_alone(stage: Stage) -> None:
    deploy(stage, "-f")

    assert (stage.root / "engine.log.stdin").read_text() == f"{ASTRO_TOKEN}\n"
    assert ASTRO_TOKEN not in (stage.root / "engine.log").read_text()


def test_dags_are_ignored_while_building_and_dropped_from_the_file_afterwards(stage: Stage) -> None:
    deploy(stage, "-f")

    assert (stage.root / "engine.log.ignore").read_text() == "a\nb\ndags/\n"
    assert (stage.project / ".dockerignore").read_text() == "a\nb\n"


def test_a_rewritten_dockerignore_makes_the_next_deploy_dirty(stage: Stage) -> None:
    deploy(stage, "-f")

    result = stage.run("deploy", stage.id, "--dags")

    assert result.returncode == 0
    assert "Project directory has uncommitted changes" in result.stdout


def test_a_deploy_leaves_no_bundle_behind(stage: Stage) -> None:
    deploy(stage, "--dags", "-f")

    assert run_git(stage.project, "status", "--porcelain", "--untracked-files=all") == ""


def test_the_bundle_holds_the_dags_folder(stage: Stage) -> None:
    deploy(stage, "--dags", "-f")

    digests = {
        path: hashlib.sha256((stage.project / path).read_bytes()).hexdigest()
        for path in ("dags/a.py", "dags/sub/q.sql")
    }
    assert dict(stage.world.astro.list_files(stage.id)) == digests


@pytest.mark.parametrize(
    ("break_dags", "reason"),
    [
        ("rm -r dags", "lstat <WORK>/project/dags: no such file or directory"),
        ("ln -s /etc/hosts dags/out.py", "which is outside the bundle directory <WORK>/project/dags"),
        (
            "mv dags real && ln -s real dags",
            "<WORK>/project/dags points to <WORK>/project/real which is outside the bundle directory <WORK>/project/",
        ),
    ],
)
def test_a_folder_that_airflow_3_cannot_read_is_refused(stage: Stage, break_dags: str, reason: str) -> None:
    subprocess.run(["sh", "-c", break_dags], cwd=stage.project, check=True)

    result = stage.run("deploy", stage.id, "--dags", "-f")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: bundle validation failed: ")
    assert reason in result.stderr
    assert not any("finalize" in line for line in stage.world.requests)


def test_a_configured_engine_that_is_missing_is_named(stage: Stage) -> None:
    (stage.root / "tools" / "podman").unlink()
    stage.write_config(container={"binary": "podman"})

    result = stage.run("deploy", stage.id, "-f", "--image-name", "ci:1")

    assert result.stderr == (
        "Error: command 'podman tag ci:1 <NS>/airflow:latest' failed: failed to find the podman command: "
        'exec: "podman": executable file not found in $PATH\n'
    )


def test_a_refused_push_becomes_the_long_help(stage: Stage) -> None:
    stage.engine_refusal = "403 Forbidden"

    result = stage.run("deploy", stage.id, "-f")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: failed to push image due to authentication error (403 Forbidden).")


def test_the_login_goes_through_a_shell_that_must_be_there(stage: Stage) -> None:
    (stage.root / "tools" / "bash").unlink()

    result = stage.run("deploy", stage.id, "-f")

    assert result.returncode == 1
    assert result.stderr == (
        'Error: failed to find the bash command: exec: "bash": executable file not found in $PATH\n'
    )


def test_a_shell_that_cannot_start_ends_the_deploy_before_the_login(stage: Stage) -> None:
    bash = stage.root / "tools" / "bash"
    bash.unlink()
    bash.write_text("#!/nonexistent/interpreter\n")
    bash.chmod(0o755)

    result = stage.run("deploy", stage.id, "-f")

    assert result.returncode == 1
    assert result.stderr == "Error: failed to execute cmd: fork/exec <WORK>/tools/bash: no such file or directory\n"
    assert "login" not in " ".join(stage.engine_commands)


class _DockerHandler(BaseHTTPRequestHandler):
    """A Docker API that notes what it is asked and answers a push with the server's lines."""

    server: DockerApi

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.server.seen.append(("HEAD", self.path, {}))
        self.send_response(200)
        self.send_header("Api-Version", "1.47")
        self.end_headers()

    def do_POST(self) -> None:
        credentials = json.loads(base64.urlsafe_b64decode(self.headers["X-Registry-Auth"]))
        self.server.seen.append(("POST", self.path, credentials))
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"".join(json.dumps(line).encode() + b"\n" for line in self.server.lines))


class DockerApi(socketserver.ThreadingUnixStreamServer):
    """The server behind DOCKER_HOST."""

    def __init__(self, path: Path, lines: list[dict[str, Any]]) -> None:
        super().__init__(str(path), _DockerHandler)
        self.lines = lines
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []


@contextlib.contextmanager
def run_docker_api(stage: Stage, *lines: dict[str, Any]) -> Iterator[DockerApi]:
    path = stage.root / "d.sock"
    stage.docker_host = f"unix://{path}"
    with DockerApi(path, list(lines)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def test_a_docker_api_that_pushes_spares_login_and_push(stage: Stage) -> None:
    with run_docker_api(stage, {"status": "Copied"}, {"status": "Pushing", "progressDetail": {"current": 1}}) as docker:
        result = stage.run("deploy", stage.id, "-f", "--image", "--image-name", "ci:1")

    assert result.returncode == 0
    assert "Pushing image to Astronomer registry\nCopied\nImage Deploy only." in result.stdout
    assert [command.split()[0] for command in stage.engine_commands] == ["tag", "inspect", "tag", "rmi"]
    # Asked twice for a sign of life, since the project has DAG files.
    assert [(method, path) for method, path, _ in docker.seen[:2]] == [("HEAD", "/_ping")] * 2
    method, path, credentials = docker.seen[2]
    assert (method, path.split("/push?tag=deploy-")[0]) == (
        "POST",
        f"/v1.47/images/{stage.call_api('GET', f'/deployments/{stage.id}')['imageRepository']}",
    )
    assert credentials == {"username": "cli", "password": f"Bearer {ASTRO_TOKEN}", "serveraddress": "127.0.0.1:1"}
    assert docker.bodies == [b"{}\n"]


def test_a_push_that_fails_in_its_stream_falls_back_to_commands(stage: Stage) -> None:
    with run_docker_api(stage, {"status": "Copying"}, {"error": "no", "errorDetail": {"message": "no"}}):
        result = stage.run("deploy", stage.id, "-f", "--image-name", "ci:1")

    assert result.returncode == 0
    assert [command.split()[0] for command in stage.engine_commands] == [
        "tag",
        "inspect",
        "tag",
        "login",
        "push",
        "rmi",
    ]


def test_an_image_that_never_arrived_fails_the_record_though_the_cli_succeeds(stage: Stage) -> None:
    stage.world.registry.stand_in = None

    deploy(stage, "-f")

    deployment = stage.call_api("GET", f"/deployments/{stage.id}")
    record = stage.call_api("GET", f"/deployments/{stage.id}/deploys")["deploys"][0]
    assert (record["status"], deployment["imageTag"]) == ("FAILED", "")


def test_each_try_leaves_a_record_and_a_failed_one_stays_initialized(stage: Stage) -> None:
    subject = run_git(stage.project, "log", "-1", "--format=%s")
    deploy(stage, "-f")
    deploy(stage, "--dags", "-f")
    stage.engine_refusal = "no"
    assert stage.run("deploy", stage.id, "-f", "--description", "third").returncode == 1

    records = stage.call_api("GET", f"/deployments/{stage.id}/deploys")["deploys"]
    assert [(record["type"], record["status"], record["description"]) for record in records] == [
        ("IMAGE_AND_DAG", "INITIALIZED", "third"),
        ("DAG_ONLY", "DEPLOYED", ""),  # the image deploy has rewritten .dockerignore: no Git data
        ("IMAGE_AND_DAG", "DEPLOYED", subject),
    ]
    assert [bool(record.get("git")) for record in records] == [False, False, True]
    assert [bool(record.get("dagTarballVersion")) for record in records] == [False, True, True]


def test_a_missing_integrity_test_counts_as_a_parse(stage: Stage) -> None:
    result = stage.run("deploy", stage.id)

    assert result.returncode == 0
    assert "Testing image...\n\nThe file <WORK>/project/.astro/test_dag_integrity_default.py which is" in result.stdout


def test_image_name_and_dags_exclude_each_other(stage: Stage) -> None:
    result = stage.run("deploy", stage.id, "--dags", "--image-name", "ci:1")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: cannot use --dags with --image-name; ")


def test_a_deployment_is_found_by_name(stage: Stage) -> None:
    result = stage.run("deploy", "-n", "dev-x", "--dags", "-f")

    assert result.returncode == 0
    assert [line.split("/")[-1].split("?")[0] for line in stage.requests[1:4]] == ["deployments", "<ID>", "<ID>"]
