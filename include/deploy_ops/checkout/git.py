"""Git in one repository of ours: its environment, its limits, and what its errors mean.

Knows no commit and no folder of a project; it says where Git may go (HTTP(S), the remote's host) and how long it takes.

The token reaches Git as a configuration value in its environment, which only the same user can read: not on a command
line, not in the remote's URL, not in a file, and without a helper program that could be asked for it. It is bound to
the remote's host, and redirects are not followed, so no other host is shown it.
"""

from __future__ import annotations

import base64
import math
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError, SupersededError
from include.deploy_ops.process.command import Command, CommandResult, ProcessLimits
from include.deploy_ops.process.confinement import Sight
from include.deploy_ops.process.git_settings import make_git_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LIMITS = ProcessLimits(memory_bytes=4 << 30, file_bytes=2 << 30)
# GitHub takes any token as the password of this user, an App's too.
# Source: docs.github.com, "Authenticating as a GitHub App installation".
_USER = "x-access-token"

# Git's own words in the C locale, and the answers that GitHub gives instead of an error 403.
_REFUSED = re.compile(
    r"could not read Username|could not read Password|Authentication failed|returned error: 40[134]"
    r"|repository '[^'\n]{0,500}' not found|Repository not found|not accessible by"
)
_MOVED = re.compile(r"returned error: 30[12378]|unable to update url base from redirection")
_LONG_NAME = "File name too long"
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")
_ROOM_MIN = 1 << 20
"""Bytes: with fewer left, what Git fails at for no other reason that it names is taken for want of room."""
_GONE = re.compile(r"not our ref")
_ODD_PATH = re.compile(r"invalid path '.{0,500}'")  # `.git` in another spelling, which some file systems take for it


@dataclass(frozen=True, slots=True)
class Git:
    """Runs Git in one repository, whose top is `top`, until a common deadline.

    `submodule` is the repository's name where it is a submodule's, for errors.
    """

    top: Path
    environment: Mapping[str, str] = field(repr=False)
    deadline: float
    secrets: tuple[str, ...] = field(repr=False)
    submodule: str = ""
    limits: ProcessLimits = _LIMITS

    @classmethod
    def open(cls, folder: Path, clone_url: str, token: str | None, timeout_s: float) -> Git:
        """Return a Git for a repository in `folder`, our own; `clone_url` and `token` as `checkout` takes them."""
        # Git's errors may quote the header, in which the token stands encoded.
        secrets = (token, _encode_token(token)) if token else ()
        environment = _build_environment(folder, check_url(clone_url), token)
        return cls(folder / "repository", environment, time.monotonic() + timeout_s, secrets)

    def run(
        self,
        *arguments: str,
        given: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
        on_bytes: Callable[[bytes], None] | None = None,
        time_max_s: float = math.inf,
    ) -> CommandResult:
        """Run one command to its end.

        :raises DeployOpsError: it failed, by what that means; RetryableError after `time_max_s` seconds, too.
        """
        result = Command(
            ["git", *arguments],
            cwd=self.top,
            env=self.environment,
            timeout_s=min(time_max_s, max(0.1, self.deadline - time.monotonic())),
            redact=self.secrets,
            stdin=given,
            on_line=on_line,
            on_bytes=on_bytes,
            limits=self.limits,
            is_answer=True,
            sight=Sight(writes=(self.top.parent,)),
        ).run()
        if result.exit_code != 0:
            raise _explain(arguments, result, self)
        return result


def _explain(arguments: tuple[str, ...], result: CommandResult, git: Git) -> DeployOpsError:
    said, submodule = result.tail(8), git.submodule
    if odd := _ODD_PATH.search(said):
        return PermanentError(f"the branch holds an {odd[0]}, which Git never writes; remove it from the branch")
    if _LONG_NAME in said:
        return PermanentError(f"a path of the branch is longer than this system takes; shorten it. Git says: {said}")
    explained = _explain_remote(said) if not submodule else _explain_submodule(said, submodule)
    # Git does not always say what it could not write for.
    if _NO_ROOM.search(said) or not (explained or _has_room(git.top)):
        return RetryableError(
            f"this worker's disk takes no more; free it, or name a folder with room in its TMPDIR. Git says: {said}"
        )
    return explained or RetryableError(f"`git {arguments[0]}` ended with exit code {result.exit_code}: {said}")


def _has_room(folder: Path) -> bool:
    """Whether something can be written there; a file system that counts no files has room for one more."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= _ROOM_MIN and (found.f_favail > 0 or not found.f_files)


def _explain_remote(said: str) -> DeployOpsError | None:
    if _GONE.search(said):
        return SupersededError(
            f"the commit is not in the repository any more, its branch was replaced. Git says: {said}"
        )
    if _MOVED.search(said):
        return RetryableError(f"the repository moved; write its present name in the policy. Git says: {said}")
    # Not permanent: whoever mends the token or its permission tells us nothing of it.
    if _REFUSED.search(said):
        return RetryableError(
            "the repository does not exist or refuses the GitHub connection's token; check `repository` in the policy,"
            f" and that the token is valid and may read it (permission Contents: read). Git says: {said}"
        )
    return None


def _explain_submodule(said: str, name: str) -> DeployOpsError | None:
    """Explain likewise: a commit that is not there was never pushed, and nothing is superseded."""
    if not any(pattern.search(said) for pattern in (_GONE, _MOVED, _REFUSED)):
        return None
    return RetryableError(
        f"the submodule's repository {name} does not give its commit: push it there, check its name in"
        " `checkout.submodules`, and that the GitHub connection's token may read it (permission Contents: read). Git"
        f" says: {said}"
    )


def check_url(clone_url: str) -> SplitResult:
    """Return a clone URL's parts. :raises RetryableError: it is none that we fetch from, or holds credentials."""
    url = urlsplit(clone_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise RetryableError(
            "the clone URL must begin with https:// or http:// and name a host; correct the connection"
        )
    if "@" in url.netloc:
        raise RetryableError(
            f"the clone URL of {url.hostname} holds credentials; write them into the connection instead"
        )
    return url


def _encode_token(token: str) -> str:
    return base64.b64encode(f"{_USER}:{token}".encode()).decode()


def _build_environment(folder: Path, url: SplitResult, token: str | None) -> dict[str, str]:
    settings = {"http.followRedirects": "false", "protocol.version": "2"}
    if token:
        scope = f"http.{url.scheme}://{url.netloc}/.extraHeader"
        settings[scope] = f"Authorization: Basic {_encode_token(token)}"
    return {
        **make_git_environment(settings),
        "HOME": str(folder),  # no ~/.netrc, no ~/.config/git
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_CEILING_DIRECTORIES": str(folder),
    }
