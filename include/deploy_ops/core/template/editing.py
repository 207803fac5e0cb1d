"""A template's text, edited: changed fields stand where they stood, and order and comments of all else stay.

Pure. What is changed is decided elsewhere; the result is read again, and refused where it does not say just that.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, ScalarString
from ruamel.yaml.tokens import CommentToken

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.fields import LISTED, Gap, Path, read_fields
from include.deploy_ops.core.template.merging import Difference, lay_fields
from include.deploy_ops.core.text.document import read_document

_INDENT = 2
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{3,}")
"""Words that need no quotes: shorter ones may be `no` or `on`, which the Astro CLI reads as false and true."""

_WORDS = frozenset({"true", "false", "null"})


def write_file(document: Mapping[str, Any], heading: Iterable[str]) -> str:
    """Return a Deployment file as YAML, with lines of comment on top."""
    yaml = _make_yaml()
    return "".join(f"# {line}\n" for line in heading) + _dump(yaml, _write(document))


def edit_file(text: str, source: str, laid: Iterable[Difference]) -> str:
    """Return the file's text with what is laid on it; the same text where that is nothing.

    :param source: names the file in errors.
    :raises TemplateError: it is written so that it cannot be edited; nothing is lost but this convenience.
    """
    changes = tuple(laid)
    if not changes:
        return text
    wanted = lay_fields(read_fields(read_document(text)), changes)
    edited = _edit_json(text, changes) if _is_json(text) else _edit_yaml(text, source, changes)
    if read_fields(read_document(edited)) != wanted:
        raise _fail(source)
    return edited


def _edit_json(text: str, changes: Iterable[Difference]) -> str:
    document = json.loads(text)
    for each in changes:
        _lay(document["deployment"], each)
    indent = re.match(r"\{\s*\n( +)", text)
    return json.dumps(document, indent=len(indent[1]) if indent else None, ensure_ascii=False) + "\n"


def _edit_yaml(text: str, source: str, changes: Iterable[Difference]) -> str:
    try:
        yaml = _make_yaml()
        document = yaml.load(text)
        _keep_indent(yaml, document["deployment"])
        for each in changes:
            _lay(document["deployment"], each)
        return _dump(yaml, document)
    except YAMLError:  # its own text would quote the file
        raise _fail(source) from None


def _fail(source: str) -> TemplateError:
    return TemplateError(
        f"{source}: it is written so that it cannot be edited without a loss; write it as plain YAML, a key a line, or "
        "change by hand what the table says"
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _make_yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.indent(mapping=_INDENT, sequence=_INDENT + 2, offset=_INDENT)
    return yaml


def _keep_indent(yaml: YAML, deployment: CommentedMap) -> None:
    """Write keys and lists as far to the right as the file has them."""
    yaml.map_indent = deployment.lc.col or _INDENT
    lists = [each for each in deployment.values() if isinstance(each, CommentedSeq) and len(each)]
    if lists:
        yaml.sequence_dash_offset = max(lists[0].lc.col - deployment.lc.col, 0)
        yaml.sequence_indent = yaml.sequence_dash_offset + 2


def _dump(yaml: YAML, document: Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _lay(deployment: MutableMapping[str, Any], change: Difference) -> None:
    """Bring one field to what production has."""
    part, *rest = change.path
    if part not in LISTED:
        _set(deployment, change.path, change.production)
        return
    name_key, entries = LISTED[part], deployment.get(part) or []
    if not entries:
        _set(deployment, (part,), [{name_key: rest[0], **change.production}])
    elif change.production is Gap.ABSENT and [each[name_key] for each in entries] == rest:
        _remove(deployment, part)
    else:
        _lay_entry(entries, name_key, rest, change.production)


def _lay_entry(entries: Any, name_key: str, path: list[str], value: Any) -> None:
    """Bring an entry that is known by name, or a field of it, to a value."""
    name, *inner = path
    index = next((index for index, each in enumerate(entries) if each[name_key] == name), None)
    if index is None:
        _append(entries, {name_key: name, **value})
    elif inner:
        _set(entries[index], tuple(inner), value)
    elif value is Gap.ABSENT:
        _remove(entries, index)
    else:
        for key, each in value.items():
            if key in entries[index] or each:
                _set(entries[index], (key,), each)


def _set(place: MutableMapping[str, Any], path: Path, value: Any) -> None:
    key, *rest = path
    if rest and place.get(key) is None:
        _set(place, (key,), {rest[0]: value})
    elif rest:
        _set(place[key], tuple(rest), value)
    elif value is Gap.ABSENT:
        _remove(place, key)
    elif key in place:
        tail = _take_tail(place, key)
        place[key] = _write_like(value, place[key])
        _give_tail(place, key, tail)
    else:
        last = next(reversed(list(place)), None)
        tail = _take_tail(place, last) if last is not None else ""
        place[key] = _write(value)
        _give_tail(place, key, tail)


def _append(entries: Any, value: Mapping[str, Any]) -> None:
    last = len(entries) - 1
    tail = _take_tail(entries, last) if entries else ""
    entries.append(_write(value))
    _give_tail(entries, last + 1, tail)


def _remove(place: Any, key: Any) -> None:
    """Remove an entry; what is said behind it is about what follows, and stays."""
    keys = list(place) if isinstance(place, Mapping) else list(range(len(place)))
    position = keys.index(key)
    tail = _take_tail(place, key)
    del place[key]
    if position > 0:
        _give_tail(place, keys[position - 1], tail)
    elif tail and isinstance(place, CommentedMap | CommentedSeq) and len(place):
        _give_head(place, tail)


# ruamel.yaml keeps a comment with what stands before it, the innermost last value there: a comment about one key goes
# when the key before it goes. So what is said behind a value, beyond its own line, is taken off and put back.


def _find_last(place: Any, key: Any) -> tuple[Any, Any]:
    """Return the innermost last value below a key, by where it stands."""
    value = place[key]
    while isinstance(value, CommentedMap | CommentedSeq) and len(value):
        place, key = value, next(reversed(value)) if isinstance(value, CommentedMap) else len(value) - 1
        value = place[key]
    return place, key


def _take_tail(place: Any, key: Any) -> str:
    """Take off, and return, the lines of comment behind the value, without what stands on its own line."""
    if not isinstance(place, CommentedMap | CommentedSeq):
        return ""
    holder, last = _find_last(place, key)
    token = _get_token(holder, last)
    if token is None:
        return ""
    own, _, rest = token.value.partition("\n")
    _put_token(holder, last, f"{own}\n" if own.strip() else "", token)
    return str(rest)


def _give_tail(place: Any, key: Any, tail: str) -> None:
    """Put lines of comment behind the value."""
    if not tail or not isinstance(place, CommentedMap | CommentedSeq):
        return
    holder, last = _find_last(place, key)
    token = _get_token(holder, last)
    before = token.value if token is not None else "\n"
    _put_token(holder, last, f"{before}{tail}" if before.endswith("\n") else f"{before}\n{tail}", token)


def _give_head(place: CommentedMap | CommentedSeq, tail: str) -> None:
    """Put lines of comment before the first value."""
    first = next(iter(place)) if isinstance(place, CommentedMap) else 0
    lines = "\n".join(line.strip().removeprefix("#").removeprefix(" ") for line in tail.rstrip("\n").split("\n"))
    place.yaml_set_comment_before_after_key(first, before=lines, indent=place.lc.col)


def _get_token(holder: Any, key: Any) -> CommentToken | None:
    found = holder.ca.items.get(key)
    place = 2 if isinstance(holder, CommentedMap) else 0
    token = found[place] if found and len(found) > place else None
    return token if isinstance(token, CommentToken) else None


def _put_token(holder: Any, key: Any, text: str, like: CommentToken | None) -> None:
    if like is not None:
        like.value = text
        if not text:
            holder.ca.items.pop(key, None)
        return
    token = CommentToken(text, CommentMark(0), None)
    holder.ca.items[key] = [None, None, token, None] if isinstance(holder, CommentedMap) else [token, None]


def _write_like(value: Any, old: Any) -> Any:
    """Return the value as it is written in place of another one, in the same quotes."""
    if isinstance(value, str) and isinstance(old, ScalarString):
        return type(old)(value)
    return _write(value)


def _write(value: Any) -> Any:
    if isinstance(value, Mapping):
        return CommentedMap({key: _write(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return CommentedSeq([_write(each) for each in value])
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return DoubleQuotedScalarString(value)
    return value
