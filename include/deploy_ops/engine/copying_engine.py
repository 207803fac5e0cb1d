"""Play the container engine for one `astro deploy --image-name`: remember tags, know the label, push by copying.

What the CLI asks, and in which order, was seen with Astro CLI 1.45.0; whatever else it asks is refused by name. How an
image is copied is the caller's affair.
"""

from __future__ import annotations

import logging
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from include.deploy_ops.engine import shim
from include.deploy_ops.engine.push import PushTarget, parse_push
from include.deploy_ops.engine.socket_server import CommandAnswer, SocketServer
from include.deploy_ops.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.process import redact

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un has 108 with the closing zero, unix(7)
_RUNTIME_LABEL = "io.astronomer.docker.runtime.version"
_REFUSED = 125  # what Docker and Podman exit with when the engine refuses

log = logging.getLogger(__name__)


class CopyingEngine:
    """A container engine that has one image and can do one thing with it: push it elsewhere. A context manager.

    The CLI is shown it by `environment`, and by `container.binary: podman` in its configuration. All state and every
    login stay in this process; on disk there are a socket and a two-line script, in a private folder that goes with it.

    :param directory: an existing folder, in which the engine makes a private one of its own. The socket's path may have
        107 bytes, so keep it short.
    :param image: the only image that the engine has, by the name that the CLI is given as `--image-name`.
    :param runtime_version: the value of the image's runtime label.
    :param copy: copies the image to the target and returns the digest it has there. It runs in a thread of the engine,
        passes its progress to `target.report`, and raises DeployOpsError when it cannot.
    :param on_push_failed: called once a push failed, before the CLI hears of it. The CLI would go on by logging in on a
        command line that shows its token to every process of the machine, so end the CLI here.
    """

    def __init__(
        self,
        directory: Path,
        image: str,
        runtime_version: str,
        copy: Callable[[PushTarget], str],
        on_push_failed: Callable[[], None] | None = None,
    ) -> None:
        self.failure: DeployOpsError | None = None
        self.pushed_digest: str | None = None
        self._directory = directory
        self._image = image
        self._runtime_version = runtime_version
        self._copy = copy
        self._on_push_failed = on_push_failed or _do_nothing
        self._tags = {image}
        self._folder: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="e-", dir=self._directory)))  # mode 0700
            socket_path = folder / "engine.sock"
            _check_socket_path(socket_path)
            _write_shim(folder / "bin" / "podman", socket_path)
            _block_login(folder / "bin" / "bash")
            (folder / "docker").mkdir()
            server = SocketServer(socket_path, self)
            stack.callback(server.stop)
            server.start()
            self._folder = folder
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder = None
        self._stack.close()

    def environment(self, path: str) -> dict[str, str]:
        """Return what the CLI's environment must say to see this engine, and no other.

        :param path: the PATH to search after the engine's own folder.
        :raises PermanentError: the engine is not running.
        """
        if self._folder is None:
            raise PermanentError("The copying engine is not running; ask for its environment inside its `with` block.")
        return {
            "PATH": f"{self._folder / 'bin'}:{path}",
            "DOCKER_HOST": f"unix://{self._folder / 'engine.sock'}",
            # The user's own Docker settings are for other engines: TLS, credential stores that may not be installed.
            "DOCKER_CONFIG": str(self._folder / "docker"),
            "DOCKER_TLS_VERIFY": "",
            "DOCKER_CERT_PATH": "",
        }

    def answer_command(self, argv: list[str]) -> CommandAnswer:
        """Answer what the CLI runs as `podman …`; the first refusal is kept as `failure`."""
        try:
            return CommandAnswer(stdout=self._run_command(argv))
        except DeployOpsError as error:
            self._fail(error)
            log.error("Refused `podman %s`: %s", shlex.join(argv), error)  # noqa: TRY400 - expected, and told whole
            return CommandAnswer(_REFUSED, stderr=f"Error: {error}\n")

    def answer_push(self, url: str, registry_auth: str | None, report: Callable[[str], None]) -> str | None:
        """Answer a push of the API; return the reason if it failed, which is kept as `failure` too."""
        try:
            target = parse_push(url, registry_auth, report)
            self._push(target)
        except DeployOpsError as error:
            self._fail(error)
            log.error("The push failed: %s", error)  # noqa: TRY400 - expected, and told whole
            self._on_push_failed()
            return str(error)
        return None

    def _push(self, target: PushTarget) -> None:
        self._require(str(target))
        target.report(f"Copying {self._image} to {target}")
        try:
            self.pushed_digest = self._copy(target)
        except DeployOpsError:
            raise
        except Exception as error:
            reason = redact(f"{type(error).__name__}: {error}", [target.password or ""])
            raise RetryableError(f"Copying {self._image} to {target} failed: {reason}") from error
        target.report(f"{target.tag}: digest: {self.pushed_digest}")

    def _run_command(self, argv: list[str]) -> str:
        if self.failure is not None:  # whatever failed before, the deploy must not reach its end
            raise self.failure
        match argv:
            case ["tag", source, name]:
                self._require(source)
                self._tags.add(name)
                return ""
            case ["inspect", "--format", template, name] if _RUNTIME_LABEL in template:
                self._require(name)
                return f"{self._runtime_version}\n"
            case ["rmi", name]:
                self._require_pushed(name)
                self._tags.discard(name)
                return ""
            case _:
                raise RetryableError(
                    f"The Astro CLI asked for `podman {shlex.join(argv)}`, but the engine, which copies {self._image}, "
                    f"knows only tag, inspect and rmi, and a push through the Docker API."
                )

    def _require(self, name: str) -> None:
        if name not in self._tags:
            raise PermanentError(f"The Astro CLI asked for the image {name}, but this engine has only {self._image}.")

    def _require_pushed(self, name: str) -> None:
        # The CLI cleans up right before it finalizes the deploy: the last moment to stop one without an image.
        self._require(name)
        if self.pushed_digest is None:
            raise RetryableError(
                f"The Astro CLI goes on without having pushed {name}. Is this a version we do not know?"
            )

    def _fail(self, error: DeployOpsError) -> None:
        self.failure = self.failure or error


def _check_socket_path(path: Path) -> None:
    length = len(bytes(path))
    if length > _LONGEST_SOCKET_PATH:
        raise RetryableError(
            f"The engine's socket would be {path}, of {length} bytes; the system allows {_LONGEST_SOCKET_PATH}. "
            f"Set TMPDIR to a shorter folder."
        )


def _write_shim(path: Path, socket_path: Path) -> None:
    # A shell line, since a `#!` line takes one argument only, and no blanks in the interpreter's path.
    command = [sys.executable, "-I", "-S", str(Path(shim.__file__).resolve()), str(socket_path)]
    path.parent.mkdir()
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
