"""Judge JSON by the schemas of an OpenAPI 3.0 document, stricter than JSON Schema is by itself.

Three things differ from the JSON Schema (draft 4) that OpenAPI 3.0 builds on: `nullable` permits null; `format` is
checked; and an object has no fields but those that its schema names, unless the schema says `additionalProperties`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jsonschema import Draft4Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Specification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jsonschema.protocols import Validator

ROOT = "urn:openapi"
UNKNOWN = "unknownField"
FORMATS = FormatChecker(["date", "date-time", "email", "uri", "uri-template"])


@FORMATS.checks("int64")
def is_int64(value: object) -> bool:
    """Whether a whole number fits in 64 bits."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def forbid_unknown(
    validator: Validator, properties: Mapping[str, Any], instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check fields as draft 4 does, and that there are no others."""
    yield from Draft4Validator.VALIDATORS["properties"](validator, properties, instance, schema)
    # Of `allOf` beside fields the parts' fields would count, too; none of the operations in question has it.
    if isinstance(instance, dict) and not {"additionalProperties", "allOf"} & schema.keys():
        for name in instance.keys() - properties.keys():
            text = f"field {name!r} is not in the description"
            yield ValidationError(text, validator=UNKNOWN, validator_value=name)


def check_all_parts(
    validator: Any, parts: Sequence[Any], instance: Any, _: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check each part as draft 4 does; a field is unknown where it is to all of them."""
    found = [[*validator.descend(instance, part, schema_path=index)] for index, part in enumerate(parts)]
    unknown = [{each.validator_value for each in errors if _is_unknown_here(each)} for errors in found]
    strange = set.intersection(*unknown)
    for errors in found:
        yield from (each for each in errors if not _is_unknown_here(each) or each.validator_value in strange)


def _is_unknown_here(error: ValidationError) -> bool:
    return error.validator == UNKNOWN and not error.relative_path


def check_format(
    validator: Validator, name: str, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check a format as draft 4 does; the default that a schema names itself is right (GitHub's "" for no address)."""
    if instance != schema.get("default"):
        yield from Draft4Validator.VALIDATORS["format"](validator, name, instance, schema) or ()


def permit_null(check: Callable[..., Iterator[ValidationError] | None]) -> Callable[..., Any]:
    """Let a keyword say nothing about null where the schema is nullable."""

    def check_unless_null(validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]) -> Any:
        is_permitted = instance is None and schema.get("nullable")
        return () if is_permitted else check(validator, value, instance, schema) or ()

    return check_unless_null


KEYWORDS = {
    **Draft4Validator.VALIDATORS,
    "properties": forbid_unknown,
    "allOf": check_all_parts,
    "format": check_format,
}
OpenApiValidator = extend(  # type: ignore[no-untyped-call]
    Draft4Validator,
    {keyword: permit_null(check) for keyword, check in KEYWORDS.items()},
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value, and where in it.

    :param unknown: the field that no schema has.
    :param null: the field that is null.
    """

    where: tuple[str | int, ...]
    what: str
    unknown: str = ""
    null: str = ""

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.where)
        return f"{place or '.'}: {self.what}"


class Document:
    """An OpenAPI document; any part of it is found by its keys, through references, and judges values as a schema."""

    def __init__(self, content: dict[str, Any]) -> None:
        # Opaque: GitHub's schemas name themselves nowhere, and a field called `id` is no name.
        resource = Specification.OPAQUE.create_resource(content)
        self._registry: Registry[Any] = Registry().with_resource(ROOT, resource)
        self.content = content

    @property
    def root(self) -> Part:
        """Give the whole."""
        return Part(self, (), self.content)

    def list_problems(self, pointer: str, value: Any) -> list[Problem]:
        """Say what is wrong with a value by the schema at a JSON pointer."""
        schema = {"$ref": f"{ROOT}#{quote(pointer)}"}
        validator = OpenApiValidator(schema, registry=self._registry, format_checker=FORMATS)
        return [find_problem(error) for error in validator.iter_errors(value)]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document: where it stands, and what it says."""

    document: Document
    keys: tuple[str, ...]
    value: Any

    def find(self, *keys: str | int) -> Part | None:
        """Go down by keys, following references on the way; None where the document ends before."""
        part = self.follow()
        for key in keys:
            if isinstance(part.value, dict) and key not in part.value:
                return None
            part = Part(self.document, (*part.keys, str(key)), part.value[key]).follow()
        return part

    def get(self, *keys: str | int) -> Part:
        """Go down by keys that are there."""
        part = self.find(*keys)
        assert part is not None, f"{'/'.join(self.keys)} has no {keys}"
        return part

    def follow(self) -> Part:
        """Give what the part refers to, itself if it is no reference."""
        if not isinstance(self.value, dict) or "$ref" not in self.value:
            return self
        keys = [key.replace("~1", "/").replace("~0", "~") for key in self.value["$ref"].split("/")[1:]]
        return self.document.root.get(*keys)

    def list_problems(self, value: Any) -> list[Problem]:
        """Say what is wrong with a value by this schema."""
        escaped = [key.replace("~", "~0").replace("/", "~1") for key in self.keys]
        return self.document.list_problems("".join(f"/{key}" for key in escaped), value)


def find_problem(error: ValidationError) -> Problem:
    """Say where and what; of a choice between shapes, what is wrong with the one that fits best."""
    if not error.context:
        unknown = error.validator_value if error.validator == UNKNOWN else ""
        where = tuple(error.absolute_path)
        null = str(where[-1]) if where and error.instance is None else ""
        return Problem(where, error.message[:300], str(unknown), null)
    shapes: dict[Any, list[ValidationError]] = {}
    for cause in error.context:
        shapes.setdefault(cause.schema_path[0], []).append(cause)
    nearest = max(shapes.values(), key=lambda causes: max(len(cause.absolute_path) for cause in causes))
    problem = find_problem(nearest[0])
    unknown = problem.unknown if len(nearest) == 1 else ""
    return Problem(problem.where, f"fits none of {len(shapes)} shapes; of the nearest, {problem.what}", unknown)
