"""Stand between the Astro CLI and a real Docker or Podman: it builds, and pushes without a login on a command line.

The real engine runs here, as no child of the CLI's, in our environment: neither the CLI's limits nor its confinement
are for it. Commands come by the shim, the push by the Docker API, with the registry's login in a header.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import DeployOpsError, ImageRefusedError, RetryableError
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.engine.served_engine import ServedEngine
from include.deploy_ops.engine.socket_server import CommandAnswer
from include.deploy_ops.process.command import Command, CommandResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from include.deploy_ops.engine.installed_engine import InstalledEngine
    from include.deploy_ops.engine.push import PushTarget

_COMMANDS = (["build"], ["tag"], ["inspect"], ["rmi"])
_SHOWN_COMMANDS = ", ".join(name for (name,) in _COMMANDS)
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_REFUSALS = re.compile(r"\b40[13]\b|unauthorized|forbidden|denied|authentication required", re.IGNORECASE)
_TOLD_LINES = 5
_REFUSED = 125

log = logging.getLogger(__name__)


class BuildingEngine(ServedEngine):
    """The engine that is installed here, but for the push. A context manager.

    :param directory: as `ServedEngine` has it.
    :param engine: the real one.
    :param timeout_s: seconds for each of its commands.
    :param on_push_failed: as `ServedEngine` has it.
    """

    def __init__(
        self,
        directory: Path,
        engine: InstalledEngine,
        timeout_s: float,
        on_push_failed: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(directory, engine.name, on_push_failed)
        self._engine = engine
        self._timeout_s = timeout_s
        self._command: Command | None = None
        self._is_closing = False

    def answer_command(self, argv: list[str], cwd: Path) -> CommandAnswer:
        """Run it by the real engine, if it is one of the four that a deploy needs."""
        if argv[:1] not in _COMMANDS:
            return CommandAnswer(_REFUSED, stderr=f"Error: only {_SHOWN_COMMANDS} are for the engine itself\n")
        try:
            result = self._run(argv, cwd=cwd)
        except DeployOpsError as error:
            self._fail(error)
            return CommandAnswer(_REFUSED, stderr=f"Error: {error}\n")
        # The CLI takes the label for missing where anything stands beside it: Podman warns of what a session lacks.
        stderr = "" if argv[0] == "inspect" else result.stderr
        return CommandAnswer(result.exit_code, result.stdout, stderr)

    def _check_push(self, target: PushTarget) -> None:
        """Whatever the CLI tagged may be pushed: the real engine knows what it has."""

    def _describe_push(self) -> str:
        return f"Pushing by {self._engine}"

    def _carry_out(self, target: PushTarget) -> str | None:
        with TemporaryDirectory(prefix="push-", dir=self._need_folder()) as name:  # mode 0700
            folder = Path(name)
            if self._engine.name == "docker":
                _write_docker_config(folder, target)
                return self._push_by(target, ["push", str(target)], {"DOCKER_CONFIG": name})
            login, digest = folder / "auth.json", folder / "digest"
            _write_private(login, {"auths": _make_auths(target)})
            self._push_by(target, ["push", f"--authfile={login}", f"--digestfile={digest}", str(target)], {})
            return digest.read_text(encoding="ascii").strip() if digest.exists() else None  # not told from elsewhere

    def _push_by(self, target: PushTarget, argv: list[str], env: Mapping[str, str]) -> str | None:
        """Run the push and return the digest that stands in its output."""
        folder = self._need_folder()
        result = self._run(argv, cwd=folder, env=env, redact=target.secrets, on_line=target.report)
        if result.exit_code:
            log.warning("%s said last:\n%s", self._describe_push(), reveal(result.tail(_TOLD_LINES)))
            error = ImageRefusedError if _REFUSALS.search(result.stderr) else RetryableError
            how = f"exit code {result.exit_code}; see what it printed in the log of the task"
            raise error(f"{self._describe_push()} to {target} failed with {how}")
        found = _DIGEST.search(result.stdout)
        return found[1] if found else None

    def _run(
        self,
        argv: list[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        redact: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        command = Command(
            [self._engine.path, *argv],
            cwd=cwd,
            env={**self._engine.environment, **(env or {})},
            timeout_s=self._timeout_s,
            redact=redact,
            on_line=on_line,
        )
        self._command = command
        if self._is_closing:  # asked before the command was known
            command.end()
        return command.run()

    def _end_command(self) -> None:
        self._is_closing = True
        if self._command is not None:
            self._command.end()


def _make_auths(target: PushTarget) -> dict[str, Any]:
    if target.username is None:
        return {}
    pair = f"{target.username}:{target.password or ''}"
    return {target.repository.partition("/")[0]: {"auth": base64.b64encode(pair.encode()).decode()}}


def _write_docker_config(folder: Path, target: PushTarget) -> None:
    """Write the user's Docker settings with the registry's login alone; which engine is meant may stand in them."""
    home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        settings = json.loads((home / "config.json").read_bytes())
    except (OSError, ValueError):
        settings = {}
    kept = {key: settings[key] for key in ("currentContext", "proxies") if key in settings}
    if (home / "contexts").is_dir():
        (folder / "contexts").symlink_to(home / "contexts")
    _write_private(folder / "config.json", {**kept, "auths": _make_auths(target)})


def _write_private(path: Path, content: object) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content), encoding="utf-8")
