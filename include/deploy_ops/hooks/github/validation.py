"""Whether GitHub's JSON has the shape that is expected, and the error that says where it has not.

Knows no shape of its own; the modules of answers do.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, FailFast, StringConstraints, TypeAdapter, ValidationError

from include.deploy_ops.core.errors import NOTHING_FOLLOWS, ObservationError
from include.deploy_ops.core.model import COMMIT_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.deploy_ops.hooks.github.http import GithubAnswer

T = TypeVar("T")
Many = Annotated[list[T], FailFast()]
"""A list of which the first wrong item is told: an answer may hold a million of them."""
Sha = Annotated[str, StringConstraints(pattern=f"^{COMMIT_ID.pattern}$")]


class Json(BaseModel):
    """Strict: a number in quotes is as wrong as a missing field. Fields that we do not name are GitHub's affair."""

    model_config = ConfigDict(strict=True, frozen=True)


def _make_adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[shape, FailFast()] if get_origin(shape) is list else shape)


_adapt: Callable[[Any], TypeAdapter[Any]] = functools.cache(_make_adapter)  # milliseconds, once for each shape


def validate(shape: type[T], answer: GithubAnswer) -> T:
    """Return the answer's data in this shape. :raises ObservationError: it has another; quotes nothing of it."""
    try:
        found: T = _adapt(shape).validate_python(answer.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise doubt(answer, f"no usable {where}: {first['msg']}") from error
    return found


def shorten(shape: type[T], answer: GithubAnswer) -> Any:
    """Return of the answer's data what the shape names, as JSON that has this shape. Raises as `validate` does."""
    return _adapt(shape).dump_python(validate(shape, answer), mode="json")


def doubt(answer: GithubAnswer, what: str) -> ObservationError:
    """Return the error that says what an answer was instead of usable."""
    return ObservationError(f"{answer.request} answered with {what}; {NOTHING_FOLLOWS}")


def check_sha(answer: GithubAnswer, found: str, wanted: str) -> None:
    """Let only the object pass that was asked for. :raises ObservationError: it is another."""
    if found != wanted:
        raise doubt(answer, f"another object, {found}")
