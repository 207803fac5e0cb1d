"""Strict reading: what is taken as written, and what is refused with its line."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.text.document import DocumentError, find_lines, read_document

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "written",
    ["no", "NO", "on", "off", "y", "010", "0x1F", "1:30", "2026-01-01", "1e3", "1_000", ".5", "9" * 40, "3.1-14"],
)
def test_an_unquoted_text_is_what_stands_there(written: str) -> None:
    assert read_document(f"key: {written}") == {"key": written}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("true", True), ("False", False), ("12", 12), ("-3", -3), ("0.25", 0.25), ("~", None), ("", None), ("null", None)],
)
def test_true_numbers_and_nothing_are_read_as_such(written: str, meant: object) -> None:
    assert read_document(f"key: {written}") == {"key": meant}


def test_on_is_a_key() -> None:
    assert read_document("on: push") == {"on": "push"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: key 'a' is given twice"),
        ("x:\n  - {k: 1, k: 2}\n", "line 2, column 12: key 'k' is given twice"),
        ('{"a": {"b": 1, "b": 2}}', "key 'b' is given twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("a: 1\nb: *x\n", "line 2, column 4: an alias is not read here"),
        ("a: &x 1\nb: 2\n", "line 1, column 4: an anchor"),
        ("branches: [*]\n", "a text that begins with * or & needs quotes"),
        ("a: !!python/name:os.system x\n", "line 1, column 4: a tag"),
        ("1: a\n", "line 1, column 1: a key is text"),
        ("true: a\n", "line 1, column 1: a key is text"),
        ("? [a]\n: b\n", "a key is text"),
        ("a: [1\nb: 2\n", "line 2"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("a: \x07\n", "line 1, column 4: the character U+0007 is no text; remove it"),
        ("[" * 20_000, "line 1, column 65: it is nested deeper than 64"),
        ('{"a":' * 20_000, "nested too deeply"),
    ],
)
def test_what_is_refused_says_where(text: str, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text)
    assert says in str(caught.value)


def test_an_error_never_quotes_a_line_of_the_text() -> None:
    with pytest.raises(DocumentError) as caught:
        read_document("password: hunter2\n  broken: [")
    assert "hunter2" not in str(caught.value)


@given(JSON_VALUES)
@settings(max_examples=80)
def test_json_and_yaml_are_read_as_they_were_written(value: object) -> None:
    assert read_document(json.dumps({"k": value}, indent="\t")) == {"k": value}
    assert read_document(yaml.safe_dump({"k": value})) == {"k": value}


def test_every_key_and_entry_has_its_line() -> None:
    text = "a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n'e.f': |\n  long\n  text\ng: 4\n"
    assert find_lines(text) == {
        (): 1,
        ("a",): 1,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
        ("b", 1, "c"): 5,
        ("b", 1, "d"): 6,
        ("e.f",): 7,
        ("g",): 10,
    }


@pytest.mark.parametrize("text", ["", "a: [", "a: &x 1", "? [a]\n: 1\n", "[" * 100, "a: \x00", "x" * (128 * 1024 + 1)])
def test_what_cannot_be_read_has_no_lines(text: str) -> None:
    assert all(len(place) == 0 for place in find_lines(text))


@given(JSON_VALUES)
def test_what_can_be_read_has_a_line_for_each_place(value: object) -> None:
    def list_places(below: object, place: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        items = below.items() if isinstance(below, dict) else enumerate(below) if isinstance(below, list) else ()
        return {place}.union(*(list_places(each, (*place, key)) for key, each in items))

    text = yaml.safe_dump(value)
    lines = find_lines(text)
    assert lines.keys() == list_places(read_document(text))
    assert set(lines.values()) <= set(range(1, text.count("\n") + 2))
