"""What the real CLI printed in each ending, and what it means; the texts were seen with Astro CLI 1.45.0."""

from __future__ import annotations

import time

import pytest

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.hooks.astro.cli_endings import (
    DeploymentExistsError,
    DeploymentGoneError,
    explain_ending,
    find_success,
    hide_signatures,
)
from include.deploy_ops.process.command import CommandResult

NOT_FOUND = (
    "the Deployment specified was not found in this workspace. "
    "Your account or API Key may not have access to the deployment specified"
)
BUILDING = "Authenticated to localhost \n\nBuilding image...\n"


def end(stdout: str = "", stderr: str = "", exit_code: int = 1) -> CommandResult:
    return CommandResult(("astro",), exit_code, stdout, stderr, 0.1)


def explain(result: CommandResult) -> DeployOpsError:
    return explain_ending("`astro x`", result)


@pytest.mark.parametrize(
    "error",
    [
        "missing required field: deployment.configuration.name",
        "executor WRONG is not valid. It can be CeleryExecutor, KubernetesExecutor, or AstroExecutor",
        "invalid email: x",
        "worker queue option is invalid: worker concurrency must be between 1 and 0",
        "default queue is missing under deployment.worker_queues",
        "don't use 'worker_queues' to update default queue with KubernetesExecutor, use x",
        "cluster_name: c does not exist in organization",
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal",
        "error converting YAML to JSON: yaml: line 2: did not find expected node content",
        "d.yaml has no content",
        "changing an existing deployment's cluster is not permitted",
        "this is not an Astro project directory.\nChange to another directory",
        "bundle validation failed: lstat /x/dags: no such file or directory",
        "your local DAGs did not parse. Fix the listed errors",
        "at least 1 pytest in your tests directory failed. Fix",
        "DAG-only deploys are not enabled for this Deployment. Run 'astro …'",
        "an error was encountered while building the image, see the build logs for details",
        "reading dockerfile: opening file: open Dockerfile: no such file or directory",
        "the Deployment specified is not a development Deployment",
    ],
)
def test_refusals_that_hold(error: str) -> None:
    found = explain(end(BUILDING, f"Error: {error}\n"))
    assert type(found) is PermanentError
    assert error.splitlines()[0] in str(found)


@pytest.mark.parametrize(
    "printed",
    [
        "WARNING! The image in your Dockerfile 'scratch' is not based on Astro Runtime and is not supported. Change it",
        "WARNING! The image 'x:1' does not appear to be based on Astro Runtime (the 'l' label is missing). Ensure",
        "Cannot deploy a downgraded Astro Runtime version. Modify your Astro Runtime version to 3.1-14 or higher",
        "Can only upgrade deployment from Airflow 2 to Airflow 3 with deployment at Astro Runtime 12.0.0 or higher",
    ],
)
def test_refusals_of_an_image_are_printed_on_stdout(printed: str) -> None:
    found = explain(end(f"{BUILDING}{printed}\nCanceling deploy...\n"))
    assert type(found) is PermanentError
    assert printed.splitlines()[0] in str(found)


@pytest.mark.parametrize(
    ("stdout", "error"),
    [
        ("Project directory has uncommitted changes, use `astro deploy [deployment-id] -f` to force\n", RetryableError),
        ("Authenticated\n\nInvalid workspace id clx was provided through the --workspace-id flag\n", RetryableError),
        ("Warning: No DAGs found. This will delete any existing DAGs. (y/n) Canceling deploy...\n", PermanentError),
        ("no Deployments found in workspace clws to delete\n", DeploymentGoneError),
        ("\nAre you sure you want to delete the x Deployment? (y/n) Canceling deployment deletion\n", RetryableError),
        ("\nAre you sure you want to override? (y/n) \nCanceling hibernate override", RetryableError),
        ("Something went wrong. Deployment x was not updated\n", RetryableError),
        ("Manage your Astro Deployments\n\nUsage:\n  astro deployment [command]\n", RetryableError),
        ("", RetryableError),
    ],
)
def test_exit_code_0_without_effect_is_an_error(stdout: str, error: type[DeployOpsError]) -> None:
    with pytest.raises(error) as caught:
        find_success("`astro x`", end(stdout, exit_code=0), "Successfully")
    assert type(caught.value) is error


def test_an_image_deploy_that_found_no_dags_is_no_success_where_dags_were_meant() -> None:
    ending = end(f"{BUILDING}No DAGs found. Skipping testing...\nSuccessfully pushed image to x\n", exit_code=0)
    assert find_success("`astro deploy`", ending, "Successfully pushed") == "Successfully pushed image to x"
    with pytest.raises(PermanentError, match="sent the image and no DAGs"):
        find_success("`astro deploy`", ending, "Successfully pushed", needs_dags=True)


@pytest.mark.parametrize(
    "error",
    [
        "planted",  # what the API says, without its status
        "failed to perform request, status 502",
        'Post "http://127.0.0.1:8900/v1/organizations/o/deployments": EOF',
        'HTTP DO Failed: Get "https://updates.astronomer.io/astronomer-runtime": connection refused',
        "command 'podman tag x y' failed: failed to execute cmd: exit status 125",
        "failed to execute cmd: exit status 125: Error: missing required field: of the engine",
        "failed to push image due to authentication error (403 Forbidden).",
        "API Token is expired",
        "API Token is invalid or malformed",
        "failed to find a valid workspace: failed to get current Workspace: current workspace context not set",
        f"{NOT_FOUND}: failed to perform request, status 502",
        "you currently have two deployments with the name specified in the your worksapce. x",  # mended in Astro
        "Failed to find a container runtime. See the Astro CLI prerequisites",  # mended on the worker, as the next two
        "--deployment-file cannot be used with other arguments. See --help for usage",
        "unknown flag: --x",
    ],
)
def test_everything_else_comes_again(error: str) -> None:
    found = explain(end("Using an Astro API Token\n", f"Error: {error}\n"))
    assert type(found) is RetryableError
    assert error in str(found)


def test_a_failed_look_is_told_from_an_absence() -> None:
    assert type(explain(end(stderr=f"Error: {NOT_FOUND}\n"))) is DeploymentGoneError
    assert type(explain(end(stderr=f"Error: {NOT_FOUND}: EOF\n"))) is RetryableError


def test_names_that_exist_or_do_not() -> None:
    exists = "Error: deployment: dev-x already exists: use deployment update --deployment-file d.yaml instead\n"
    missing = "Error: deployment: nobody does not exist: use deployment create --deployment-file d.yaml instead\n"
    assert type(explain(end(stderr=exists))) is DeploymentExistsError
    assert type(explain(end(stderr=missing))) is DeploymentGoneError


def test_a_build_log_does_not_speak_for_the_cli() -> None:
    log = f"{BUILDING}Error: missing required field: in somebody's script\n"
    assert type(explain(end(log, "Error: failed to execute cmd: exit status 1\n"))) is RetryableError


@pytest.mark.parametrize(
    "log",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        'Error: creating build container: Get "https://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: refused',
        'Error: pinging container registry quay.io: Get "https://quay.io/v2/": dial tcp: lookup quay.io: no such host',
        "Cannot connect to Podman. Please verify your connection to the Linux system",
    ],
)
def test_a_build_that_reached_no_engine_or_registry_comes_again(log: str) -> None:
    failed = "Error: an error was encountered while building the image, see the build logs for details\n"
    found = explain(end(f"{BUILDING}{log}\n", failed))
    assert type(found) is RetryableError


@pytest.mark.parametrize(
    "log",
    [
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('",
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='files.example')",
        "#9 3.1 ERROR: HTTP error 503 while getting https://index.example/simple/pandas/",
        "  Caused by: HTTP status server error (502 Bad Gateway) for url (https://index.example/simple/x/)",
        "W: Failed to fetch http://packages.example/x  Temporary failure resolving 'packages.example'",
        "E: Failed to fetch http://packages.example/pool/x.deb  503  Service Unavailable [IP: 1.2.3.4 80]",
        "npm ERR! code ETIMEDOUT",
    ],
)
def test_a_build_that_a_package_index_failed_comes_again(log: str) -> None:
    failed = "Error: an error was encountered while building the image, see the build logs for details\n"
    assert type(explain(end(f"{BUILDING}{log}\n", failed))) is RetryableError


@pytest.mark.parametrize(
    "log",
    [
        "Error: committing container for step: writing blob: storing layer: write /usr/lib/x: no space left on device",
        "#9 ERROR: failed to copy: write /var/lib/docker/tmp/x: disk quota exceeded",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    ],
)
def test_a_build_without_room_comes_again(log: str) -> None:
    failed = "Error: an error was encountered while building the image, see the build logs for details\n"
    found = explain(end(f"{BUILDING}{log}\n", failed))
    assert type(found) is RetryableError
    assert "takes no more; free it" in str(found)


@pytest.mark.parametrize(
    "log",
    [
        "ERROR: Could not find a version that satisfies the requirement pandaz (from versions: none)",
        "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'X'",
        "ERROR: HTTP error 404 while getting https://index.example/simple/x/",
        "E: Failed to fetch http://packages.example/pool/x.deb  404  Not Found",
    ],
)
def test_a_package_that_is_not_there_holds(log: str) -> None:
    failed = "Error: an error was encountered while building the image, see the build logs for details\n"
    assert type(explain(end(f"{BUILDING}{log}\n", failed))) is PermanentError


def test_a_build_log_without_end_is_searched_at_once() -> None:
    started = time.process_time()
    for text in ("E: Failed to fetch " * 50_000, "Retrying (" * 100_000, "E: Failed to fetch " + "x" * 1_000_000):
        explain(end(f"{text}\n", "Error: an error was encountered while building the image\n"))
    assert time.process_time() - started < 5


def test_a_runtime_that_astro_does_not_offer_yet_comes_again() -> None:
    printed = "Cannot deploy an unsupported Astro Runtime version. Modify it\nSupported versions: 3.3-2"
    assert type(explain(end(f"{BUILDING}{printed}\nCanceling deploy...\n"))) is RetryableError


def test_an_engine_that_does_not_answer_is_no_image_without_a_label() -> None:
    warning = "WARNING! The image 'x:1' does not appear to be based on Astro Runtime (the 'l' label is missing)."
    for silence, error in (("", PermanentError), ("unable get runtime version from image\n", RetryableError)):
        found = explain(end(f"Skipping building image...\n{silence}{warning}\nCanceling deploy...\n"))
        assert type(found) is error


def test_a_marker_counts_only_at_the_beginning_of_a_line_and_with_exit_code_0() -> None:
    assert find_success("x", end("a\nSuccessfully did it \nb\n", exit_code=0), "Successfully") == "Successfully did it"
    for result in (end("Successfully did it\n", exit_code=1), end("not Successfully\n", exit_code=0)):
        with pytest.raises(RetryableError):
            find_success("x", result, "Successfully")


def test_usage_after_an_error_is_left_out_and_the_panic_stands_first() -> None:
    usage = "Error: planted\nUsage:\n" + "  --flag\n" * 60
    assert "--flag" not in str(explain(end(stderr=usage)))
    panic = "some noise\npanic: runtime error: invalid memory address\n\ngoroutine 1 [running]:\n" + "main.x\n" * 90
    text = str(explain(end("printed before\n", panic, exit_code=2)))
    assert text == "`astro x` failed with exit code 2. It said: panic: runtime error: invalid memory address"


def test_what_a_build_prints_is_not_repeated_and_does_not_speak_for_the_cli() -> None:
    printed = "key AKIA\nError: the Deployment specified is not a development Deployment\n\nUsage:\n"
    failed = "Error: an error was encountered while building the image, see the build logs for details\n"
    found = explain(end(f"{BUILDING}{printed}", f"{printed}{failed}Usage:\n  --flag\n"))
    assert type(found) is PermanentError
    said = failed.removeprefix("Error: ").strip()
    assert str(found) == f"`astro x`: the image does not build; see its log. It said: Error: {said}"
    unknown = str(explain(end("secret\n", "secret\n", exit_code=3)))
    assert unknown == "`astro x` failed with exit code 3; see what it printed in the log of the task"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Put "https://h/p?sig=s": EOF', 'Put "https://h/p?***": EOF'),
        ("https://h/p?se=1&sig=s%2B&sp=w next", "https://h/p?*** next"),
        ("https://h/p?X-Amz-Date=1&X-Amz-Signature=abc", "https://h/p?***"),
        ("Airflow UI: https://org.run/x?orgId=o", "Airflow UI: https://org.run/x?orgId=o"),
        ("https://h/?a?b&x-Signature=s?c", "https://h/?***"),
        ("https://h/?design=1&asig=2", "https://h/?design=1&asig=2"),
        ("is it a signal? sig=no address", "is it a signal? sig=no address"),
    ],
)
def test_signatures_are_hidden(text: str, shown: str) -> None:
    assert hide_signatures(text) == shown
