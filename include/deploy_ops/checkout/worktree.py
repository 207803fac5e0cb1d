"""A clean shallow worktree of exactly one commit, for one call of the Astro CLI, removed afterwards.

It holds no more of the commit than the call needs: `dags/` alone, unless an image is built. What lies beside `dags/`
(an embedded repository, links of the names that the CLI writes, settings of the CLI) then never meets the CLI.

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
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError, SupersededError
from include.deploy_ops.core.model import COMMIT_ID, FOLDER_MODE, TreeEntry
from include.deploy_ops.process.command import Command, CommandResult, ProcessLimits
from include.deploy_ops.process.confinement import Sight
from include.deploy_ops.process.git_settings import make_git_environment
from include.deploy_ops.process.scratch import hold_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_LOG = logging.getLogger(__name__)
_DAGS = "dags"

FILES_MAX = 50_000
BYTES_MAX = 1 << 30
"""Files and bytes of a checkout at the most; a few hundred bytes of Git can name more than any disk holds."""

DEPTH_MAX = 100
"""Folders in one another that are checked out: Python and other programs walk through folders by recursion."""

PATH_BYTES_MAX = 1024
"""Bytes of a path in the repository; the whole path on this system has at most 4096."""

COMMIT_FILES_MAX = 500_000
"""Files of the whole commit: Git's index names also those that are not checked out."""

_LIMITS = ProcessLimits(memory_bytes=4 << 30, file_bytes=2 * BYTES_MAX)
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
_GONE = re.compile(r"not our ref")
_ODD_PATH = re.compile(r"invalid path '.{0,500}'")  # `.git` in another spelling, which some file systems take for it

# Attributes of the commit must not change bytes on checkout: what is deployed is what the trees say.
_ATTRIBUTES = "* -text !eol !ident !filter !working-tree-encoding\n"


class Contents(Enum):
    """How much of the commit is checked out."""

    DAGS = "dags"  # <root>/dags/ and nothing else: what a deploy without a build sends
    PROJECT = "project"  # the root with all that is in it but `.astro/`: what an image is built of


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
    contents: Contents,
    timeout_s: float,
    scratch: Path | None = None,
) -> Iterator[Worktree]:
    """Yield a clean worktree of `commit`, on a local branch named `branch`, with `origin` set; remove it afterwards.

    :param clone_url: http or https, without credentials.
    :param token: of the connection; None for a repository that anyone can read.
    :param commit: the 40-digit id. Nothing else of the history is fetched.
    :param root: the project's folder, "." or "a/b".
    :param contents: what of the root is fetched and checked out; of a whole project all but its `.astro/`.
    :param timeout_s: seconds for everything before the worktree is yielded.
    :param scratch: the folder that holds worktrees; by default one of this user's own in the temporary directory.
        Worktrees in it whose process died are removed on entry.
    :raises SupersededError: the repository does not have the commit any more.
    :raises PermanentError: the root, or its `dags/`, is no folder at that commit, or a link in `dags/` leaves it.
    :raises RetryableError: anything else that Git says, such as a refused token, and the time limit.
    """
    url = _check_url(clone_url)
    if not COMMIT_ID.fullmatch(commit):
        raise PermanentError(f"'{commit}' is no commit id; give all 40 hexadecimal digits")
    with hold_folder("worktree", scratch) as folder:
        source = _Source(clone_url, commit, branch, "" if root in {".", "./"} else root.strip("/"), contents)
        # Git's errors may quote the header, in which the token stands encoded.
        secrets = (token, _encode_token(token)) if token else ()
        environment = _build_environment(folder, url, token)
        git = _Git(folder / "repository", environment, time.monotonic() + timeout_s, secrets)
        _fetch(git, source)
        project = git.top / source.root
        _refuse_leaving_links(project / _DAGS)
        yield Worktree(git.top, project, commit, branch)


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    commit: str
    branch: str
    root: str  # empty for the repository itself
    contents: Contents

    @property
    def dags(self) -> str:
        return f"{self.root}/{_DAGS}" if self.root else _DAGS

    @property
    def folder(self) -> str:
        """The folder that is checked out."""
        return self.dags if self.contents is Contents.DAGS else self.root or "."


def _fetch(git: _Git, source: _Source) -> None:
    git.top.mkdir()
    # `git switch` takes a branch like `-x` for an option, and Git refuses to create it by name: it is made here.
    git.run("init", "--quiet", "--template=", f"--initial-branch={source.branch}")
    _write_settings(git.top / ".git", source.url)
    # Of a repository that holds more than what is checked out, only that is fetched.
    partial = _choose_files(git, source)
    git.run("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", *partial, "origin", source.commit)
    # Before the checkout: for a folder that is missing Git checks out nothing, and says so nowhere.
    if source.root:
        _check_folder(git, source, source.root, f"root '{source.root}'", "correct `root` in the policy, or the branch")
    if source.contents is Contents.DAGS:
        _check_folder(git, source, source.dags, f"{source.dags}/", "mend it on the branch")
    _bound(git, source, is_partial=bool(partial))
    git.run("reset", "--hard", "--quiet", source.commit)


def _bound(git: _Git, source: _Source, *, is_partial: bool) -> None:
    """Raise PermanentError before more is written than a checkout may hold: trees and blobs may name themselves often.

    A partial clone's files are fetched here, at once and packed; on its own Git would ask for each by itself.
    """
    if source.folder != ".":
        _list_blobs(git, source, ".", COMMIT_FILES_MAX)
    blobs = _list_blobs(git, source, source.folder, FILES_MAX, _refuse_deep)
    wanted = "".join(f"{blob}\n" for blob in sorted(set(blobs))).encode()
    if is_partial and wanted:
        git.run(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no"),
            *("--filter=blob:none", "--stdin", "origin"),
            given=wanted,
        )
    sizes: dict[str, int] = {}

    def weigh(line: str) -> None:
        blob, _, size = line.partition(" ")
        if size.isdecimal():
            sizes[blob] = int(size)

    git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", given=wanted, on_line=weigh)
    if lacking := set(blobs) - sizes.keys():
        raise RetryableError(f"the repository did not give {len(lacking)} of the commit's files")
    if (total := sum(sizes[blob] for blob in blobs)) > BYTES_MAX:
        raise PermanentError(
            f"the files of branch '{source.branch}' in {source.folder} have {total} bytes, the most that is checked out"
            f" is {BYTES_MAX}; keep large data elsewhere"
        )


def _choose_files(git: _Git, source: _Source) -> tuple[str, ...]:
    """Tell Git which files it may check out; return how it fetches, so that it gets no others."""
    # By patterns, not by cone: that adds the files beside each folder, and so what the CLI must not meet.
    if source.contents is Contents.DAGS:
        patterns = [_match_folder(source.dags)]
    else:
        root = _match_folder(source.root)
        patterns = [f"{root}*", f"!{root}.astro"]
    # By stdin: as an argument, a pattern that begins with a dash would be an option.
    git.run("sparse-checkout", "set", "--no-cone", "--stdin", given="\n".join([*patterns, ""]).encode())
    is_whole = source.contents is Contents.PROJECT and not source.root
    return () if is_whole else ("--filter=blob:none",)


def _match_folder(path: str) -> str:
    """Return the pattern of gitignore(5) that matches a folder, "" for the top, and nothing else."""
    return "/" + (re.sub(r"([\\*?\[\]!# ])", r"\\\1", path) + "/" if path else "")


def _refuse_deep(path: str) -> None:
    """Raise PermanentError for a path that other programs may fail at; in quotes Git writes a byte as 4 characters."""
    length_max = PATH_BYTES_MAX * 4 if path.startswith('"') else PATH_BYTES_MAX
    if len(path) > length_max or path.count("/") > DEPTH_MAX:
        raise PermanentError(
            f"{path[:100]}… has more than {PATH_BYTES_MAX} bytes, or lies in over {DEPTH_MAX} folders; shorten it"
        )


def _list_blobs(
    git: _Git, source: _Source, folder: str, most: int, check_path: Callable[[str], None] | None = None
) -> list[str]:
    """Return the ids of a folder's files, each as often as it is there; submodules are none."""
    blobs: list[str] = []

    def count(line: str) -> None:
        if len(blobs) == most:
            raise PermanentError(
                f"branch '{source.branch}' has more than {most} files in {folder}, the most that is looked at; leave"
                " out what is no part of the project"
            )
        kind, blob, path = f"{line}  ".split(" ", 2)
        if check_path is not None:
            check_path(path.strip())
        if kind == "blob":
            blobs.append(blob)

    shown = f"--format=%(objecttype) %(objectname){' %(path)' if check_path else ''}"
    git.run("ls-tree", "-r", "--full-tree", shown, source.commit, "--", folder, on_line=count)
    return blobs


def _write_settings(git_folder: Path, url: str) -> None:
    """Write what also the Git that the Astro CLI calls shall see, which does not have our environment."""
    # No hook of a template's, and nothing of Git's that runs on in the background, where the folder is removed at the
    # end. A file of ours in a folder that is not checked out stays unseen.
    settings = f"""[core]
\thooksPath = {os.devnull}
\tautocrlf = false
\tfsmonitor = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[sparse]
\texpectFilesOutsideOfPatterns = true
[remote "origin"]
\turl = {_quote(url)}
"""
    with (git_folder / "config").open("a") as config:
        config.write(settings)
    (git_folder / "info").mkdir(exist_ok=True)
    (git_folder / "info" / "attributes").write_text(_ATTRIBUTES)


def _quote(text: str) -> str:
    """Return a text in quotes, as Git's configuration and its lists of paths read it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _check_folder(git: _Git, source: _Source, path: str, name: str, advice: str) -> None:
    # Nothing is listed if a parent is a link or a submodule, so a folder found here is one all the way down.
    listed = git.run("ls-tree", "--full-tree", "-z", "--", source.commit, path).stdout
    mode = listed.partition(" ")[0]
    if mode != FOLDER_MODE:
        found = TreeEntry(path, mode, "").kind if mode else "missing"
        what = f"{name} is {found} at commit {source.commit} of branch '{source.branch}'"
        raise PermanentError(f"{what}; it must be a folder: {advice}")


def _refuse_leaving_links(dags: Path) -> None:
    """Raise PermanentError for a link in `dags/` that leads out of it: here it shows our files, in Astro none."""
    for folder, folders, files in os.walk(dags):  # which follows no link
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not _stays_inside(path, dags):
                shown = path.relative_to(dags.parent)
                raise PermanentError(
                    f"{shown} is a link to '{path.readlink()}', which is not below dags/; make it a file, or let it"
                    " point to one below dags/"
                )


def _stays_inside(link: Path, folder: Path) -> bool:
    try:
        return link.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a circle of links is the one or the other, by Python's version
        return False


@dataclass(frozen=True, slots=True)
class _Git:
    """Runs Git in one worktree until a common deadline."""

    top: Path
    environment: Mapping[str, str] = field(repr=False)
    deadline: float
    secrets: tuple[str, ...] = field(repr=False)

    def run(
        self, *arguments: str, given: bytes | None = None, on_line: Callable[[str], None] | None = None
    ) -> CommandResult:
        result = Command(
            ["git", *arguments],
            cwd=self.top,
            env=self.environment,
            timeout_s=max(0.1, self.deadline - time.monotonic()),
            redact=self.secrets,
            stdin=given,
            on_line=on_line,
            limits=_LIMITS,
            is_answer=True,
            sight=Sight(writes=(self.top.parent,)),
        ).run()
        if result.exit_code != 0:
            raise _explain(arguments, result)
        return result


def _explain(arguments: tuple[str, ...], result: CommandResult) -> DeployOpsError:
    said = result.tail(8)
    if _GONE.search(said):
        return SupersededError(
            f"the commit is not in the repository any more, its branch was replaced. Git says: {said}"
        )
    if odd := _ODD_PATH.search(said):
        return PermanentError(f"the branch holds an {odd[0]}, which Git never writes; remove it from the branch")
    if _LONG_NAME in said:
        return PermanentError(f"a path of the branch is longer than this system takes; shorten it. Git says: {said}")
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
