"""Play the container engine for one `astro deploy --image-name`: remember tags, know the label, push by copying.

What the CLI asks, and in which order, was seen with Astro CLI 1.45.0; whatever else it asks is refused by name. How an
image is copied is the caller's affair.
"""

from __future__ import annotations

import logging
import shlex
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.engine.served_engine import ServedEngine
from include.deploy_ops.engine.socket_server import CommandAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.deploy_ops.engine.push import PushTarget

_RUNTIME_LABEL = "io.astronomer.docker.runtime.version"
_REFUSED = 125  # what Docker and Podman exit with when the engine refuses

log = logging.getLogger(__name__)


class CopyingEngine(ServedEngine):
    """A container engine that has one image and can do one thing with it: push it elsewhere. A context manager.

    All state and every login stay in this process; on disk there are a socket and a two-line script, in a private
    folder that goes with it.

    :param directory: an existing folder, in which the engine makes a private one of its own. The socket's path may have
        107 bytes, so keep it short.
    :param image: the only image that the engine has, by the name that the CLI is given as `--image-name`.
    :param runtime_version: the value of the image's runtime label.
    :param copy: copies the image to the target and returns the digest it has there. It runs in a thread of the engine,
        passes its progress to `target.report`, and raises DeployOpsError when it cannot.
    :param on_push_failed: as `ServedEngine` has it.
    """

    def __init__(
        self,
        directory: Path,
        image: str,
        runtime_version: str,
        copy: Callable[[PushTarget], str],
        on_push_failed: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(directory, "podman", on_push_failed)
        self._image = image
        self._runtime_version = runtime_version
        self._copy = copy
        self._tags = {image}

    def answer_command(self, argv: list[str], cwd: Path) -> CommandAnswer:
        """Answer what the CLI runs as `podman …`; the first refusal is kept as `failure`."""
        del cwd
        try:
            return CommandAnswer(stdout=self._run_command(argv))
        except DeployOpsError as error:
            self._fail(error)
            log.error("Refused `podman %s`: %s", shlex.join(argv), error)  # noqa: TRY400 - expected, and told whole
            return CommandAnswer(_REFUSED, stderr=f"Error: {error}\n")

    def _check_push(self, target: PushTarget) -> None:
        self._require(str(target))

    def _describe_push(self) -> str:
        return f"Copying {self._image}"

    def _carry_out(self, target: PushTarget) -> str:
        return self._copy(target)

    def _run_command(self, argv: list[str]) -> str:
        if self.failure is not None:  # whatever failed before, the deploy must not reach its end
            raise self.failure
        match argv:
            # It comes twice: to the CLI's own name for the project's image, then to the repository that it pushes to.
            case ["tag", source, name]:
                self._require(source)
                self._tags.add(name)
                return ""
            # The CLI refuses an image whose label is older than the Deployment's runtime.
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
