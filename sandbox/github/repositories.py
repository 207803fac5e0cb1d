"""Which repository answers to a name, in any case of its letters, and which names one has given up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.github.urls import Urls

if TYPE_CHECKING:
    from sandbox.github.repository import Repository


class Repositories:
    """The repositories by `owner/name`; GitHub tells names apart without regard to case."""

    def __init__(self) -> None:
        self._present: dict[str, Repository] = {}
        self._former: dict[str, Repository] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._present.clear()
        self._former.clear()

    def add(self, repository: Repository) -> None:
        """Let a repository have its name, which leads to no other any more."""
        self._present[repository.full_name.casefold()] = repository
        self._former.pop(repository.full_name.casefold(), None)

    def get(self, full_name: str) -> Repository | None:
        """Return the repository that has the name now."""
        return self._present.get(full_name.casefold())

    def values(self) -> tuple[Repository, ...]:
        """Return all of them."""
        return tuple(self._present.values())

    def find_number(self, number: str) -> Repository | None:
        """Return the repository of that number, whatever it is called."""
        return next((each for each in self._present.values() if number == str(each.id)), None)

    def find_former(self, full_name: str) -> Repository | None:
        """Return the repository that had the name before it was renamed."""
        return self._former.get(full_name.casefold())

    def rename(self, full_name: str, name: str) -> bool:
        """Give a repository another name below its owner; return whether there is one of the first name."""
        repository = self._present.pop(full_name.casefold(), None)
        if repository is None:
            return False
        self._former[full_name.casefold()] = repository
        repository.name = name
        repository.urls = Urls(repository.urls.root, repository.full_name)
        for pull in repository.pulls.values():
            if not pull.source.is_fork:
                pull.source = replace(pull.source, repository=name)
        self.add(repository)
        return True
