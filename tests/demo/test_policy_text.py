"""The policy's text with some of its lines changed: exactly those, and each of them once."""

from __future__ import annotations

import pytest

from demo.policy_text import change_lines

POLICY = """\
top:
  one: 1 # a word about it
  # two: 2
  two: 2
"""


def test_a_line_is_changed_where_it_stands_and_its_comment_stays() -> None:
    changed = change_lines(POLICY, {"one: 1": "one: 3", "two: 2": "two: 4\n  five: 5"})
    assert changed == "top:\n  one: 3 # a word about it\n  # two: 2\n  two: 4\n  five: 5\n"


@pytest.mark.parametrize(("policy", "count"), [(POLICY, 0), (f"{POLICY}  three: 3\n" * 2, 2)])
def test_what_does_not_stand_there_once_is_an_error(policy: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"the policy has {count} lines with `three: 3`, expected one"):
        change_lines(policy, {"three: 3": "three: 4"})


def test_a_line_that_goes_on_is_another_one() -> None:
    with pytest.raises(ValueError, match="0 lines"):
        change_lines("one: 10\n", {"one: 1": "one: 2"})
