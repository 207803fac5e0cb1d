"""A container engine of ours, shown to one run of the Astro CLI: a socket that takes its push, a binary in its PATH.

What a command or a push does is decided by the engines built on it. None of them lets the CLI log in.
"""

from __future__ import annotations

import logging
import shlex
import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.engine import shim
from include.deploy_ops.engine.push import PushTarget, parse_push
from include.deploy_ops.engine.socket_server import CommandAnswer, SocketServer
from include.deploy_ops.process.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un has 108 with the closing zero, unix(7)

log = logging.getLogger(__name__)


class ServedEngine(ABC):
    """Serves its socket between `__enter__` and `__exit__`, and remembers how the push went.

    The CLI is shown it by `environment`, and by `binary` as `container.binary` in its configuration.

    :param directory: an existing folder, in which the engine makes a private one of its own. The socket's path may have
        107 bytes, so keep it short.
    :param binary: `podman` or `docker`: the name by which the CLI runs the engine's commands.
    :param on_push_failed: called once a push failed, before the CLI hears of it. The CLI would go on by logging in on a
        command line that shows its token to every process of the machine, so end the CLI here.
    """

    def __init__(self, directory: Path, binary: str, on_push_failed: Callable[[], None] | None = None) -> None:
        self.binary = binary
        self.failure: DeployOpsError | None = None
        self.pushed_digest: str | None = None
        self._directory = directory
        self._on_push_failed = on_push_failed or _do_nothing
        self._folder: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="e-", dir=self._directory)))  # mode 0700
            socket_path = folder / "engine.sock"
            _check_socket_path(socket_path)
            (folder / "bin").mkdir()
            _write_binary(folder / "bin" / self.binary, socket_path)
            _block_login(folder / "bin" / "bash")
            (folder / "docker").mkdir()
            server = SocketServer(socket_path, self)
            stack.callback(server.stop)
            stack.callback(self._end_command)  # before the server, which waits for its threads
            server.start()
            self._folder = folder
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder = None
        self._stack.close()

    def sees(self) -> tuple[Path, ...]:
        """Return what the CLI must be able to read to use this engine; the socket lies there, too."""
        return self._need_folder(), Path(shim.__file__)

    def environment(self, path: str) -> dict[str, str]:
        """Return what the CLI's environment must say to see this engine, and no other.

        :param path: the PATH to search after the engine's own folder.
        :raises PermanentError: the engine is not running.
        """
        folder = self._need_folder()
        return {
            "PATH": f"{folder / 'bin'}:{path}",
            "DOCKER_HOST": f"unix://{folder / 'engine.sock'}",
            # The user's own Docker settings are for other engines: TLS, credential stores that may not be installed.
            "DOCKER_CONFIG": str(folder / "docker"),
            "DOCKER_TLS_VERIFY": "",
            "DOCKER_CERT_PATH": "",
        }

    @abstractmethod
    def answer_command(self, argv: list[str], cwd: Path) -> CommandAnswer:
        """Answer what came through the shim, which ran in the folder `cwd`."""

    def answer_push(self, url: str, registry_auth: str | None, report: Callable[[str], None]) -> str | None:
        """Answer a push of the API; return the reason if it failed, which is kept as `failure` too."""
        try:
            self._push(parse_push(url, registry_auth, report))
        except DeployOpsError as error:
            self._fail(error)
            log.error("The push failed: %s", error)  # noqa: TRY400 - expected, and told whole
            self._on_push_failed()
            return str(error)
        return None

    def _push(self, target: PushTarget) -> None:
        self._check_push(target)
        # Also finds out whether anybody still listens, before anything is moved.
        target.report(f"{self._describe_push()} to {target}")
        try:
            self.pushed_digest = self._carry_out(target)
        except DeployOpsError:
            raise
        except Exception as error:
            reason = redact(f"{type(error).__name__}: {error}", target.secrets)
            raise RetryableError(f"{self._describe_push()} to {target} failed: {reason}") from error
        target.report(f"{target.tag}: digest: {self.pushed_digest or 'not told'}")

    @abstractmethod
    def _check_push(self, target: PushTarget) -> None:
        """Raise DeployOpsError where the CLI must not push that."""

    @abstractmethod
    def _describe_push(self) -> str:
        """Return what the push does, as the beginning of a sentence."""

    @abstractmethod
    def _carry_out(self, target: PushTarget) -> str | None:
        """Bring the image there; return its digest, None if that is not told."""

    def _end_command(self) -> None:
        """End what the engine does right now, where breaking its connection would not."""
        return

    def _need_folder(self) -> Path:
        if self._folder is None:
            raise PermanentError("The engine is not running; ask for its environment inside its `with` block.")
        return self._folder

    def _fail(self, error: DeployOpsError) -> None:
        # The first one: the CLI goes on after a refusal, and what follows is its consequence.
        self.failure = self.failure or error


def _check_socket_path(path: Path) -> None:
    length = len(bytes(path))
    if length > _LONGEST_SOCKET_PATH:
        raise RetryableError(
            f"The engine's socket would be {path}, of {length} bytes; the system allows {_LONGEST_SOCKET_PATH}. "
            f"Set TMPDIR to a shorter folder."
        )


def _write_binary(path: Path, socket_path: Path) -> None:
    """Write what the CLI runs as its engine."""
    # A shell line, since a `#!` line takes one argument only, and no blanks in the interpreter's path.
    command = [sys.executable, "-I", "-S", shim.__file__, str(socket_path)]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o700)


def _block_login(path: Path) -> None:
    """Put a `bash` that cannot start before the machine's own.

    After a push that failed for whatever reason, the CLI runs `bash -c 'echo "<token>" | podman login …'`, which every
    process of the machine could read. It looks for bash in PATH for nothing else in a deploy.
    """
    path.write_text("#!/nonexistent/bash-is-not-for-logins\n")
    path.chmod(0o700)


def _do_nothing() -> None:
    return
