"""Make merge, squash and rebase commits in a bare repository, without a checkout. Moves no ref."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.clock import now
from sandbox.github.objects import Signature, read_commit, read_commits, write_commit

if TYPE_CHECKING:
    from sandbox.github.git import Git
    from sandbox.github.objects import Commit


def sign(name: str = "GitHub", email: str = "noreply@github.com") -> Signature:
    """Sign as now; without arguments as GitHub signs what it commits itself."""
    return Signature(name, email, now())


def merge_trees(git: Git, ours: str, theirs: str) -> str | None:
    """Merge two commits of one history and give the tree; None on conflict."""
    lines = git.run_text("merge-tree", "--write-tree", "--no-messages", ours, theirs, also_ok=(1,)).splitlines()
    return lines[0] if len(lines) == 1 else None  # on conflict the conflicted files follow the tree


def write_merge(git: Git, base: str, head: str, message: str, author: Signature) -> str | None:
    """Write the merge of `head` into `base`, parents exactly (base, head); None on conflict."""
    tree = merge_trees(git, base, head)
    return tree and write_commit(git, tree, [base, head], message, author=author, committer=sign())


def write_squash(git: Git, base: str, head: str, message: str, author: Signature) -> str | None:
    """Write one commit on `base` with everything that `head` brings; None on conflict."""
    tree = merge_trees(git, base, head)
    return tree and write_commit(git, tree, [base], message, author=author, committer=sign())


def write_rebase(git: Git, base: str, head: str) -> str | None:
    """Write the commits of `head` that `base` lacks again on top of `base`, merges left out; None on conflict."""
    tip = base
    for commit in read_commits(git, "--reverse", "--topo-order", "--no-merges", f"{base}..{head}", "--"):
        tree = _pick(git, commit, tip)
        if tree is None:
            return None
        tip = write_commit(git, tree, [tip], commit.message, author=commit.author, committer=sign())
    return tip


def _pick(git: Git, commit: Commit, onto: str) -> str | None:
    """Merge `onto` with `commit` as if they had parted at the commit's parent.

    `onto`'s tree is given that very parent, since `merge-tree --merge-base` came only with git 2.40.
    """
    (parent,) = commit.parents
    tree = read_commit(git, onto).tree
    sibling = write_commit(git, tree, [parent], "onto", author=sign(), committer=sign())
    return merge_trees(git, sibling, commit.sha)
