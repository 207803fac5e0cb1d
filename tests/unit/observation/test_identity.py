"""A name that means another repository than before ends the pass; a name that was changed in the policy does not."""

from __future__ import annotations

from typing import cast

import pytest

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.hooks.github.answers import RepositoryName
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.run.memory import KnownRepository, Memory
from tests.worlds.doubles.airflow import DictStore


class Named:
    """GitHub, as far as it says which repository answers to a name."""

    def __init__(self, repository: str, number: int) -> None:
        self.repository = repository
        self.number = number
        self.asked = 0
        self.is_public = True

    def read_name(self) -> RepositoryName:
        self.asked += 1
        return RepositoryName(self.number, self.repository, self.is_public)


def look(memory: Memory, repository: str, number: int, seen: int | None = None) -> int:
    """Look once, and return how often GitHub was asked."""
    github = Named(repository, number)
    require_same_repository(memory, cast("DeployOpsGithubHook", github), seen)
    return github.asked


@pytest.fixture
def memory() -> Memory:
    """Give a memory that knows acme/shop as number 7."""
    memory = Memory(DictStore())
    assert look(memory, "acme/shop", 7) == 1
    assert memory.repository.read() == KnownRepository(7, "acme/shop", is_public=True)
    return memory


def test_the_same_repository_is_the_same_in_any_case_and_asked_for_only_where_nothing_told_it(memory: Memory) -> None:
    assert look(memory, "Acme/Shop", 7) == 1
    assert look(memory, "acme/shop", 0, seen=7) == 0


@pytest.mark.parametrize("name", ["acme/shop", "ACME/shop"])
@pytest.mark.parametrize("seen", [None, 8])
def test_a_name_that_was_given_to_another_repository_is_refused_every_time(
    memory: Memory, name: str, seen: int | None
) -> None:
    for _ in range(2):
        with pytest.raises(ObservationError, match="another repository than before, number 8 at GitHub and not 7"):
            look(memory, name, 8, seen)
    assert memory.repository.read() == KnownRepository(7, "acme/shop", is_public=True)


@pytest.mark.parametrize("number", [7, 9])
def test_another_name_in_the_policy_is_a_persons_word(memory: Memory, number: int) -> None:
    look(memory, "acme/store", number)
    assert memory.repository.read() == KnownRepository(number, "acme/store", is_public=True)


def test_who_may_read_it_is_told_with_its_number_and_stays_so_where_only_that_is_told(memory: Memory) -> None:
    private = Named("acme/shop", 7)
    private.is_public = False
    assert require_same_repository(memory, cast("DeployOpsGithubHook", private)).is_public is False
    assert require_same_repository(memory, cast("DeployOpsGithubHook", private), 7).is_public is False
    renamed = Named("acme/store", 9)
    assert require_same_repository(memory, cast("DeployOpsGithubHook", renamed), 9).is_public is None
