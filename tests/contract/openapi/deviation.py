"""One exception from an OpenAPI document: what a service, or who asks it, is known to do otherwise, and why."""

from __future__ import annotations

from dataclasses import dataclass

ANY = "*"
UNKNOWN = "?"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One exception: an answer, a query parameter, an answer's field or a sent null that is not described.

    :param operation: method and path as described, any, or one that is not described.
    :param reason: how it is known.
    :param status: of the answer, or of those that have the field.
    :param media_type: of the answer; empty: it has no body.
    :param schema: the component that a JSON body must fit.
    :param query: the parameter.
    :param field: the field, wherever in the answer it stands.
    :param null: the field of the request's body that is null.
    """

    operation: str
    reason: str
    status: int = 0
    media_type: str = JSON
    schema: str = ""
    query: str = ""
    field: str = ""
    null: str = ""

    def concerns(self, operation: object, **facts: str | int) -> bool:
        """Whether this is an exception of the operation with these facts."""
        return self.operation in {ANY, str(operation)} and all(getattr(self, name) == facts[name] for name in facts)
