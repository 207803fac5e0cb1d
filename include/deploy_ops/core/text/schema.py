"""Strict models, and what a model refused, told by the key's path, what was found and what is expected.

Knows nothing of the policy or the template: what their keys mean stands in their own models.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import isclass
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

Location: TypeAlias = tuple[str | int, ...]
"""Where a value lies in a document: keys and positions, from the top."""

_SHOWN_LENGTH_MAX = 60
PROBLEMS_TOLD_MAX = 50
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PRIVATE_KEYS = frozenset(
    {"environment", "environment_variables"}
)  # values below these may be secrets and are never shown

_EXPECTED = {
    "string_type": "text",
    "string_unicode": "text that can be written",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "too_short": "at least one entry",
    "too_long": "at most {max_length} entries, not {actual_length}",
    "finite_number": "a number that ends",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than_equal": ("le", "of at most"),
}


class StrictModel(BaseModel):
    """A frozen model that takes no key it does not know and converts nothing."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document, and where."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{format_location(self.location)}: {self.message}"

    def move_below(self, *keys: str | int) -> "Problem":
        """Return the same problem seen from further up."""
        return Problem((*keys, *self.location), self.message)


def format_location(location: Location) -> str:
    """Return the path as people write it: `projects[1].previews.branches[0]`; the document itself is `(top)`."""
    path = "".join(_format_key(key) for key in location)
    return path.removeprefix(".") or "(top)"


def _format_key(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{key!r}]"


def suggest_key(key: str, known: Iterable[str]) -> str:
    """Return the known key that an unknown one was probably meant to be, as advice; else all that are known."""
    choices = sorted(known)
    nearest = difflib.get_close_matches(key, choices, n=1)
    return f"did you mean '{nearest[0]}'?" if nearest else f"known here: {', '.join(choices)}"


def list_problems(
    error: ValidationError,
    model: type[BaseModel],
    advice: Mapping[str, str] | None = None,
    added: Mapping[str, str] | None = None,
) -> tuple[Problem, ...]:
    """Return what the model refused, in the order of its keys.

    `advice` says what to do about unknown keys that are known somewhere else, `added` what to add where a key of that
    name is missing. Of very many, the first are told.
    """
    details = error.errors(include_url=False)
    told = [
        Problem(_locate(each), _explain(each, model, advice or {}, added or {})) for each in details[:PROBLEMS_TOLD_MAX]
    ]
    if more := details[PROBLEMS_TOLD_MAX:]:
        told.append(Problem((), f"{len(more)} problems more; mend those above first"))
    return tuple(told)


def _locate(detail: ErrorDetails) -> Location:
    """Return where it lies in the document; the library marks a key that is itself wrong with a last "[key]"."""
    location = detail["loc"]
    return location[:-1] if location[-1:] == ("[key]",) and detail["type"] != "extra_forbidden" else location


def describe_value(value: object, location: Location = ()) -> str:
    """Return what was found, shortly. Containers, and everything that may be a secret, by their kind alone."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    if _PRIVATE_KEYS & set(location):
        return kind
    shown = repr(value) if isinstance(value, str) else str(value).lower()
    return shown if len(shown) <= _SHOWN_LENGTH_MAX else f"{shown[:_SHOWN_LENGTH_MAX]}…"


def _explain(detail: ErrorDetails, model: type[BaseModel], advice: Mapping[str, str], added: Mapping[str, str]) -> str:
    location, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        return _explain_unknown(location, model, advice)
    if kind == "missing":
        return f"it is missing; add {added.get(str(location[-1]), 'it')}"
    return (
        f"found {describe_value(detail['input'], location)}, expected {_name_expected(detail)}{_advise_quotes(detail)}"
    )


def _explain_unknown(location: Location, model: type[BaseModel], advice: Mapping[str, str]) -> str:
    key = str(location[-1])
    return f"unknown key; {advice.get(key) or suggest_key(key, _list_known_keys(model, location[:-1]))}"


def _name_expected(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"one of {context['expected']}"
        case kind if kind in _BOUNDS:
            key, words = _BOUNDS[kind]
            return f"a number {words} {context[key]:g}"
        case kind:
            return _EXPECTED[kind].format_map(context) if kind in _EXPECTED else detail["msg"]


def _advise_quotes(detail: ErrorDetails) -> str:
    is_unquoted = detail["type"] == "string_type" and isinstance(detail["input"], bool | int | float)
    return "; put it in quotes, exactly as meant" if is_unquoted else ""


def _list_known_keys(model: type[BaseModel], location: Location) -> list[str]:
    kind: Any = model
    for key in location:
        kind = _enter(kind, key)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _enter(kind: Any, key: str | int) -> Any:
    """Return the type of what lies at `key` of a model, a tuple of one type, or a dict."""
    if isclass(kind) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return _strip(fields[str(key)].annotation)
    return _strip(get_args(kind)[0 if isinstance(key, int) else 1])


def _strip(kind: Any) -> Any:
    """Return X for `X | None` and for X with annotations."""
    if type(None) in get_args(kind):
        return _strip(next(each for each in get_args(kind) if each is not type(None)))
    return _strip(get_args(kind)[0]) if get_origin(kind) is Annotated else kind
