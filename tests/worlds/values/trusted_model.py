"""What must be true of previews, in the fewest words: the model beside which the real control plane is run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Model:
    """The repository as its people moved it, and what persons asked for; knows nothing of Astro, runs or memory.

    `heads` are the branches that exist, `pulls` the open pull requests' branches by number, `merged` the heads at which
    one was merged. `removed` are heads whose preview a person deleted; `doubtful` those where that is not certain:
    the delete broke off, or the branch has moved since. `excluded` branches the policy leaves as they are. `expired`
    are heads whose preview cleanup found idle, `kept` the Deployments that somebody keeps all the same.
    """

    heads: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, str] = field(default_factory=dict)
    merged: set[tuple[str, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)
    doubtful: set[tuple[str, str]] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)
    expired: set[tuple[str, str]] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)

    def lives(self, branch: str) -> bool:
        """Whether the branch's preview should be: it exists, and was not merged as it is with nothing left open."""
        return branch in self.heads and (
            (branch, self.heads[branch]) not in self.merged or branch in self.pulls.values()
        )

    def is_wanted(self, branch: str) -> bool:
        """Whether it should be made: it lives, the policy speaks of it, and nobody removed it at this head."""
        is_removed = (branch, self.heads.get(branch)) in self.removed
        return self.lives(branch) and branch not in self.excluded and not is_removed

    def is_over(self, branch: str) -> bool:
        """Whether a preview that is there shall go; the policy leaves an excluded branch's until the branch goes."""
        return branch not in self.heads or not (self.lives(branch) or branch in self.excluded)

    def is_doubtful(self, branch: str) -> bool:
        """Whether a preview that is not there may rightly stay away."""
        return branch in self.heads and (branch, self.heads[branch]) in self.doubtful

    def move(self, branch: str, head: str) -> None:
        """Somebody pushed: what was removed before the move may come back when the branch does."""
        gone = {pair for pair in self.removed if pair[0] == branch and pair[1] != head}
        self.doubtful |= gone
        self.removed -= gone
        self.heads[branch] = head

    def delete(self, branch: str) -> None:
        """Somebody deleted the branch, which closes its pull requests."""
        del self.heads[branch]
        self.pulls = {number: source for number, source in self.pulls.items() if source != branch}

    def merge(self, number: int) -> None:
        """Somebody merged the pull request."""
        branch = self.pulls.pop(number)
        self.merged.add((branch, self.heads[branch]))

    def remove(self, branch: str, head: str) -> None:
        """Somebody had the preview deleted that was asked for at this head, which the branch may have left since."""
        (self.removed if self.heads.get(branch) == head else self.doubtful).add((branch, head))

    def forget(self) -> None:
        """Know less: the state store was lost, and a removed preview may come back, and may not."""
        self.doubtful |= self.removed
        self.removed.clear()
        self.kept.clear()
