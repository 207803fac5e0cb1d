"""What must be true of long-lived targets and the deploy branch at rest, by Git, Astro's records and what people did.

Small enough to be read at once; decides by no code of the product.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo.author import Author

Files = dict[str, str]
Release = tuple[str, str, str]
"""Head, base, and the record on top of which it would be deployed."""

_NOTE = re.compile(r" how=(planned|forced|override) head=([0-9a-f]{40}) commit=([0-9a-f]{40}) ")
_OURS = re.compile(r"^Deploy-Ops-Control-Plane: ", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """One deploy that succeeded; `how` is empty for a stranger's."""

    id: str
    kind: str
    how: str
    head: str
    commit: str


def read_record(shown: Mapping[str, Any]) -> Record:
    """Read Astro's record."""
    found = _NOTE.search(shown["description"])
    is_ours = found is not None and not shown.get("rollbackFromId")
    return Record(shown["id"], shown["type"], *(found.groups() if found and is_ours else ("", "", "")))


@dataclass(frozen=True)
class Yes:
    """A person's approval: of this head onto this base, deployed as this commit, on top of this record."""

    head: str
    base: str
    commit: str
    observed: str

    @property
    def release(self) -> Release:
        """Return what it speaks of."""
        return (self.head, self.base, self.observed)


@dataclass
class Model:
    """What people did, and what is doubtful of it because something died in between.

    `strays` are commits that a stranger pushed to the deploy branch, `adopted` those a person took over; `resumed` are
    deploy records that a person ended the hold of; `rejected` what a person said no to.
    """

    strays: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    resumed: set[str] = field(default_factory=set)
    rejected: set[Release] = field(default_factory=set)
    perhaps_rejected: set[Release] = field(default_factory=set)
    approved: list[Yes] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)

    def forget(self) -> None:
        """Know less: the state store was lost."""
        self.adopted.clear()
        self.resumed.clear()
        self.rejected.clear()
        self.perhaps_rejected.clear()

    def is_overridden(self, records: Sequence[Record]) -> bool:
        """Whether a target stays as it is: its newest deploy is a stranger's or a person's own, after one of ours."""
        newest = records[-1] if records else None
        is_foreign = newest is not None and newest.how in {"", "override"}
        return is_foreign and any(each.how for each in records) and records[-1].id not in self.resumed

    def check_records(self, git: Git, records: Sequence[Record], *, is_gated: bool, has_raced: bool) -> None:
        """Nothing was deployed twice, and behind a gate nothing that nobody approved."""
        for before, now in zip([None, *records], records, strict=False):
            if now.how == "planned" and before is not None and before.how in {"planned", "forced"}:
                assert (before.commit, before.kind) != (now.commit, now.kind), f"{now} was deployed twice"
            if is_gated and now.how:
                self.check_approved(git, now, None if has_raced else before.id if before else "")

    def check_approved(self, git: Git, now: Record, observed: str | None) -> None:
        """Somebody said yes to exactly this: a planned deploy's head and base, a forced one's commit.

        :param observed: the record on top of which it came; None where a race makes that unknowable.
        """
        given = [yes for yes in self.approved if observed in {None, yes.observed}]
        if now.how == "planned":
            base, head = git.list_parents(now.commit)
            said_yes = [yes for yes in given if (yes.head, yes.base) == (head, base)]
        else:
            said_yes = [yes for yes in self.approved if yes.commit == now.commit]
        assert said_yes, f"nobody approved {now}"


@dataclass
class Git:
    """The repository on GitHub, by plain Git."""

    author: Author
    hashes: dict[str, str] = field(default_factory=dict)

    def fetch(self) -> None:
        """Get what was pushed."""
        self.author.git("fetch", "--quiet", "--prune")

    def find(self, branch: str) -> str:
        """Return the branch's tip, empty without one."""
        return self.author.git("for-each-ref", "--format=%(objectname)", f"refs/remotes/origin/{branch}")

    def list_parents(self, commit: str) -> list[str]:
        """Return the commit's parents."""
        self.author.fetch(commit)
        return self.author.git("log", "-1", "--format=%P", commit).split()

    def is_in(self, commit: str, branch_tip: str) -> bool:
        """Whether the branch has the commit."""
        return self.author.git("merge-base", commit, branch_tip) == commit

    def conflicts(self, one: str, other: str) -> bool:
        """Whether the two cannot be merged."""
        command = ["git", "merge-tree", "--write-tree", "--name-only", "--no-messages", one, other]
        done = subprocess.run(command, cwd=self.author.folder, capture_output=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 1

    def list_entries(self, commit: str) -> Files:
        """Return mode and blob of each file."""
        lines = self.author.git("ls-tree", "-r", "-z", commit).split("\0")
        return {path: entry for entry, _, path in (line.partition("\t") for line in lines if line)}

    def hash_files(self, commit: str) -> Files:
        """Return the SHA-256 of each file."""
        self.author.fetch(commit)
        entries = self.list_entries(commit)
        if not set(entries.values()) <= self.hashes.keys():
            self.hashes |= {entries[path]: sha for path, sha in self.author.hash_files(commit).items()}
        return {path: self.hashes[entry] for path, entry in entries.items()}

    def derive(self, into: str, heads: Sequence[str]) -> Files:
        """Return what the deploy branch holds: `into`, and over it what each head changed in dags/ and `into` did not.

        :param heads: those of the open pull requests, by number.
        """
        now = self.list_entries(into)
        derived = dict(now)
        for head in heads:
            base = self.list_entries(self.author.git("merge-base", into, head))
            wanted = self.list_entries(head)
            for path in sorted(base.keys() | wanted.keys()):
                is_changed = path.startswith("dags/") and base.get(path) != wanted.get(path)
                if is_changed and base.get(path) == now.get(path):
                    derived.pop(path, None)
                    derived |= {path: wanted[path]} if path in wanted else {}
        return derived

    def check_no_empty_promotions(self, tip: str) -> None:
        """See that no commit of ours on the deploy branch has the tree of the one of ours before it.

        Where the branch lay behind `into` and no pull request is open, the first one after that has `into`'s own tree:
        a tip without our trailers would hold the next promotion.
        """
        log = self.author.git("log", "--first-parent", "-z", "--format=%T%n%B", tip).split("\0")
        trees = [each.partition("\n") for each in log]
        for (tree, _, message), (before, _, told) in pairwise(trees):
            is_ours = _OURS.search(message) and _OURS.search(told)
            assert tree != before or not is_ours, "promoted the same tree twice"
