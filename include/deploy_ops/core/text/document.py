"""Read one YAML or JSON document strictly; what its keys mean is for whoever asked.

Plainer than YAML 1.1, so that nothing turns into something that was not written: only `true` and `false` are booleans,
only plain decimal numbers are numbers, and every other unquoted value is the text that stands there (`no`, `on`,
`010`, `1:30`, `2026-01-01`). Keys are text, also `<<`, and stand for nothing but themselves. A key given twice, an
anchor, an alias and a tag are refused, and so is what no person writes by hand: a document too long, too deep or of too
many values to be read quickly, and half a character.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from include.deploy_ops.core.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from include.deploy_ops.core.text.schema import Location

LENGTH_MAX = 128 * 1024
"""Characters. The reader takes a second for a million of them, and Airflow reads the policy again every half minute."""

DEPTH_MAX = 64
"""Lists and mappings in one another; the reader's time grows with the square of them."""

VALUES_MAX = 20_000
"""Keys, values, lists and mappings of a YAML document together; the reader takes a second for them."""

_TEXT = "tag:yaml.org,2002:str"


_HALF = "a text holds half a character, by an escape such as \\ud800; write the character itself"


class DocumentError(PermanentError):
    """The text is no such document. Its own text names the line and quotes no value, which may be a secret.

    :param line: the same line, from 1; 0 where it lies in none.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def read_document(text: str) -> Any:
    """Return the document as dicts, lists, texts, booleans, numbers and None; None for an empty one.

    Raises DocumentError with the line where the text is neither JSON nor YAML as this module reads it.
    """
    if len(text) > LENGTH_MAX:
        raise DocumentError(f"found {len(text)} characters, expected at most {LENGTH_MAX}; write it shorter")
    try:
        return _read_json(text) if _is_json(text) else _read_yaml(text)
    except RecursionError:
        raise DocumentError("it is nested too deeply to be read; write it flatter") from None


def find_lines(text: str) -> dict[Location, int]:
    """Return the line of each key and of each entry of a list, from 1; nothing where the text is no such document."""
    try:
        node = _StrictLoader(text).get_single_node() if len(text) <= LENGTH_MAX else None
    except (yaml.YAMLError, DocumentError, RecursionError):
        return {}
    return {} if node is None else dict(_list_lines(node, node.start_mark.line, ()))


def _list_lines(node: yaml.Node, above: int, location: Location) -> Iterator[tuple[Location, int]]:
    """Yield the place of the node, and of all below it; `above` counts the lines before the one on which it begins."""
    yield location, above + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _list_lines(value, key.start_mark.line, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _list_lines(value, value.start_mark.line, (*location, index))


def _is_json(text: str) -> bool:
    """Whether the text is JSON. What is not, though it begins like it, is read as YAML, whose errors have lines."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read_json(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_join_pairs, parse_constant=_refuse_constant)
    if not _is_whole(json.dumps(value, ensure_ascii=False)):
        raise DocumentError(_HALF)
    return value


def _is_whole(text: str) -> bool:
    """Whether it can be stored and sent: half a character, which an escape can name, nothing takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for key, value in pairs:
        if key in joined:
            raise DocumentError(f"key '{key}' is given twice; remove one")
        joined[key] = value
    return joined


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError(f"{name} is no number in JSON; write a number")


def _read_yaml(text: str) -> Any:
    try:
        return _StrictLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise _describe_yaml_error(error) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line = before.count("\n") + 1
        said = f"the character U+{ord(text[error.position]):04X} is no text; remove it"
        raise DocumentError(f"line {line}, column {error.position - before.rfind(chr(10))}: {said}", line) from None


def _describe_yaml_error(error: yaml.MarkedYAMLError) -> DocumentError:
    """Name the place and the problem; the library's own text would quote the line, which may hold a secret."""
    mark = error.problem_mark or error.context_mark
    says = ", ".join(part for part in (error.context, error.problem) if part)
    hint = "; a text that begins with * or & needs quotes" if "alias" in says or "anchor" in says else ""
    return _refuse(mark, f"{says}{hint}") if mark else DocumentError(f"{says}{hint}")


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the few rules of this module instead of YAML 1.1's."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it open
        if isinstance(event, yaml.AliasEvent):
            raise _refuse(event.start_mark, "an alias is not read here, write the value out, or quote a text with *")
        if getattr(event, "anchor", None) is not None:
            raise _refuse(event.start_mark, "an anchor (&) is not read here; remove it, or quote a text with &")
        if getattr(event, "tag", None) is not None:
            raise _refuse(event.start_mark, "a tag (!) is not read here; remove it, or quote a text with !")
        if isinstance(event, yaml.ScalarEvent) and not _is_whole(event.value):
            raise _refuse(event.start_mark, _HALF)
        self._depth += 1
        self._values += 1
        if self._depth > DEPTH_MAX:
            raise _refuse(event.start_mark, f"it is nested deeper than {DEPTH_MAX}; write it flatter")
        if self._values > VALUES_MAX:
            raise _refuse(event.start_mark, f"it has more than {VALUES_MAX} keys and values; write it shorter")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != _TEXT:
                raise _refuse(key.start_mark, "a key is text; put it in quotes")
            if key.value in seen:
                raise _refuse(key.start_mark, f"key '{key.value}' is given twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse(mark: Any, problem: str) -> DocumentError:
    return DocumentError(f"line {mark.line + 1}, column {mark.column + 1}: {problem}", mark.line + 1)


def _resolve(kind: str, pattern: str, first: str) -> None:
    """Read plain values that match as of this kind; `first` are the characters they can begin with, "" for none."""
    tag = f"tag:yaml.org,2002:{kind}"
    _StrictLoader.add_implicit_resolver(tag, re.compile(rf"(?:{pattern})$"), [*first] if first else [""])


_StrictLoader.yaml_implicit_resolvers = {}
_resolve("null", "", "")
_resolve("null", "~|null|Null|NULL", "~nN")
_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
# At most 18 digits: a longer run of digits is an id, and its leading or trailing zeros matter.
_resolve("int", "[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789")
_resolve("float", r"[-+]?[0-9]{1,18}\.[0-9]{1,18}", "-+0123456789")
