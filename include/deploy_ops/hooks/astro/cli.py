"""Change an Astro workspace through the Astro CLI: create, update, deploy, delete, hibernate, wake.

Reads nothing of Astro and waits for nothing there: a call that returns means that the CLI says it had its effect. What
its words mean is `cli_endings`' job, how a process is run and ended `process`'.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.template.mapping import lay_values
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.hooks.astro.cli_endings import (
    find_applied_id,
    find_success,
    hide_signatures,
    read_inspected,
)
from include.deploy_ops.hooks.astro.connection import AstroConnection, read_astro_connection
from include.deploy_ops.hooks.secrets import NO_SECRETS, Secrets
from include.deploy_ops.process import confinement
from include.deploy_ops.process.command import Command, CommandResult, ProcessLimits
from include.deploy_ops.process.confinement import Sight
from include.deploy_ops.process.git_settings import make_git_environment
from include.deploy_ops.process.scratch import hold_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta


TIMEOUT_S = 1800.0
"""Seconds for one call: the CLI has no limit of its own, and an image is built or copied within."""

LIMITS = ProcessLimits(memory_bytes=4 << 30, file_bytes=4 << 30)
"""What the CLI may use: it packs a branch's files. An engine that builds is no child of its."""

PRINTED_MAX = 4 << 20
"""Bytes of the document about one Deployment that are read."""

READS_VARIABLE = "ASTRO_CLI_READS"
"""Environment variable that names what the CLI must be able to read beside its executable, separated by colons."""

CREATE_CALL = "`astro deployment create`"
"""How the text of an error begins that tells why nothing was created."""

_LOG = logging.getLogger(__name__)
_DEPLOYMENT_FILE = "deployment.yaml"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class CliOutcome:
    """A call that had its effect, as the CLI says: the last line in which it says so, and how long it took."""

    last_line: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ShownEngine:
    """A container engine that the CLI is shown: podman or docker as `binary`, the first of that name in its PATH.

    `environment` makes it the one that the CLI takes, `sees` is what the CLI must be able to read for that.
    """

    binary: str
    environment: Mapping[str, str]
    sees: tuple[Path, ...] = ()


class AstroCli:
    """Runs the Astro CLI with one Airflow connection, each call in a private home of its own that is removed after it.

    Every method raises `PermanentError` for an ending that stays the same, `RetryableError` for any other, each with
    the line by which the CLI said so; `ObservationError` (retryable) when the connection is incomplete.

    :param astro_conn_id: the Airflow connection's id; `connection` says what it holds.
    :param timeout_s: seconds until a call is ended.
    :param on_line: called with each redacted line that the CLI prints, as it comes.
    :param connection: what the Airflow connection holds, where that was read already.
    """

    def __init__(
        self,
        astro_conn_id: str,
        *,
        timeout_s: float = TIMEOUT_S,
        on_line: Callable[[str], None] | None = None,
        connection: AstroConnection | None = None,
    ) -> None:
        self.astro_conn_id = astro_conn_id
        self._timeout_s = timeout_s
        self._on_line = on_line
        self._given = connection
        self._command: Command | None = None
        self._is_ended = False

    @functools.cached_property
    def _connection(self) -> AstroConnection:
        return self._given or read_astro_connection(self.astro_conn_id)

    def end(self) -> None:
        """End the running call with all its children, and let none start any more; for a task that is killed."""
        self._is_ended = True
        if self._command is not None:
            self._command.end()

    def version(self) -> str:
        """Return the CLI's version, such as "1.45.0"."""
        marker = "Astro CLI Version: "
        return find_success(self._name("version"), self._run(["version"]), marker).removeprefix(marker)

    def inspect(self, deployment_id: str) -> dict[str, Any]:
        """Return the document that describes a Deployment, values of its plain variables among it.

        It is for nobody's eyes: nothing of it is logged, kept or quoted in an error.

        :raises DeploymentGoneError: it is not in the workspace.
        """
        printed = _Printed()
        argv = ["deployment", "inspect", _check_id(deployment_id), "--output=json"]
        result = self._run([*argv, f"--workspace-id={self._connection.workspace_id}"], on_bytes=printed.take)
        return read_inspected(self._name("deployment inspect"), result, bytes(printed.data))

    def create(self, deployment_file: str, secrets: Secrets = NO_SECRETS) -> str:
        """Create a Deployment from a Deployment file's text, and return its id.

        :param secrets: values of the file's secret variables; only the CLI sees them, in its private file.
        :raises DeploymentExistsError: one of that name exists; also after a try that broke off half-way.
        """
        return self._apply(["deployment", "create"], deployment_file, secrets)

    def update(self, deployment_id: str, deployment_file: str, secrets: Secrets = NO_SECRETS) -> None:
        """Bring a Deployment to a Deployment file's text, which must name it: the CLI finds it by that name.

        :param secrets: as in `create`; a secret without a value keeps the one that is there.
        :raises DeploymentGoneError: there is none of that name.
        :raises PermanentError: the file named another Deployment than `deployment_id`.
        """
        updated = self._apply(["deployment", "update", _check_id(deployment_id)], deployment_file, secrets)
        if updated != deployment_id:
            raise PermanentError(
                f"{self._name('deployment update')} changed {updated} instead of {deployment_id}: the Deployment "
                "file's name is that of another one; look at both in Astro, and rename one"
            )

    def deploy(
        self,
        deployment_id: str,
        *,
        cwd: Path,
        kind: ChangeType,
        description: str,
        checkout: Path | None = None,
        image_name: str | None = None,
        engine: ShownEngine | None = None,
        sends_dags: bool = True,
    ) -> CliOutcome:
        """Deploy `dags/` in `cwd`, where the CLI also leaves its tarballs, and an image; the folder must not be empty.

        `cwd` need hold nothing else, unless the image is built of it.

        :param kind: DAGS sends the DAG folder, IMAGE an image and the DAG folder.
        :param sends_dags: False for a Deployment whose image carries the DAGs.
        :param description: by which Astro's record of this call is found.
        :param checkout: the repository's top, where `cwd` lies below it; the CLI sees it whole.
        :param image_name: an image to send instead of building one.
        :param engine: the only one that the CLI finds.
        """
        argv = ["deploy", _check_id(deployment_id), "-f", f"--workspace-id={self._connection.workspace_id}"]
        argv += [f"--description={description}", *_choose_flags(kind, image_name)]
        result = self._run(
            argv,
            cwd=cwd,
            sight=Sight(writes=(checkout or cwd,), reads=engine.sees if engine else ()),
            engine=engine,
        )
        needs_dags = kind is ChangeType.IMAGE and sends_dags
        line = find_success(self._name("deploy"), result, _DEPLOY_MARKERS[kind], needs_dags=needs_dags)
        return CliOutcome(line, result.seconds)

    def delete(self, deployment_id: str) -> CliOutcome:
        """Delete a Deployment.

        :raises DeploymentGoneError: it is not in the workspace, so there is nothing to delete.
        """
        return self._act("delete", deployment_id, [], "Successfully deleted deployment")

    def hibernate(self, deployment_id: str) -> CliOutcome:
        """Let a development Deployment hibernate until something wakes it; does not wait until it does."""
        return self._act("hibernate", deployment_id, [], "Successfully overrode to hibernate")

    def wake_up(self, deployment_id: str, for_: timedelta | None = None) -> CliOutcome:
        """Wake a hibernating Deployment, `for_` a time or until further notice; does not wait until it is awake."""
        flags = [] if for_ is None else [f"--for={for_.total_seconds():.0f}s"]
        return self._act("wake-up", deployment_id, flags, "Successfully overrode to wake up")

    def _act(self, verb: str, deployment_id: str, flags: Sequence[str], marker: str) -> CliOutcome:
        argv = ["deployment", verb, _check_id(deployment_id), "-f"]
        result = self._run([*argv, f"--workspace-id={self._connection.workspace_id}", *flags])
        return self._conclude(f"deployment {verb}", result, marker)

    def _apply(self, argv: Sequence[str], deployment_file: str, secrets: Secrets) -> str:
        # No other flag may stand beside this one, not even the workspace: it comes from the config.
        argv = [*argv, "--deployment-file", _DEPLOYMENT_FILE]
        document = lay_values(deployment_file, secrets.values) if secrets.values else deployment_file
        with secrets.hide_in_errors(deployment_file):
            result = self._run(argv, deployment_file=document, hidden=secrets.list_hidden(deployment_file))
            return find_applied_id(self._name(" ".join(argv[:2])), result)

    def _conclude(self, call: str, result: CommandResult, marker: str) -> CliOutcome:
        return CliOutcome(find_success(self._name(call), result, marker), result.seconds)

    def _name(self, call: str) -> str:
        return f"`astro {call}` (connection {self.astro_conn_id!r})"

    def _run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        sight: Sight | None = None,
        deployment_file: str | None = None,
        hidden: Sequence[str] = (),
        engine: ShownEngine | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
    ) -> CommandResult:
        with hold_folder("astro-cli") as folder:
            home, work = folder / "home", folder / "work"
            _write_config(home, self._connection, engine_binary=engine.binary if engine else "")
            work.mkdir()
            if deployment_file is not None:
                _write_private(work / _DEPLOYMENT_FILE, deployment_file)
            command = Command(
                [self._connection.executable, *argv],
                cwd=cwd or work,
                env={**(engine.environment if engine else {}), **_make_environment(home, self._connection)},
                timeout_s=self._timeout_s,
                redact=[self._connection.token, *hidden],
                limits=LIMITS,
                sight=_see_also(folder, sight or Sight()),
                on_line=self._tell if deployment_file is None else _leave_out_usage(self._tell),
                keeps_answer=deployment_file is not None,
                on_bytes=on_bytes,
            )
            return self._hold(command)

    def _hold(self, command: Command) -> CommandResult:
        _LOG.info("%s", confinement.find_protection().tell("the Astro CLI"))
        self._command = command
        if self._is_ended:  # asked between two calls, or before the command was known
            command.end()
        try:
            return command.run()
        finally:
            self._command = None

    def _tell(self, line: str) -> None:
        if self._on_line is not None and line.strip():
            self._on_line(reveal(hide_signatures(line)))


@dataclass(slots=True)
class _Printed:
    """What a call prints, as it comes."""

    data: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        """Add some of it. Raises PermanentError where it is more than any Deployment's document."""
        self.data += data
        if len(self.data) > PRINTED_MAX:
            raise PermanentError(f"the Astro CLI printed more than {PRINTED_MAX:,} bytes about one Deployment")


def _leave_out_usage(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Pass lines on until the CLI explains its flags, in 40 lines, as `create` ends each of its errors."""
    has_usage = False

    def take(line: str) -> None:
        nonlocal has_usage
        has_usage = has_usage or line == "Usage:"
        if not has_usage:
            tell(line)

    return take


_DEPLOY_MARKERS = {
    ChangeType.DAGS: "Successfully uploaded DAGs with version",
    ChangeType.IMAGE: "Successfully pushed image to Astronomer registry",
}


def _choose_flags(kind: ChangeType, image_name: str | None) -> list[str]:
    if kind is ChangeType.DAGS and image_name is None:
        return ["--dags", "--dags-path=dags"]  # with a path it asks for no Astro project in its folder
    if kind is ChangeType.IMAGE:
        return [] if image_name is None else [f"--image-name={image_name}"]
    raise ValueError(f"nothing can be deployed as {kind.value} with image {image_name!r}")


def _check_id(deployment_id: str) -> str:
    # With an empty id the CLI takes the only Deployment there is, also to delete it.
    if not _ID.fullmatch(deployment_id):
        raise PermanentError(f"{deployment_id!r} is no Deployment's id; the Astro CLI was not called")
    return deployment_id


def _see_also(folder: Path, sight: Sight) -> Sight:
    """Add the call's own folder, and what an executable needs that is no single file."""
    needed = filter(None, os.environ.get(READS_VARIABLE, "").split(os.pathsep))
    return replace(sight, writes=(*sight.writes, folder), reads=(*sight.reads, *map(Path, needed)))


def _make_environment(home: Path, connection: AstroConnection) -> dict[str, str]:
    return {
        **make_git_environment(),  # it asks Git about its folder, which holds a branch's files
        "HOME": str(home),
        "ASTRO_HOME": str(home),
        "ASTRO_API_TOKEN": connection.token,
        "ASTRO_TELEMETRY_DISABLED": "1",
        "CLICOLOR": "0",
    }


def _write_config(home: Path, connection: AstroConnection, *, engine_binary: str) -> None:
    """Write the CLI's settings as JSON, which is YAML; it adds the token itself, so the file is for us alone."""
    context = {
        "domain": connection.domain,
        "organization": connection.organization_id,
        "organization_product": "HOSTED",
        "workspace": connection.workspace_id,
    }
    settings = {
        "context": connection.domain,
        "contexts": {connection.domain.replace(".", "_"): context},
        "telemetry": {"enabled": "false"},
        "upgrade_message": "false",
        **({"local": _make_local_settings(connection.core_url, connection.registry)} if connection.core_url else {}),
        # Otherwise a docker anywhere in PATH comes before our podman at its front.
        **({"container": {"binary": engine_binary}} if engine_binary else {}),
    }
    path = home / ".astro" / "config.yaml"
    path.parent.mkdir(parents=True)
    _write_private(path, json.dumps(settings, indent=1))


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _make_local_settings(core_url: str, registry: str) -> dict[str, str]:
    return {"core": core_url, "platform": "cloud", "registry": registry or urlsplit(core_url).netloc}
