"""Policy and template as people and accidents spoil them: one kind of error, with the place, and what to do."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import DeployOpsError, PolicyError, TemplateError
from include.deploy_ops.core.policy.file import LoadedPolicy, load_policy, read_policy
from include.deploy_ops.core.template.template import Template, parse_template
from include.deploy_ops.core.text.document import DEPTH_MAX, LENGTH_MAX, DocumentError, read_document
from include.deploy_ops.core.text.schema import format_location
from tests.unit.core.policy.test_file import OTHER, PROJECT, list_places
from tests.unit.core.template.test_template import BODY

POLICY: dict[str, Any] = {"control_plane": "acme-prod", "mode": "apply", "projects": [PROJECT, OTHER]}
TEMPLATE: dict[str, Any] = {"deployment": BODY}
Place = tuple[str | int, ...]
QUICK_S = 20.0  # of CPU, many times what it takes; what is not refused takes minutes, or all the memory


def read(text: str) -> tuple[LoadedPolicy | None, list[str]]:
    """Return what the policy's text says, and all that is told of it, a line each."""
    try:
        loaded = load_policy(text, "policy.yaml")
    except PolicyError as error:
        return None, str(error).split("\n")
    return loaded, loaded.describe_problems().split("\n") if loaded.problems else []


def read_template(text: str) -> tuple[Template | None, list[str]]:
    """Return the same of a template's text."""
    try:
        return parse_template(text, "policy.yaml"), []
    except TemplateError as error:
        return None, str(error).split("\n")


READERS: dict[str, tuple[Callable[[str], tuple[object, list[str]]], dict[str, Any]]] = {
    "policy": (read, POLICY),
    "template": (read_template, TEMPLATE),
}
BOTH = pytest.mark.parametrize(("reader", "document"), READERS.values(), ids=READERS)


def put(document: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return the document with another value at a place; `...` removes it."""
    changed = copy.deepcopy(document)
    *above, last = place
    holder: Any = changed
    for key in above:
        holder = holder[key]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return changed


def misspell(document: dict[str, Any], place: Place) -> tuple[dict[str, Any], str]:
    """Return the document with the key at the place misspelt, two of its letters swapped, and how it reads now."""
    *above, last = place
    key = str(last)
    typo = key[:1] + key[2:3] + key[1:2] + key[3:]
    changed = put(document, place, ...)
    holder: Any = changed
    for each in above:
        holder = holder[each]
    holder[typo] = copy.deepcopy(find(document, place))
    return changed, typo


def find(document: Any, place: Place) -> Any:
    for key in place:
        document = document[key]
    return document


def dump(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def list_keys(document: dict[str, Any]) -> list[Place]:
    """Return the places of keys that are words of ours; a target's name and a variable are the writer's own."""
    places = [place for place in list_places(document) if place and isinstance(place[-1], str)]
    return [place for place in places if place[-2:-1] != ("targets",) and len(str(place[-1])) > 3]


@BOTH
def test_every_misspelt_key_is_named_where_it_stands_with_the_right_one(reader: Any, document: dict[str, Any]) -> None:
    seen = 0
    for place in list_keys(document):
        changed, typo = misspell(document, place)
        if typo == place[-1]:
            continue
        _, told = reader(dump(changed))
        path = format_location((*place[:-1], typo))
        lines = [line for line in told if f": {path}: " in f"{line} " or line.startswith(f"policy.yaml: {path}: ")]
        assert any(f"did you mean '{place[-1]}'?" in line for line in lines), (path, told)
        seen += 1
    assert seen > 15


@BOTH
@pytest.mark.parametrize("value", [None, {"x": {"y": 1}}, [["x"]], -(10**17), 10**17, 2.5, "\x07\u2028", "é" * 3000])
def test_a_wrong_value_anywhere_is_refused_there_or_read_as_it_is(
    reader: Any, document: dict[str, Any], value: object
) -> None:
    for place in list_places(document)[1:]:
        changed = put(document, place, value)
        result, told = reader(json.dumps(changed))
        assert result is not None or told
        for line in told:
            assert re.match(r"policy\.yaml: \S.*: .", line)
            assert len(line) < 700, line
            assert "\x07" not in line
        assert not told or any(is_about(line, place) for line in told), (place, told)


def is_about(line: str, place: Place) -> bool:
    """Whether the line names the place, what it lies in or what lies in it; or what does not fit to it any more."""
    path = line.removeprefix("policy.yaml: ").partition(": ")[0]
    around = [format_location(place[:length]) for length in range(len(place) + 1)]
    is_related = any(path.endswith(related) for related in RELATED.get(place[-1], ()))
    return path in around or path.startswith(around[-1]) or is_related


RELATED: dict[str | int, tuple[str, ...]] = {"root": (".also_watch[0]",), "pull_request": (".merge",)}
"""Keys by which others are judged: where it is told when they change."""


@BOTH
def test_every_key_may_be_left_out_or_is_missed(reader: Any, document: dict[str, Any]) -> None:
    for place in list_keys(document):
        result, told = reader(dump(put(document, place, ...)))
        is_missed = any(f"{format_location(place)}: " in line and "it is missing" in line for line in told)
        is_judged = told and all(is_about(line, place) for line in told)
        assert is_missed or is_judged or (result is not None and not told), (place, told)


def test_a_change_that_keeps_it_valid_lands() -> None:
    for place, value in [
        (("projects", 0, "trunk"), "trunk"),
        (("projects", 0, "poll_interval_s"), 3.5),
        (("projects", 0, "previews", "max_live"), 7),
        (("projects", 0, "limits", "max_deletes"), 9),
        (("projects", 1, "root"), "a/b"),
    ]:
        loaded, told = read(dump(put(POLICY, place, value)))
        assert told == []
        assert loaded is not None
        found: Any = loaded.policy
        for key in place:
            found = found[key] if isinstance(key, int) else getattr(found, key)
        assert found == value


NO_DOCUMENT = [
    ("", "found nothing, expected a mapping"),
    ("# nothing\n", "found nothing, expected a mapping"),
    ("---\n", "found nothing, expected a mapping"),
    ("5", "found 5, expected a mapping"),
    ('"x"', "found 'x', expected a mapping"),
    ("[]", "found a list, expected a mapping"),
    ("a: 1\n---\nb: 1\n", "line 2, column 1: expected a single document"),
    ("a:\n\t- b\n", "line 2, column 1: .*found character '\\\\t'"),
    ("a: 1\na: 2\n", "line 2, column 1: key 'a' is given twice; remove one"),
    ("b: [*x, *x]\n", "line 1, column 5: an alias is not read here, write the value out"),
    ("c: {<<: *x}\n", "line 1, column 9: an alias is not read here"),
    ("a: &x {b: 1}\nc: {<<: *x}\n", r"line 1, column 4: an anchor \(&\) is not read here; remove it"),
    ("a: !!python/object/apply:os.system ['true']\n", r"line 1, column 4: a tag \(!\) is not read here; remove it"),
    ("a: !!binary aGk=\n", "line 1, column 4: a tag"),
    ("1: a\n", "line 1, column 1: a key is text; put it in quotes"),
    ("yes_or_no: [a\n", "line 2, column 1: while parsing a flow sequence"),
    ("a: b\nc: \x00d\n", r"line 2, column 4: the character U\+0000 is no text; remove it"),
    ('a: "\\ud800"\n', "line 1, column 4: a text holds half a character"),
    ('{"a": "\\ud800"}', "a text holds half a character"),
    ('{"a": NaN}', "NaN is no number in JSON; write a number"),
    ('{"a": 1, "a": 2}', "key 'a' is given twice; remove one"),
    ("%YAML 9.0\n---\na: 1\n", "line 1, column 1: found incompatible YAML document"),
]


@BOTH
@pytest.mark.parametrize(("text", "says"), NO_DOCUMENT)
def test_a_text_that_is_no_document_is_refused_with_its_line(
    reader: Any, document: dict[str, Any], text: str, says: str
) -> None:
    assert document
    result, (line,) = reader(text)
    assert result is None
    assert re.match(f"policy\\.yaml: {says}", line), line


BOMBS = {
    "brackets": "a: " + "[" * 100_000,
    "braces": "a: " + "{x: " * 900 + "1" + "}" * 900,
    "steps": "\n".join(" " * depth + "a:" for depth in range(400)),
    "JSON": '{"a":' * 20_000,
    "a long text": f"a: {'x' * 2_000_000}",
    "many keys": "".join(f"key{number}: 1\n" for number in range(10_000)),
    "laughs": "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9 if n else ['x'] * 9)}]\n" for n in range(40)),
    "one name": "control_plane: a\nprojects:\n" + "- {name: p, repository: a/b}\n" * 3000,
    "digits": f"control_plane: {'9' * 100_000}\nprojects: []\n",
    "JSON's digits": '{"control_plane": "a", "projects": [], "mode": ' + "9" * 100_000 + "}",
}


@BOTH
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_quickly_and_in_few_words(reader: Any, document: dict[str, Any], bomb: str) -> None:
    assert document
    started_s = time.process_time()
    _, told = reader(bomb)
    assert time.process_time() - started_s < QUICK_S
    assert told
    assert sum(map(len, told)) < 50_000
    assert all(len(line) < 1000 for line in told)


def test_length_and_depth_are_bounded_and_the_bounds_are_told() -> None:
    assert read_document("a" * LENGTH_MAX)
    with pytest.raises(DocumentError, match=f"found {LENGTH_MAX + 1} characters, expected at most {LENGTH_MAX}"):
        read_document("a" * (LENGTH_MAX + 1))
    assert read_document("[" * (DEPTH_MAX - 1) + "a" + "]" * (DEPTH_MAX - 1))
    with pytest.raises(DocumentError, match=f"line 1, column {DEPTH_MAX + 1}: it is nested deeper than {DEPTH_MAX}"):
        read_document("[" * DEPTH_MAX + "a" + "]" * DEPTH_MAX)


def test_of_very_many_problems_the_first_are_told() -> None:
    _, told = read(dump(POLICY) + "".join(f"key{number}: 1\n" for number in range(60)))
    assert len(told) == 51
    assert told[-1] == "policy.yaml: (top): 10 problems more; mend those above first"


@pytest.mark.parametrize(
    "content",
    [
        dump(POLICY).encode("utf-8-sig"),
        dump(POLICY).replace("\n", "\r\n").encode(),
        f"%YAML 1.1\n---\n{dump(POLICY)}...\n".encode(),
    ],
)
def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    assert read_policy(path).is_complete


@pytest.mark.parametrize("content", [dump(POLICY).encode("utf-16"), b"control_plane: \xff\n"])
def test_bytes_that_are_no_utf_8_are_refused_with_their_place(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"policy\.yaml: the policy is no UTF-8 text: byte \d+ is not; save it as"):
        read_policy(path)


@pytest.mark.parametrize(
    ("place", "written", "says"),
    [
        (("projects", 0, "name"), "a\nb", r"project 'a\\nb': found 'a\\nb', expected a name of a-z"),
        (("projects", 0, "root"), "a\0b", r"found 'a\\x00b', expected a path inside the repository"),
        (("projects", 0, "github_conn_id"), "a\nb", "expected a text of one line"),
        (("projects", 0, "ignore", 0), "a\0", "expected one gitignore rule"),
        (("projects", 0, "targets", "staging", "deployment"), "a\x1bb", "expected a text of one line"),
        (("projects", 0, "previews", "max_live"), 10**12, "found 1000000000000, expected a number of at most 100000"),
        (("projects", 0, "limits", "max_delete_fraction"), -1, "found -1, expected a number of at least 0"),
        (("projects", 0, "limits", "max_delete_fraction"), 2, "found 2, expected a number of at most 1"),
        (("projects", 0, "poll_interval_s"), float("inf"), "found inf, expected a number"),
        (("projects", 0, "poll_interval_s"), 1e9, "expected a number of at most 86400"),
    ],
)
def test_a_value_that_would_hurt_later_is_refused_where_it_stands(place: Place, written: object, says: str) -> None:
    text = json.dumps(put(POLICY, place, written)).replace("Infinity", "1e999")
    loaded, told = read(text)
    lines = [line for line in told if line.startswith(f"policy.yaml: {format_location(place)}: ")]
    assert any(re.search(says, line) for line in lines), told
    assert loaded is not None
    assert [project.name for project in loaded.policy.projects] == ["other"]


@st.composite
def spoilt_texts(draw: st.DrawFn, document: dict[str, Any]) -> str:
    text = dump(document)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        junk = draw(st.text(max_size=3) | st.sampled_from(JUNK))
        text = text[:start] + junk + text[end:]
    return text


JUNK = [
    *(
        "\t",
        "\n",
        "\n\n",
        ": ",
        "- ",
        "&x ",
        "*x",
        "!x ",
        "<<: ",
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "|\n",
        ">\n",
        "%",
        "? ",
    ),
    *("#", "---\n", "\ufeff", "\0", "\x85", '"\\ud800"', "~", "null", ".nan", "1e999", "0o7", "yes", "@"),
]


def check_spoilt(reader: Any, text: str) -> None:
    try:
        result, told = reader(text)
    except DeployOpsError as error:  # pragma: no cover - the readers catch their own
        pytest.fail(f"another error than the reader's own: {error!r}")
    assert result is not None or told
    for line in told:
        assert re.match(r"policy\.yaml: (line \d+, column \d+: |\(top\): |[\w\[]|\d+ problems more)", line), line


@given(spoilt_texts(POLICY))
@settings(max_examples=80)
def test_a_policy_spoilt_anywhere_is_read_or_refused_and_nothing_else(text: str) -> None:
    check_spoilt(read, text)


@given(spoilt_texts(TEMPLATE))
@settings(max_examples=60)
def test_a_template_spoilt_anywhere_is_read_or_refused_and_nothing_else(text: str) -> None:
    check_spoilt(read_template, text)
