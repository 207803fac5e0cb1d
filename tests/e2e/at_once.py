"""Let tests go on at once on the one stack, where each would mostly wait: as branches of a team do.

`@pytest.mark.at_once("name")`: the tests of a name start together, each with a clone of its own, after all tests that
need the stack for themselves; each is reported alone, with its own error. They plant no faults, count no requests, and
leave alone what another one of their name watches. What only pytest's own thread may touch, such as a browser, needs
`at_once("name", in_turn=True)`: such tests are played there, one by one, while the others of the name go on.
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


def is_in_turn(item: pytest.Item) -> bool:
    """Whether pytest itself plays the test, beside those of its name that go on."""
    mark = item.get_closest_marker(MARK)
    return mark is not None and bool(mark.kwargs.get("in_turn"))


def gather(items: list[pytest.Item], folder: str) -> None:
    """Put the folder's tests of a name next to each other, behind those without one; all others stay where they are.

    Those in turn come first of their name: pytest awaits the end of the others.
    """
    places = [place for place, item in enumerate(items) if item.nodeid.startswith(folder)]
    ordered = sorted((items[place] for place in places), key=lambda item: (find_company(item), not is_in_turn(item)))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def find_waiting(item: pytest.Item) -> list[pytest.Item]:
    """Return the tests of this one's name that begin with it, and did not begin with another."""
    name = find_company(item)
    alike = [each for each in item.session.items if name and find_company(each) == name]
    return [each for each in alike if not is_in_turn(each) and OUTCOME not in each.stash]


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
