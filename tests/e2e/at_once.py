"""Let tests go on at once on the one stack, where each would mostly wait: as branches of a team do.

`@pytest.mark.at_once("name")`: the tests of a name start together, each with a clone of its own, after all tests that
need the stack for themselves; each is reported alone, with its own error. They plant no faults, count no requests, and
leave alone what another one of their name watches.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo.witness import Witness

MARK = "at_once"
OUTCOME = pytest.StashKey[Future[None]]()
"""What comes of the test, which began with the first of its name."""


def find_company(item: pytest.Item) -> str:
    """Return the name under which the test goes on with others; none for a test that needs the stack for itself."""
    mark = item.get_closest_marker(MARK)
    return str(mark.args[0]) if mark else ""


def gather(items: list[pytest.Item], folder: str) -> None:
    """Put the folder's tests of a name next to each other, behind those without one; all others stay where they are."""
    places = [place for place, item in enumerate(items) if item.nodeid.startswith(folder)]
    ordered = sorted((items[place] for place in places), key=find_company)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def start(company: Iterable[pytest.Item], witness: Witness, pool: ThreadPoolExecutor) -> None:
    """Begin all these tests."""
    for number, item in enumerate(company):
        assert isinstance(item, pytest.Function), item
        item.stash[OUTCOME] = pool.submit(item.obj, clone(witness, f"{find_company(item)}-{number}"))


def clone(witness: Witness, name: str) -> Witness:
    """Return a witness of the same stack who works in another folder."""
    author = replace(witness.author, folder=witness.author.folder.with_name(name))
    author.clone()
    return replace(witness, author=author)
