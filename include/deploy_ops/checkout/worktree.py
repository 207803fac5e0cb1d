"""A clean shallow worktree of exactly one commit, for one call of the Astro CLI, removed afterwards.

It holds no more of the commit than the call needs: `dags/` alone, unless an image is built. What lies beside `dags/`
(an embedded repository, links of the names that the CLI writes, settings of the CLI) then never meets the CLI.

Fetches over HTTP(S) only and never pushes. What Git leaves out of the commit's content (submodules, large files, what a
filter would turn into files) is brought where the rules allow it, and refused otherwise. Whether the project in it may
be deployed is `project_check.py`'s affair.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.checkout.git import Git, check_url
from include.deploy_ops.checkout.placeholders import refuse_filtered, restore_large_files
from include.deploy_ops.checkout.submodules import Submodule, choose_submodules
from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.model import COMMIT_ID, FOLDER_MODE, TreeEntry
from include.deploy_ops.process.scratch import hold_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.checkout.placeholders import FetchLargeFiles

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

SUBMODULES_MAX = 20
"""Submodules of a checkout, those in submodules counted: each is a fetch of its own."""

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


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What may stand for a file of the commit; by default nothing.

    :param submodules: repositories, as owner/name, that may be fetched where a submodule of them is checked out.
    :param filters: names of Git filters whose files are deployed as they are committed.
    :param fetch_large_files: brings the files of Git LFS; None where they are not fetched.
    """

    submodules: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    fetch_large_files: FetchLargeFiles | None = None


NO_RULES = ContentRules()


@contextlib.contextmanager
def checkout(  # noqa: PLR0913 - each by name, and none belongs to another
    *,
    clone_url: str,
    token: str | None,
    commit: str,
    branch: str,
    root: str,
    contents: Contents,
    timeout_s: float,
    rules: ContentRules = NO_RULES,
    scratch: Path | None = None,
) -> Iterator[Worktree]:
    """Yield a clean worktree of `commit`, on a local branch named `branch`, with `origin` set; remove it afterwards.

    :param clone_url: http or https, without credentials.
    :param token: of the connection; None for a repository that anyone can read.
    :param commit: the 40-digit id. Nothing else of the history is fetched.
    :param root: the project's folder, "." or "a/b".
    :param contents: what of the root is fetched and checked out; of a whole project all but its `.astro/`.
    :param timeout_s: seconds for everything before the worktree is yielded.
    :param rules: what may be brought that Git itself leaves out; all else of that kind is refused.
    :param scratch: the folder that holds worktrees; by default one of this user's own in the temporary directory.
        Worktrees in it whose process died are removed on entry.
    :raises SupersededError: the repository does not have the commit any more.
    :raises PermanentError: the root, or its `dags/`, is no folder at that commit, a link in `dags/` leaves it, or the
        commit does not hold what is deployed: a submodule, a large file or a filtered one stands for it.
    :raises RetryableError: anything else that Git says, such as a refused token, and the time limit.
    """
    if not COMMIT_ID.fullmatch(commit):
        raise PermanentError(f"'{commit}' is no commit id; give all 40 hexadecimal digits")
    check_url(clone_url)
    with hold_folder("worktree", scratch) as folder:
        source = _Source(clone_url, commit, branch, "" if root in {".", "./"} else root.strip("/"), contents)
        git = Git.open(folder, clone_url, token, timeout_s)
        _Checkout(git, source, rules, _Room(FILES_MAX, BYTES_MAX, SUBMODULES_MAX)).run()
        project = git.top / source.root
        _refuse_leaving_links(project / _DAGS)
        yield Worktree(git.top, project, commit, branch)


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    commit: str
    branch: str
    root: str  # empty for the repository itself
    contents: Contents | None  # None for all that is in it, as a submodule is wanted

    @property
    def dags(self) -> str:
        return f"{self.root}/{_DAGS}" if self.root else _DAGS

    @property
    def folder(self) -> str:
        """The folder that is checked out."""
        return self.dags if self.contents is Contents.DAGS else self.root or "."

    @property
    def is_partial(self) -> bool:
        """Whether the repository holds more than what is checked out."""
        return self.contents is Contents.DAGS or bool(self.root)

    @property
    def settings(self) -> str:
        """The folder of a project's own that is left out, or empty."""
        return f"{self.root}/.astro".removeprefix("/") if self.contents is Contents.PROJECT else ""

    def has(self, path: str) -> bool:
        """Whether a path below the folder is checked out; one that Git quotes counts as it is written."""
        return not self.settings or not f"{path}/".startswith(f"{self.settings}/")


@dataclass(slots=True)
class _Room:
    """How much more may be checked out, submodules included."""

    files: int
    bytes: int
    submodules: int


@dataclass(slots=True)
class _Listing:
    """What a folder of the commit holds: blobs, each as often as it is there, and paths as Git quotes them."""

    blobs: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    submodules: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Checkout:
    """Fetches one repository's commit and checks it out, with the submodules in it."""

    git: Git
    source: _Source
    rules: ContentRules
    room: _Room

    def run(self) -> None:
        git, source = self.git, self.source
        git.top.mkdir(parents=True)
        # `git switch` takes a branch like `-x` for an option, and Git refuses to create it by name: it is made here.
        git.run("init", "--quiet", "--template=", f"--initial-branch={source.branch}")
        _write_settings(git.top / ".git", source.url)
        _choose_files(git, source)
        # Of a repository that holds more than what is checked out, only that is fetched.
        partial = ("--filter=blob:none",) if source.is_partial else ()
        git.run(
            *("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", *partial),
            *("origin", source.commit),
        )
        # Before the checkout: for a folder that is missing Git checks out nothing, and says so nowhere.
        if source.root:
            advice = "correct `root` in the policy, or the branch"
            _check_folder(git, source, source.root, f"root '{source.root}'", advice)
        if source.contents is not None:
            # Behind a link the Astro CLI finds no DAGs beside an image, and says that all went well.
            is_needed = source.contents is Contents.DAGS
            _check_folder(git, source, source.dags, f"{source.dags}/", "mend it on the branch", is_needed=is_needed)
        listing = self._bound()
        submodules = self._choose_submodules(listing)
        git.run("read-tree", source.commit)
        refuse_filtered(git, [path for path in listing.paths if source.has(path)], self.rules.filters)
        # From here on attributes of the commit must not change bytes: what is deployed is what the trees say.
        (git.top / ".git" / "info" / "attributes").write_text(_ATTRIBUTES)
        git.run("reset", "--hard", "--quiet", source.commit)
        self.room.bytes -= restore_large_files(
            git, source.folder, source.url, self.rules.fetch_large_files, self.room.bytes
        )
        for each in submodules:
            self._fill(each)

    def _bound(self) -> _Listing:
        """Raise PermanentError before more is written than may be: trees and blobs may name themselves often.

        A partial clone's files are fetched here, at once and packed; on its own Git would ask for each by itself.
        """
        git, source, room = self.git, self.source, self.room
        if source.folder != ".":
            _list_blobs(git, source, ".", COMMIT_FILES_MAX)
        listing = _list_blobs(git, source, source.folder, room.files, checks_paths=True)
        blobs = [*listing.blobs, *_list_settings(git, source)]
        wanted = "".join(f"{blob}\n" for blob in sorted(set(blobs))).encode()
        if source.is_partial and wanted:
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
        room.files -= len(listing.blobs)
        if (total := sum(sizes[blob] for blob in blobs)) > room.bytes:
            raise PermanentError(
                f"the files of branch '{source.branch}' in {source.folder} have {total} bytes, the most that is checked"
                f" out is {room.bytes}; keep large data elsewhere"
            )
        room.bytes -= total
        return listing

    def _choose_submodules(self, listing: _Listing) -> tuple[Submodule, ...]:
        wanted = {path: commit for path, commit in listing.submodules.items() if self.source.has(path)}
        self.room.submodules -= len(wanted)
        if wanted and self.rules.submodules and self.room.submodules < 0:
            raise PermanentError(
                f"the commit has more than {SUBMODULES_MAX} submodules, those in submodules counted; leave out what is"
                " no part of the project"
            )
        return choose_submodules(self.git, self.source.commit, self.source.url, wanted, self.rules.submodules)

    def _fill(self, submodule: Submodule) -> None:
        """Check a submodule out beside the worktree, and move its files to where it belongs, without its `.git`."""
        git = replace(
            self.git, top=self.git.top.parent / f"submodule-{self.room.submodules}", submodule=submodule.repository
        )
        self.room.submodules -= 1
        source = _Source(submodule.clone_url, submodule.commit, self.source.branch, "", None)
        _Checkout(git, source, self.rules, self.room).run()
        shutil.rmtree(git.top / ".git")
        place = self.git.top / submodule.path
        place.rmdir()  # Git made an empty folder of it; anything else is no place for files
        git.top.rename(place)


def _choose_files(git: Git, source: _Source) -> None:
    """Tell Git which files it may check out."""
    if source.contents is None:
        return
    # By patterns, not by cone: that adds the files beside each folder, and so what the CLI must not meet.
    if source.contents is Contents.DAGS:
        patterns = [_match_folder(source.dags)]
    else:
        root = _match_folder(source.root)
        patterns = [f"{root}*", f"!{root}.astro"]
    # By stdin: as an argument, a pattern that begins with a dash would be an option.
    git.run("sparse-checkout", "set", "--no-cone", "--stdin", given="\n".join([*patterns, ""]).encode())


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


def _list_blobs(git: Git, source: _Source, folder: str, most: int, *, checks_paths: bool = False) -> _Listing:
    """Return what a folder holds; with paths, and those checked, only where they are asked for."""
    listing = _Listing()

    def count(line: str) -> None:
        if len(listing.blobs) + len(listing.submodules) == most:
            raise PermanentError(
                f"branch '{source.branch}' has more than {most} files in {folder}, the most that is looked at; leave"
                " out what is no part of the project"
            )
        kind, sha, path = f"{line}  ".split(" ", 2)
        path = path.strip()
        if checks_paths:
            _refuse_deep(path)
        if kind == "blob":
            listing.blobs.append(sha)
        if checks_paths and kind == "blob":
            listing.paths.append(path)
        elif checks_paths and kind == "commit":
            listing.submodules[path] = sha

    shown = f"--format=%(objecttype) %(objectname){' %(path)' if checks_paths else ''}"
    git.run("ls-tree", "-r", "--full-tree", shown, source.commit, "--", folder, on_line=count)
    return listing


def _list_settings(git: Git, source: _Source) -> list[str]:
    """Return the blobs of Git's own files that it reads of the folders above what is checked out."""
    parts = source.folder.split("/")[:-1]
    folders = ["", *("/".join(parts[:depth]) + "/" for depth in range(1, len(parts) + 1))]
    names = [".gitmodules", *(f"{folder}.gitattributes" for folder in folders)]
    blobs: list[str] = []

    def take(line: str) -> None:
        kind, _, sha = line.partition(" ")
        if kind == "blob":
            blobs.append(sha)

    shown = "--format=%(objecttype) %(objectname)"
    git.run("ls-tree", "--full-tree", shown, source.commit, "--", *names, on_line=take)
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


def _quote(text: str) -> str:
    """Return a text in quotes, as Git's configuration and its lists of paths read it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _check_folder(git: Git, source: _Source, path: str, name: str, advice: str, *, is_needed: bool = True) -> None:
    # Nothing is listed if a parent is a link or a submodule, so a folder found here is one all the way down.
    listed = git.run("ls-tree", "--full-tree", "-z", "--", source.commit, path).stdout
    mode = listed.partition(" ")[0]
    if mode != FOLDER_MODE and (mode or is_needed):
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
