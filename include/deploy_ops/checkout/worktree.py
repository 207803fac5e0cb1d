"""A clean shallow worktree of exactly one commit, for one call of the Astro CLI, removed afterwards.

Fetches over HTTP(S) only and never pushes. Whether the project in it may be deployed is `project_check.py`'s affair.

The token reaches Git as a configuration value in its environment, which only the same user can read: not on a command
line, not in the remote's URL, not in a file, and without a helper program that could be asked for it. It is bound to
the remote's host, and redirects are not followed, so no other host is shown it.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError, SupersededError
from include.deploy_ops.core.model import COMMIT_ID, FOLDER_MODE, TreeEntry
from include.deploy_ops.process.command import run_command
from include.deploy_ops.process.scratch import hold_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.deploy_ops.process.command import CommandResult

_LOG = logging.getLogger(__name__)
# GitHub takes any token as the password of this user, an App's too.
# Source: docs.github.com, "Authenticating as a GitHub App installation".
_USER = "x-access-token"

# Git's own words in the C locale, and the answers that GitHub gives instead of an error 403.
_REFUSED = re.compile(
    r"could not read Username|could not read Password|Authentication failed|returned error: 40[134]"
    r"|repository '.*' not found|Repository not found|not accessible by"
)
_MOVED = re.compile(r"returned error: 30[12378]|unable to update url base from redirection")
_GONE = re.compile(r"not our ref")

# Attributes of the commit must not change bytes on checkout: what is deployed is what the trees say.
_ATTRIBUTES = "* -text !eol !ident !filter !working-tree-encoding\n"


@dataclass(frozen=True, slots=True)
class Worktree:
    """A checkout: `path` is the repository's top, `project` the project's folder in it."""

    path: Path
    project: Path
    commit: str
    branch: str


@contextlib.contextmanager
def checkout(
    *,
    clone_url: str,
    token: str | None,
    commit: str,
    branch: str,
    root: str,
    timeout_s: float,
    scratch: Path | None = None,
) -> Iterator[Worktree]:
    """Yield a clean worktree of `commit`, on a local branch named `branch`, with `origin` set; remove it afterwards.

    :param clone_url: http or https, without credentials.
    :param token: of the connection; None for a repository that anyone can read.
    :param commit: the 40-digit id. Nothing else of the history is fetched.
    :param root: the project's folder, "." or "a/b"; below the top, only its files and those beside its parents are
        fetched and checked out.
    :param timeout_s: seconds for everything before the worktree is yielded.
    :param scratch: the folder that holds worktrees; by default one of this user's own in the temporary directory.
        Worktrees in it whose process died are removed on entry.
    :raises SupersededError: the repository does not have the commit any more.
    :raises PermanentError: the root is no folder at that commit.
    :raises RetryableError: anything else that Git says, such as a refused token, and the time limit.
    """
    url = _check_url(clone_url)
    if not COMMIT_ID.fullmatch(commit):
        raise PermanentError(f"'{commit}' is no commit id; give all 40 hexadecimal digits")
    with hold_folder("worktree", scratch) as folder:
        source = _Source(clone_url, commit, branch, "" if root in {".", "./"} else root.strip("/"))
        # Git's errors may quote the header, in which the token stands encoded.
        secrets = (token, _encode_token(token)) if token else ()
        environment = _build_environment(folder, url, token)
        git = _Git(folder / "repository", environment, time.monotonic() + timeout_s, secrets)
        _fetch(git, source)
        yield Worktree(git.top, git.top / source.root, commit, branch)


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    commit: str
    branch: str
    root: str  # empty for the repository itself


def _fetch(git: _Git, source: _Source) -> None:
    git.top.mkdir()
    # `git switch` takes a branch like `-x` for an option, and Git refuses to create it by name: it is made here.
    git.run("init", "--quiet", "--template=", f"--initial-branch={source.branch}")
    _write_settings(git.top / ".git", source.url)
    # Of a repository that holds more than the project, only the files that are checked out are fetched.
    partial = ["--filter=blob:none"] if source.root else []
    if source.root:
        # By stdin: as an argument, a root that begins with a dash would be an option.
        git.run("sparse-checkout", "set", "--cone", "--stdin", given=f"{_quote(source.root)}\n".encode())
    git.run("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", *partial, "origin", source.commit)
    # Before the checkout: for a root that is missing Git checks out next to nothing, and says so nowhere.
    _check_root(git, source)
    git.run("reset", "--hard", "--quiet", source.commit)


def _write_settings(git_folder: Path, url: str) -> None:
    """Write what also the Git that the Astro CLI calls shall see, which does not have our environment."""
    with (git_folder / "config").open("a") as config:
        # No hook of a template's, and nothing of Git's that runs on in the background, where the folder is removed at
        # the end.
        config.write(f"[core]\n\thooksPath = {os.devnull}\n\tautocrlf = false\n\tfsmonitor = false\n[gc]\n\tauto = 0\n")
        config.write(f'[maintenance]\n\tauto = false\n[remote "origin"]\n\turl = {_quote(url)}\n')
    (git_folder / "info").mkdir(exist_ok=True)
    (git_folder / "info" / "attributes").write_text(_ATTRIBUTES)


def _quote(text: str) -> str:
    """Return a text in quotes, as Git's configuration and its lists of paths read it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _check_root(git: _Git, source: _Source) -> None:
    if not source.root:
        return
    # Nothing is listed if a parent is a link or a submodule, so a folder found here is one all the way down.
    listed = git.run("ls-tree", "--full-tree", "-z", "--", source.commit, source.root).stdout
    mode = listed.partition(" ")[0]
    if mode != FOLDER_MODE:
        found = TreeEntry(source.root, mode, "").kind if mode else "missing"
        raise PermanentError(
            f"root '{source.root}' is {found} at commit {source.commit} of branch"
            f" '{source.branch}'; the project's root must be a folder: correct `root` in the policy, or the branch"
        )


@dataclass(frozen=True, slots=True)
class _Git:
    """Runs Git in one worktree until a common deadline."""

    top: Path
    environment: Mapping[str, str] = field(repr=False)
    deadline: float
    secrets: tuple[str, ...] = field(repr=False)

    def run(self, *arguments: str, given: bytes | None = None) -> CommandResult:
        result = run_command(
            ["git", *arguments],
            cwd=self.top,
            env=self.environment,
            timeout_s=max(0.1, self.deadline - time.monotonic()),
            redact=self.secrets,
            stdin=given,
        )
        if result.exit_code != 0:
            raise _explain(arguments, result)
        return result


def _explain(arguments: tuple[str, ...], result: CommandResult) -> DeployOpsError:
    said = result.tail(8)
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
    return RetryableError(f"`git {arguments[0]}` ended with exit code {result.exit_code}: {said}")


def _check_url(clone_url: str) -> SplitResult:
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
    settings = {"http.followRedirects": "false", "protocol.version": "2", "core.hooksPath": os.devnull}
    if token:
        scope = f"http.{url.scheme}://{url.netloc}/.extraHeader"
        settings[scope] = f"Authorization: Basic {_encode_token(token)}"
    numbered = enumerate(settings.items())
    return {
        "HOME": str(folder),  # no ~/.netrc, no ~/.config/git
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",  # nobody is there to answer
        "GIT_ALLOW_PROTOCOL": "http:https",  # never `ext::` or `file:`, wherever an address comes from
        "GIT_LFS_SKIP_SMUDGE": "1",  # the tree holds the pointer; what it points to may be on another host
        "GIT_LITERAL_PATHSPECS": "1",  # a root called `*` is a folder of that name
        "GIT_CEILING_DIRECTORIES": str(folder),  # no repository around the scratch folder counts
        "GIT_CONFIG_COUNT": str(len(settings)),
        **{
            f"GIT_CONFIG_{part}_{n}": text
            for n, pair in numbered
            for part, text in zip(("KEY", "VALUE"), pair, strict=True)
        },
    }
