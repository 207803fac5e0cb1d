"""Bodies of answers: what is JSON for everybody is read, everything else is one kind of error that quotes nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.hooks.json_body import read_json

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES, is_ascii=st.booleans())
@settings(max_examples=100)
def test_json_is_read_as_it_was_written(value: object, *, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert read_json(text) == read_json(text.encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hunter2",
        '{"a": "hunter2',
        '["hunter2"] more',
        '["hunter2", NaN]',
        '["hunter2", -Infinity]',
        f'["hunter2", {"9" * 5000}]',
        f'["hunter2", {"9" * 21}]',
        '["hunter2", 1e999]',
        '["hunter2", -1e999]',
        '{"hunter2": 1, "b": 2, "hunter2": 3}',
        '["hunter2", {"a": {"b": 1, "b": 1}}]',
        f'["hunter2"{",1" * 2_000_001}]',
        '["hunter2", "\\ud800"]',
        '{"hunter2\\udFFF": 1}',
        '["hunter2", "\\ude00\\ud83d"]',
        "[" * 200_000,
        '{"a":' * 200_000,
        b'["hunter2", "\xff"]',
        "\ufeff[]",
        '{"hunter2\\u0000": 1, "hunter2\ufffd": 2}',
    ],
)
def test_everything_else_is_one_kind_of_error_that_quotes_nothing(body: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        read_json(body)
    assert "hunter2" not in str(caught.value)


def test_two_halves_are_a_character() -> None:
    assert read_json('["\\ud83d\\ude00"]') == ["\N{GRINNING FACE}"]


def test_what_postgresql_takes_in_no_json_is_replaced() -> None:
    found = read_json(r'{"message": ["a\u0000b", 7, null], "\u0000": "\\u0000"}')
    assert found == {"message": ["a\ufffdb", 7, None], "\ufffd": r"\u0000"}
