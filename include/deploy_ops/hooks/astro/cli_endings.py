"""What the ending of an Astro CLI call means: had it its effect, may it come again, or does it hold.

Runs nothing and looks at nothing but exit code and output, so "it had its effect" means that the CLI says so; Astro's
own records are the proof. The texts are those of Astro CLI 1.45.0 (cmd/cloud, cloud/deploy, cloud/deployment); one
that another version words otherwise is an unknown ending, which comes again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.core.text.document import DocumentError, read_document

if TYPE_CHECKING:
    from include.deploy_ops.process.command import CommandResult

_QUOTED_LENGTH = 300  # characters of the one line of the CLI's that an error repeats
_QUERY = re.compile(r"\?[^\s\"'<>]*")
_SIGNATURE = re.compile(r"(?:\bsig|signature)=", re.IGNORECASE)


class DeploymentExistsError(RetryableError):
    """Create found a Deployment of that name, perhaps half created by an earlier try: look again who owns it."""


class DeploymentGoneError(RetryableError):
    """The CLI looked at the whole workspace, and the Deployment is not in it (any more)."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """A known ending: a text at the beginning of a line of `stream`, and what it means."""

    stream: Literal["stdout", "stderr"]
    error: type[DeployOpsError]
    start: str
    meaning: str

    def find_line(self, result: CommandResult) -> str | None:
        """Return the line by which the call says that it ended so, or None."""
        if self.stream == "stderr":
            own = find_own_error(result)
            return own if re.match(f"Error: {self.start}", own, re.MULTILINE) else None
        found = re.search(f"^{self.start}.*$", result.stdout, re.MULTILINE)
        return found and found[0]


_refuse = functools.partial(_Ending, "stderr", PermanentError)
_refuse_printed = functools.partial(_Ending, "stdout", PermanentError)
_postpone = functools.partial(_Ending, "stderr", RetryableError)
_postpone_printed = functools.partial(_Ending, "stdout", RetryableError)

_NO_DAGS = "No DAGs found. Skipping testing..."  # it exits with 0, and uploads nothing
_NOT_FOUND = (
    r"the Deployment specified was not found in this workspace\. "
    r"Your account or API Key may not have access to the deployment specified"
)
_FILE_IS_WRONG = "the CLI refuses the rendered Deployment file; correct the template on trunk"
_ACCESS_IS_WRONG = "put a valid API token with access to the workspace into the Airflow connection"
_OTHER_CLI = "this version of the Astro CLI takes other flags; install the version that the Dockerfile names"

_INDEX_IS_AWAY = (
    r"Retrying \(Retry\(total=0\b",  # pip's last try
    r"\b(?:Read|Connect)TimeoutError\b",
    r"HTTP error (?:429|5[0-9]{2}) while getting ",
    r"HTTP status server error \(5[0-9]{2}\b",  # uv
    r"error sending request for url ",
    r"Temporary failure (?:in name resolution|resolving )",  # apt, too
    r"E: Failed to fetch \S{1,2000} {1,3}(?:5[0-9]{2} |Connection (?:failed|timed out))",
    r"npm (?:ERR!|error) code (?:ETIMEDOUT|ECONNRESET|EAI_AGAIN)\b",
)
"""What pip, uv, apt and npm print last when an index, or the way to it, is away; a missing package they word otherwise.

A branch's build may print them, too: then a failure comes again, ever more slowly, and no more.
"""

# Exit 0 without any effect comes in the same table: none of these ever stands beside a success marker.
_ENDINGS = (
    # which Deployment
    _Ending("stderr", DeploymentGoneError, rf"{_NOT_FOUND}$", "the Deployment is not in the workspace"),
    _postpone(rf"{_NOT_FOUND}: ", "the CLI could not list the workspace's Deployments"),
    _Ending("stdout", DeploymentGoneError, r"no Deployments found in workspace ", "the workspace has no Deployment"),
    _Ending("stderr", DeploymentExistsError, r"deployment: .* already exists: ", "a Deployment of that name exists"),
    _Ending("stderr", DeploymentGoneError, r"deployment: .* does not exist: ", "no Deployment of that name exists"),
    _postpone_printed(
        r"Invalid workspace id ",
        "nothing was deployed, since the Deployment belongs to another workspace than the Airflow connection names",
    ),
    # the Deployment file
    _refuse(r"missing required field: ", _FILE_IS_WRONG),
    _refuse(r"executor .* is not valid", _FILE_IS_WRONG),
    _refuse(r"invalid email: ", _FILE_IS_WRONG),
    _refuse(r"worker queue option is invalid: ", _FILE_IS_WRONG),
    _refuse(r"default queue is missing under ", _FILE_IS_WRONG),
    _refuse(r"don't use 'worker_queues' ", _FILE_IS_WRONG),
    _refuse(r"cluster_name: .* does not exist in organization", _FILE_IS_WRONG),
    _refuse(r"error unmarshaling JSON: ", _FILE_IS_WRONG),
    _refuse(r"error converting YAML to JSON: ", _FILE_IS_WRONG),
    _refuse(r".* has no content$", _FILE_IS_WRONG),
    _refuse(r"changing an existing deployment's cluster is not permitted", "delete and recreate the Deployment"),
    _postpone(r"you currently have two deployments with the name ", "rename or delete one of the two"),
    _postpone_printed(r"Something went wrong\. Deployment ", "Astro's answer to the update had no id"),
    # the code
    _refuse(r"this is not an Astro project directory", "its folder lacks the settings that we write; report it"),
    _refuse(r"bundle validation failed: ", "the DAG folder is missing, a link, or holds a link that leads outside"),
    _refuse(r"your local DAGs did not parse", "mend the DAGs"),
    _refuse(r"at least 1 pytest in your tests directory failed", "mend the DAGs or their tests"),
    _refuse(r"DAG-only deploys are not enabled ", "set dag_deploy_enabled in the template, or deploy an image"),
    _refuse_printed(r"Warning: No DAGs found\. ", "nothing was deployed, since the DAG folder holds no Python file"),
    _postpone_printed(
        r"Project directory has uncommitted changes",
        "nothing was deployed, since something changed the worktree meanwhile",
    ),
    # the image
    _postpone_printed(
        r".*(?:Cannot connect to (?:the Docker daemon|Podman)|\bdial tcp[ :]|: TLS handshake timeout"
        r"|\btoomanyrequests\b)",
        "the build could not reach the container engine, or a registry",
    ),
    _postpone_printed(rf".*(?:{'|'.join(_INDEX_IS_AWAY)})", "the build could not reach a package index"),
    _postpone_printed(
        r".*\b(?:[Nn]o space left on device|[Dd]isk quota exceeded)",
        "the disk of this worker, or of its container engine, takes no more; free it",
    ),
    _refuse(r"an error was encountered while building the image", "the image does not build; see its log"),
    _refuse(r"reading dockerfile: ", "the project's root has no readable Dockerfile; add one, or check `root`"),
    _postpone(r"Failed to find a container runtime", "no docker or podman here; use another image source than build"),
    # Stands before the next: without an answer of its engine the CLI takes the label for missing.
    _postpone_printed(
        r"unable get runtime version from image", "the container engine did not tell the image's runtime version"
    ),
    _refuse_printed(r"WARNING! The image .* (?:does not appear to be|is not) based on ", "use an Astro Runtime image"),
    _refuse_printed(r"Cannot deploy a downgraded Astro Runtime version", "Astro takes no older runtime than deployed"),
    _postpone_printed(  # by the list of those that Astro offers: a new one may not be there yet
        r"Cannot deploy an unsupported Astro Runtime version", "Astro does not offer the image's runtime, or not yet"
    ),
    _refuse_printed(r"Can only upgrade deployment from Airflow 2 to Airflow 3 ", "upgrade the runtime step by step"),
    _postpone(r"failed to push image due to authentication error", "the registry refused the push"),
    # hibernation, questions
    _refuse(r"the Deployment specified is not a development Deployment", "only those can hibernate"),
    _postpone_printed(r"(?:.*\(y/n\) ?)?Canceling ", "nothing was done: the CLI asked and got no answer"),
    # token, network, version
    _postpone(r"API Token is (?:invalid or malformed|expired)", _ACCESS_IS_WRONG),
    _postpone(r"(?:failed to find a valid [Ww]orkspace: )?failed to get current Workspace: ", _ACCESS_IS_WRONG),
    _postpone(r"HTTP DO Failed: Get \"https://updates\.astronomer\.io", "this worker must reach updates.astronomer.io"),
    _postpone(r"--deployment-file cannot be used with other arguments", _OTHER_CLI),
    _postpone(r"unknown (?:shorthand )?flag: ", _OTHER_CLI),
    _postpone(r"unknown command ", _OTHER_CLI),
)


def find_success(call: str, result: CommandResult, marker: str, *, needs_dags: bool = False) -> str:
    """Return the line of stdout that begins with `marker`, by which the CLI says that the call had its effect.

    :param call: names the call in an error's text.
    :param needs_dags: whether an image deploy was to send DAGs, too; it may end well without.
    :raises DeployOpsError: as `explain_ending` says, when the call failed or did not say so; PermanentError when it
        says that it found no DAGs.
    """
    if result.exit_code == 0 and needs_dags and any(line.startswith(_NO_DAGS) for line in result.stdout.splitlines()):
        raise PermanentError(
            f"{call}: it sent the image and no DAGs, since it found no Python file in the DAG folder; the Deployment"
            " keeps the DAGs that it had. Mend the folder on the branch, or deploy by force, as dags"
        )
    if result.exit_code == 0:
        for line in result.stdout.splitlines():
            if line.startswith(marker):
                return line.strip()
    raise explain_ending(call, result)


def find_applied_id(call: str, result: CommandResult) -> str:
    """Return the Deployment's id from the document that create and update print when they have had their effect.

    :raises DeployOpsError: as `explain_ending` says, when the call failed or printed no such document.
    """
    document = result.answer.decode(errors="replace") or result.stdout
    deployment_id = _read_document_id(document) if result.exit_code == 0 else None
    if deployment_id is None:
        raise explain_ending(call, result)
    return deployment_id


def read_inspected(call: str, result: CommandResult, printed: bytes) -> dict[str, Any]:
    """Return the JSON document that `inspect` printed; an error quotes nothing of that, since it holds values.

    :param result: without stdout, which `printed` is.
    :raises DeployOpsError: as `explain_ending` says, when the call failed or printed no document.
    """
    text = printed.decode(errors="replace")
    if result.exit_code == 0:
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(text)
            if isinstance(document, dict):
                return document
    # Exit 0 with this one line alone means that the workspace is empty.
    said = text if text.startswith("no Deployments found in workspace ") else ""
    raise explain_ending(call, replace(result, stdout=said))


def explain_ending(call: str, result: CommandResult) -> DeployOpsError:
    """Return the error for a call without effect: permanent only by a known text, otherwise one that comes again.

    Its text goes to people outside: of all that was printed, what a branch's build says among it, it repeats the one
    line that a known ending or the CLI's own error is known by. The log has every line.
    """
    for ending in _ENDINGS:
        if (line := ending.find_line(result)) is not None:
            return ending.error(f"{call}: {ending.meaning}{_quote(line)}")
    how = f"failed with exit code {result.exit_code}" if result.exit_code else "ended without saying that it succeeded"
    own = find_own_error(result)
    return RetryableError(f"{call} {how}{_quote(own) or '; see what it printed in the log of the task'}")


def find_own_error(result: CommandResult) -> str:
    """Return the CLI's own error, its last: what it runs prints before. Empty where it says none."""
    said = result.stderr.rpartition("\nUsage:")[0] or result.stderr
    lines = [line for line in said.splitlines() if line.startswith(("Error: ", "panic: "))]
    return lines[-1] if lines else ""


def _quote(line: str) -> str:
    said = hide_signatures(line).strip()
    return f". It said: {said[:_QUOTED_LENGTH]}" if said else ""


def hide_signatures(text: str) -> str:
    """Return `text` without the queries of signed URLs: a dropped upload's error shows its whole address."""
    return _QUERY.sub(lambda query: "?***" if _SIGNATURE.search(query[0]) else query[0], text)


def _read_document_id(stdout: str) -> str | None:
    start = re.search(r"^(?:deployment:|\{)", stdout, re.MULTILINE)
    if start is None:
        return None
    try:
        document: Any = read_document(stdout[start.start() :])
    except DocumentError:
        return None
    for key in ("deployment", "metadata", "deployment_id"):
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, str) and document else None
